#include "services/logs.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <vector>

#include "aws/api_error.h"
#include "base/error.h"
#include "base/strings.h"
#include "services/logs_input.h"

namespace millrace::services {

using namespace logs_input;

namespace {

namespace json = base::json;

constexpr size_t kDescribeLimit = 50;
constexpr size_t kListLimit = 1000;  // ListLogGroups
constexpr std::array kRetentionDays = {1,   3,   5,   7,   14,   30,   60,   90,   120,  150,  180,
                                       365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653};

json::object tags_reply(const std::map<std::string, std::string>& tags) {
  json::object object;
  for (const auto& [key, value] : tags) object[key] = value;
  return {{"tags", std::move(object)}};
}

}  // namespace

struct LogsService::Handler {
  std::string_view operation;
  Output (LogsService::*run)(const Input& input);
};

const LogsService::Handler* LogsService::find_handler(std::string_view operation) {
  static constexpr Handler kHandlers[] = {
      {"AssociateKmsKey", &LogsService::associate_kms_key},
      {"CreateLogGroup", &LogsService::create_log_group},
      {"CreateLogStream", &LogsService::create_log_stream},
      {"DeleteLogGroup", &LogsService::delete_log_group},
      {"DeleteLogStream", &LogsService::delete_log_stream},
      {"DeleteMetricFilter", &LogsService::delete_metric_filter},
      {"DeleteResourcePolicy", &LogsService::delete_resource_policy},
      {"DeleteRetentionPolicy", &LogsService::delete_retention_policy},
      {"DescribeLogGroups", &LogsService::describe_log_groups},
      {"DescribeLogStreams", &LogsService::describe_log_streams},
      {"DescribeMetricFilters", &LogsService::describe_metric_filters},
      {"DescribeResourcePolicies", &LogsService::describe_resource_policies},
      {"DescribeSubscriptionFilters", &LogsService::describe_subscription_filters},
      {"DisassociateKmsKey", &LogsService::disassociate_kms_key},
      {"FilterLogEvents", &LogsService::filter_log_events},
      {"GetLogEvents", &LogsService::get_log_events},
      {"ListLogGroups", &LogsService::list_log_groups},
      {"ListTagsForResource", &LogsService::list_tags_for_resource},
      {"ListTagsLogGroup", &LogsService::list_tags_log_group},
      {"PutLogEvents", &LogsService::put_log_events},
      {"PutMetricFilter", &LogsService::put_metric_filter},
      {"PutResourcePolicy", &LogsService::put_resource_policy},
      {"PutRetentionPolicy", &LogsService::put_retention_policy},
      {"TagLogGroup", &LogsService::tag_log_group},
      {"TagResource", &LogsService::tag_resource},
      {"TestMetricFilter", &LogsService::test_metric_filter},
      {"UntagLogGroup", &LogsService::untag_log_group},
      {"UntagResource", &LogsService::untag_resource},
  };
  for (const Handler& handler : kHandlers)
    if (handler.operation == operation) return &handler;
  return nullptr;
}

bool LogsService::implements(std::string_view operation) {
  return find_handler(operation) != nullptr || is_live(operation);
}
bool LogsService::is_live(std::string_view operation) { return operation == "StartLiveTail"; }

LogsService::LogsService(logs::LogStore& store, const base::Clock& clock, std::string account,
                         std::string region, LiveTailOptions tails)
    : store_(store),
      clock_(clock),
      account_(std::move(account)),
      region_(std::move(region)),
      tails_(store, tails) {}

// Base errors that carry CloudWatch Logs' codes become answers.
template <typename Call>
auto LogsService::with_codes(const Call& call) {
  try {
    return call();
  } catch (const aws::ApiError&) {
    throw;
  } catch (const base::Error& error) {
    if (error.kind() == base::ErrorKind::kTransient)
      throw aws::ApiError(503, "ServiceUnavailableException", error.what());
    if (error.code().empty()) throw;
    throw aws::ApiError(400, error.code(), error.what());
  }
}

http::Response LogsService::stream(const aws::Operation& operation, const Input& input,
                                   const std::string& request_id) {
  return with_codes([&] { return start_live_tail(operation, input, request_id); });
}

json::object LogsService::call(const aws::Operation& operation, const Input& input) {
  const Handler* handler = find_handler(operation.name);
  if (handler == nullptr)
    throw aws::ApiError(501, "NotImplemented",
                        "Millrace does not implement CloudWatch Logs " + std::string(operation.name) + ".");
  return with_codes([&] { return (this->*handler->run)(input); });
}

std::string LogsService::group_arn(std::string_view group) const {
  const char* partition = region_.starts_with("cn-")       ? "aws-cn"
                          : region_.starts_with("us-gov-") ? "aws-us-gov"
                                                           : "aws";
  return std::string("arn:") + partition + ":logs:" + region_ + ":" + account_ +
         ":log-group:" + std::string(group);
}

std::string LogsService::group_of(const Input& input) const {
  auto name = base::find_string(input, "logGroupName");
  auto identifier = base::find_string(input, "logGroupIdentifier");
  if (name && identifier)
    throw aws::ApiError(400, "ValidationException",
                        "LogGroup name and LogGroup ARN are mutually exclusive parameters.");
  if (name) return std::string(*name);
  if (!identifier) invalid("Either logGroupName or logGroupIdentifier must be specified.");
  return group_of_identifier(*identifier);
}

std::string LogsService::group_of_identifier(std::string_view identifier) {
  if (!identifier.starts_with("arn:")) return std::string(identifier);
  const size_t at = identifier.find(":log-group:");
  if (at == std::string_view::npos) invalid("The specified logGroupIdentifier is not valid.");
  identifier.remove_prefix(at + 11);
  if (identifier.ends_with(":*")) identifier.remove_suffix(2);
  return std::string(identifier);
}

std::string LogsService::group_of_arn(const Input& input) const {
  std::string_view arn = base::find_string(input, "resourceArn").value_or("");
  const std::string prefix = group_arn("");
  if (!arn.starts_with(prefix))
    throw aws::ApiError(400, "ResourceNotFoundException", "The specified resource does not exist.");
  arn.remove_prefix(prefix.size());
  if (arn.ends_with(":*")) arn.remove_suffix(2);
  return std::string(arn);
}

json::object LogsService::create_log_group(const Input& input) {
  std::string log_class = text(input, "logGroupClass");
  if (log_class.empty()) log_class = "STANDARD";
  store_.create_group(text(input, "logGroupName"), log_class, text(input, "kmsKeyId"), tags_of(input));
  return {};
}

json::object LogsService::delete_log_group(const Input& input) {
  store_.delete_group(text(input, "logGroupName"));
  return {};
}

size_t LogsService::metric_filter_count(const std::string& group) {
  return store_.documents(logs::DocumentKind::kMetricFilter, group).size();
}

json::object LogsService::described(const logs::GroupInfo& group) {
  const std::string arn = group_arn(group.name);
  json::object entry{{"logGroupName", group.name},
                     {"creationTime", group.created},
                     {"metricFilterCount", static_cast<int64_t>(metric_filter_count(group.name))},
                     {"arn", arn + ":*"},
                     {"storedBytes", static_cast<int64_t>(group.stored_bytes)},
                     {"logGroupClass", group.log_class},
                     {"logGroupArn", arn}};
  if (group.retention_days > 0) entry["retentionInDays"] = group.retention_days;
  if (!group.kms_key.empty()) entry["kmsKeyId"] = group.kms_key;
  return entry;
}

json::object LogsService::describe_log_groups(const Input& input) {
  const std::string prefix = text(input, "logGroupNamePrefix"), pattern = text(input, "logGroupNamePattern");
  if (!prefix.empty() && !pattern.empty())
    invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.");
  const size_t limit = limit_of(input, kDescribeLimit);
  const std::string wanted_class = text(input, "logGroupClass");
  json::array groups;
  if (input.contains("logGroupIdentifiers")) {
    if (!prefix.empty() || !pattern.empty())
      invalid("logGroupIdentifiers cannot be specified with logGroupNamePrefix or logGroupNamePattern.");
    for (const std::string& identifier : strings_of(input, "logGroupIdentifiers")) {
      const std::string name = group_of_identifier(identifier);
      const auto found = store_.groups(name, "", "", 1);  // the group itself comes first
      if (!found.empty() && found.front().name == name) groups.push_back(described(found.front()));
    }
    return {{"logGroups", std::move(groups)}};
  }
  std::string after = text(input, "nextToken"), next;
  bool done = false;
  while (!done) {
    auto page = store_.groups(prefix, pattern, after, kDescribeLimit);
    done = page.size() < kDescribeLimit;
    for (const logs::GroupInfo& group : page) {
      after = group.name;
      if (!wanted_class.empty() && group.log_class != wanted_class) continue;
      if (groups.size() == limit) {
        next = base::find_string(groups.back().as_object(), "logGroupName").value();
        done = true;
        break;
      }
      groups.push_back(described(group));
    }
  }
  Output output{{"logGroups", std::move(groups)}};
  if (!next.empty()) output["nextToken"] = next;
  return output;
}

json::object LogsService::list_log_groups(const Input& input) {
  // The pattern is a regular expression there; names hold none of its operators but '.', which stands for
  // itself often enough. '^' binds to the beginning.
  std::string pattern = text(input, "logGroupNamePattern"), prefix;
  if (pattern.starts_with('^')) prefix = std::exchange(pattern, "").substr(1);
  const size_t limit = limit_of(input, kListLimit);
  const std::string wanted_class = text(input, "logGroupClass");
  json::array groups;
  std::string after = text(input, "nextToken");
  Output output;
  for (bool more = true; more && !output.contains("nextToken");) {
    const auto page = store_.groups(prefix, pattern, after, kDescribeLimit);
    more = page.size() == kDescribeLimit;
    for (const logs::GroupInfo& group : page) {
      if (!wanted_class.empty() && group.log_class != wanted_class) continue;
      if (groups.size() == limit) {
        output["nextToken"] = after;
        break;
      }
      after = group.name;
      groups.push_back(json::object{{"logGroupName", group.name},
                                    {"logGroupArn", group_arn(group.name)},
                                    {"logGroupClass", group.log_class}});
    }
    if (!page.empty() && !output.contains("nextToken")) after = page.back().name;
  }
  output["logGroups"] = std::move(groups);
  return output;
}

json::object LogsService::create_log_stream(const Input& input) {
  store_.create_stream(text(input, "logGroupName"), text(input, "logStreamName"));
  return {};
}

json::object LogsService::delete_log_stream(const Input& input) {
  store_.delete_stream(text(input, "logGroupName"), text(input, "logStreamName"));
  return {};
}

json::object LogsService::describe_log_streams(const Input& input) {
  logs::StreamQuery query;
  query.group = group_of(input);
  query.prefix = text(input, "logStreamNamePrefix");
  query.order =
      text(input, "orderBy") == "LastEventTime" ? logs::StreamOrder::kLastEvent : logs::StreamOrder::kName;
  query.descending = base::find_bool(input, "descending").value_or(false);
  query.limit = limit_of(input, kDescribeLimit);
  query.after = text(input, "nextToken");
  if (query.order == logs::StreamOrder::kLastEvent && !query.prefix.empty())
    invalid("Cannot order by LastEventTime with a logStreamNamePrefix.");
  logs::StreamPage page = store_.streams(query);
  const std::string arn = group_arn(query.group);
  json::array streams;
  for (const logs::StreamInfo& stream : page.streams) {
    json::object entry{{"logStreamName", stream.name}, {"creationTime", stream.created}};
    if (stream.last_ingestion) {
      entry["firstEventTimestamp"] = *stream.first_event;
      entry["lastEventTimestamp"] = *stream.last_event;
      entry["lastIngestionTime"] = *stream.last_ingestion;
      entry["uploadSequenceToken"] = kSequenceToken;
    }
    entry["arn"] = arn + ":log-stream:" + stream.name;
    entry["storedBytes"] = 0;  // always, on AWS, since 2019
    streams.push_back(std::move(entry));
  }
  Output output{{"logStreams", std::move(streams)}};
  if (!page.next.empty()) output["nextToken"] = page.next;
  return output;
}

json::object LogsService::put_retention_policy(const Input& input) {
  const int64_t days = base::find_int(input, "retentionInDays").value_or(0);
  if (std::find(kRetentionDays.begin(), kRetentionDays.end(), days) == kRetentionDays.end()) {
    std::string allowed;
    for (int each : kRetentionDays) allowed += (allowed.empty() ? "" : ", ") + std::to_string(each);
    invalid("1 validation error detected: Value '" + std::to_string(days) +
            "' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: [" +
            allowed + "]");
  }
  store_.set_retention(text(input, "logGroupName"), static_cast<int>(days));
  return {};
}

json::object LogsService::delete_retention_policy(const Input& input) {
  store_.set_retention(text(input, "logGroupName"), 0);
  return {};
}

// Nothing is encrypted by such a key: the data folder is the host's to protect. It is told as it was given.
json::object LogsService::associate_kms_key(const Input& input) {
  store_.set_kms_key(group_to_encrypt(input), text(input, "kmsKeyId"));
  return {};
}

json::object LogsService::disassociate_kms_key(const Input& input) {
  store_.set_kms_key(group_to_encrypt(input), "");
  return {};
}

std::string LogsService::group_to_encrypt(const Input& input) const {
  const std::string name = text(input, "logGroupName");
  return name.empty() ? group_of_identifier(text(input, "resourceIdentifier")) : name;
}

json::object LogsService::tag_resource(const Input& input) {
  store_.set_tags(group_of_arn(input), tags_of(input));
  return {};
}

json::object LogsService::untag_resource(const Input& input) {
  store_.remove_tags(group_of_arn(input), strings_of(input, "tagKeys"));
  return {};
}

json::object LogsService::list_tags_for_resource(const Input& input) {
  return tags_reply(store_.tags(group_of_arn(input)));
}

json::object LogsService::tag_log_group(const Input& input) {
  store_.set_tags(text(input, "logGroupName"), tags_of(input));
  return {};
}

json::object LogsService::untag_log_group(const Input& input) {
  store_.remove_tags(text(input, "logGroupName"), strings_of(input, "tags"));
  return {};
}

json::object LogsService::list_tags_log_group(const Input& input) {
  return tags_reply(store_.tags(text(input, "logGroupName")));
}

}  // namespace millrace::services

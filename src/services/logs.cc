#include "services/logs.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <vector>

#include "aws/api_error.h"
#include "base/error.h"
#include "base/strings.h"

namespace millrace::services {
namespace {

namespace json = base::json;

// Limits of PutLogEvents (CloudWatch Logs API reference); an event counts its UTF-8 bytes and 26 more.
constexpr size_t kBatchBytesMax = 1'048'576;
constexpr size_t kEventBytesMax = 1'048'576;
constexpr size_t kEventOverheadBytes = 26;
constexpr base::TimeMs kBatchSpanMs = 24 * 3'600'000;
constexpr size_t kDescribeLimit = 50;
constexpr size_t kEventsLimit = 10'000;
// Sequence tokens are ignored since 2023, and still answered.
constexpr const char* kSequenceToken = "49590302938720394820938472093847209384720938472093847209";
constexpr std::array kRetentionDays = {1,   3,   5,   7,   14,   30,   60,   90,   120,  150,  180,
                                       365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653};

[[noreturn]] void invalid(const std::string& message) {
  throw aws::ApiError(400, "InvalidParameterException", message);
}

std::string text(const json::object& input, std::string_view name) {
  return std::string(base::find_string(input, name).value_or(""));
}

size_t limit_of(const json::object& input, size_t most) {
  return static_cast<size_t>(std::clamp<int64_t>(
      base::find_int(input, "limit").value_or(static_cast<int64_t>(most)), 1, static_cast<int64_t>(most)));
}

std::map<std::string, std::string> tags_of(const json::object& input) {
  std::map<std::string, std::string> tags;
  if (const json::object* object = base::find_object(input, "tags"))
    for (const auto& [key, value] : *object)
      tags[std::string(key)] = std::string(base::view(value.as_string()));
  return tags;
}

std::vector<std::string> strings_of(const json::object& input, std::string_view name) {
  std::vector<std::string> out;
  if (const json::array* array = base::find_array(input, name))
    for (const json::value& value : *array) out.emplace_back(base::view(value.as_string()));
  return out;
}

json::object tags_reply(const std::map<std::string, std::string>& tags) {
  json::object object;
  for (const auto& [key, value] : tags) object[key] = value;
  return {{"tags", std::move(object)}};
}

// Messages are bytes to a job; JSON wants UTF-8: what is not becomes U+FFFD, as CloudWatch's agents do.
std::string utf8(const std::string& message) {
  if (base::is_utf8(message)) return message;
  std::string out;
  out.reserve(message.size() + 16);
  for (size_t at = 0; at < message.size();) {
    const auto lead = static_cast<unsigned char>(message[at]);
    const size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    std::string_view piece = std::string_view(message).substr(at, length);
    if (piece.size() == length && base::is_utf8(piece)) {
      out += piece;
      at += length;
    } else {
      out += "\xef\xbf\xbd";
      ++at;
    }
  }
  return out;
}

}  // namespace

struct LogsService::Handler {
  std::string_view operation;
  Output (LogsService::*run)(const Input& input);
};

const LogsService::Handler* LogsService::find_handler(std::string_view operation) {
  static constexpr Handler kHandlers[] = {
      {"CreateLogGroup", &LogsService::create_log_group},
      {"CreateLogStream", &LogsService::create_log_stream},
      {"DeleteLogGroup", &LogsService::delete_log_group},
      {"DeleteLogStream", &LogsService::delete_log_stream},
      {"DeleteRetentionPolicy", &LogsService::delete_retention_policy},
      {"DescribeLogGroups", &LogsService::describe_log_groups},
      {"DescribeLogStreams", &LogsService::describe_log_streams},
      {"FilterLogEvents", &LogsService::filter_log_events},
      {"GetLogEvents", &LogsService::get_log_events},
      {"ListTagsForResource", &LogsService::list_tags_for_resource},
      {"ListTagsLogGroup", &LogsService::list_tags_log_group},
      {"PutLogEvents", &LogsService::put_log_events},
      {"PutRetentionPolicy", &LogsService::put_retention_policy},
      {"TagLogGroup", &LogsService::tag_log_group},
      {"TagResource", &LogsService::tag_resource},
      {"UntagLogGroup", &LogsService::untag_log_group},
      {"UntagResource", &LogsService::untag_resource},
  };
  for (const Handler& handler : kHandlers)
    if (handler.operation == operation) return &handler;
  return nullptr;
}

bool LogsService::implements(std::string_view operation) { return find_handler(operation) != nullptr; }

LogsService::LogsService(logs::LogStore& store, const base::Clock&, std::string account, std::string region)
    : store_(store), account_(std::move(account)), region_(std::move(region)) {}

json::object LogsService::call(const aws::Operation& operation, const Input& input) {
  const Handler* handler = find_handler(operation.name);
  if (handler == nullptr)
    throw aws::ApiError(501, "NotImplemented",
                        "Millrace does not implement CloudWatch Logs " + std::string(operation.name) + ".");
  try {
    return (this->*handler->run)(input);
  } catch (const aws::ApiError&) {
    throw;
  } catch (const base::Error& error) {
    if (error.kind() == base::ErrorKind::kTransient)
      throw aws::ApiError(503, "ServiceUnavailableException", error.what());
    if (error.code().empty()) throw;
    throw aws::ApiError(400, error.code(), error.what());
  }
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
  if (name && identifier) invalid("LogGroup name and LogGroup identifier are mutually exclusive parameters.");
  if (name) return std::string(*name);
  if (!identifier) invalid("Either logGroupName or logGroupIdentifier must be specified.");
  std::string_view group = *identifier;
  if (!group.starts_with("arn:")) return std::string(group);
  const size_t at = group.find(":log-group:");
  if (at == std::string_view::npos) invalid("The specified logGroupIdentifier is not valid.");
  group.remove_prefix(at + 11);
  if (group.ends_with(":*")) group.remove_suffix(2);
  return std::string(group);
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

json::object LogsService::describe_log_groups(const Input& input) {
  const std::string prefix = text(input, "logGroupNamePrefix"), pattern = text(input, "logGroupNamePattern");
  if (!prefix.empty() && !pattern.empty())
    invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.");
  const size_t limit = limit_of(input, kDescribeLimit);
  const std::string wanted_class = text(input, "logGroupClass");
  json::array groups;
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
      const std::string arn = group_arn(group.name);
      json::object entry{{"logGroupName", group.name},
                         {"creationTime", group.created},
                         {"metricFilterCount", 0},
                         {"arn", arn + ":*"},
                         {"storedBytes", static_cast<int64_t>(group.stored_bytes)},
                         {"logGroupClass", group.log_class},
                         {"logGroupArn", arn}};
      if (group.retention_days > 0) entry["retentionInDays"] = group.retention_days;
      if (!group.kms_key.empty()) entry["kmsKeyId"] = group.kms_key;
      groups.push_back(std::move(entry));
    }
  }
  Output output{{"logGroups", std::move(groups)}};
  if (!next.empty()) output["nextToken"] = next;
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

json::object LogsService::put_log_events(const Input& input) {
  std::vector<logs::InputEvent> events;
  size_t batch_bytes = 0;
  const json::array* given = base::find_array(input, "logEvents");
  if (given == nullptr)
    invalid(
        "1 validation error detected: Value null at 'logEvents' failed to satisfy constraint: "
        "Member must not be null");
  events.reserve(given->size());
  for (const json::value& value : *given) {
    const json::object& event = value.as_object();
    const std::string_view message = base::find_string(event, "message").value_or("");
    const base::TimeMs timestamp = base::find_int(event, "timestamp").value_or(0);
    const size_t bytes = message.size() + kEventOverheadBytes;
    if (bytes > kEventBytesMax)
      invalid("Log event too large: " + std::to_string(bytes) + " bytes exceeds limit of " +
              std::to_string(kEventBytesMax));
    if (!events.empty() && timestamp < events.back().timestamp)
      invalid("Log events in a single PutLogEvents request must be in chronological order.");
    batch_bytes += bytes;
    events.push_back({timestamp, message});
  }
  if (batch_bytes > kBatchBytesMax)
    invalid("Upload too large: " + std::to_string(batch_bytes) + " bytes exceeds limit of " +
            std::to_string(kBatchBytesMax));
  if (!events.empty() && events.back().timestamp - events.front().timestamp > kBatchSpanMs)
    invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.");

  logs::Rejections rejections =
      store_.put_events(text(input, "logGroupName"), text(input, "logStreamName"), events);
  Output output{{"nextSequenceToken", kSequenceToken}};
  json::object rejected;
  auto tell = [&](const char* name, const std::optional<size_t>& index) {
    if (index) rejected[name] = static_cast<int64_t>(*index);
  };
  tell("tooNewLogEventStartIndex", rejections.too_new_start);
  tell("tooOldLogEventEndIndex", rejections.too_old_end);
  tell("expiredLogEventEndIndex", rejections.expired_end);
  if (!rejected.empty()) output["rejectedLogEventsInfo"] = std::move(rejected);
  return output;
}

json::object LogsService::get_log_events(const Input& input) {
  logs::GetQuery query;
  query.group = group_of(input);
  query.stream = text(input, "logStreamName");
  query.from = base::find_int(input, "startTime");
  query.until = base::find_int(input, "endTime");
  query.from_head = base::find_bool(input, "startFromHead").value_or(false);
  query.limit = limit_of(input, kEventsLimit);
  query.token = text(input, "nextToken");
  logs::GetPage page = store_.get_events(query);
  json::array events;
  events.reserve(page.events.size());
  for (const logs::Event& event : page.events)
    events.push_back(json::object{{"timestamp", event.key.timestamp},
                                  {"message", utf8(event.message)},
                                  {"ingestionTime", event.key.ingestion}});
  return {{"events", std::move(events)},
          {"nextForwardToken", page.forward},
          {"nextBackwardToken", page.backward}};
}

json::object LogsService::filter_log_events(const Input& input) {
  logs::FilterQuery query;
  query.group = group_of(input);
  query.streams = strings_of(input, "logStreamNames");
  query.prefix = text(input, "logStreamNamePrefix");
  if (!query.streams.empty() && !query.prefix.empty())
    invalid("The parameters logStreamNames and logStreamNamePrefix are mutually exclusive.");
  query.from = base::find_int(input, "startTime");
  query.to = base::find_int(input, "endTime");
  query.newest_first = !base::find_bool(input, "startFromHead").value_or(true);
  query.limit = limit_of(input, kEventsLimit);
  query.token = text(input, "nextToken");
  try {
    query.pattern = logs::FilterPattern::parse(text(input, "filterPattern"));
  } catch (const base::UsageError& error) {
    invalid(error.what());
  }
  logs::FilterPage page = store_.filter_events(query);
  json::array events;
  events.reserve(page.events.size());
  for (const logs::Event& event : page.events)
    events.push_back(json::object{{"logStreamName", *event.stream},
                                  {"timestamp", event.key.timestamp},
                                  {"message", utf8(event.message)},
                                  {"ingestionTime", event.key.ingestion},
                                  {"eventId", event.key.event_id()}});
  Output output{{"events", std::move(events)}, {"searchedLogStreams", json::array{}}};
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

// CloudWatch Logs: metric filters, their test, and policies. Metric filters and policies are kept as they are
// given, for those who manage them by Terraform or CDK: there are no metrics to fill.
#include <algorithm>
#include <vector>

#include "aws/api_error.h"
#include "base/error.h"
#include "services/logs.h"
#include "services/logs_input.h"

namespace millrace::services {

using namespace logs_input;

namespace {

namespace json = base::json;

constexpr size_t kDescribeLimit = 50;
constexpr size_t kMetricFiltersMax = 100;    // of a group
constexpr size_t kResourcePoliciesMax = 10;  // of an account in a region

// One page of `all`, whose order is that of `key_of`; the token is the key of the last entry given.
template <typename KeyOf>
json::array page_of(const std::vector<json::object>& all, const json::object& input, const KeyOf& key_of,
                    std::string& next) {
  const std::string after = text(input, "nextToken");
  const size_t limit = limit_of(input, kDescribeLimit);
  json::array page;
  std::string last;
  for (const json::object& entry : all) {
    std::string key = key_of(entry);
    if (!after.empty() && key <= after) continue;
    if (page.size() == limit) {
      next = last;
      break;
    }
    page.push_back(entry);
    last = std::move(key);
  }
  return page;
}

bool has_metric(const json::object& filter, const std::string& name, const std::string& space) {
  const json::array* transformations = base::find_array(filter, "metricTransformations");
  return transformations != nullptr &&
         std::any_of(transformations->begin(), transformations->end(), [&](const json::value& each) {
           return text(each.as_object(), "metricName") == name &&
                  text(each.as_object(), "metricNamespace") == space;
         });
}

logs::FilterPattern metric_pattern(const std::string& pattern) {
  try {
    return logs::FilterPattern::parse(pattern);
  } catch (const base::UsageError& error) {
    const std::string words = error.what();
    invalid(words == "Invalid filter pattern" ? "Invalid metric filter pattern" : words);
  }
}

}  // namespace

json::object LogsService::test_metric_filter(const Input& input) {
  const logs::FilterPattern pattern = metric_pattern(text(input, "filterPattern"));
  json::array matches;
  int64_t number = 0;
  for (const std::string& message : strings_of(input, "logEventMessages")) {
    const int64_t event_number = number++;
    if (!pattern.matches(message)) continue;
    json::object values;
    for (const auto& [name, value] : pattern.extract(message)) values[name] = value;
    matches.push_back(json::object{
        {"eventNumber", event_number}, {"eventMessage", message}, {"extractedValues", std::move(values)}});
  }
  return {{"matches", std::move(matches)}};
}

json::object LogsService::put_metric_filter(const Input& input) {
  const std::string group = group_of(input), name = text(input, "filterName");
  metric_pattern(text(input, "filterPattern"));
  if (!store_.has_group(group))
    throw aws::ApiError(400, "ResourceNotFoundException", "The specified log group does not exist.");
  const auto known = store_.documents(logs::DocumentKind::kMetricFilter, group);
  const bool is_new =
      std::none_of(known.begin(), known.end(), [&](const logs::Document& each) { return each.name == name; });
  if (is_new && known.size() >= kMetricFiltersMax)
    throw aws::ApiError(400, "LimitExceededException", "Resource limit exceeded.");
  json::object filter = input;
  filter["logGroupName"] = group;
  filter["creationTime"] = clock_.now_ms();
  store_.put_document(logs::DocumentKind::kMetricFilter, {group, name, json::serialize(filter)});
  return {};
}

json::object LogsService::delete_metric_filter(const Input& input) {
  const std::string group = group_of(input);
  if (!store_.has_group(group))
    throw aws::ApiError(400, "ResourceNotFoundException", "The specified log group does not exist.");
  if (!store_.delete_document(logs::DocumentKind::kMetricFilter, group, text(input, "filterName")))
    throw aws::ApiError(400, "ResourceNotFoundException", "The specified metric filter does not exist.");
  return {};
}

json::object LogsService::describe_metric_filters(const Input& input) {
  const std::string group = text(input, "logGroupName"), prefix = text(input, "filterNamePrefix"),
                    metric = text(input, "metricName"), space = text(input, "metricNamespace");
  if (metric.empty() != space.empty())
    invalid("metricName and metricNamespace must both be specified, or neither.");
  if (!group.empty() && !store_.has_group(group))
    throw aws::ApiError(400, "ResourceNotFoundException", "The specified log group does not exist.");
  std::vector<json::object> filters;
  for (const logs::Document& document : store_.documents(logs::DocumentKind::kMetricFilter, group)) {
    json::object filter = base::parse_json(document.text).as_object();
    if (!document.name.starts_with(prefix) || (!metric.empty() && !has_metric(filter, metric, space)))
      continue;
    filters.push_back(std::move(filter));
  }
  Output output;
  std::string next;
  output["metricFilters"] = page_of(
      filters, input,
      [](const json::object& filter) {
        return text(filter, "logGroupName") + ":" + text(filter, "filterName");
      },
      next);
  if (!next.empty()) output["nextToken"] = next;
  return output;
}

// There is nowhere to send events to: Lambda, Kinesis and Firehose are not here, so nobody has put one.
json::object LogsService::describe_subscription_filters(const Input& input) {
  if (!store_.has_group(group_of(input)))
    throw aws::ApiError(400, "ResourceNotFoundException", "The specified log group does not exist.");
  return {{"subscriptionFilters", json::array{}}};
}

json::object LogsService::put_resource_policy(const Input& input) {
  const std::string name = text(input, "policyName");
  if (name.empty()) invalid("Policy name must be specified.");
  try {
    if (!base::parse_json(text(input, "policyDocument")).is_object()) invalid("Invalid policy document.");
  } catch (const base::CorruptError&) {
    invalid("Invalid policy document.");
  }
  const auto known = store_.documents(logs::DocumentKind::kResourcePolicy, "");
  const bool is_new =
      std::none_of(known.begin(), known.end(), [&](const logs::Document& each) { return each.name == name; });
  if (is_new && known.size() >= kResourcePoliciesMax)
    throw aws::ApiError(400, "LimitExceededException", "Resource limit exceeded.");
  json::object policy{{"policyName", name},
                      {"policyDocument", text(input, "policyDocument")},
                      {"lastUpdatedTime", clock_.now_ms()}};
  store_.put_document(logs::DocumentKind::kResourcePolicy, {"", name, json::serialize(policy)});
  return {{"resourcePolicy", std::move(policy)}};
}

json::object LogsService::delete_resource_policy(const Input& input) {
  const std::string name = text(input, "policyName");
  if (!store_.delete_document(logs::DocumentKind::kResourcePolicy, "", name))
    throw aws::ApiError(400, "ResourceNotFoundException", "Policy with name [" + name + "] does not exist.");
  return {};
}

json::object LogsService::describe_resource_policies(const Input& input) {
  std::vector<json::object> policies;
  for (const logs::Document& document : store_.documents(logs::DocumentKind::kResourcePolicy, ""))
    policies.push_back(base::parse_json(document.text).as_object());
  Output output;
  std::string next;
  output["resourcePolicies"] =
      page_of(policies, input, [](const json::object& policy) { return text(policy, "policyName"); }, next);
  if (!next.empty()) output["nextToken"] = next;
  return output;
}

}  // namespace millrace::services

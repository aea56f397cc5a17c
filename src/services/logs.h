// The CloudWatch Logs API (Logs_20140328) over logs::LogStore.
#pragma once

#include <string>
#include <string_view>

#include "aws/model.h"
#include "base/json.h"
#include "base/time.h"
#include "http/message.h"
#include "logs/log_store.h"
#include "services/live_tail.h"

namespace millrace::services {

// Thread-safe. Inputs are as aws::decode() gives them, outputs as aws::encode() takes them.
class LogsService {
 public:
  LogsService(logs::LogStore& store, const base::Clock& clock, std::string account, std::string region,
              LiveTailOptions tails = {});

  // Throws aws::ApiError with CloudWatch Logs' codes and texts.
  base::json::object call(const aws::Operation& operation, const base::json::object& input);
  static bool implements(std::string_view operation);

  // Operations whose answer is a stream of events, which call() does not take.
  static bool is_live(std::string_view operation);
  http::Response stream(const aws::Operation& operation, const base::json::object& input,
                        const std::string& request_id);

 private:
  using Input = base::json::object;
  using Output = base::json::object;
  struct Handler;
  static const Handler* find_handler(std::string_view operation);
  template <typename Call>
  auto with_codes(const Call& call);

  Output create_log_group(const Input& input);
  Output delete_log_group(const Input& input);
  Output describe_log_groups(const Input& input);
  Output create_log_stream(const Input& input);
  Output delete_log_stream(const Input& input);
  Output describe_log_streams(const Input& input);
  Output put_log_events(const Input& input);
  Output get_log_events(const Input& input);
  Output filter_log_events(const Input& input);
  Output put_retention_policy(const Input& input);
  Output delete_retention_policy(const Input& input);
  Output tag_resource(const Input& input);
  Output untag_resource(const Input& input);
  Output list_tags_for_resource(const Input& input);
  Output tag_log_group(const Input& input);
  Output untag_log_group(const Input& input);
  Output list_tags_log_group(const Input& input);
  Output list_log_groups(const Input& input);
  Output associate_kms_key(const Input& input);
  Output disassociate_kms_key(const Input& input);
  http::Response start_live_tail(const aws::Operation& operation, const Input& input,
                                 const std::string& request_id);
  // logs_filters.cc
  Output test_metric_filter(const Input& input);
  Output put_metric_filter(const Input& input);
  Output delete_metric_filter(const Input& input);
  Output describe_metric_filters(const Input& input);
  Output describe_subscription_filters(const Input& input);
  Output put_resource_policy(const Input& input);
  Output delete_resource_policy(const Input& input);
  Output describe_resource_policies(const Input& input);

  std::string group_arn(std::string_view group) const;  // without ":*"
  // The group that logGroupName or logGroupIdentifier (a name or an ARN) means; exactly one must be there.
  std::string group_of(const Input& input) const;
  std::string group_of_arn(const Input& input) const;
  std::string group_to_encrypt(const Input& input) const;
  // A name, or an ARN with or without ":*".
  static std::string group_of_identifier(std::string_view identifier);
  static logs::FilterPattern pattern_of(const Input& input, std::string_view name);
  size_t metric_filter_count(const std::string& group);
  Output described(const logs::GroupInfo& group);

  // Sequence tokens are ignored since 2023, and still answered.
  static constexpr const char* kSequenceToken = "49590302938720394820938472093847209384720938472093847209";

  logs::LogStore& store_;
  const base::Clock& clock_;
  const std::string account_, region_;
  LiveTails tails_;
};

}  // namespace millrace::services

// The CloudWatch Logs API (Logs_20140328) over logs::LogStore.
#pragma once

#include <string>
#include <string_view>

#include "aws/model.h"
#include "base/json.h"
#include "base/time.h"
#include "logs/log_store.h"

namespace millrace::services {

// Thread-safe. Inputs are as aws::decode() gives them, outputs as aws::encode() takes them.
class LogsService {
 public:
  // `clock` is for live tails; the store has its own.
  LogsService(logs::LogStore& store, const base::Clock& clock, std::string account, std::string region);

  // Throws aws::ApiError with CloudWatch Logs' codes and texts.
  base::json::object call(const aws::Operation& operation, const base::json::object& input);
  static bool implements(std::string_view operation);

 private:
  using Input = base::json::object;
  using Output = base::json::object;
  struct Handler;
  static const Handler* find_handler(std::string_view operation);

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

  std::string group_arn(std::string_view group) const;  // without ":*"
  // The group that logGroupName or logGroupIdentifier (a name or an ARN) means; exactly one must be there.
  std::string group_of(const Input& input) const;
  std::string group_of_arn(const Input& input) const;

  logs::LogStore& store_;
  const std::string account_, region_;
};

}  // namespace millrace::services

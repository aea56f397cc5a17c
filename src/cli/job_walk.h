// Finding jobs through the Batch API.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "cli/api_client.h"

namespace millrace::cli {

namespace json = base::json;

inline constexpr size_t kDescribeMax = 100;  // ids in a DescribeJobs request

// DescribeJobs of at most kDescribeMax ids: the answers in their order, without those that nobody knows.
std::vector<json::object> describe(ApiClient& api, const std::vector<std::string>& ids);

// Every job queue.
std::vector<std::string> queue_names(ApiClient& api);

// The jobs that a ListJobs request finds, page by page as they are asked for.
class JobWalk {
 public:
  JobWalk(ApiClient& api, json::object input) : api_(&api), input_(std::move(input)) {}
  // The summary of the next job, null after the last one.
  const json::object* peek();
  void take() { ++next_; }

 private:
  ApiClient* api_;
  json::object input_;
  json::array page_;
  size_t next_ = 0;
  bool ended_ = false;
};

}  // namespace millrace::cli

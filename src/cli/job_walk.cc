#include "cli/job_walk.h"

#include "cli/job_facts.h"

namespace millrace::cli {

std::vector<json::object> describe(ApiClient& api, const std::vector<std::string>& ids) {
  json::array wanted;
  for (const std::string& id : ids) wanted.emplace_back(id);
  json::object answer = api.batch("DescribeJobs", {{"jobs", std::move(wanted)}});
  std::vector<json::object> jobs;
  for (json::value& job : answer.at("jobs").as_array()) jobs.push_back(std::move(job.as_object()));
  return jobs;
}

std::vector<std::string> queue_names(ApiClient& api) {
  std::vector<std::string> names;
  json::object input;
  for (;;) {
    json::object page = api.batch("DescribeJobQueues", input);
    for (const json::value& queue : page.at("jobQueues").as_array())
      names.push_back(text_of(queue.as_object(), "jobQueueName"));
    std::string token = text_of(page, "nextToken");
    if (token.empty()) return names;
    input["nextToken"] = token;
  }
}

const json::object* JobWalk::peek() {
  while (next_ == page_.size() && !ended_) {  // a page may be empty and still not be the last
    json::object answer = api_->batch("ListJobs", input_);
    page_ = std::move(answer.at("jobSummaryList").as_array());
    next_ = 0;
    std::string token = text_of(answer, "nextToken");
    ended_ = token.empty();
    input_["nextToken"] = token;
  }
  return next_ < page_.size() ? &page_[next_].as_object() : nullptr;
}

}  // namespace millrace::cli

// What AWS Batch tells EventBridge of its jobs (Batch reference, "Events").
#include <utility>

#include "engine/engine.h"
#include "engine/views.h"

namespace millrace::engine {
namespace {

// DescribeJobs of the job, and its ARN among the tags.
std::string detail_of(const Job& job, const Engine& engine) {
  json::object detail = describe(job, engine);
  json::value arn = detail.at("jobArn");
  json::object& tags = detail["tags"].as_object();
  tags["resourceArn"] = std::move(arn);
  return json::serialize(detail);
}

}  // namespace

// A change of state; that a job is there at all is none.
void Engine::tell_state(const Job& job) {
  if (!notices_wanted_) return;
  JobNotice notice{"Batch Job State Change", {config_.arn("job/" + job_id(job))}, detail_of(job, *this)};
  effects_.emplace_back(std::in_place_type<JobNotice>, std::move(notice));
}

// The first job of its queue can not start, and somebody has to do something about it.
void Engine::tell_blocked(const Job& job) {
  if (!notices_wanted_) return;
  JobNotice notice{"Batch Job Queue Blocked",
                   {config_.arn("job/" + job_id(job)), job.queue->arn(config_)},
                   detail_of(job, *this)};
  effects_.emplace_back(std::in_place_type<JobNotice>, std::move(notice));
}

}  // namespace millrace::engine

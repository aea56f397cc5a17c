// Which jobs wait for which, and what becomes of them (Batch reference, "Dependencies").
#include <fmt/format.h>

#include <algorithm>

#include "engine/engine.h"
#include "engine/reasons.h"
#include "engine/reject.h"
#include "engine/submission.h"

namespace millrace::engine {
namespace {

constexpr size_t kDependenciesMax = 20;

const json::array* depends_on(const json::object& submission) {
  return base::find_array(submission, "dependsOn");
}

}  // namespace

std::vector<JobSeq> Engine::named_jobs(const json::object& submission) const {
  std::vector<JobSeq> named;
  if (const json::array* list = depends_on(submission))
    for (const json::value& value : *list)
      if (const json::object* dependency = value.if_object())
        if (auto seq = ids_.from_uuid(base::find_string(*dependency, "jobId").value_or("")))
          named.push_back(*seq);
  return named;
}

// The jobs that `submission` waits for, each once. Throws Reject for what cannot be waited for.
std::vector<const Job*> Engine::check_dependencies(const json::object& submission) const {
  std::vector<const Job*> found;
  const json::array* list = depends_on(submission);
  if (!list) return found;
  if (list->size() > kDependenciesMax)
    throw Reject(
        fmt::format("A job can have at most {} dependencies, got {}.", kDependenciesMax, list->size()));
  for (const json::value& value : *list) {
    const json::object& dependency = value.as_object();
    auto id = base::find_string(dependency, "jobId").value_or("");
    auto type = base::find_string(dependency, "type").value_or("");
    if (id.empty() || type == "N_TO_N")
      throw Reject("Dependencies without jobId and of type N_TO_N are for array jobs only.");
    auto seq = ids_.from_uuid(id);
    auto job = seq ? jobs_.find(*seq) : jobs_.end();
    if (job == jobs_.end()) throw Reject(fmt::format("Job {} of dependsOn does not exist.", id));
    if (std::find(found.begin(), found.end(), job->second.get()) == found.end())
      found.push_back(job->second.get());
  }
  return found;
}

// Puts a new job, or one that was restored, where its dependencies have it.
void Engine::wait_for(Job& job, const std::vector<const Job*>& dependencies, TimeMs now) {
  bool failed = false;
  for (const Job* dependency : dependencies) {
    failed |= dependency->status == JobStatus::kFailed;
    if (is_finished(dependency->status)) continue;
    if (!job.waits_for) job.waits_for = std::make_unique<std::vector<JobSeq>>();
    job.waits_for->push_back(dependency->seq);
  }
  if (failed) {
    job.waits_for.reset();
    return finish(job, JobStatus::kFailed, reasons::kDependencyFailed, now);
  }
  if (!job.waits_for) return set_status(job, JobStatus::kRunnable);
  for (JobSeq seq : *job.waits_for) dependents_[seq].push_back(&job);
  set_status(job, JobStatus::kPending);
}

// Nobody tells `job` any more of what it waited for.
void Engine::stop_waiting(Job& job) {
  if (!job.waits_for) return;
  for (JobSeq seq : *job.waits_for) {
    auto waiting = dependents_.find(seq);
    if (waiting == dependents_.end()) continue;
    std::erase(waiting->second, &job);
    if (waiting->second.empty()) dependents_.erase(waiting);
  }
  job.waits_for.reset();
}

// What the jobs that have ended mean for those that waited for them. A chain may be long, so it is followed
// step by step.
void Engine::tell_dependents(TimeMs now) {
  for (size_t i = 0; i < ended_.size(); ++i) {
    auto [seq, succeeded] = ended_[i];
    auto waiting = dependents_.extract(seq);
    if (waiting.empty()) continue;
    for (Job* job : waiting.mapped()) {
      std::erase(*job->waits_for, seq);
      if (!succeeded) {
        stop_waiting(*job);
        finish(*job, JobStatus::kFailed, job->cancelled ? job->stop_reason : reasons::kDependencyFailed, now);
      } else if (job->waits_for->empty()) {
        job->waits_for.reset();
        if (job->cancelled) {
          finish(*job, JobStatus::kFailed, job->stop_reason, now);
        } else {
          set_status(*job, JobStatus::kRunnable);
        }
      }
    }
  }
  ended_.clear();
}

// After a restart: a dependency that is not live has succeeded, for if it had failed, so would have the job.
void Engine::restore_dependencies(Job& job) {
  for (JobSeq seq : named_jobs(base::parse_json(job.submission).as_object())) {
    if (!find_job(seq)) continue;
    if (!job.waits_for) job.waits_for = std::make_unique<std::vector<JobSeq>>();
    if (std::find(job.waits_for->begin(), job.waits_for->end(), seq) != job.waits_for->end()) continue;
    job.waits_for->push_back(seq);
    dependents_[seq].push_back(&job);
  }
}

std::string Engine::why_pending(const Job& job) const {
  if (!job.waits_for || job.waits_for->empty()) return "";
  const Job* first = find_job(job.waits_for->front());
  std::string text = fmt::format("Waits for job {} ({})", ids_.to_uuid(job.waits_for->front()),
                                 first ? name(first->status) : "unknown");
  if (job.waits_for->size() > 1) text += fmt::format(" and {} more", job.waits_for->size() - 1);
  if (job.cancelled) text += "; it was cancelled and will then fail: " + job.stop_reason;
  return text + ".";
}

}  // namespace millrace::engine

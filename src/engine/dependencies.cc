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

// The jobs that have to be looked up: those named, and the parents of children.
std::vector<JobSeq> Engine::named_jobs(const json::object& submission) const {
  std::vector<JobSeq> named;
  const json::array* list = depends_on(submission);
  if (!list) return named;
  for (const json::value& value : *list) {
    const json::object* dependency = value.if_object();
    std::string_view id = dependency ? base::find_string(*dependency, "jobId").value_or("") : "";
    auto parent = ids_.from_uuid(id.substr(0, id.find(':')));
    auto seq = job_seq(id);
    if (!parent || !seq) continue;
    named.push_back(*parent);
    if (*seq != *parent) named.push_back(*seq);
  }
  return named;
}

// Child `index` of `parent` as something to wait for.
void Engine::add_child(const Job& parent, int32_t index, Dependencies& to) const {
  JobSeq seq = parent.child(index);
  uint8_t state = parent.array->made[static_cast<size_t>(index)];
  if (const Job* child = find_job(seq); child && is_finished(child->status))
    state = child->status == JobStatus::kSucceeded ? ArrayState::kSucceeded : ArrayState::kFailed;
  if (state == ArrayState::kSucceeded || parent.status == JobStatus::kSucceeded) return;
  bool cut = state == ArrayState::kUnmade && (index >= parent.array->limit || is_finished(parent.status));
  if (state == ArrayState::kFailed || cut) {
    to.failed = true;
  } else {
    to.open.push_back(seq);
  }
}

// What `submission` waits for. `array_size`: of the array job that is submitted, else 0. Throws Reject for
// what cannot be waited for.
Engine::Dependencies Engine::check_dependencies(const json::object& submission, int32_t array_size) const {
  Dependencies found;
  const json::array* list = depends_on(submission);
  if (!list) return found;
  if (list->size() > kDependenciesMax)
    throw Reject(
        fmt::format("A job can have at most {} dependencies, got {}.", kDependenciesMax, list->size()));
  for (const json::value& value : *list) {
    const json::object& dependency = value.as_object();
    auto id = base::find_string(dependency, "jobId").value_or("");
    auto type = base::find_string(dependency, "type").value_or("");
    if (id.empty()) {
      if (type != "SEQUENTIAL" || array_size == 0)
        throw Reject("A dependency without jobId is of type SEQUENTIAL and for array jobs only.");
      continue;
    }
    auto seq = job_seq(id);
    auto [parent, index] = live_child(id);
    const Job* job = seq ? find_job(*seq) : nullptr;
    if (job && job_id(*job) != id) job = nullptr;
    if (!job && !parent) throw Reject(fmt::format("Job {} of dependsOn does not exist.", id));
    if (type == "N_TO_N") {
      if (!job || !job->array || job->array->size != array_size)
        throw Reject("A dependency of type N_TO_N is between array jobs of the same size.");
      found.one_by_one.push_back(job);
    } else if (parent) {
      add_child(*parent, index, found);
    } else if (is_finished(job->status)) {
      found.failed |= job->status == JobStatus::kFailed;
    } else {
      found.open.push_back(job->seq);
    }
  }
  return found;
}

// Puts a new job where its dependencies have it.
void Engine::wait_for(Job& job, const Dependencies& dependencies, TimeMs now) {
  if (dependencies.failed) return finish(job, JobStatus::kFailed, reasons::kDependencyFailed, now);
  if (!dependencies.one_by_one.empty() && job.array) return wait_one_by_one(job, dependencies, now);
  if (dependencies.open.empty()) {
    if (!job.array) return set_status(job, JobStatus::kRunnable);
    set_status(job, JobStatus::kPending);
    return open_array(job);
  }
  set_status(job, JobStatus::kPending);
  wait_for_open(job, dependencies.open);
}

void Engine::wait_for_open(Job& job, const std::vector<JobSeq>& open) {
  job.waits_for = std::make_unique<std::vector<JobSeq>>();
  for (JobSeq seq : open) {
    if (std::find(job.waits_for->begin(), job.waits_for->end(), seq) != job.waits_for->end()) continue;
    job.waits_for->push_back(seq);
    dependents_[seq].push_back(job.seq);
  }
}

// All children are made at once, each with what it waits for.
void Engine::wait_one_by_one(Job& parent, const Dependencies& dependencies, TimeMs now) {
  set_status(parent, JobStatus::kPending);
  parent.array->next = parent.array->size;
  for (int32_t index = 0; index < parent.array->size; ++index) make_child(parent, index, now);
  for (int32_t index = 0; index < parent.array->size; ++index) {
    Dependencies own;
    own.open = dependencies.open;
    for (const Job* other : dependencies.one_by_one) add_child(*other, index, own);
    if (parent.array->sequential && index > 0) add_child(parent, index - 1, own);
    wait_for(*jobs_.at(parent.child(index)), own, now);
  }
}

// Nobody tells `job` any more of what it waited for. Its number stays where it is until that has ended: to
// look for it among a million that wait for the same would take a million times that.
void Engine::stop_waiting(Job& job) { job.waits_for.reset(); }

// What the jobs that have ended mean for those that waited for them. A chain may be long, so it is followed
// step by step.
void Engine::tell_dependents(TimeMs now) {
  for (size_t i = 0; i < ended_.size(); ++i) {
    auto [seq, succeeded] = ended_[i];
    auto waiting = dependents_.extract(seq);
    if (waiting.empty()) continue;
    for (JobSeq dependent : waiting.mapped()) {
      auto it = jobs_.find(dependent);
      Job* job = it == jobs_.end() ? nullptr : it->second.get();
      if (!job || !job->waits_for || std::erase(*job->waits_for, seq) == 0) continue;  // not any more
      if (!succeeded) {
        stop_waiting(*job);
        finish(*job, JobStatus::kFailed, job->cancelled ? job->stop_reason : reasons::kDependencyFailed, now);
      } else if (job->waits_for->empty()) {
        job->waits_for.reset();
        if (job->cancelled) {
          finish(*job, JobStatus::kFailed, job->stop_reason, now);
        } else if (job->array) {
          open_array(*job);
        } else {
          set_status(*job, JobStatus::kRunnable);
        }
      }
    }
  }
  ended_.clear();
}

// After a restart: a dependency that is not open has succeeded, for if it had failed, so would have the job.
void Engine::restore_dependencies(Job& job) {
  json::value submission = base::parse_json(job.submission);
  const json::array* list = depends_on(submission.as_object());
  if (!list) return;
  Dependencies found;
  bool child_for_child = false;
  for (const json::value& value : *list) {
    const json::object& dependency = value.as_object();
    auto id = base::find_string(dependency, "jobId").value_or("");
    if (id.empty()) {  // SEQUENTIAL
      if (job.parent != 0 && job.index() > 0) add_child(*jobs_.at(job.parent), job.index() - 1, found);
      continue;
    }
    auto [parent, index] = live_child(id);
    auto seq = job_seq(id);
    const Job* other = seq ? find_job(*seq) : nullptr;
    if (base::find_string(dependency, "type") == "N_TO_N") {
      child_for_child = true;
      if (job.parent != 0 && other && other->array) add_child(*other, job.index(), found);
    } else if (parent) {
      add_child(*parent, index, found);
    } else if (other) {
      found.open.push_back(*seq);
    }
  }
  // Of an N_TO_N array the children wait, of others the parent.
  bool waits = job.parent != 0 ? child_for_child : !(job.array && child_for_child);
  if (waits && !found.open.empty()) wait_for_open(job, found.open);
}

std::string Engine::why_pending(const Job& job) const {
  if (!job.waits_for || job.waits_for->empty()) return "";
  const Job* first = find_job(job.waits_for->front());
  std::string text = first ? fmt::format("Waits for job {} ({})", job_id(*first), name(first->status))
                           : "Waits for a child of an array job";
  if (job.waits_for->size() > 1) text += fmt::format(" and {} more", job.waits_for->size() - 1);
  if (job.cancelled) text += "; it was cancelled and will then fail: " + job.stop_reason;
  return text + ".";
}

}  // namespace millrace::engine

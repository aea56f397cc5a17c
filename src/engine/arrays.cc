// Array jobs: one submission, many children (Batch reference, "Array jobs"). A child becomes a job of its own
// when its turn has come, or when somebody means it alone; before that it is a number in its parent.
#include <algorithm>

#include "base/strings.h"
#include "engine/engine.h"
#include "engine/reasons.h"

namespace millrace::engine {

std::string Engine::job_id(const Job& job) const {
  if (job.parent == 0) return ids_.to_uuid(job.seq);
  return ids_.to_uuid(job.parent) + ":" + std::to_string(job.index());
}

std::optional<JobSeq> Engine::job_seq(std::string_view id) const {
  size_t colon = id.find(':');
  auto seq = ids_.from_uuid(id.substr(0, colon));
  if (!seq || colon == std::string_view::npos) return seq;
  auto index = base::parse_number<uint32_t>(id.substr(colon + 1));
  if (!index) return std::nullopt;
  return *seq + 1 + *index;
}

// The live array job that `id` is a child of, and the index.
std::pair<Job*, int32_t> Engine::live_child(std::string_view id) const {
  auto parent = ids_.from_uuid(id.substr(0, id.find(':')));
  auto seq = job_seq(id);
  auto it = parent && seq && *seq > *parent ? jobs_.find(*parent) : jobs_.end();
  if (it == jobs_.end() || !it->second->array) return {nullptr, 0};
  JobSeq index = *seq - *parent - 1;
  if (index >= static_cast<JobSeq>(it->second->array->size)) return {nullptr, 0};
  return {it->second.get(), static_cast<int32_t>(index)};
}

std::unique_ptr<Job> Engine::child_of(const Job& parent, int32_t index) const {
  auto child = std::make_unique<Job>();
  child->seq = parent.child(index);
  child->parent = parent.seq;
  child->name = parent.name;
  child->submission = parent.submission;
  child->queue = parent.queue;
  child->definition = parent.definition;
  child->created_at = parent.created_at;
  child->vcpus_milli = parent.vcpus_milli;
  child->memory_mib = parent.memory_mib;
  child->gpus = parent.gpus;
  child->share = parent.share;
  child->priority = parent.priority;
  child->timeout_s = parent.timeout_s;
  child->needs = parent.needs;
  child->too_long = parent.too_long;
  return child;
}

JobStatus Engine::unmade_status(const Job& parent, int32_t index) {
  if (is_finished(parent.status) || index >= parent.array->limit) return JobStatus::kFailed;
  return parent.waits_for || parent.array->sequential ? JobStatus::kPending : JobStatus::kRunnable;
}

std::unique_ptr<Job> Engine::unmade_child(const Job& parent, int32_t index) const {
  auto child = child_of(parent, index);
  child->status = unmade_status(parent, index);
  if (is_finished(child->status)) {
    // Of a SEQUENTIAL array that nobody stopped: the child before it failed.
    bool behind = parent.status_reason.empty() || parent.status_reason == reasons::kChildFailed;
    child->status_reason = !parent.stop_reason.empty() ? parent.stop_reason
                           : behind                    ? reasons::kDependencyFailed
                                                       : parent.status_reason;
    child->stopped_at = parent.stopped_at;
    child->cancelled = parent.cancelled;
    child->terminated = parent.terminated;
  }
  return child;
}

Job& Engine::make_child(Job& parent, int32_t index, TimeMs now) {
  auto owned = child_of(parent, index);
  Job& child = *owned;
  child.created_at = now;
  jobs_[child.seq] = std::move(owned);
  enqueue(child);
  ArrayState& array = *parent.array;
  array.made[static_cast<size_t>(index)] = ArrayState::kLive;
  ++array.counts[static_cast<size_t>(child.status)];
  mark(child);
  return child;
}

// Brings the array into the queue's line when it has a child that may go next.
void Engine::open_array(Job& parent) {
  ArrayState& array = *parent.array;
  array.skip_made();
  if (array.next >= array.limit || parent.waits_for) return;
  if (array.sequential && array.next > 0 && array.at(array.next - 1) != ArrayState::kSucceeded) return;
  parent.share->waiting[{parent.priority, parent.child(array.next)}] = &parent;
  schedule_needed_ = true;
}

// Behind its last child the place is another job's.
void Engine::close_array(Job& parent) {
  if (stands_in_line(parent))
    parent.share->waiting.erase({parent.priority, parent.child(parent.array->next)});
}

bool Engine::stands_in_line(const Job& array) const {
  if (!array.share) return false;
  auto it = array.share->waiting.find({array.priority, array.child(array.array->next)});
  return it != array.share->waiting.end() && it->second == &array;
}

// The job that is next in line; a child that is, is made.
Job* Engine::head(JobQueue& queue, TimeMs now) {
  Share* share = queue.line.next(now, mean_length_s());
  return share ? &come_forward(*share->waiting.begin()->second, now) : nullptr;
}

// The job that `waiting`, which stands in line, stands for: itself, or the next child of an array job, which
// is made.
Job& Engine::come_forward(Job& waiting, TimeMs now) {
  if (!waiting.array) return waiting;
  close_array(waiting);
  Job& child = make_child(waiting, waiting.array->next, now);
  set_status(child, JobStatus::kRunnable);
  open_array(waiting);
  return child;
}

// What was not made will not be: it has failed.
void Engine::cut_array(Job& parent) {
  ArrayState& array = *parent.array;
  close_array(parent);
  array.skip_made();
  int32_t before = array.limit;
  array.limit = std::min(array.limit, array.next);
  for (int32_t index = array.limit; index < before; ++index) {
    JobSeq seq = parent.child(index);
    if (array.at(index) == ArrayState::kUnmade && dependents_.contains(seq)) ended_.emplace_back(seq, false);
  }
  mark(parent);
}

void Engine::child_ended(const Job& child, TimeMs now) {
  Job& parent = *jobs_.at(child.parent);
  bool succeeded = child.status == JobStatus::kSucceeded;
  ArrayState& array = *parent.array;
  array.made[static_cast<size_t>(child.index())] = succeeded ? ArrayState::kSucceeded : ArrayState::kFailed;
  array.changed_at = now;
  if (array.sequential && !succeeded) cut_array(parent);
  open_array(parent);
  end_array(parent, now);
}

// Ends the parent when no child is left.
void Engine::end_array(Job& parent, TimeMs now) {
  const ArrayState& array = *parent.array;
  if (is_finished(parent.status) || array.next < array.limit || array.live() > 0) return;
  if (array.counts[static_cast<size_t>(JobStatus::kSucceeded)] == array.size)
    return finish(parent, JobStatus::kSucceeded, "", now);
  finish(parent, JobStatus::kFailed, parent.stop_reason.empty() ? reasons::kChildFailed : parent.stop_reason,
         now);
}

// CancelJob and TerminateJob of a parent reach all its children.
void Engine::stop_array(Job& parent, const std::string& reason, bool terminate, TimeMs now) {
  if (parent.stop_reason.empty()) parent.stop_reason = reason;
  (terminate ? parent.terminated : parent.cancelled) = true;
  int32_t end = parent.array->size;
  cut_array(parent);
  for (int32_t index = 0; index < end; ++index) {
    if (parent.array->at(index) != ArrayState::kLive) continue;
    Job& child = *jobs_.at(parent.child(index));
    if (!is_finished(child.status)) cancel_waiting(child, reason, terminate, now);
  }
  end_array(parent, now);
}

void Engine::restore_outcome(JobSeq parent, int32_t index, bool succeeded) {
  ArrayState& array = *jobs_.at(parent)->array;
  array.made[static_cast<size_t>(index)] = succeeded ? ArrayState::kSucceeded : ArrayState::kFailed;
  ++array.counts[static_cast<size_t>(succeeded ? JobStatus::kSucceeded : JobStatus::kFailed)];
}

}  // namespace millrace::engine

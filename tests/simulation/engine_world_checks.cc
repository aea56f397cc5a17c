// What an engine may never do, whatever happens to it.
#include <fmt/format.h>

#include <array>

#include "engine/queries.h"
#include "engine/reasons.h"
#include "engine/submission.h"
#include "tests/simulation/engine_world.h"

namespace millrace::simulation {

using engine::Job;
using engine::JobQueue;
using engine::JobSeq;
using engine::JobStatus;

void EngineWorld::check_effect(const engine::Effect& effect) {
  if (const auto* start = std::get_if<engine::StartAttempt>(&effect)) {
    std::pair<std::string, int> whose(start->job_id, start->attempt);
    auto [known, fresh] = tokens_.emplace(start->token, whose);
    hold(known->second == whose, "token {} was used for job {} and for job {}", start->token,
         known->second.first, start->job_id);
    if (!fresh) ++counts_.resent;
    if (start->after != 0) ++counts_.on_deck;
  }
  if (std::holds_alternative<engine::RevokeAttempt>(effect)) ++counts_.revoked;
}

void EngineWorld::check_jobs() {
  std::set<JobSeq> live;
  std::set<uint64_t> tokens;
  for (int64_t number = 1; number < 1000; ++number) {
    JobQueue* queue = engine_->queue(number);
    if (!queue) continue;
    for (size_t status = 0; status < engine::kJobStatusCount; ++status)
      for (const auto& [seq, job] : queue->jobs[status]) {
        hold(static_cast<size_t>(job->status) == status && job->seq == seq && job->queue == queue,
             "job {} is {} and stands among the {} jobs", seq, engine::name(job->status),
             engine::kJobStatusNames[status]);
        hold(live.insert(seq).second, "job {} stands in two places", seq);
        hold(!is_finished(job->status), "finished job {} stands in its queue", seq);
        hold(engine_->find_job(seq) == job, "job {} is in a queue and nowhere else", seq);
        if (job->array) arrays_[seq] = job->array->size;
        bool under_way = job->status == JobStatus::kStarting || job->status == JobStatus::kRunning;
        hold(under_way == static_cast<bool>(job->current), "job {} is {} with{} an attempt", seq,
             engine::name(job->status), job->current ? "" : "out");
        hold(!finished_.contains(seq), "finished job {} is {} again", seq, engine::name(job->status));
        int64_t allowed = wishes_of(*job).attempts;
        auto used = static_cast<int64_t>(job->attempts.size());
        hold(used + (under_way ? 1 : 0) <= allowed && (under_way || used < allowed),
             "job {} has {} attempts behind it, is {}, and may have {}", seq, used, engine::name(job->status),
             allowed);
        check_dependencies(*job);
        if (!under_way) continue;
        hold(tokens.insert(job->current->token).second, "two jobs have token {}", job->current->token);
        hold(job->current->token <= last_token_, "token {} is above the counter", job->current->token);
        hold((job->status == JobStatus::kRunning) == (job->current->started_at > 0), "job {} is {} since {}",
             seq, engine::name(job->status), job->current->started_at);
      }
  }
  std::vector<uint64_t> believed = engine_->believed_attempts();
  hold(std::set<uint64_t>(believed.begin(), believed.end()) == tokens,
       "the attempts are not those of the jobs");
  for (const auto& [token, process] : host_.processes())
    hold(tokens.contains(token), "attempt {} is under way for job {}, which does not wait for it", token,
         process.job_id);
  for (JobSeq seq = 1; seq <= last_job_; ++seq)
    if (!live.contains(seq) && !finished_.contains(seq) && !is_unmade_child(seq)) check_finished(seq);
  if (!finished_.empty() && random_.percent(30)) {
    auto any = finished_.lower_bound(1 + random_.below(last_job_));
    if (any != finished_.end())
      hold(describe_text(any->first) == any->second, "finished job {} changed", any->first);
  }
  for (const auto& [id, seq] : jobs_)
    hold(live.contains(seq) || finished_.contains(seq), "acknowledged job {} is lost", id);
}

// Said by the submission, and never another.
const EngineWorld::Wishes& EngineWorld::wishes_of(const Job& job) {
  auto [known, fresh] = wishes_.try_emplace(job.seq);
  if (fresh) {
    engine::EffectiveJob effective = engine::effective_job(job);
    if (effective.retry_strategy)
      known->second.attempts = base::find_int(*effective.retry_strategy, "attempts").value_or(1);
    for (const json::value& value : effective.depends_on)
      if (auto id = base::find_string(value.as_object(), "jobId"))
        known->second.depends_on.push_back(*engine_->job_seq(*id));
  }
  return known->second;
}

// A job is PENDING exactly as long as something it depends on has not succeeded.
void EngineWorld::check_dependencies(const Job& job) {
  if (job.array) return check_array(job);
  if (job.parent != 0) return;
  bool open = false;
  for (JobSeq seq : wishes_of(job).depends_on) {
    if (engine_->find_job(seq) || is_unmade_child(seq)) {
      open = true;
      continue;
    }
    hold(end_of(seq) == JobStatus::kSucceeded, "job {} is {} although job {} did not succeed", job.seq,
         engine::name(job.status), seq);
  }
  hold(open == (job.status == JobStatus::kPending), "job {} is {} and its dependencies have {}ended", job.seq,
       engine::name(job.status), open ? "not " : "");
}

// An array job is PENDING while a child is not finished, and counts them right.
void EngineWorld::check_array(const Job& job) {
  hold(job.status == JobStatus::kPending, "array job {} is {}", job.seq, engine::name(job.status));
  std::array<int, engine::kJobStatusCount> counts{};
  int open = 0;
  for (int index = 0; index < job.array->size; ++index) {
    JobSeq seq = job.seq + 1 + static_cast<JobSeq>(index);
    if (const Job* child = engine_->find_job(seq)) {
      ++counts[static_cast<size_t>(child->status)];
      ++open;
    } else if (std::optional<JobStatus> end = end_of(seq)) {
      ++counts[static_cast<size_t>(*end)];
    } else {
      open += index < job.array->limit;
    }
  }
  for (size_t i = 0; i < counts.size(); ++i)
    hold(counts[i] == job.array->counts[i], "array job {} counts {} {} children, there are {}", job.seq,
         job.array->counts[i], engine::kJobStatusNames[i], counts[i]);
  hold(open > 0, "array job {} waits for nothing", job.seq);
}

// A child that has no row yet, or never will because its array was stopped.
bool EngineWorld::is_unmade_child(JobSeq seq) {
  auto after = arrays_.upper_bound(seq);
  if (after == arrays_.begin()) return false;
  auto [parent, size] = *std::prev(after);
  if (seq <= parent || seq > parent + static_cast<JobSeq>(size)) return false;
  if (engine_->find_job(seq) || rows_.contains(seq)) return false;
  if (engine_->find_job(parent)) return true;
  hold(end_of(parent) == JobStatus::kFailed, "child {} of array job {} never was", seq, parent);
  return true;
}

// How a job that is not live has ended; nothing when it never had a row.
std::optional<JobStatus> EngineWorld::end_of(JobSeq seq) {
  if (!rows_.contains(seq)) return std::nullopt;
  auto [known, fresh] = ends_.try_emplace(seq);
  if (fresh) {
    std::unique_ptr<Job> job = store_->load_job(seq, *engine_);
    hold(job != nullptr, "job {} is lost", seq);
    known->second = job->status;
  }
  return known->second;
}

// A job that has just finished, or was never seen before.
void EngineWorld::check_finished(JobSeq seq) {
  std::unique_ptr<Job> job = store_->load_job(seq, *engine_);
  hold(job != nullptr, "job {} is lost", seq);
  hold(is_finished(job->status), "job {} is {} on disk and not in memory", seq, engine::name(job->status));
  hold(!job->current, "finished job {} has an attempt under way", seq);
  if (job->array) arrays_[seq] = job->array->size;
  check_end(*job);
  finished_[seq] = describe_text(seq);
}

// Does the end of a job say what happened to it?
void EngineWorld::check_end(const Job& job) {
  (job.status == JobStatus::kSucceeded ? counts_.succeeded : counts_.failed)++;
  if (auto stopped = stop_reasons_.find(job.seq); stopped != stop_reasons_.end()) {
    hold(job.status == JobStatus::kFailed, "job {} was terminated and SUCCEEDED", job.seq);
    hold(stopped->second.empty() || job.status_reason == stopped->second, "job {} ended with '{}', not '{}'",
         job.seq, job.status_reason, stopped->second);
  }
  if (job.terminated) ++counts_.terminated;
  for (const engine::Attempt& attempt : job.attempts) {
    const engine::AttemptFinished* truth = host_.truth(attempt.token);
    if (!truth) {
      // Only an attempt that was stopped before any host heard of it.
      hold(job.terminated || attempt.status_reason.starts_with("Host EC2"),
           "attempt {} of job {} ended by itself", attempt.token, job.seq);
      continue;
    }
    hold(attempt.exit_code == truth->exit_code || (truth->host_lost && !attempt.exit_code),
         "attempt {} ended with {}, the job says {}", attempt.token, truth->exit_code.value_or(-1),
         attempt.exit_code.value_or(-1));
  }
  if (job.array) {
    ++counts_.arrays;
    int done = job.array->counts[static_cast<size_t>(JobStatus::kSucceeded)];
    hold(job.array->live() == 0, "array job {} ended before its children", job.seq);
    hold((done == job.array->size) == (job.status == JobStatus::kSucceeded),
         "array job {} is {} with {} of {} done", job.seq, engine::name(job.status), done, job.array->size);
    return;
  }
  if (job.status == JobStatus::kSucceeded) {
    hold(!job.attempts.empty() && job.attempts.back().exit_code == 0, "job {} SUCCEEDED without", job.seq);
    return;
  }
  if (job.terminated || job.cancelled) return;
  if (job.status_reason == engine::reasons::kDependencyFailed) {
    ++counts_.dependent;
    hold(job.attempts.empty(), "job {} ran before its dependency failed", job.seq);
    return;
  }
  hold(!job.attempts.empty(), "job {} FAILED without an attempt: {}", job.seq, job.status_reason);
  const engine::Attempt& last = job.attempts.back();
  engine::EffectiveJob effective = engine::effective_job(job);
  int64_t timeout_ms = effective.timeout_s.value_or(1'000'000'000) * 1000;
  if (job.timed_out) {
    ++counts_.timed_out;
    hold(job.status_reason == engine::reasons::kTimeout, "job {} timed out and says '{}'", job.seq,
         job.status_reason);
    hold(last.stopped_at - last.started_at >= timeout_ms, "job {} timed out after {} of {} ms", job.seq,
         last.stopped_at - last.started_at, timeout_ms);
  } else {
    hold(last.exit_code != 0, "job {} FAILED with exit code 0: {}", job.seq, job.status_reason);
  }
}

void EngineWorld::check_room() {
  int64_t used_milli = 0, used_mib = 0, attempts = 0;
  std::map<const engine::ComputeEnvironment*, int64_t> used;
  for (int64_t number = 1; number < 1000; ++number)
    if (JobQueue* queue = engine_->queue(number))
      for (JobStatus status : {JobStatus::kStarting, JobStatus::kRunning})
        for (const auto& [seq, job] : queue->jobs[static_cast<size_t>(status)]) {
          if (job->current->after != 0) continue;  // on deck: it has no room of its own
          used_milli += job->vcpus_milli;
          used_mib += job->memory_mib;
          ++attempts;
          if (job->placed) used[job->placed] += job->vcpus_milli;
        }
  for (const auto& [name, environment] : engine_->environments()) {
    auto mine = used.find(environment.get());
    int64_t sum = mine == used.end() ? 0 : mine->second;
    hold(environment->used_milli == sum, "{} counts {} used, its attempts use {}", name,
         environment->used_milli, sum);
  }
  hold(attempts <= 1 || (used_milli <= offered_.vcpus_milli && used_mib <= offered_.memory_mib),
       "{} attempts use {} of {} vCPUs/1000 and {} of {} MiB", attempts, used_milli, offered_.vcpus_milli,
       used_mib, offered_.memory_mib);
}

// Who waits stands in line, at its place, and nobody else does; what shares say of themselves is so.
void EngineWorld::check_lines() {
  for (int64_t number = 1; number < 1000; ++number) {
    const JobQueue* queue = engine_->queue(number);
    if (!queue) continue;
    size_t waiting = 0;
    int64_t live = 0;
    for (const auto& by_status : queue->jobs) live += static_cast<int64_t>(by_status.size());
    for (const auto& share : queue->line.shares()) {
      live -= share->live;
      for (const auto& [place, job] : share->waiting) {
        hold(job->share == share.get() && job->priority == place.priority,
             "job {} stands in the line of share {}", job->seq, share->identifier);
        if (job->array) {
          hold(place.seq == job->child(job->array->next) && job->array->next < job->array->limit,
               "array {} stands at the place of job {}", job->seq, place.seq);
          continue;
        }
        ++waiting;
        hold(job->status == JobStatus::kRunnable && job->seq == place.seq, "job {}, {}, stands in line at {}",
             job->seq, engine::name(job->status), place.seq);
      }
      int64_t running = 0;
      for (JobStatus status : {JobStatus::kStarting, JobStatus::kRunning})
        for (const auto& [seq, job] : queue->jobs[static_cast<size_t>(status)])
          if (job->share == share.get() && job->current->counted_from > 0) running += job->vcpus_milli;
      hold(share->running_milli == running, "share {} of {} counts {} running, there are {}",
           share->identifier, queue->name, share->running_milli, running);
      double usage = queue->line.usage(*share, now_);
      hold(usage > -0.001 && usage < 1e12, "share {} of {} has used {}", share->identifier, queue->name,
           usage);
    }
    hold(waiting == queue->jobs[static_cast<size_t>(JobStatus::kRunnable)].size(),
         "{} jobs of {} stand in line, {} wait", waiting, queue->name,
         queue->jobs[static_cast<size_t>(JobStatus::kRunnable)].size());
    hold(live == 0, "the shares of {} count {} live jobs too few", queue->name, live);
  }
}

// A consumable resource is with the jobs that have it.
void EngineWorld::check_consumables() {
  std::map<const engine::ConsumableResource*, int64_t> held;
  for (int64_t number = 1; number < 1000; ++number)
    if (const JobQueue* queue = engine_->queue(number))
      for (const auto& by_status : queue->jobs)
        for (const auto& [seq, job] : by_status) {
          hold(!job->needs || !job->current || job->holds, "job {} runs without what it needs", seq);
          if (job->needs && job->holds)
            for (const auto& [resource, quantity] : *job->needs) held[resource] += quantity;
        }
  for (const auto& [name, resource] : engine_->consumables()) {
    int64_t sum = resource->replenishable ? held[resource.get()] : 0;
    hold(resource->held == sum, "{} of {} are held, jobs hold {}", resource->held, name, sum);
    hold(resource->replenishable || resource->used_up >= held[resource.get()],
         "{} of {} are used up, jobs hold {}", resource->used_up, name, held[resource.get()]);
  }
}

// `job` was started although `first` stands before it in their queue: it must end in time, or leave room
// enough beside everything that may run for ever.
void EngineWorld::check_passing(const Job& job, const Job& first) const {
  ++counts_.passed;
  if (job.current->timeout_ms > 0) return;
  int64_t milli = first.vcpus_milli, mib = first.memory_mib;
  for (int64_t number = 1; number < 1000; ++number)
    if (JobQueue* queue = engine_->queue(number))
      for (JobStatus status : {JobStatus::kStarting, JobStatus::kRunning})
        for (const auto& [seq, other] : queue->jobs[static_cast<size_t>(status)]) {
          if (other->current->after != 0 || other->current->timeout_ms > 0) continue;
          milli += other->vcpus_milli;
          mib += other->memory_mib;
        }
  hold(milli <= offered_.vcpus_milli && mib <= offered_.memory_mib,
       "job {} without a timeout passed job {}, which has no room beside it: {}", job.seq, first.seq,
       engine_->why_waiting(first));
}

// The one with the best standing never waits while there is room for it; the others may wait for its sake.
void EngineWorld::check_nothing_waits_for_nothing() {
  if (offered_.instance.empty()) return;
  int64_t used_milli = 0, used_mib = 0, attempts = 0;
  int64_t highest_shared = -1;  // of queues whose first job is not known here
  std::vector<const Job*> heads;
  for (int64_t number = 1; number < 1000; ++number)
    if (JobQueue* queue = engine_->queue(number)) {
      for (JobStatus status : {JobStatus::kStarting, JobStatus::kRunning})
        for (const auto& [seq, job] : queue->jobs[static_cast<size_t>(status)]) {
          if (job->current->after != 0) continue;  // on deck: it has no room of its own
          used_milli += job->vcpus_milli;
          used_mib += job->memory_mib;
          ++attempts;
        }
      const auto& waiting = queue->jobs[static_cast<size_t>(JobStatus::kRunnable)];
      if (queue->line.policy() && !waiting.empty())
        highest_shared = std::max(highest_shared, queue->priority);
      if (!queue->line.policy() && !waiting.empty()) heads.push_back(waiting.begin()->second);
    }
  std::sort(heads.begin(), heads.end(), [](const Job* a, const Job* b) {
    return a->queue->priority != b->queue->priority ? a->queue->priority > b->queue->priority
                                                    : a->seq < b->seq;
  });
  for (const Job* job : heads) {
    if (job->queue->priority <= highest_shared) break;
    if (job->needs && !job->holds &&
        std::any_of(job->needs->begin(), job->needs->end(),
                    [](const auto& need) { return need.second > need.first->available(); }))
      break;  // it waits for something else, and others may wait for its sake
    bool fits = attempts == 0 || (used_milli + job->vcpus_milli <= offered_.vcpus_milli &&
                                  used_mib + job->memory_mib <= offered_.memory_mib);
    bool could = false;
    for (const engine::ComputeEnvironment* environment : job->queue->environments) {
      if (!environment->enabled() || job->vcpus_milli > environment->max_milli()) continue;
      could = true;
      hold(!fits || environment->used_milli + job->vcpus_milli > environment->max_milli(),
           "job {} waits although {} has room: {}", job->seq, environment->name, engine_->why_waiting(*job));
    }
    if (could) break;
  }
}

std::string EngineWorld::describe_text(JobSeq seq) {
  json::object answer = describe_jobs({{"jobs", json::array{id_of(seq)}}}, *engine_, *store_);
  json::array& jobs = answer["jobs"].as_array();
  if (jobs.empty()) return "";
  json::object& job = jobs[0].as_object();
  if (job.at("status") == "RUNNABLE" || job.at("status") == "PENDING") job.erase("statusReason");
  if (json::value* array = job.if_contains("arrayProperties"))
    array->as_object().erase("statusSummaryLastUpdatedAt");
  if (job.at("status") == "SUCCEEDED" || job.at("status") == "FAILED") job.erase("tags");
  return json::serialize(job);
}

EngineWorld::Snapshot EngineWorld::snapshot() {
  Snapshot out;
  for (JobSeq seq = engine_->counters().first; seq > 0; --seq)
    if (engine_->find_job(seq)) out[std::to_string(seq)] = describe_text(seq);
  out["definitions"] = json::serialize(describe_job_definitions({}, *engine_));
  out["environments"] = json::serialize(describe_compute_environments({}, *engine_));
  out["policies"] = json::serialize(list_scheduling_policies({}, *engine_));
  out["consumables"] = json::serialize(list_consumable_resources({}, *engine_));
  out["queues"] = json::serialize(describe_job_queues({}, *engine_));
  std::vector<uint64_t> believed = engine_->believed_attempts();
  for (uint64_t token : std::set<uint64_t>(believed.begin(), believed.end()))
    out["attempts"] += std::to_string(token) + " ";
  for (const auto& [name, environment] : engine_->environments())
    out["room"] += fmt::format("{}:{} ", name, environment->used_milli);
  return out;
}

}  // namespace millrace::simulation

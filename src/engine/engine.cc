#include "engine/engine.h"

#include <algorithm>

#include "base/strings.h"
#include "engine/reject.h"
#include "engine/submission.h"

namespace millrace::engine {
namespace {

// "arn:…:job-queue/NAME" -> "NAME"; text that is no ARN is a name already. An ARN of another kind of resource
// gives an empty name, which nothing has.
std::string_view name_of(std::string_view name_or_arn, std::string_view kind) {
  if (name_or_arn.substr(0, 4) != "arn:") return name_or_arn;
  size_t slash = name_or_arn.find('/');
  if (slash == std::string_view::npos) return {};
  size_t at = name_or_arn.rfind(':', slash);
  if (name_or_arn.substr(at + 1, slash - at - 1) != kind) return {};
  return name_or_arn.substr(slash + 1);
}

}  // namespace

Engine::Engine(Config config) : config_(std::move(config)), ids_(config_.id_seed) {}
Engine::~Engine() = default;

Outcome Engine::apply(const Command& command, TimeMs now) {
  Outcome outcome;
  try {
    if (const auto* api = std::get_if<ApiCommand>(&command)) outcome.reply = apply_api(*api, now);
    if (const auto* host = std::get_if<HostUp>(&command)) host_up(*host, now);
    if (const auto* started = std::get_if<AttemptStarted>(&command)) attempt_started(*started);
    if (const auto* finished = std::get_if<AttemptFinished>(&command)) attempt_finished(*finished, now);
    if (std::holds_alternative<Tick>(command)) tick(now);
  } catch (const aws::ApiError& error) {
    outcome.reply = Refusal{error.status, error.code(), error.what()};
  } catch (const std::exception& error) {
    outcome.reply = Refusal{500, "ServerException", std::string("Internal error: ") + error.what()};
  }
  do {
    tell_dependents(now);
    if (schedule_needed_) schedule(now);
  } while (!ended_.empty());
  outcome.effects = std::move(effects_);
  effects_.clear();
  return outcome;
}

json::object Engine::apply_api(const ApiCommand& command, TimeMs now) {
  const json::object& input = command.input;
  switch (command.operation) {
    case ApiOperation::kRegisterJobDefinition:
      return register_job_definition(input);
    case ApiOperation::kDeregisterJobDefinition:
      return deregister_job_definition(input);
    case ApiOperation::kCreateComputeEnvironment:
      return create_compute_environment(input, command.uuid);
    case ApiOperation::kUpdateComputeEnvironment:
      return update_compute_environment(input);
    case ApiOperation::kDeleteComputeEnvironment:
      return delete_compute_environment(input);
    case ApiOperation::kCreateJobQueue:
      return create_job_queue(input);
    case ApiOperation::kUpdateJobQueue:
      return update_job_queue(input);
    case ApiOperation::kDeleteJobQueue:
      return delete_job_queue(input, now);
    case ApiOperation::kSubmitJob:
      return submit_job(input, now);
    case ApiOperation::kCancelJob:
      return stop_job(input, false, now);
    case ApiOperation::kTerminateJob:
      return stop_job(input, true, now);
    case ApiOperation::kCancelJobs:
      return stop_jobs(input, false, now);
    case ApiOperation::kTerminateJobs:
      return stop_jobs(input, true, now);
    case ApiOperation::kCreateSchedulingPolicy:
      return create_scheduling_policy(input);
    case ApiOperation::kUpdateSchedulingPolicy:
      return update_scheduling_policy(input);
    case ApiOperation::kDeleteSchedulingPolicy:
      return delete_scheduling_policy(input);
    case ApiOperation::kCreateConsumableResource:
      return create_consumable_resource(input, now);
    case ApiOperation::kUpdateConsumableResource:
      return update_consumable_resource(input, now);
    case ApiOperation::kDeleteConsumableResource:
      return delete_consumable_resource(input);
    case ApiOperation::kTagResource:
      return change_tags(input, false);
    case ApiOperation::kUntagResource:
      return change_tags(input, true);
  }
  return {};
}

Changes Engine::take_changes() {
  for (Job* job : changes_.jobs) job->changed = false;
  Changes out = std::move(changes_);
  changes_ = {};
  return out;
}

void Engine::forget_finished() {
  for (JobSeq seq : finished_) jobs_.erase(seq);
  finished_.clear();
}

std::vector<JobSeq> Engine::missing_jobs(const Command& command) const {
  const auto* api = std::get_if<ApiCommand>(&command);
  std::vector<JobSeq> named;
  if (!api) return named;
  if (api->operation == ApiOperation::kSubmitJob) {
    named = named_jobs(api->input);
  } else if (api->operation == ApiOperation::kTagResource || api->operation == ApiOperation::kUntagResource) {
    std::string_view arn = base::find_string(api->input, "resourceArn").value_or("");
    size_t at = arn.find(":job/");
    if (at == std::string_view::npos) return named;
    if (std::optional<JobSeq> seq = job_seq(arn.substr(at + 5))) named.push_back(*seq);
  }
  std::erase_if(named, [this](JobSeq seq) { return jobs_.contains(seq); });
  return named;
}

void Engine::recall(std::unique_ptr<Job> job) {
  job->stored = true;
  finished_.push_back(job->seq);
  JobSeq seq = job->seq;
  jobs_[seq] = std::move(job);
}

TimeMs Engine::next_deadline() const {
  if (deadlines_.empty()) return blocked_until_;
  TimeMs first = deadlines_.begin()->first;
  return blocked_until_ == 0 ? first : std::min(first, blocked_until_);
}

void Engine::mark(Job& job) {
  if (job.changed) return;
  job.changed = true;
  changes_.jobs.push_back(&job);
}

// ---- restart
// -------------------------------------------------------------------------------------------------------

void Engine::restore(std::unique_ptr<JobDefinition> definition) {
  last_number_ = std::max(last_number_, definition->number);
  definitions_by_name_[definition->name][definition->revision] = definition.get();
  int64_t number = definition->number;
  definitions_[number] = std::move(definition);
}

void Engine::restore(std::unique_ptr<ComputeEnvironment> environment) {
  last_number_ = std::max(last_number_, environment->number);
  std::string name = environment->name;
  environments_[name] = std::move(environment);
}

void Engine::restore(std::unique_ptr<SchedulingPolicy> policy) {
  last_number_ = std::max(last_number_, policy->number);
  std::string name = policy->name;
  policies_[name] = std::move(policy);
}

void Engine::restore(std::unique_ptr<ConsumableResource> resource) {
  last_number_ = std::max(last_number_, resource->number);
  std::string name = resource->name;
  consumables_[name] = std::move(resource);
}

void Engine::restore(const Changes::Usage& usage) {
  Line& line = queues_.at(usage.queue)->line;
  if (line.policy()) line.restore_usage(line.share(usage.share), usage.vcpu_seconds, usage.at);
}

void Engine::restore(std::unique_ptr<JobQueue> queue) {
  last_number_ = std::max(last_number_, queue->number);
  if (!queue->deleted) queues_by_name_[queue->name] = queue.get();
  int64_t number = queue->number;
  queues_[number] = std::move(queue);
  sort_queues();
}

void Engine::restore(std::unique_ptr<Job> restored) {
  Job& job = *restored;
  jobs_[job.seq] = std::move(restored);
  job.stored = true;
  if (job.parent != 0) {
    ArrayState& array = *jobs_.at(job.parent)->array;
    array.made[static_cast<size_t>(job.index())] = ArrayState::kLive;
    ++array.counts[static_cast<size_t>(job.status)];
    job.needs = jobs_.at(job.parent)->needs;
    job.too_long = jobs_.at(job.parent)->too_long;
  } else {
    job.too_long = too_long_for_ecs(*job.definition, job.submission);
  }
  enqueue(job);
  if (job.current) {
    attempts_[job.current->token] = &job;
    if (job.current->started_at > 0) count_attempt(job, job.current->started_at);
    job.placed = environment_of(*job.current);
    if (job.current->after == 0) take_room(job);
    job.current->timeout_ms = effective_job(job).timeout_s.value_or(0) * 1000;
    if (job.current->started_at > 0) watch_time(job);
  }
}

void Engine::restore_counters(JobSeq last_job, uint64_t last_token) {
  last_job_ = last_job;
  last_token_ = last_token;
  std::vector<Job*> ready;
  for (const auto& [number, queue] : queues_)
    for (const auto& [seq, job] : queue->jobs[static_cast<size_t>(JobStatus::kPending)]) {
      restore_dependencies(*job);
      if (!job->waits_for) ready.push_back(job);
    }
  for (Job* job : ready) {
    if (job->array) {
      open_array(*job);
    } else {
      set_status(*job, JobStatus::kRunnable);
    }
  }
  for (const auto& [token, job] : attempts_) {
    uint64_t& after = job->current->after;
    if (after != 0 && attempts_.contains(after)) {
      followers_[after] = job;
    } else if (after != 0) {
      after = 0;
      take_room(*job);
    }
  }
  for (const auto& [token, job] : attempts_)
    if (job->current->after == 0) count_lane(*job, 0);
}

std::vector<uint64_t> Engine::believed_attempts() const {
  std::vector<uint64_t> tokens;
  tokens.reserve(attempts_.size());
  for (const auto& [token, job] : attempts_) tokens.push_back(token);
  return tokens;
}

// ---- reads
// ---------------------------------------------------------------------------------------------------------

const Job* Engine::find_job(JobSeq seq) const {
  auto it = jobs_.find(seq);
  return it == jobs_.end() ? nullptr : it->second.get();
}

JobQueue* Engine::find_queue(std::string_view name_or_arn) const {
  auto it = queues_by_name_.find(name_of(name_or_arn, "job-queue"));
  return it == queues_by_name_.end() ? nullptr : it->second;
}

// Null when it is gone, also when another one has its name.
ComputeEnvironment* Engine::environment_of(const Attempt& attempt) const {
  constexpr size_t kPrefix = 9, kUuid = 36;  // AWSBatch-NAME-UUID
  std::string_view cluster = attempt.cluster;
  if (cluster.size() <= kPrefix + 1 + kUuid) return nullptr;
  ComputeEnvironment* environment =
      find_environment(cluster.substr(kPrefix, cluster.size() - kPrefix - kUuid - 1));
  if (!environment) return nullptr;
  std::string_view uuid = base::find_string(environment->body, "uuid").value_or("");
  return uuid == cluster.substr(cluster.size() - kUuid) ? environment : nullptr;
}

ComputeEnvironment* Engine::find_environment(std::string_view name_or_arn) const {
  auto it = environments_.find(name_of(name_or_arn, "compute-environment"));
  return it == environments_.end() ? nullptr : it->second.get();
}

const JobDefinition* Engine::find_definition(std::string_view name_or_arn) const {
  std::string_view name = name_of(name_or_arn, "job-definition");
  size_t colon = name.find(':');
  auto it = definitions_by_name_.find(name.substr(0, colon));
  if (it == definitions_by_name_.end()) return nullptr;
  if (colon == std::string_view::npos) {
    for (auto revision = it->second.rbegin(); revision != it->second.rend(); ++revision)
      if (revision->second->active) return revision->second;
    return nullptr;
  }
  auto number = base::parse_number<int64_t>(name.substr(colon + 1));
  if (!number) return nullptr;
  auto revision = it->second.find(*number);
  return revision == it->second.end() ? nullptr : revision->second;
}

const JobDefinition* Engine::definition(int64_t number) const {
  auto it = definitions_.find(number);
  return it == definitions_.end() ? nullptr : it->second.get();
}

SchedulingPolicy* Engine::find_policy(std::string_view arn) const {
  auto it =
      policies_.find(arn.substr(0, 4) == "arn:" ? name_of(arn, "scheduling-policy") : std::string_view());
  return it == policies_.end() ? nullptr : it->second.get();
}

ConsumableResource* Engine::find_consumable(std::string_view name_or_arn) const {
  auto it = consumables_.find(name_of(name_or_arn, "consumable-resource"));
  return it == consumables_.end() ? nullptr : it->second.get();
}

JobQueue* Engine::queue(int64_t number) const {
  auto it = queues_.find(number);
  return it == queues_.end() ? nullptr : it->second.get();
}

}  // namespace millrace::engine

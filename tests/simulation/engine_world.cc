#include "tests/simulation/engine_world.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/error.h"
#include "tests/engine/harness.h"
#include "tests/simulation/story.h"

namespace millrace::simulation {

using engine::ApiCommand;
using engine::ApiOperation;
using engine::AttemptFinished;
using engine::Command;
using engine::Engine;
using engine::Harness;
using engine::HostUp;
using engine::Outcome;
using engine::Refusal;
using engine::Store;

namespace {
constexpr int kNames = 4;  // of each kind: few, so that commands meet
constexpr int64_t kHostVcpus = 6, kHostMib = 2048;
}  // namespace

EngineWorld::EngineWorld(uint64_t seed, std::string folder)
    : seed_(seed), random_(seed), folder_(std::move(folder)), host_(random_, kHostVcpus, kHostMib) {
  config_ = Harness::config();
  if (random_.percent(50)) config_.short_attempt_ms = 1'000'000;  // all attempts count as short
  store_ = std::make_unique<Store>(folder_ + "/state-0.db");
}

void EngineWorld::run(const std::vector<int>& steps) {
  load();
  auto first = [this](ApiOperation operation, const std::string& input) {
    run_group({ApiCommand{operation, engine::object(input), "11111111-2222-4333-8444-555555555555"}},
              Fate::kGood);
  };
  first(ApiOperation::kCreateComputeEnvironment, Harness::environment("e0", 8));
  first(ApiOperation::kCreateJobQueue, Harness::queue("q0", 1, "e0"));
  first(ApiOperation::kRegisterJobDefinition, Harness::definition("d0"));
  for (int number : steps) {
    step_ = number;
    random_.seed(seed_ + (static_cast<uint64_t>(number) << 32));
    step();
  }
  random_.seed(seed_);
  settle();
  counts_.reports = host_.faults();
}

void EngineWorld::step() {
  int64_t passed = random_.percent(3) ? random_.between(10'000, 90'000) : random_.between(0, 2000);
  now_ += passed;
  counts_.lived_ms += passed;
  if (random_.percent(1)) jump_clock();
  for (size_t i = random_.below(4); i > 0; --i) host_.step(now_);
  if (random_.percent(1)) {
    ++counts_.host_deaths;
    say("the host dies");
    host_.die(now_);
  }
  std::vector<Command> group;
  for (size_t i = random_.below(4); i > 0; --i) {
    if (!host_.reports.empty() && random_.percent(50)) {
      group.push_back(host_.reports.front());
      host_.reports.pop_front();
    } else {
      group.push_back(random_command());
    }
  }
  Fate fate = Fate::kGood;
  if (random_.percent(5)) fate = static_cast<Fate>(1 + random_.below(5));
  run_group(std::move(group), fate);
}

// Somebody sets the clock, or the machine slept.
void EngineWorld::jump_clock() {
  ++counts_.clock_jumps;
  int64_t jump = random_.between(-7'200'000, 7'200'000);
  say("the clock jumps by {} s", jump / 1000);
  now_ += jump;
}

// ---- what users ask for
// ------------------------------------------------------------------------------------------

std::string EngineWorld::a_job() {
  if (last_job_ == 0 || random_.percent(3)) return "00000000-0000-4000-8000-000000000000";
  // The youngest are those that still live.
  uint64_t back = random_.below(random_.percent(80) ? 12 : last_job_);
  return id_of(last_job_ > back ? last_job_ - back : 1);
}

std::string EngineWorld::environment_order() {
  std::string order;
  size_t count = 1 + random_.below(3), first = random_.below(kNames);
  for (size_t i = 0; i < count; ++i)
    order += fmt::format(R"({}{{"order":{},"computeEnvironment":"e{}"}})", i ? "," : "", count - i,
                         (first + i) % kNames);
  return "[" + order + "]";
}

Command EngineWorld::submission() {
  std::string overrides;
  size_t queue = random_.below(kNames);
  const engine::JobQueue* found = engine_->find_queue(fmt::format("q{}", queue));
  bool shares = found && found->line.policy();
  if (random_.percent(shares ? 97 : 2))
    overrides += fmt::format(R"(,"shareIdentifier":"s{}")", random_.below(3));
  if (shares && random_.percent(20))
    overrides += fmt::format(R"(,"schedulingPriorityOverride":{})", random_.below(3));
  if (random_.percent(10))
    overrides += fmt::format(
        R"(,"consumableResourcePropertiesOverride":{{"consumableResourceList":[{{"consumableResource":"c{}","quantity":{}}}]}})",
        random_.below(2), random_.between(1, 2));
  if (random_.percent(50))
    overrides +=
        fmt::format(R"(,"containerOverrides":{{"resourceRequirements":[{{"type":"VCPU","value":"{}"}},
      {{"type":"MEMORY","value":"{}"}}]}})",
                    random_.percent(3) ? 16 : random_.between(1, 4), random_.between(64, 1024));
  if (random_.percent(40)) {
    overrides += fmt::format(R"(,"retryStrategy":{{"attempts":{})", random_.between(1, 4));
    if (random_.percent(50))
      overrides +=
          R"(,"evaluateOnExit":[{"onStatusReason":"Host EC2*","action":"RETRY"},{"onExitCode":"3","action":"exit"}])";
    overrides += "}";
  }
  if (random_.percent(20))
    overrides += fmt::format(R"(,"timeout":{{"attemptDurationSeconds":{}}})", random_.between(55, 120));
  int size = random_.percent(15) ? static_cast<int>(random_.between(2, 5)) : 0;
  if (size > 0) overrides += fmt::format(R"(,"arrayProperties":{{"size":{}}})", size);
  if (random_.percent(25)) {
    overrides += fmt::format(R"(,"dependsOn":[{{"jobId":"{}"}})", a_job());
    if (random_.percent(40)) overrides += fmt::format(R"(,{{"jobId":"{}","type":"SEQUENTIAL"}})", a_job());
    overrides += "]";
  } else if (size > 0 && random_.percent(50)) {
    std::string same;  // the youngest array of that size
    for (const auto& [seq, other] : arrays_)
      if (other == size) same = id_of(seq);
    if (random_.percent(50) || same.empty()) {
      overrides += R"(,"dependsOn":[{"type":"SEQUENTIAL"}])";
    } else {
      overrides += fmt::format(R"(,"dependsOn":[{{"jobId":"{}","type":"N_TO_N"}}])", same);
    }
  }
  return ApiCommand{
      ApiOperation::kSubmitJob,
      engine::object(fmt::format(R"({{"jobName":"j","jobQueue":"q{}","jobDefinition":"d{}"{}}})", queue,
                                 random_.below(2), overrides)),
      ""};
}

Command EngineWorld::random_command() {
  auto make = [this](ApiOperation operation, const std::string& input) -> Command {
    return ApiCommand{operation, engine::object(input),
                      fmt::format("{:08x}-2222-4333-8444-555555555555", ++uuids_)};
  };
  size_t which = random_.below(106), n = random_.below(kNames);
  if (which < 50) return submission();
  if (which < 56)
    return make(ApiOperation::kCancelJob,
                fmt::format(R"({{"jobId":"{}","reason":"cancelled at {}"}})", a_job(), step_));
  if (which < 57)
    return make(
        ApiOperation::kTerminateJobs,
        fmt::format(R"({{"jobs":["{}","{}"],"reason":"terminated at {}"}})", a_job(), a_job(), step_));
  if (which < 62)
    return make(ApiOperation::kTerminateJob,
                fmt::format(R"({{"jobId":"{}","reason":"terminated at {}"}})", a_job(), step_));
  if (which < 65)
    return make(ApiOperation::kTagResource, fmt::format(R"({{"resourceArn":"{}","tags":{{"k{}":"v"}}}})",
                                                        config_.arn("job/" + a_job()), n));
  if (which < 67)
    return make(ApiOperation::kUntagResource,
                fmt::format(R"({{"resourceArn":"{}","tagKeys":["k{}"]}})",
                            config_.arn("job-queue/q" + std::to_string(n)), random_.below(kNames)));
  if (which < 70)
    return make(ApiOperation::kRegisterJobDefinition, Harness::definition(fmt::format("d{}", n % 2)));
  if (which < 71)
    return make(ApiOperation::kDeregisterJobDefinition,
                fmt::format(R"({{"jobDefinition":"d{}:{}"}})", n % 2, random_.between(1, 5)));
  if (which < 76)
    return make(ApiOperation::kCreateComputeEnvironment,
                Harness::environment(fmt::format("e{}", n), static_cast<int>(random_.between(2, 8))));
  if (which < 81)
    return make(ApiOperation::kUpdateComputeEnvironment,
                random_.percent(70)
                    ? fmt::format(R"({{"computeEnvironment":"e{}","state":"{}"}})", n,
                                  random_.percent(65) ? "ENABLED" : "DISABLED")
                    : fmt::format(R"({{"computeEnvironment":"e{}","computeResources":{{"maxvCpus":{}}}}})", n,
                                  random_.between(1, 8)));
  if (which < 84)
    return make(ApiOperation::kDeleteComputeEnvironment, fmt::format(R"({{"computeEnvironment":"e{}"}})", n));
  if (which < 90)
    return make(ApiOperation::kCreateJobQueue,
                fmt::format(R"({{"jobQueueName":"q{}","priority":{},"computeEnvironmentOrder":{}{}}})", n,
                            random_.below(3), environment_order(), random_.percent(40) ? policy() : ""));
  if (which < 97)
    return make(ApiOperation::kUpdateJobQueue,
                random_.percent(50)
                    ? fmt::format(R"({{"jobQueue":"q{}","state":"{}","priority":{}}})", n,
                                  random_.percent(75) ? "ENABLED" : "DISABLED", random_.below(3))
                    : fmt::format(R"({{"jobQueue":"q{}","computeEnvironmentOrder":{}{}}})", n,
                                  environment_order(), random_.percent(20) ? policy() : ""));
  if (which < 99) return make(ApiOperation::kDeleteJobQueue, fmt::format(R"({{"jobQueue":"q{}"}})", n));
  if (which < 100) return engine::Tick{};
  if (which < 102)
    return make(
        ApiOperation::kCreateSchedulingPolicy,
        fmt::format(R"({{"name":"p{}","fairsharePolicy":{{"computeReservation":{},"shareDistribution":[
                    {{"shareIdentifier":"s*","weightFactor":{}}}]}}}})",
                    n % 2, random_.percent(50) ? 0 : 40, random_.between(1, 4)));
  if (which < 103)
    return make(
        random_.percent(50) ? ApiOperation::kDeleteSchedulingPolicy : ApiOperation::kUpdateSchedulingPolicy,
        fmt::format(R"({{"arn":"{}"}})", config_.arn(fmt::format("scheduling-policy/p{}", n % 2))));
  if (which < 104)
    return make(ApiOperation::kCreateConsumableResource,
                fmt::format(R"({{"consumableResourceName":"c{}","totalQuantity":{},"resourceType":"{}"}})",
                            n % 2, random_.between(1, 4), n % 2 ? "NON_REPLENISHABLE" : "REPLENISHABLE"));
  if (which < 105)
    return make(
        ApiOperation::kUpdateConsumableResource,
        fmt::format(R"({{"consumableResource":"c{}","operation":"{}","quantity":{},"clientToken":"t{}"}})",
                    n % 2, random_.percent(70) ? "ADD" : "SET", random_.between(1, 4), random_.below(9)));
  return make(ApiOperation::kDeleteConsumableResource,
              fmt::format(R"({{"consumableResource":"c{}"}})", n % 2));
}

std::string EngineWorld::policy() {
  return fmt::format(R"(,"schedulingPolicyArn":"{}")",
                     config_.arn(fmt::format("scheduling-policy/p{}", random_.below(2))));
}

// Children of array jobs have the numbers after their parent's.
std::string EngineWorld::id_of(engine::JobSeq seq) const {
  auto after = arrays_.upper_bound(seq);
  if (after != arrays_.begin()) {
    auto [parent, size] = *std::prev(after);
    if (seq > parent && seq <= parent + static_cast<engine::JobSeq>(size))
      return fmt::format("{}:{}", engine_->ids().to_uuid(parent), seq - parent - 1);
  }
  return engine_->ids().to_uuid(seq);
}

// ---- the driver's part
// --------------------------------------------------------------------------------------------

Outcome EngineWorld::apply(const Command& command) {
  uint64_t before = engine_->counters().second;
  if (const auto* host = std::get_if<HostUp>(&command)) offered_ = *host;
  for (engine::JobSeq seq : engine_->missing_jobs(command))
    if (auto job = store_->load_job(seq, *engine_)) {
      if (job->array) store_->load_children(*job);
      engine_->recall(std::move(job));
    }
  Outcome outcome = engine_->apply(command, now_);
  ++counts_.commands;
  if (story_) {
    say("{} {}", now_, describe(command));
    if (std::holds_alternative<ApiCommand>(command)) say("  answer: {}", describe(outcome.reply));
    for (const engine::Effect& effect : outcome.effects) say("  effect: {}", describe(effect));
  }
  if (const auto* refusal = std::get_if<Refusal>(&outcome.reply))
    hold(refusal->status == 400 && refusal->code == "ClientException", "{}", refusal->message);
  bool started = engine_->counters().second > before;
  if (started) {
    check_room();
    bool any_on_deck =
        std::any_of(outcome.effects.begin(), outcome.effects.end(), [](const engine::Effect& e) {
          const auto* start = std::get_if<engine::StartAttempt>(&e);
          return start && start->after != 0;
        });
    for (const engine::Effect& effect : outcome.effects) {
      const auto* start = std::get_if<engine::StartAttempt>(&effect);
      if (!start || start->token <= before) continue;
      engine::JobSeq seq = *engine_->job_seq(start->job_id);
      const engine::Job& job = *engine_->find_job(seq);
      const auto& waiting = job.queue->jobs[static_cast<size_t>(engine::JobStatus::kRunnable)];
      // Where one went on deck meanwhile, it may be the one that was passed.
      if (!any_on_deck && !job.queue->line.policy() && !waiting.empty() && waiting.begin()->first < seq)
        check_passing(job, *waiting.begin()->second);
      if (start->attempt > 1) ++counts_.retried;
    }
  }
  return outcome;
}

void EngineWorld::run_group(std::vector<Command> group, Fate fate) {
  bool goes_back = fate == Fate::kDiesBeforeCommit || fate == Fate::kDiskFull;
  Snapshot durable = goes_back ? snapshot() : Snapshot{};
  auto last_offer = offered_;
  std::vector<Answer> answers;
  std::vector<engine::Effect> effects;
  auto take = [&](const Command& command) {
    Outcome outcome = apply(command);
    effects.insert(effects.end(), outcome.effects.begin(), outcome.effects.end());
    answers.push_back({command, std::move(outcome.reply)});
  };
  for (const Command& command : group) take(command);
  if (engine_->next_deadline() != 0 && engine_->next_deadline() <= now_) take(engine::Tick{});
  check_nothing_waits_for_nothing();
  check_reasons();

  engine::Changes changes = engine_->take_changes();
  if (fate == Fate::kDiesBeforeCommit) {
    say("dies before the commit");
    crash();
    return hold(snapshot() == durable, "a restarted engine is not where the last commit left it");
  }
  if (fate == Fate::kDiskFull && !changes.jobs.empty()) {
    ++counts_.failed_commits;
    say("the disk is full");
    commit_fails(std::move(changes));
    // As the driver does: back to what is durable, the reports once more, all else refused.
    engine_ = std::make_unique<Engine>(config_);
    store_->load(*engine_);
    offered_ = {};
    hold(snapshot() == durable, "a commit that failed left something behind");
    host_.reports.push_front(last_offer.instance.empty() ? host_.offer() : last_offer);
    for (auto item = group.rbegin(); item != group.rend(); ++item)
      if (!std::holds_alternative<ApiCommand>(*item) && !std::holds_alternative<engine::Tick>(*item))
        host_.reports.push_front(*item);
    return;
  }
  if (!changes.empty()) store_->commit(changes, *engine_);
  for (const engine::Job* job : changes.jobs) rows_.insert(job->seq);
  engine_->forget_finished();
  last_job_ = engine_->counters().first;
  last_token_ = engine_->counters().second;
  check_jobs();
  check_lines();
  check_consumables();

  Snapshot now = fate == Fate::kGood || goes_back ? Snapshot{} : snapshot();
  size_t performed = fate == Fate::kDiesBeforeEffects  ? 0
                     : fate == Fate::kDiesAmongEffects ? random_.below(effects.size() + 1)
                                                       : effects.size();
  for (size_t i = 0; i < performed; ++i) {
    check_effect(effects[i]);
    host_.send(effects[i]);
  }
  size_t told = fate == Fate::kGood || goes_back  ? answers.size()
                : fate == Fate::kDiesAmongReplies ? random_.below(answers.size() + 1)
                                                  : 0;
  for (size_t i = 0; i < told; ++i) tell(answers[i]);
  if (fate != Fate::kGood && !goes_back) {
    say("dies after {} of {} effects and {} of {} answers", performed, effects.size(), told, answers.size());
    crash();
    hold(snapshot() == now, "a restarted engine does not describe what it described before");
  }
  for (const std::string& violation : host_.violations) hold(false, "{}", violation);
}

// The disk takes only part of it: a row that cannot be written stands somewhere among the others.
void EngineWorld::commit_fails(engine::Changes changes) {
  engine::Job impossible;
  impossible.seq = changes.jobs[random_.below(changes.jobs.size())]->seq;
  impossible.queue = changes.jobs[0]->queue;
  impossible.definition = changes.jobs[0]->definition;
  impossible.share = &impossible.queue->line.share("");
  size_t at = 1 + random_.below(changes.jobs.size());
  changes.jobs.insert(changes.jobs.begin() + static_cast<std::ptrdiff_t>(at), &impossible);
  // Whichever comes second of the two rows of one number fails, unless that number was stored before.
  bool failed = false;
  try {
    store_->commit(changes, *engine_);
  } catch (const base::Error&) {
    failed = true;
  }
  hold(failed, "an impossible commit succeeded");
}

// kill -9: memory is gone, the files are as they are. Meanwhile the host goes on.
void EngineWorld::crash() {
  ++counts_.crashes;
  engine_.reset();
  host_.disconnect();
  if (random_.percent(30)) {
    // Without the checkpoint that a closing SQLite makes.
    std::string from = fmt::format("{}/state-{}.db", folder_, files_);
    std::string to = fmt::format("{}/state-{}.db", folder_, ++files_);
    for (const char* part : {"", "-wal"})
      if (std::filesystem::exists(from + part)) std::filesystem::copy_file(from + part, to + part);
    store_.reset();
    std::filesystem::remove(from);
  }
  store_.reset();
  for (size_t i = random_.below(6); i > 0; --i) {
    int64_t passed = random_.percent(10) ? 70'000 : 500;
    now_ += passed;
    counts_.lived_ms += passed;
    if (random_.percent(2)) jump_clock();
    host_.step(now_);
    if (random_.percent(3)) {
      ++counts_.host_deaths;
      say("the host dies meanwhile");
      host_.die(now_);
    }
  }
  store_ = std::make_unique<Store>(fmt::format("{}/state-{}.db", folder_, files_));
  load();
}

void EngineWorld::load() {
  engine_ = std::make_unique<Engine>(config_);
  store_->load(*engine_);
  offered_ = {};
  hold(engine_->counters().first >= last_job_, "job numbers went back from {} to {}", last_job_,
       engine_->counters().first);
  hold(engine_->counters().second >= last_token_, "tokens went back from {} to {}", last_token_,
       engine_->counters().second);
  last_job_ = engine_->counters().first;
  last_token_ = engine_->counters().second;
  for (const auto& [seq, text] : finished_)
    if (random_.percent(10)) hold(describe_text(seq) == text, "finished job {} changed over a restart", seq);
  host_.adopt(engine_->believed_attempts());
  check_jobs();
}

void EngineWorld::tell(const Answer& answer) {
  const auto* api = std::get_if<ApiCommand>(&answer.command);
  const auto* reply = std::get_if<json::object>(&answer.reply);
  if (!api || !reply) return;
  if (api->operation == ApiOperation::kSubmitJob) {
    ++counts_.submitted;
    std::string id(base::find_string(*reply, "jobId").value_or(""));
    hold(!jobs_.contains(id), "two submissions got the id {}", id);
    jobs_[id] = *engine_->ids().from_uuid(id);
  } else if (api->operation == ApiOperation::kRegisterJobDefinition) {
    int64_t& highest = revisions_[std::string(base::find_string(*reply, "jobDefinitionName").value_or(""))];
    int64_t revision = base::find_int(*reply, "revision").value_or(0);
    hold(revision > highest, "revision {} came after {}", revision, highest);
    highest = revision;
  } else if (api->operation == ApiOperation::kTerminateJob) {
    auto seq = engine_->job_seq(base::find_string(api->input, "jobId").value_or(""));
    const engine::Job* job = seq ? engine_->find_job(*seq) : nullptr;
    if (!job || engine::is_finished(job->status)) return;
    hold(job->terminated, "job {} was terminated, and is not", *seq);
    stop_reasons_.emplace(*seq, job->stop_reason);
  }
}

// No more accidents: everything that is under way must come to its end.
void EngineWorld::settle() {
  say("from here on nothing goes wrong");
  for (int round = 0; round < 400; ++round) {
    now_ += 31'000;
    counts_.lived_ms += 31'000;
    host_.settle(now_);
    std::vector<Command> group(host_.reports.begin(), host_.reports.end());
    host_.reports.clear();
    bool quiet = group.empty() && engine_->believed_attempts().empty();
    run_group(std::move(group), Fate::kGood);
    if (quiet) break;
  }
  hold(engine_->believed_attempts().empty(), "{} attempts never end", engine_->believed_attempts().size());
  for (const auto& [id, seq] : jobs_)
    hold(finished_.contains(seq) || engine_->find_job(seq), "acknowledged job {} is lost", seq);
  for (const auto& [seq, reason] : stop_reasons_)
    hold(finished_.contains(seq), "job {} was to be terminated and never ended", seq);
  for (const auto& [seq, text] : finished_) hold(describe_text(seq) == text, "finished job {} changed", seq);
}

void EngineWorld::Counts::add(const Counts& other) {
  submitted += other.submitted;
  succeeded += other.succeeded;
  failed += other.failed;
  retried += other.retried;
  timed_out += other.timed_out;
  terminated += other.terminated;
  crashes += other.crashes;
  failed_commits += other.failed_commits;
  host_deaths += other.host_deaths;
  resent += other.resent;
  on_deck += other.on_deck;
  revoked += other.revoked;
  dependent += other.dependent;
  arrays += other.arrays;
  passed += other.passed;
  clock_jumps += other.clock_jumps;
  reasons += other.reasons;
  commands += other.commands;
  lived_ms += other.lived_ms;
  reports.lost += other.reports.lost;
  reports.repeated += other.reports.repeated;
  reports.early += other.reports.early;
}

}  // namespace millrace::simulation

// The batch engine: every decision about jobs, queues and compute environments, and nothing else. No clock,
// no thread, no randomness, no I/O: the same commands at the same times give the same outcomes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/command.h"
#include "engine/compute_environment.h"
#include "engine/config.h"
#include "engine/consumable_resource.h"
#include "engine/job.h"
#include "engine/job_definition.h"
#include "engine/job_id.h"
#include "engine/job_queue.h"
#include "engine/room.h"
#include "engine/scheduling_policy.h"

namespace millrace::engine {

struct EffectiveJob;

// What changed since the last take_changes(): the rows to write. Each thing is named once however often it
// changed; its present state is what counts.
struct Changes {
  std::vector<Job*> jobs;
  std::vector<const JobDefinition*> definitions;
  std::vector<const ComputeEnvironment*> environments;
  std::vector<const JobQueue*> queues;
  std::vector<int64_t> deleted_environments;
  std::vector<const SchedulingPolicy*> policies;
  std::vector<int64_t> deleted_policies;
  std::vector<const ConsumableResource*> consumables;
  std::vector<int64_t> deleted_consumables;
  struct Usage {  // of a share, as it is at that time
    int64_t queue = 0;
    std::string share;
    double vcpu_seconds = 0;
    TimeMs at = 0;
  };
  std::vector<Usage> usages;
  bool empty() const {
    return jobs.empty() && definitions.empty() && environments.empty() && queues.empty() &&
           deleted_environments.empty() && policies.empty() && deleted_policies.empty() &&
           consumables.empty() && deleted_consumables.empty() && usages.empty();
  }
};

// Not thread-safe: one thread owns it.
class Engine {
 public:
  explicit Engine(Config config);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Decides. Throws nothing. The caller makes take_changes() durable before it sends the reply and performs
  // the effects; several commands may share one commit.
  Outcome apply(const Command& command, TimeMs now);
  Changes take_changes();
  // Drops finished jobs from memory, once they are durable.
  void forget_finished();
  // Jobs that the command names and that are not in memory because they have finished: those of dependsOn,
  // and the resource to be tagged. recall() takes one back from the store, until forget_finished().
  std::vector<JobSeq> missing_jobs(const Command& command) const;
  void recall(std::unique_ptr<Job> job);
  // Whether JobNotice effects are wanted from now on; they are not at first.
  void want_notices(bool wanted) { notices_wanted_ = wanted; }
  // When Tick should come at the latest; 0: no need.
  TimeMs next_deadline() const;

  // ---- restart: first definitions, environments, policies and consumable resources, then queues, then usage
  // of shares, then live jobs, in any order within each
  // --------------
  void restore(std::unique_ptr<JobDefinition> definition);
  void restore(std::unique_ptr<ComputeEnvironment> environment);
  void restore(std::unique_ptr<JobQueue> queue);
  void restore(std::unique_ptr<SchedulingPolicy> policy);
  void restore(std::unique_ptr<ConsumableResource> resource);
  void restore(const Changes::Usage& usage);
  void restore(std::unique_ptr<Job> job);
  // A finished child of a live array job; after all jobs.
  void restore_outcome(JobSeq parent, int32_t index, bool succeeded);
  // The highest numbers that were ever used, so that none is used again.
  void restore_counters(JobSeq last_job, uint64_t last_token);
  // Tokens of the attempts that should be running.
  std::vector<uint64_t> believed_attempts() const;
  std::pair<JobSeq, uint64_t> counters() const { return {last_job_, last_token_}; }

  // ---- reads
  // ------------------------------------------------------------------------------------------------------
  const Config& config() const { return config_; }
  const JobIds& ids() const { return ids_; }
  const Job* find_job(JobSeq seq) const;
  // Array children are "UUID:INDEX".
  std::string job_id(const Job& job) const;
  // The number that `id` stands for; that such a job is there is not known yet.
  std::optional<JobSeq> job_seq(std::string_view id) const;
  // The state of a child that is no job of its own.
  static JobStatus unmade_status(const Job& parent, int32_t index);
  // A child that is no job of its own, as it would look if it were one.
  std::unique_ptr<Job> unmade_child(const Job& parent, int32_t index) const;
  // By name or ARN; null when there is none (deleted queues are not found).
  JobQueue* find_queue(std::string_view name_or_arn) const;
  ComputeEnvironment* find_environment(std::string_view name_or_arn) const;
  // name (newest ACTIVE revision), name:revision, ARN with or without revision.
  const JobDefinition* find_definition(std::string_view name_or_arn) const;
  const JobDefinition* definition(int64_t number) const;
  ConsumableResource* find_consumable(std::string_view name_or_arn) const;
  SchedulingPolicy* find_policy(std::string_view arn) const;
  JobQueue* queue(int64_t number) const;  // deleted ones too
  const std::map<std::string, std::map<int64_t, JobDefinition*>, std::less<>>& definitions() const {
    return definitions_by_name_;
  }
  const std::map<std::string, std::unique_ptr<ComputeEnvironment>, std::less<>>& environments() const {
    return environments_;
  }
  const std::map<std::string, JobQueue*, std::less<>>& queues() const { return queues_by_name_; }
  const std::map<std::string, std::unique_ptr<SchedulingPolicy>, std::less<>>& policies() const {
    return policies_;
  }
  const std::map<std::string, std::unique_ptr<ConsumableResource>, std::less<>>& consumables() const {
    return consumables_;
  }
  double mean_length_s() const { return mean_length_ms_ / 1000; }
  // Why a RUNNABLE job is not running yet, with numbers.
  std::string why_waiting(const Job& job) const;
  // Of a job that waits: reason, ahead (jobs before it), running (attempts under way), change (what would
  // start it), and where they are known startsBefore (by timeouts) and likelyStart (by the lengths of the
  // latest attempts), ms since the epoch. Of every job: jobId, jobName, status, jobQueue, and attempts with
  // what AWS does not tell, cpuSeconds and memoryPeak (bytes).
  json::object explain(const Job& job, TimeMs now) const;
  // The same of a PENDING job; empty when that is not known.
  std::string why_pending(const Job& job) const;

 private:
  struct Host {
    std::string instance;  // empty: none
    Room total, used;
    int64_t attempts = 0;
  };
  // A queue whose first job may have its turn in this pass.
  struct Turn {
    JobQueue* queue;
    Job* job;
  };
  // What a job waits for that would start if there were room: others may pass it only as far as that does not
  // keep it waiting longer.
  struct Claim {
    const Job* job;
    const ComputeEnvironment* environment;  // where it would be placed
    bool timed = false;                     // what follows is known
    TimeMs at = 0;                          // by then there is room for it; 0: nobody knows
    Room spare = {};                        // beside it, then
    int64_t spare_milli = 0;                // the same of the environment
  };
  struct Placement {
    ComputeEnvironment* environment = nullptr;  // null: `why`
    Block why = Block::kNone;
    const ComputeEnvironment* could = nullptr;  // where it will be, once there is room
  };

  json::object apply_api(const ApiCommand& command, TimeMs now);
  json::object register_job_definition(const json::object& input);
  json::object deregister_job_definition(const json::object& input);
  json::object create_compute_environment(const json::object& input, const std::string& uuid);
  json::object update_compute_environment(const json::object& input);
  json::object delete_compute_environment(const json::object& input);
  json::object create_job_queue(const json::object& input);
  json::object update_job_queue(const json::object& input);
  json::object delete_job_queue(const json::object& input, TimeMs now);
  json::object submit_job(const json::object& input, TimeMs now);
  json::object stop_job(const json::object& input, bool terminate, TimeMs now);
  json::object stop_jobs(const json::object& input, bool terminate, TimeMs now);
  void stop_one(std::string_view id, const std::string& reason, bool terminate, TimeMs now);
  json::object change_tags(const json::object& input, bool remove);

  // share_commands.cc
  json::object create_scheduling_policy(const json::object& input);
  json::object update_scheduling_policy(const json::object& input);
  json::object delete_scheduling_policy(const json::object& input);
  SchedulingPolicy* policy_of_request(const json::object& input) const;
  void join_share(Job& job, const json::object& submission, int64_t priority, TimeMs now);
  void follow(JobQueue& queue, const SchedulingPolicy* policy);
  void count_attempt(Job& job, TimeMs from);
  void uncount_attempt(Job& job, TimeMs now);

  // consumables.cc
  json::object create_consumable_resource(const json::object& input, TimeMs now);
  json::object update_consumable_resource(const json::object& input, TimeMs now);
  json::object delete_consumable_resource(const json::object& input);
  std::shared_ptr<const ConsumableNeeds> needs_of(const json::object& properties) const;
  bool has_what_it_needs(const Job& job) const;
  void take_consumables(Job& job);
  void name_consumables(const Job& job);
  void return_consumables(Job& job);

  void host_up(const HostUp& host, TimeMs now);
  void attempt_started(const AttemptStarted& report);
  void attempt_finished(const AttemptFinished& report, TimeMs now);
  void tick(TimeMs now);
  void watch_time(const Job& job);
  ComputeEnvironment* environment_of(const Attempt& attempt) const;

  void set_environment_order(JobQueue& queue, const json::array& order) const;
  void sort_queues();
  void set_status(Job& job, JobStatus status);
  void finish(Job& job, JobStatus status, std::string reason, TimeMs now);
  void cancel_waiting(Job& job, const std::string& reason, bool terminate, TimeMs now);
  void stop_attempt(Job& job);
  void end_deletion(JobQueue& queue);
  void mark(Job& job);
  void enqueue(Job& job);

  // arrays.cc
  std::pair<Job*, int32_t> live_child(std::string_view id) const;
  std::unique_ptr<Job> child_of(const Job& parent, int32_t index) const;
  Job& make_child(Job& parent, int32_t index, TimeMs now);
  void open_array(Job& parent);
  void close_array(Job& parent);
  bool stands_in_line(const Job& array) const;
  Job* head(JobQueue& queue, TimeMs now);
  Job& come_forward(Job& waiting, TimeMs now);
  void cut_array(Job& parent);
  void child_ended(const Job& child, TimeMs now);
  void end_array(Job& parent, TimeMs now);
  void stop_array(Job& parent, const std::string& reason, bool terminate, TimeMs now);

  // dependencies.cc
  struct Dependencies {
    std::vector<JobSeq> open;            // have not ended yet
    bool failed = false;                 // one has
    std::vector<const Job*> one_by_one;  // N_TO_N: array jobs, child for child
  };
  std::vector<JobSeq> named_jobs(const json::object& submission) const;
  Dependencies check_dependencies(const json::object& submission, int32_t array_size) const;
  void add_child(const Job& parent, int32_t index, Dependencies& to) const;
  void wait_for(Job& job, const Dependencies& dependencies, TimeMs now);
  void wait_for_open(Job& job, const std::vector<JobSeq>& open);
  void wait_one_by_one(Job& parent, const Dependencies& dependencies, TimeMs now);
  void stop_waiting(Job& job);
  void tell_dependents(TimeMs now);
  void restore_dependencies(Job& job);

  // scheduler.cc
  void schedule(TimeMs now);
  void pass(TimeMs now);
  bool advance(Turn& turn, TimeMs now);
  std::optional<std::string> never_starts(const Job& job) const;
  bool is_reserved(const Job& job, TimeMs now) const;
  bool fits_host(const Job& job) const;
  Placement place(const Job& job, TimeMs now);
  void start(Job& job, const Job* front, TimeMs now);
  StartAttempt start_effect(const Job& job, const EffectiveJob& effective) const;
  void take_room(Job& job);
  void give_room_back(Job& job);

  // claims.cc
  TimeMs latest_end(const Job& job, TimeMs now) const;
  void time_claim(Claim& claim, TimeMs now) const;
  bool delays(Claim& claim, const Job& job, const ComputeEnvironment& environment, TimeMs now) const;
  void use_spare(const Job& job, TimeMs now);
  void backfill(JobQueue& queue, TimeMs now);

  // waiting.cc
  void note_blocked(JobQueue& queue, const Job* job, Block why, TimeMs now);
  void act_on_blocked(TimeMs now);
  std::string why_blocked(const Job& job, Block why) const;

  // explain.cc
  std::optional<int64_t> ahead_of(const Job& job) const;
  std::string change_for(const Job& job, Block why, TimeMs now) const;

  // notices.cc
  void tell_state(const Job& job);
  void tell_blocked(const Job& job);

  // deck.cc
  void learn_length(TimeMs length);
  Job* follower_for(const Job& front);
  bool put_on_deck(TimeMs now);
  int deck_depth() const;
  void revoke(const Job& job);
  void count_lane(Job& job, int depth);
  void leave_deck(Job& job);
  void vacate(Job& job);

  Config config_;
  JobIds ids_;
  JobSeq last_job_ = 0;
  uint64_t last_token_ = 0;
  int64_t last_number_ = 0;  // of definitions, environments and queues

  std::map<int64_t, std::unique_ptr<JobDefinition>> definitions_;
  std::map<std::string, std::map<int64_t, JobDefinition*>, std::less<>> definitions_by_name_;
  std::map<std::string, std::unique_ptr<ComputeEnvironment>, std::less<>> environments_;
  std::map<int64_t, std::unique_ptr<JobQueue>> queues_;  // deleted ones too: finished jobs name them
  std::map<std::string, JobQueue*, std::less<>> queues_by_name_;
  std::vector<JobQueue*> queues_by_priority_;
  std::map<std::string, std::unique_ptr<SchedulingPolicy>, std::less<>> policies_;
  std::map<std::string, std::unique_ptr<ConsumableResource>, std::less<>> consumables_;
  std::unordered_map<JobSeq, std::unique_ptr<Job>> jobs_;  // live ones, and finished ones until forgotten
  std::unordered_map<uint64_t, Job*> attempts_;            // by token
  std::set<std::pair<TimeMs, uint64_t>> deadlines_;        // of attempts with a timeout, and of those on deck
  std::set<std::pair<int, uint64_t>> open_places_;         // attempts that nobody follows yet, by depth
  std::unordered_map<uint64_t, Job*> followers_;           // on deck, by the token of the one in front
  uint64_t lengths_known_ = 0;                             // attempts that mean_length_ms_ comes from
  double mean_length_ms_ = 1000;                           // of the latest attempts
  // PENDING jobs by what they wait for, and some that do not wait any more.
  std::unordered_map<JobSeq, std::vector<JobSeq>> dependents_;
  std::vector<std::pair<JobSeq, bool>> ended_;  // in this command; true: succeeded
  Host host_;
  std::vector<Claim> claims_;  // of the latest pass, by standing
  TimeMs blocked_until_ = 0;   // a queue acts on its first job then, if that still waits; 0: none
  bool schedule_needed_ = false;
  bool notices_wanted_ = false;

  Changes changes_;
  std::vector<JobSeq> finished_;
  std::vector<Effect> effects_;
};

}  // namespace millrace::engine

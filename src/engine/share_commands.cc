// Engine commands on scheduling policies, and how jobs and attempts count for their shares.
#include <fmt/format.h>

#include <algorithm>

#include "engine/engine.h"
#include "engine/name_once.h"
#include "engine/reject.h"
#include "engine/tags.h"

namespace millrace::engine {
namespace {

constexpr size_t kPoliciesMax = 500;  // AWS Batch service quotas
constexpr int64_t kPriorityMax = 9999;

std::string_view text(const json::object& input, std::string_view name) {
  return base::find_string(input, name).value_or("");
}

}  // namespace

json::object Engine::create_scheduling_policy(const json::object& input) {
  SchedulingPolicy made = make_scheduling_policy(input);
  if (policies_.contains(made.name)) throw Reject("Object already exists");
  if (policies_.size() >= kPoliciesMax)
    throw Reject("Limit of 500 scheduling policies is reached; delete one that is not needed.");
  if (const json::object* tags = base::find_object(input, "tags")) merge_tags(made.tags, *tags);
  made.number = ++last_number_;
  auto owned = std::make_unique<SchedulingPolicy>(std::move(made));
  SchedulingPolicy& policy = *owned;
  policies_[policy.name] = std::move(owned);
  name_once(changes_.policies, policy);
  return {{"name", policy.name}, {"arn", policy.arn(config_)}};
}

json::object Engine::update_scheduling_policy(const json::object& input) {
  std::string_view arn = text(input, "arn");
  SchedulingPolicy* policy = find_policy(arn);
  if (!policy) throw Reject(fmt::format("SchedulingPolicy {} not found.", arn));
  engine::update_scheduling_policy(*policy, input);
  name_once(changes_.policies, *policy);
  for (JobQueue* queue : queues_by_priority_)
    if (queue->line.policy() == policy) follow(*queue, policy);
  schedule_needed_ = true;
  return {};
}

json::object Engine::delete_scheduling_policy(const json::object& input) {
  SchedulingPolicy* policy = find_policy(text(input, "arn"));
  if (!policy) return {};
  for (const auto& [number, queue] : queues_)
    if (queue->line.policy() == policy) throw Reject("Cannot delete, found existing JobQueue relationship");
  std::erase(changes_.policies, policy);
  changes_.deleted_policies.push_back(policy->number);
  policies_.erase(policy->name);
  return {};
}

// The policy that a CreateJobQueue or UpdateJobQueue request names; null when it names none.
SchedulingPolicy* Engine::policy_of_request(const json::object& input) const {
  std::string_view arn = text(input, "schedulingPolicyArn");
  if (arn.empty()) return nullptr;
  SchedulingPolicy* policy = find_policy(arn);
  if (!policy) throw Reject(fmt::format("SchedulingPolicy {} not found.", arn));
  return policy;
}

// Gives a new job its share and its priority there. Throws Reject.
void Engine::join_share(Job& job, const json::object& submission, int64_t priority, TimeMs now) {
  Line& line = job.queue->line;
  auto identifier = base::find_string(submission, "shareIdentifier");
  if (!line.policy()) {
    if (identifier || base::find(submission, "schedulingPriorityOverride"))
      throw Reject(
          "Job with shareIdentifier or schedulingPriority can onlybe submitted to job queue with fair share "
          "scheduling policy.");
    job.share = &line.share("");
    return;
  }
  if (!identifier || identifier->empty())
    throw Reject(fmt::format("shareIdentifier is required: job queue {} has a fair share scheduling policy.",
                             job.queue->name));
  if (!is_share_identifier(*identifier)) throw Reject("ShareIdentifier name should match a valid pattern.");
  if (priority < 0 || priority > kPriorityMax)
    throw Reject("Scheduling priority must be between 0 and 9999.");
  if (!line.has_room_for(*identifier, now))
    throw Reject(fmt::format("Job queue {} has {} active share identifiers, and that is the limit.",
                             job.queue->name, Line::kActiveSharesMax));
  job.share = &line.share(*identifier);
  job.priority = static_cast<int32_t>(priority);
}

// From now on, also when `policy` is the one that it follows already and has changed.
void Engine::follow(JobQueue& queue, const SchedulingPolicy* policy) {
  queue.line.follow(policy);
  for (const auto& [token, job] : attempts_)
    if (job->queue == &queue && job->current->counted_from != 0)
      queue.line.began_before(*job->share, job->vcpus_milli, job->current->counted_from);
}

// The attempt under way is usage of the job's share from `from` on.
void Engine::count_attempt(Job& job, TimeMs from) {
  job.current->counted_from = job.queue->line.attempt_began(*job.share, job.vcpus_milli, from);
}

void Engine::uncount_attempt(Job& job, TimeMs now) {
  if (job.current->counted_from == 0) return;
  Line& line = job.queue->line;
  line.attempt_ended(*job.share, job.vcpus_milli, job.current->counted_from, now);
  if (!line.policy()) return;
  Changes::Usage usage{job.queue->number, job.share->identifier, line.past_usage(*job.share, now), now};
  auto same = std::find_if(changes_.usages.begin(), changes_.usages.end(), [&](const Changes::Usage& other) {
    return other.queue == usage.queue && other.share == usage.share;
  });
  if (same == changes_.usages.end()) {
    changes_.usages.push_back(std::move(usage));
  } else {
    *same = std::move(usage);
  }
}

}  // namespace millrace::engine

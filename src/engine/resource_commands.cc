// Engine commands on job definitions, compute environments, job queues and tags.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "engine/engine.h"
#include "engine/name_once.h"
#include "engine/reasons.h"
#include "engine/reject.h"
#include "engine/resource_name.h"
#include "engine/tags.h"

namespace millrace::engine {
namespace {

constexpr size_t kEnvironmentsOfQueueMax = 3;
constexpr size_t kQueuesMax = 50;        // AWS Batch service quotas
constexpr size_t kEnvironmentsMax = 50;  // AWS Batch service quotas

std::string text(const json::object& input, std::string_view name) {
  return std::string(base::find_string(input, name).value_or(""));
}

// The values of statusReason of a blocked head that a queue may act on (JobStateTimeLimitAction).
constexpr std::array<std::string_view, 3> kTimeLimitReasons = {
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"};

void check_time_limit_actions(const json::array& actions) {
  std::set<std::string_view> seen;
  for (const json::value& value : actions) {
    const json::object& action = value.as_object();
    if (base::find_string(action, "action") != "CANCEL")
      throw Reject("Invalid job action. Valid job actions: [CANCEL]");
    if (base::find_string(action, "state") != "RUNNABLE")
      throw Reject("Invalid job state. Valid job states: [RUNNABLE]");
    std::string_view reason = base::find_string(action, "reason").value_or("");
    if (std::find(kTimeLimitReasons.begin(), kTimeLimitReasons.end(), reason) == kTimeLimitReasons.end())
      throw Reject(
          fmt::format("Invalid job reason. Valid job reasons: [{}]", fmt::join(kTimeLimitReasons, ", ")));
    int64_t seconds = base::find_int(action, "maxTimeSeconds").value_or(0);
    if (seconds < 600 || seconds > 86400)
      throw Reject(fmt::format("maxTimeSeconds must be between 600 and 86400, got {}.", seconds));
    if (!seen.insert(reason).second) throw Reject("Duplicate job state limit actions are not allowed.");
  }
}

bool has_entries(const json::object& input, std::string_view member) {
  const json::array* list = base::find_array(input, member);
  return list && !list->empty();
}

// Queues here run containers; those of SageMaker and of EKS are refused, with AWS's sentence when AWS would
// refuse them too.
void check_queue_type(const json::object& input) {
  std::string_view type = base::find_string(input, "jobQueueType").value_or("");
  bool services = has_entries(input, "serviceEnvironmentOrder");
  if (services && has_entries(input, "computeEnvironmentOrder"))
    throw Reject("A job queue can not have both computeEnvironmentOrder and serviceEnvironmentOrder.");
  if (type == "SAGEMAKER_TRAINING" && !services)
    throw Reject("Job queues of type SAGEMAKER_TRAINING must have serviceEnvironmentOrder.");
  if (services && type != "SAGEMAKER_TRAINING")
    throw Reject("serviceEnvironmentOrder is only applicable to job queues of type SAGEMAKER_TRAINING.");
  if (!type.empty() && type != "ECS" && type != "ECS_FARGATE")
    throw Reject(fmt::format(
        "Job queues of type {} are not supported by this version of Millrace; use ECS or ECS_FARGATE.",
        type));
}

}  // namespace

// ---- job definitions
// -----------------------------------------------------------------------------------------------

json::object Engine::register_job_definition(const json::object& input) {
  auto definition = std::make_unique<JobDefinition>(make_job_definition(input));
  auto& revisions = definitions_by_name_[definition->name];
  definition->number = ++last_number_;
  definition->revision = revisions.empty() ? 1 : revisions.rbegin()->first + 1;
  JobDefinition& made = *definition;
  revisions[made.revision] = &made;
  definitions_[made.number] = std::move(definition);
  name_once(changes_.definitions, made);
  json::object out;
  out["jobDefinitionName"] = made.name;
  out["jobDefinitionArn"] = made.arn(config_);
  out["revision"] = made.revision;
  return out;
}

json::object Engine::deregister_job_definition(const json::object& input) {
  std::string wanted = text(input, "jobDefinition");
  auto [name, revision] = definition_revision(wanted);
  auto revisions = definitions_by_name_.find(name);
  if (revisions == definitions_by_name_.end() || !revisions->second.contains(revision))
    throw Reject("JobDefinition " + wanted + " not found.");
  JobDefinition& definition = *revisions->second.at(revision);
  if (definition.active) {
    definition.active = false;
    name_once(changes_.definitions, definition);
  }
  return {};
}

// ---- compute environments
// --------------------------------------------------------------------------------------------

json::object Engine::create_compute_environment(const json::object& input, const std::string& uuid) {
  ComputeEnvironment made = make_compute_environment(input, config_, uuid);
  if (environments_.contains(made.name)) throw Reject("Object already exists");
  if (environments_.size() >= kEnvironmentsMax)
    throw Reject("Limit of 50 compute environments is reached; delete one that is not needed.");
  made.number = ++last_number_;
  auto owned = std::make_unique<ComputeEnvironment>(std::move(made));
  ComputeEnvironment& environment = *owned;
  environments_[environment.name] = std::move(owned);
  name_once(changes_.environments, environment);
  json::object out;
  out["computeEnvironmentName"] = environment.name;
  out["computeEnvironmentArn"] = environment.arn(config_);
  return out;
}

json::object Engine::update_compute_environment(const json::object& input) {
  std::string wanted = text(input, "computeEnvironment");
  ComputeEnvironment* environment = find_environment(resource_name(wanted, "compute-environment"));
  if (!environment) throw Reject("ComputeEnvironment " + wanted + " not found.");
  engine::update_compute_environment(*environment, input);
  name_once(changes_.environments, *environment);
  schedule_needed_ = true;
  json::object out;
  out["computeEnvironmentName"] = environment->name;
  out["computeEnvironmentArn"] = environment->arn(config_);
  return out;
}

json::object Engine::delete_compute_environment(const json::object& input) {
  std::string wanted = text(input, "computeEnvironment");
  ComputeEnvironment* environment = find_environment(resource_name(wanted, "compute-environment"));
  if (!environment) return {};
  for (const auto& [name, queue] : queues_by_name_)
    for (const ComputeEnvironment* used : queue->environments)
      if (used == environment) throw Reject("Cannot delete, found existing JobQueue relationship");
  if (environment->enabled())
    throw Reject("Cannot delete, state must be DISABLED: compute environment " + environment->name);
  for (const auto& [token, job] : attempts_)
    if (job->placed == environment) job->placed = nullptr;
  std::erase(changes_.environments, environment);
  changes_.deleted_environments.push_back(environment->number);
  environments_.erase(environment->name);
  return {};
}

// ---- job queues
// ------------------------------------------------------------------------------------------------------

void Engine::set_environment_order(JobQueue& queue, const json::array& order) const {
  if (order.empty()) throw Reject("At least one compute environment must be provided.");
  if (order.size() > kEnvironmentsOfQueueMax)
    throw Reject("Only 3 environments are allowed in job queue request.");
  std::map<int64_t, ComputeEnvironment*> sorted;
  std::set<std::string_view> seen;
  const ComputeEnvironment* first = nullptr;
  std::optional<bool> arm;
  for (const json::value& value : order) {
    std::string wanted = text(value.as_object(), "computeEnvironment");
    int64_t number = base::find_int(value.as_object(), "order").value_or(0);
    ComputeEnvironment* environment = find_environment(wanted);
    if (!environment || (wanted != environment->name && wanted != environment->arn(config_)))
      throw Reject("Compute Environments must be created and valid before attaching them to a job queue");
    if (!seen.insert(environment->name).second)
      throw Reject("Duplicate ComputeEnvironments within order list.");
    if (!sorted.emplace(number, environment).second)
      throw Reject("Duplicate ComputeEnvironment order values.");
    if (!first) first = environment;
    if (environment->fargate() != first->fargate())
      throw Reject("Fargate and EC2 compute environments can not be mixed.");
    if (!arm) arm = environment->arm();
    if (arm && environment->arm().value_or(*arm) != *arm)
      throw Reject("Compute environments with arm-based and other instance types can not be mixed.");
  }
  queue.environments.clear();
  queue.orders.clear();
  for (const auto& [number, environment] : sorted) {
    queue.orders.push_back(number);
    queue.environments.push_back(environment);
  }
}

json::object Engine::create_job_queue(const json::object& input) {
  auto owned = std::make_unique<JobQueue>();
  JobQueue& queue = *owned;
  queue.name = text(input, "jobQueueName");
  if (!is_resource_name(queue.name)) throw Reject("Job Queue name should match a valid pattern.");
  if (queues_by_name_.contains(queue.name)) throw Reject("Object already exists");
  if (queues_by_name_.size() >= kQueuesMax)
    throw Reject("Limit of 50 job queues is reached; delete one that is not needed.");
  check_queue_type(input);
  queue.line.follow(policy_of_request(input));
  queue.priority = base::find_int(input, "priority").value_or(0);
  if (queue.priority < 0) throw Reject("Job queue priority must be greater than or equal to 0.");
  queue.enabled = base::find_string(input, "state").value_or("ENABLED") == "ENABLED";
  const json::array* order = base::find_array(input, "computeEnvironmentOrder");
  set_environment_order(queue, order ? *order : json::array());
  if (auto type = base::find_string(input, "jobQueueType"))
    if ((*type == "ECS_FARGATE") != queue.environments.front()->fargate())
      throw Reject(fmt::format("Job queues of type {} can not have {} compute environments.", *type,
                               *type == "ECS_FARGATE" ? "EC2" : "Fargate"));
  if (const json::array* actions = base::find_array(input, "jobStateTimeLimitActions")) {
    check_time_limit_actions(*actions);
    queue.time_limit_actions = *actions;
  }
  if (const json::object* tags = base::find_object(input, "tags")) merge_tags(queue.tags, *tags);
  queue.number = ++last_number_;
  queues_by_name_[queue.name] = &queue;
  queues_[queue.number] = std::move(owned);
  sort_queues();
  name_once(changes_.queues, queue);
  json::object out;
  out["jobQueueName"] = queue.name;
  out["jobQueueArn"] = queue.arn(config_);
  return out;
}

json::object Engine::update_job_queue(const json::object& input) {
  std::string wanted = text(input, "jobQueue");
  JobQueue* queue = find_queue(resource_name(wanted, "job-queue"));
  if (!queue) throw Reject("JobQueue " + wanted + " not found.");
  if (queue->deleting) throw Reject("Cannot update, resource is being modified");
  SchedulingPolicy* policy = policy_of_request(input);
  if (policy && !queue->line.policy())
    throw Reject(fmt::format(
        "Job queue {} was created without a scheduling policy and can not have one; create another queue.",
        queue->name));
  if (has_entries(input, "serviceEnvironmentOrder"))
    throw Reject("serviceEnvironmentOrder is only applicable to job queues of type SAGEMAKER_TRAINING.");
  int64_t priority = base::find_int(input, "priority").value_or(queue->priority);
  if (priority < 0) throw Reject("Job queue priority must be greater than or equal to 0.");
  const json::array* actions = base::find_array(input, "jobStateTimeLimitActions");
  if (actions) check_time_limit_actions(*actions);
  if (const json::array* order = base::find_array(input, "computeEnvironmentOrder"))
    set_environment_order(*queue, *order);
  if (actions) queue->time_limit_actions = *actions;
  if (policy) follow(*queue, policy);
  queue->priority = priority;
  if (auto state = base::find_string(input, "state")) queue->enabled = *state == "ENABLED";
  sort_queues();
  name_once(changes_.queues, *queue);
  schedule_needed_ = true;
  json::object out;
  out["jobQueueName"] = queue->name;
  out["jobQueueArn"] = queue->arn(config_);
  return out;
}

json::object Engine::delete_job_queue(const json::object& input, TimeMs now) {
  std::string wanted = text(input, "jobQueue");
  JobQueue* queue = find_queue(resource_name(wanted, "job-queue"));
  if (!queue || queue->deleting) return {};
  if (queue->enabled) throw Reject("Cannot delete, state must be DISABLED: job queue " + queue->name);
  queue->deleting = true;
  name_once(changes_.queues, *queue);
  std::vector<Job*> jobs;
  for (const auto& by_status : queue->jobs)
    for (const auto& [seq, job] : by_status) jobs.push_back(job);
  for (Job* job : jobs)
    if (!is_finished(job->status)) cancel_waiting(*job, reasons::kQueueDeleted, true, now);
  end_deletion(*queue);
  return {};
}

// A queue that is being deleted goes when its last job has stopped.
void Engine::end_deletion(JobQueue& queue) {
  if (!queue.deleting || queue.deleted) return;
  for (size_t status = 0; status < static_cast<size_t>(JobStatus::kSucceeded); ++status)
    if (!queue.jobs[status].empty()) return;
  queue.deleted = true;
  queue.environments.clear();
  queue.orders.clear();
  queue.line.follow(nullptr);
  queues_by_name_.erase(queue.name);
  sort_queues();
  name_once(changes_.queues, queue);
}

void Engine::sort_queues() {
  queues_by_priority_.clear();
  for (const auto& [name, queue] : queues_by_name_) queues_by_priority_.push_back(queue);
  std::stable_sort(queues_by_priority_.begin(), queues_by_priority_.end(),
                   [](const JobQueue* a, const JobQueue* b) { return a->priority > b->priority; });
}

// ---- tags
// --------------------------------------------------------------------------------------------------------------

json::object Engine::change_tags(const json::object& input, bool remove) {
  std::string arn = text(input, "resourceArn");
  json::object* tags = nullptr;
  if (JobQueue* queue = find_queue(arn)) {
    tags = &queue->tags;
    name_once(changes_.queues, *queue);
  } else if (ComputeEnvironment* environment = find_environment(arn)) {
    tags = &environment->tags;
    name_once(changes_.environments, *environment);
  } else if (SchedulingPolicy* policy = find_policy(arn)) {
    tags = &policy->tags;
    name_once(changes_.policies, *policy);
  } else if (ConsumableResource* resource = find_consumable(arn)) {
    tags = &resource->tags;
    name_once(changes_.consumables, *resource);
  } else if (const JobDefinition* definition = find_definition(arn)) {
    tags = &definitions_.at(definition->number)->tags;
    name_once(changes_.definitions, *definition);
  } else if (size_t at = arn.find(":job/"); at != std::string::npos) {
    auto seq = job_seq(std::string_view(arn).substr(at + 5));
    auto it = seq ? jobs_.find(*seq) : jobs_.end();
    if (it == jobs_.end()) throw Reject("Job " + arn.substr(at + 5) + " not found.");
    if (it->second->parent != 0) throw Reject("Children of array jobs cannot be tagged.");
    if (!it->second->tags) it->second->tags = std::make_unique<json::object>();
    tags = it->second->tags.get();
    mark(*it->second);
  }
  if (!tags || arn.substr(0, 4) != "arn:") throw Reject("Resource not found: " + arn);
  if (remove) {
    for (const json::value& key : input.at("tagKeys").as_array()) tags->erase(key.as_string());
  } else {
    merge_tags(*tags, input.at("tags").as_object());
  }
  return {};
}

}  // namespace millrace::engine

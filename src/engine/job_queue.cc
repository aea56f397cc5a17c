#include "engine/job_queue.h"

#include "engine/compute_environment.h"
#include "engine/reasons.h"

namespace millrace::engine {

json::object describe(const JobQueue& queue, const Config& config) {
  json::object out;
  out["jobQueueName"] = queue.name;
  out["jobQueueArn"] = queue.arn(config);
  out["state"] = queue.enabled ? "ENABLED" : "DISABLED";
  out["status"] = queue.deleting ? "DELETING" : "VALID";
  out["statusReason"] = reasons::kQueueHealthy;
  out["priority"] = queue.priority;
  json::array order;
  bool fargate = false;
  for (size_t i = 0; i < queue.environments.size(); ++i) {
    fargate = queue.environments[i]->fargate();
    order.push_back({{"order", queue.orders[i]}, {"computeEnvironment", queue.environments[i]->arn(config)}});
  }
  out["computeEnvironmentOrder"] = std::move(order);
  out["serviceEnvironmentOrder"] = json::array();
  if (const SchedulingPolicy* policy = queue.line.policy()) out["schedulingPolicyArn"] = policy->arn(config);
  out["jobQueueType"] = fargate ? "ECS_FARGATE" : "ECS";
  out["tags"] = queue.tags;
  out["jobStateTimeLimitActions"] = queue.time_limit_actions;
  return out;
}

}  // namespace millrace::engine

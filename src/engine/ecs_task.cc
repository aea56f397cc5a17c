#include "engine/ecs_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "engine/container_rules.h"
#include "engine/reject.h"

namespace millrace::engine {
namespace {

constexpr size_t kContainersMax = 10;
constexpr int64_t kTimeoutMin = 2, kTimeoutMax = 120;  // seconds
constexpr int64_t kStopTimeout = 30;                   // what every job gets

// What a container of a task and ContainerProperties have in common.
constexpr std::array<const char*, 13> kOfContainer = {"command",
                                                      "environment",
                                                      "image",
                                                      "linuxParameters",
                                                      "logConfiguration",
                                                      "mountPoints",
                                                      "privileged",
                                                      "readonlyRootFilesystem",
                                                      "secrets",
                                                      "ulimits",
                                                      "user",
                                                      "repositoryCredentials",
                                                      "resourceRequirements"};

// What a task and ContainerProperties have in common.
constexpr std::array<const char*, 6> kOfTask = {"executionRoleArn", "volumes",
                                                "ephemeralStorage", "networkConfiguration",
                                                "runtimePlatform",  "enableExecuteCommand"};

// Of a run, as the container of a job or attempt shows it.
constexpr std::array<const char*, 4> kRunOfContainer = {"exitCode", "reason", "logStreamName",
                                                        "networkInterfaces"};
constexpr std::array<const char*, 2> kRunOfTask = {"containerInstanceArn", "taskArn"};

std::string_view text(const json::object& object, std::string_view member) {
  return base::find_string(object, member).value_or("");
}

template <typename Names>
void copy(const json::object& from, const Names& names, json::object& to) {
  for (const char* name : names)
    if (const json::value* value = from.if_contains(name)) to[name] = *value;
}

const json::object& task_of(const json::object& ecs) {
  return ecs.at("taskProperties").as_array().at(0).as_object();
}

bool is_essential(const json::object& container) {
  return base::find_bool(container, "essential").value_or(true);
}

// The container and its task as ContainerProperties, whatever else they say.
json::object flatten(const json::object& task, const json::object& container) {
  json::object flat;
  copy(container, kOfContainer, flat);
  copy(task, kOfTask, flat);
  if (const json::value* role = task.if_contains("taskRoleArn")) flat["jobRoleArn"] = *role;
  if (const json::value* version = task.if_contains("platformVersion"))
    flat["fargatePlatformConfiguration"] = {{"platformVersion", *version}};
  return flat;
}

void check_dependencies(const json::object& container, const json::array& containers) {
  const json::array* dependencies = base::find_array(container, "dependsOn");
  if (!dependencies || dependencies->empty()) return;
  if (containers.size() == 1) throw Reject("Container dependency can not be used in a single-container job.");
  for (const json::value& value : *dependencies) {
    const json::object& dependency = value.as_object();
    std::string_view name = text(dependency, "containerName"), condition = text(dependency, "condition");
    if (condition != "START" && condition != "COMPLETE" && condition != "SUCCESS")
      throw Reject(fmt::format(
          "TaskContainer dependency {} is not valid. Valid values are: [START, COMPLETE, SUCCESS]",
          condition));
    auto target = std::find_if(containers.begin(), containers.end(), [&](const json::value& other) {
      return text(other.as_object(), "name") == name;
    });
    if (target == containers.end())
      throw Reject(fmt::format("containerName {} must reference a defined container.", name));
    if (condition != "START" && is_essential(target->as_object()))
      throw Reject(fmt::format(
          "The container target of a dependency can not have condition {} if the target is essential",
          condition));
  }
}

void check_timeouts(const json::object& container) {
  for (const char* member : {"startTimeout", "stopTimeout"})
    if (auto seconds = base::find_int(container, member);
        seconds && (*seconds < kTimeoutMin || *seconds > kTimeoutMax))
      throw Reject(fmt::format("{} must be between {} and {} seconds, got {}.", member, kTimeoutMin,
                               kTimeoutMax, *seconds));
}

void check_modes(const json::object& task) {
  std::string_view ipc = text(task, "ipcMode"), pid = text(task, "pidMode");
  if (!ipc.empty() && ipc != "host" && ipc != "task" && ipc != "none")
    throw Reject(fmt::format("ipcMode {} is not valid. Valid values are: [host, task, none]", ipc));
  if (!pid.empty() && pid != "host" && pid != "task")
    throw Reject(fmt::format("Capability {} is not valid. Valid capabilities: [host, task]", pid));
}

}  // namespace

void check_ecs_properties(const json::object& ecs, bool fargate) {
  const json::array* tasks = base::find_array(ecs, "taskProperties");
  if (!tasks || tasks->size() != 1) throw Reject("Number of taskProperties must be 1");
  const json::object& task = task_of(ecs);
  const json::array* containers = base::find_array(task, "containers");
  if (!containers || containers->empty() || containers->size() > kContainersMax)
    throw Reject("Number of containers must be between 1 and 10");
  check_modes(task);
  bool essential = false;
  std::set<std::string_view> names;
  for (const json::value& value : *containers) {
    const json::object& container = value.as_object();
    essential |= is_essential(container);
    std::string_view name = text(container, "name");
    if (containers->size() > 1 && name.empty())
      throw Reject("Container name is required in a multi-container job.");
    if (!names.insert(name).second) throw Reject(fmt::format("Duplicate container name {}.", name));
    check_dependencies(container, *containers);
    check_timeouts(container);
    check_container(flatten(task, container), fargate);
  }
  if (!essential) throw Reject("At least one container must be set as essential");
}

json::object container_of(const json::object& ecs, bool fargate) {
  const json::object& task = task_of(ecs);
  const json::array& containers = task.at("containers").as_array();
  auto unsupported = [](const std::string& what) {
    throw Reject("ecsProperties: " + what + " not supported by this version of Millrace.");
  };
  if (containers.size() > 1)
    unsupported(fmt::format("tasks of {} containers are (one container is)", containers.size()));
  const json::object& container = containers[0].as_object();
  if (base::find(container, "firelensConfiguration")) unsupported("firelensConfiguration is");
  for (const char* mode : {"ipcMode", "pidMode", "networkMode"})
    if (!text(task, mode).empty()) unsupported(fmt::format("{} {} is", mode, text(task, mode)));
  if (base::find_int(container, "stopTimeout").value_or(kStopTimeout) != kStopTimeout)
    unsupported(fmt::format("a stopTimeout other than {} seconds is", kStopTimeout));
  json::object flat = flatten(task, container);
  complete_container(flat, fargate);
  return flat;
}

const json::object* container_override(const json::object& override, const json::object& ecs) {
  const json::array* tasks = base::find_array(override, "taskProperties");
  if (!tasks || tasks->empty()) return nullptr;
  if (tasks->size() != 1) throw Reject("Number of taskProperties must be 1");
  const json::array* containers = base::find_array((*tasks)[0].as_object(), "containers");
  if (!containers || containers->empty()) return nullptr;
  std::string_view own = text(task_of(ecs).at("containers").as_array().at(0).as_object(), "name");
  const json::object* found = nullptr;
  for (const json::value& value : *containers) {
    const json::object& container = value.as_object();
    std::string_view name = text(container, "name");
    if (name != own && !name.empty())
      throw Reject(
          fmt::format("ecsPropertiesOverride names the container {}; the job definition has {}.", name, own));
    if (found) throw Reject(fmt::format("Duplicate container name {}.", own));
    found = &container;
  }
  return found;
}

void complete_ecs_properties(json::object& ecs, bool fargate) {
  json::object flat = container_of(ecs, fargate);
  json::object& task = ecs["taskProperties"].as_array()[0].as_object();
  json::object& container = task["containers"].as_array()[0].as_object();
  copy(flat, kOfTask, task);
  copy(flat, kOfContainer, container);
  container.emplace("dependsOn", json::array());
  container.emplace("essential", true);
  container.emplace("name", "default");
  if (fargate) task["platformVersion"] = flat["fargatePlatformConfiguration"].as_object()["platformVersion"];
}

void show_as_task(json::object& job, const json::object& ecs) {
  json::object shown = ecs;
  json::object& task = shown["taskProperties"].as_array()[0].as_object();
  json::object& container = task["containers"].as_array()[0].as_object();
  const json::object run = job["container"].as_object();
  copy(run, kOfContainer, container);
  copy(run, kRunOfContainer, container);
  copy(run, kRunOfTask, task);
  job["ecsProperties"] = shown;
  job["container"] = json::object();
  for (json::value& value : job["attempts"].as_array()) {
    json::object& attempt = value.as_object();
    const json::object ran = attempt["container"].as_object();
    json::object ran_container{{"name", container.at("name")}}, ran_task;
    copy(ran, kRunOfContainer, ran_container);
    copy(ran, kRunOfTask, ran_task);
    ran_task["containers"] = json::array{std::move(ran_container)};
    attempt["container"] = json::object();
    attempt["taskProperties"] = json::array{std::move(ran_task)};
  }
}

}  // namespace millrace::engine

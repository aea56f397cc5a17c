#include "engine/submission.h"

#include <algorithm>

#include "engine/ecs_task.h"
#include "engine/reject.h"
#include "engine/retry.h"

namespace millrace::engine {
namespace {

constexpr std::string_view kRef = "Ref::";
constexpr int64_t kTimeoutMinSeconds = 60;
constexpr size_t kOverridesMax = 8192;  // as JSON text (ECS RunTask)

bool is_parameter_char(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

// Lays the entries of `overrides` over those of the same `key`.
void merge_list(json::array& into, const json::array& overrides, std::string_view key) {
  for (const json::value& value : overrides) {
    auto name = base::find_string(value.as_object(), key);
    auto same = std::find_if(into.begin(), into.end(), [&](const json::value& old) {
      return base::find_string(old.as_object(), key) == name;
    });
    if (same == into.end()) {
      into.push_back(value);
    } else {
      *same = value;
    }
  }
}

bool requires_resource(const json::array& requirements, std::string_view type) {
  return std::any_of(requirements.begin(), requirements.end(), [&](const json::value& requirement) {
    return base::find_string(requirement.as_object(), "type") == type;
  });
}

void apply_overrides(json::object& container, const json::object& overrides, bool fargate,
                     Resources& resources) {
  if (const json::array* command = base::find_array(overrides, "command"); command && !command->empty())
    container["command"] = *command;
  if (const json::array* environment = base::find_array(overrides, "environment"))
    merge_list(container["environment"].as_array(), *environment, "name");
  json::array& required = container["resourceRequirements"].as_array();
  if (const json::array* requirements = base::find_array(overrides, "resourceRequirements")) {
    read_resources(json::object{{"resourceRequirements", *requirements}}, fargate, resources);
    merge_list(required, *requirements, "type");
  }
  // The deprecated members count only where the definition uses them too, and nothing newer.
  for (auto [member, type] : {std::pair("vcpus", "VCPU"), std::pair("memory", "MEMORY")})
    if (auto value = base::find_int(overrides, member);
        value && container.contains(member) && !requires_resource(required, type)) {
      container[member] = *value;
      if (std::string_view(member) == "vcpus") resources.vcpus_milli = *value * 1000;
      if (std::string_view(member) == "memory") resources.memory_mib = *value;
    }
}

// Programs get their arguments and variables as text that ends at the first NUL.
void refuse_nul(std::string_view text, const char* what) {
  if (text.find('\0') != std::string_view::npos)
    throw Reject(std::string("A NUL character is not possible in ") + what + ".");
}

}  // namespace

std::string substitute(std::string_view argument, const json::object& parameters) {
  std::string out;
  for (;;) {
    size_t at = argument.find(kRef);
    out += argument.substr(0, at);
    if (at == std::string_view::npos) return out;
    argument.remove_prefix(at + kRef.size());
    size_t end = 0;
    while (end < argument.size() && is_parameter_char(argument[end])) ++end;
    if (end == 0) {
      out += kRef;
      continue;
    }
    std::string_view name = argument.substr(0, end);
    auto value = base::find_string(parameters, name);
    if (!value)
      throw Reject("Unable to substitute value. No parameter found for reference " + std::string(name));
    out += *value;
    argument.remove_prefix(end);
  }
}

const json::object* overrides_of(const JobDefinition& definition, const json::object& submission) {
  const json::object* container = base::find_object(submission, "containerOverrides");
  const json::object* task = base::find_object(submission, "ecsPropertiesOverride");
  if (!task || task->empty()) return container;
  if (!definition.ecs())
    throw Reject("ecsPropertiesOverride is for job definitions with ecsProperties; use containerOverrides.");
  if (container && !container->empty())
    throw Reject("containerOverrides and ecsPropertiesOverride can not be used together.");
  return container_override(*task, *definition.ecs());
}

EffectiveJob merge(const JobDefinition& definition, const json::object& submission) {
  EffectiveJob job;
  bool fargate = definition.fargate();
  if (const json::object* defaults = base::find_object(definition.body, "parameters"))
    job.parameters = *defaults;
  if (const json::object* given = base::find_object(submission, "parameters"))
    for (const auto& [name, value] : *given) job.parameters[name] = value;

  job.container = definition.container();
  read_resources(job.container, fargate, job.resources);
  if (const json::object* overrides = overrides_of(definition, submission))
    apply_overrides(job.container, *overrides, fargate, job.resources);
  for (json::value& argument : job.container["command"].as_array())
    argument = substitute(base::view(argument.get_string()), job.parameters);

  const json::object* retry = base::find_object(submission, "retryStrategy");
  if (!retry) retry = base::find_object(definition.body, "retryStrategy");
  if (retry) {
    job.retry_strategy = *retry;
    if (!job.retry_strategy->contains("evaluateOnExit"))
      (*job.retry_strategy)["evaluateOnExit"] = json::array();
  }
  const json::object* timeout = base::find_object(submission, "timeout");
  if (!timeout) timeout = base::find_object(definition.body, "timeout");
  if (timeout) job.timeout_s = base::find_int(*timeout, "attemptDurationSeconds");
  if (const json::array* dependencies = base::find_array(submission, "dependsOn"))
    job.depends_on = *dependencies;
  if (const json::object* array = base::find_object(submission, "arrayProperties"))
    job.array_size = base::find_int(*array, "size").value_or(0);
  job.share = base::find_string(submission, "shareIdentifier").value_or("");
  job.priority = base::find_int(submission, "schedulingPriorityOverride")
                     .value_or(base::find_int(definition.body, "schedulingPriority").value_or(0));
  const json::object* consumables = base::find_object(submission, "consumableResourcePropertiesOverride");
  if (!consumables) consumables = base::find_object(definition.body, "consumableResourceProperties");
  if (consumables) job.consumables = *consumables;
  job.propagate_tags = base::find_bool(submission, "propagateTags")
                           .value_or(base::find_bool(definition.body, "propagateTags").value_or(false));
  return job;
}

void check_submission(const JobDefinition& definition, const json::object& submission,
                      const EffectiveJob& job) {
  if (const json::object* overrides = overrides_of(definition, submission)) {
    if (const json::array* command = base::find_array(*overrides, "command"))
      for (const json::value& argument : *command)
        if (argument.get_string().empty())
          throw Reject("Container overrides command must not contain empty strings.");
    if (const json::array* variables = base::find_array(*overrides, "environment"))
      for (const json::value& value : *variables) {
        std::string_view name = base::find_string(value.as_object(), "name").value_or("");
        if (name.empty()) throw Reject("Environment variable name is required.");
        if (name.substr(0, 9) == "AWS_BATCH")
          throw Reject(
              "Environment variable names cannot start with AWS_BATCH. This naming convention is reserved "
              "for "
              "variables that Batch sets: " +
              std::string(name));
      }
  }
  for (const json::value& argument : job.container.at("command").as_array())
    refuse_nul(base::view(argument.get_string()), "command");
  for (const json::value& variable : job.container.at("environment").as_array())
    for (const char* part : {"name", "value"})
      refuse_nul(base::find_string(variable.as_object(), part).value_or(""), "environment");
  check_resources(job.resources, definition.fargate());
  if (const json::object* retry = base::find_object(submission, "retryStrategy"))
    check_retry_strategy(*retry);
  if (job.timeout_s && *job.timeout_s < kTimeoutMinSeconds)
    throw Reject("The minimum timeout of a job attempt is 60 seconds.");
}

EffectiveJob effective_job(const Job& job) {
  return merge(*job.definition, base::parse_json(job.submission).as_object());
}

bool too_long_for_ecs(const JobDefinition& definition, std::string_view submission) {
  if (submission.size() <= kOverridesMax) return false;
  json::value value = base::parse_json(submission);
  const json::object* overrides = overrides_of(definition, value.as_object());
  return overrides && json::serialize(*overrides).size() > kOverridesMax;
}

}  // namespace millrace::engine

#include "engine/submission.h"

#include "engine/reject.h"
#include "engine/retry.h"

namespace millrace::engine {
namespace {

constexpr std::string_view kRef = "Ref::";
constexpr int64_t kTimeoutMinSeconds = 60;

bool is_parameter_char(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

void merge_environment(json::array& into, const json::array& overrides) {
  for (const json::value& value : overrides) {
    const json::object& variable = value.as_object();
    std::string_view name = base::find_string(variable, "name").value_or("");
    if (name.empty()) throw Reject("Environment variable name is required.");
    if (name.substr(0, 9) == "AWS_BATCH")
      throw Reject(
          "Environment variable names cannot start with AWS_BATCH. This naming convention is reserved for "
          "variables that Batch sets: " +
          std::string(name));
    bool replaced = false;
    for (json::value& old : into)
      if (base::find_string(old.as_object(), "name") == name) {
        old = value;
        replaced = true;
      }
    if (!replaced) into.push_back(value);
  }
}

void merge_requirements(json::array& into, const json::array& overrides) {
  for (const json::value& value : overrides) {
    auto type = base::find_string(value.as_object(), "type");
    bool replaced = false;
    for (json::value& old : into)
      if (base::find_string(old.as_object(), "type") == type) {
        old = value;
        replaced = true;
      }
    if (!replaced) into.push_back(value);
  }
}

void apply_overrides(json::object& container, const json::object& overrides, bool fargate,
                     Resources& resources) {
  if (const json::array* command = base::find_array(overrides, "command"); command && !command->empty()) {
    for (const json::value& argument : *command)
      if (argument.get_string().empty())
        throw Reject("Container overrides command must not contain empty strings.");
    container["command"] = *command;
  }
  if (const json::array* environment = base::find_array(overrides, "environment"))
    merge_environment(container["environment"].as_array(), *environment);
  if (const json::array* requirements = base::find_array(overrides, "resourceRequirements")) {
    read_resources(json::object{{"resourceRequirements", *requirements}}, fargate, resources);
    merge_requirements(container["resourceRequirements"].as_array(), *requirements);
  }
  // The deprecated members count only where the definition uses them too.
  for (const char* member : {"vcpus", "memory"})
    if (auto value = base::find_int(overrides, member); value && container.contains(member)) {
      container[member] = *value;
      if (std::string_view(member) == "vcpus") resources.vcpus_milli = *value * 1000;
      if (std::string_view(member) == "memory") resources.memory_mib = *value;
    }
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

EffectiveJob merge(const JobDefinition& definition, const json::object& submission) {
  EffectiveJob job;
  bool fargate = definition.fargate();
  if (const json::object* defaults = base::find_object(definition.body, "parameters"))
    job.parameters = *defaults;
  if (const json::object* given = base::find_object(submission, "parameters"))
    for (const auto& [name, value] : *given) job.parameters[name] = value;

  job.container = definition.container();
  read_resources(job.container, fargate, job.resources);
  if (const json::object* overrides = base::find_object(submission, "containerOverrides"))
    apply_overrides(job.container, *overrides, fargate, job.resources);
  check_resources(job.resources, fargate);
  for (json::value& argument : job.container["command"].as_array())
    argument = substitute(base::view(argument.get_string()), job.parameters);

  const json::object* retry = base::find_object(submission, "retryStrategy");
  if (retry) check_retry_strategy(*retry);
  if (!retry) retry = base::find_object(definition.body, "retryStrategy");
  if (retry) {
    job.retry_strategy = *retry;
    if (!job.retry_strategy->contains("evaluateOnExit"))
      (*job.retry_strategy)["evaluateOnExit"] = json::array();
  }
  const json::object* timeout = base::find_object(submission, "timeout");
  if (!timeout) timeout = base::find_object(definition.body, "timeout");
  if (timeout) {
    job.timeout_s = base::find_int(*timeout, "attemptDurationSeconds");
    if (job.timeout_s && *job.timeout_s < kTimeoutMinSeconds)
      throw Reject("The minimum timeout of a job attempt is 60 seconds.");
  }
  job.propagate_tags = base::find_bool(submission, "propagateTags")
                           .value_or(base::find_bool(definition.body, "propagateTags").value_or(false));
  return job;
}

EffectiveJob effective_job(const Job& job) {
  return merge(*job.definition, base::parse_json(job.submission).as_object());
}

}  // namespace millrace::engine

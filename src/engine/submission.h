// A job definition and what a submission laid over it, brought together.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "engine/job.h"
#include "engine/job_definition.h"
#include "engine/resources.h"

namespace millrace::engine {

// Everything that decides how a job runs. The JSON values are copies: the definition may go away.
struct EffectiveJob {
  json::object parameters;
  json::object
      container;  // image, command (with Ref:: replaced), environment merged by name, resourceRequirements …
  std::optional<json::object> retry_strategy;
  std::optional<int64_t> timeout_s;  // of one attempt
  json::array depends_on;
  int64_t array_size = 0;  // 0: no array job
  bool propagate_tags = false;
  std::string share;
  int64_t priority = 0;      // in the share
  json::object consumables;  // consumableResourceProperties
  Resources resources;
};

// What `submission` overrides in the container: its containerOverrides, or its ecsPropertiesOverride where
// `definition` is an ECS task; null when it overrides nothing. Throws Reject for an override of the other
// kind.
const json::object* overrides_of(const JobDefinition& definition, const json::object& submission);

// Lays `submission` (members of SubmitJob: parameters, containerOverrides, retryStrategy, timeout, …) over
// `definition`: parameters by name, command and each type of resource replaced, environment merged by name.
// Throws Reject for a Ref:: without a value and for resources that are no numbers.
EffectiveJob merge(const JobDefinition& definition, const json::object& submission);

// Throws Reject for the rest of what AWS refuses at submission. `job` is what merge() made of the two.
void check_submission(const JobDefinition& definition, const json::object& submission,
                      const EffectiveJob& job);

// The same as merge() of a job that was accepted, which never throws.
EffectiveJob effective_job(const Job& job);

// Whether the container overrides are longer than ECS takes. AWS finds out when it starts the job.
bool too_long_for_ecs(const JobDefinition& definition, std::string_view submission);

// Replaces every Ref::name of `argument`. Throws Reject for a name that `parameters` does not have.
std::string substitute(std::string_view argument, const json::object& parameters);

}  // namespace millrace::engine

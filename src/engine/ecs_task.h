// Jobs described as an ECS task (EcsProperties): what is allowed, and how a task of one container becomes the
// form in which all jobs run, and is shown as a task again.
#pragma once

#include "base/json.h"

namespace millrace::engine {

namespace json = base::json;

// Throws Reject with AWS's sentence for the first rule that `ecs` breaks. Tasks of several containers pass.
void check_ecs_properties(const json::object& ecs, bool fargate);

// The container of a checked task as ContainerProperties. Throws Reject, naming what it is, for what
// this version does not run: several containers, firelens, modes other than the defaults, a stopTimeout.
json::object container_of(const json::object& ecs, bool fargate);

// What an ecsPropertiesOverride says of the one container of `ecs`, in the form of containerOverrides; null
// when it says nothing. Throws Reject for another container than that.
const json::object* container_override(const json::object& override, const json::object& ecs);

// Gives the lists and defaults that AWS shows to a checked `ecs` of one container.
void complete_ecs_properties(json::object& ecs, bool fargate);

// Turns the JobDetail `job`, written as for containerProperties, into that of a job with `ecs`: the run is
// shown in ecsProperties and in taskProperties of each attempt.
void show_as_task(json::object& job, const json::object& ecs);

}  // namespace millrace::engine

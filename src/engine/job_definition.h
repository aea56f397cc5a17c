// Job definitions: immutable, numbered revisions of what to run.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "engine/config.h"
#include "engine/resources.h"

namespace millrace::engine {

struct JobDefinition {
  int64_t number = 0;  // unique for ever, for the store
  std::string name;
  int64_t revision = 1;
  bool active = true;
  // As DescribeJobDefinitions shows it, without name, arn, revision, status and tags. The containerProperties
  // of a definition with ecsProperties are made from those, and not shown.
  json::object body;
  json::object tags;

  bool fargate() const;
  // Null unless the definition was given as an ECS task.
  const json::object* ecs() const { return base::find_object(body, "ecsProperties"); }
  const json::object& container() const { return body.at("containerProperties").as_object(); }
  // Whether an attempt cannot start without values that are kept elsewhere.
  bool needs_secrets() const;
  std::string arn(const Config& config) const {
    return config.arn("job-definition/" + name + ":" + std::to_string(revision));
  }
};

// Checks a RegisterJobDefinition request and brings it into the form that is stored and shown. Throws Reject
// with AWS's sentence. Number and revision are the caller's to set.
JobDefinition make_job_definition(const json::object& input);

// One entry of DescribeJobDefinitions.
json::object describe(const JobDefinition& definition, const Config& config);

}  // namespace millrace::engine

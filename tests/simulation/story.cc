#include "tests/simulation/story.h"

#include <fmt/format.h>

namespace millrace::simulation {
namespace {

using engine::ApiOperation;

std::string name(ApiOperation operation) {
  switch (operation) {
    case ApiOperation::kRegisterJobDefinition:
      return "RegisterJobDefinition";
    case ApiOperation::kDeregisterJobDefinition:
      return "DeregisterJobDefinition";
    case ApiOperation::kCreateComputeEnvironment:
      return "CreateComputeEnvironment";
    case ApiOperation::kUpdateComputeEnvironment:
      return "UpdateComputeEnvironment";
    case ApiOperation::kDeleteComputeEnvironment:
      return "DeleteComputeEnvironment";
    case ApiOperation::kCreateJobQueue:
      return "CreateJobQueue";
    case ApiOperation::kUpdateJobQueue:
      return "UpdateJobQueue";
    case ApiOperation::kDeleteJobQueue:
      return "DeleteJobQueue";
    case ApiOperation::kSubmitJob:
      return "SubmitJob";
    case ApiOperation::kCancelJob:
      return "CancelJob";
    case ApiOperation::kTerminateJob:
      return "TerminateJob";
    case ApiOperation::kCancelJobs:
      return "CancelJobs";
    case ApiOperation::kTerminateJobs:
      return "TerminateJobs";
    case ApiOperation::kTagResource:
      return "TagResource";
    case ApiOperation::kUntagResource:
      return "UntagResource";
    default:
      return fmt::format("operation {}", static_cast<int>(operation));
  }
}

std::string describe(const engine::AttemptFinished& report) {
  std::string text = fmt::format("attempt {} ended", report.token);
  if (report.exit_code) text += fmt::format(", exit code {}", *report.exit_code);
  if (!report.started) text += ", was not begun";
  if (report.host_lost) text += ", host lost";
  if (report.never_received) text += ", never received";
  if (report.revoked) text += ", revoked";
  if (!report.reason.empty()) text += ", " + report.reason;
  return text;
}

}  // namespace

std::string describe(const engine::Command& command) {
  if (const auto* api = std::get_if<engine::ApiCommand>(&command))
    return name(api->operation) + " " + engine::json::serialize(api->input);
  if (const auto* host = std::get_if<engine::HostUp>(&command))
    return fmt::format("host {} is up, vCPUs {}, {} MiB", host->instance,
                       static_cast<double>(host->vcpus_milli) / 1000, host->memory_mib);
  if (const auto* started = std::get_if<engine::AttemptStarted>(&command))
    return fmt::format("attempt {} runs since {}", started->token, started->at);
  if (const auto* finished = std::get_if<engine::AttemptFinished>(&command)) return describe(*finished);
  return "time has passed";
}

std::string describe(const engine::Effect& effect) {
  if (const auto* start = std::get_if<engine::StartAttempt>(&effect))
    return fmt::format("start attempt {} (number {} of {}){}", start->token, start->attempt, start->job_id,
                       start->after ? fmt::format(", behind {}", start->after) : "");
  if (const auto* revoke = std::get_if<engine::RevokeAttempt>(&effect))
    return fmt::format("revoke attempt {}", revoke->token);
  if (const auto* stop = std::get_if<engine::StopAttempt>(&effect))
    return fmt::format("stop attempt {}", stop->token);
  if (const auto* acknowledge = std::get_if<engine::AcknowledgeAttempt>(&effect))
    return fmt::format("acknowledge attempt {}", acknowledge->token);
  return "another effect";
}

std::string describe(const std::variant<engine::json::object, engine::Refusal>& reply) {
  if (const auto* refusal = std::get_if<engine::Refusal>(&reply))
    return fmt::format("{} {}", refusal->status, refusal->message);
  return engine::json::serialize(std::get<engine::json::object>(reply));
}

}  // namespace millrace::simulation

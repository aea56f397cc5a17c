// An engine with one queue on one host, and short ways to drive it. Time and identifiers are the test's own.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/views.h"

namespace millrace::engine {

inline json::object object(const std::string& text) { return base::parse_json(text).as_object(); }

class Harness {
 public:
  explicit Harness(int64_t vcpus = 4, int64_t memory_mib = 8192, const Config& with = config())
      : engine(with) {
    apply(HostUp{"i-0123456789abcdef0", vcpus * 1000, memory_mib, 0});
  }

  static Config config() {
    Config c;
    c.id_seed = "0123456789abcdef";
    return c;
  }

  // Environment "ce" (256 vCPUs), queue "q", definition "d" (1 vCPU, 128 MiB, `true`).
  void basics(const std::string& definition_extra = "") {
    ok(ApiOperation::kCreateComputeEnvironment, environment("ce", 256));
    ok(ApiOperation::kCreateJobQueue, queue("q", 1, "ce"));
    ok(ApiOperation::kRegisterJobDefinition, definition("d", definition_extra));
  }

  static std::string environment(const std::string& name, int max) {
    return R"({"computeEnvironmentName":")" + name +
           R"(","type":"MANAGED","computeResources":{"type":"EC2","maxvCpus":)" + std::to_string(max) +
           R"(,"minvCpus":0,"instanceTypes":["optimal"],"subnets":["subnet-1"],"instanceRole":"ecsInstanceRole"}})";
  }
  static std::string queue(const std::string& name, int priority, const std::string& environment) {
    return R"({"jobQueueName":")" + name + R"(","priority":)" + std::to_string(priority) +
           R"(,"computeEnvironmentOrder":[{"order":1,"computeEnvironment":")" + environment + R"("}]})";
  }
  static std::string definition(const std::string& name, const std::string& extra = "") {
    return R"({"jobDefinitionName":")" + name +
           R"(","type":"container","containerProperties":{"image":"busybox",
      "command":["true"],"resourceRequirements":[{"type":"VCPU","value":"1"},{"type":"MEMORY","value":"128"}]})" +
           extra + "}";
  }

  Outcome apply(const Command& command) {
    Outcome outcome = engine.apply(command, now);
    for (Effect& effect : outcome.effects) {
      if (auto* start = std::get_if<StartAttempt>(&effect)) started.push_back(*start);
      if (auto* stop = std::get_if<StopAttempt>(&effect)) stopped.push_back(*stop);
      if (auto* revoke = std::get_if<RevokeAttempt>(&effect)) revoked.push_back(*revoke);
    }
    return outcome;
  }
  Outcome call(ApiOperation operation, const std::string& input) {
    return apply(ApiCommand{operation, object(input), "11111111-2222-4333-8444-555555555555"});
  }
  json::object ok(ApiOperation operation, const std::string& input) {
    Outcome outcome = call(operation, input);
    if (auto* refusal = std::get_if<Refusal>(&outcome.reply)) {
      ADD_FAILURE() << refusal->message << " for " << input;
      return {};
    }
    return std::get<json::object>(outcome.reply);
  }
  // The message of the refusal; a failure when it was none.
  std::string refused(ApiOperation operation, const std::string& input) {
    Outcome outcome = call(operation, input);
    auto* refusal = std::get_if<Refusal>(&outcome.reply);
    if (!refusal) {
      ADD_FAILURE() << "not refused: " << input;
      return "";
    }
    EXPECT_EQ(refusal->code, "ClientException");
    EXPECT_EQ(refusal->status, 400);
    return refusal->message;
  }
  std::string submit(const std::string& extra = "", const std::string& queue = "q",
                     const std::string& job = "j") {
    json::object reply = ok(ApiOperation::kSubmitJob, R"({"jobName":")" + job + R"(","jobQueue":")" + queue +
                                                          R"(","jobDefinition":"d")" + extra + "}");
    return std::string(base::find_string(reply, "jobId").value_or(""));
  }
  // DescribeJobs of a job that the engine still has.
  json::object job(const std::string& id) {
    const Job* found = engine.find_job(*engine.job_seq(id));
    if (!found) {
      ADD_FAILURE() << "no job " << id;
      return {};
    }
    return describe(*found, engine);
  }
  std::string status(const std::string& id) {
    return std::string(base::find_string(job(id), "status").value_or(""));
  }
  std::string reason(const std::string& id) {
    return std::string(base::find_string(job(id), "statusReason").value_or(""));
  }
  uint64_t token(const std::string& id) {
    return engine.find_job(*engine.ids().from_uuid(id))->current->token;
  }
  void run(const std::string& id) { apply(AttemptStarted{token(id), now}); }
  void exit(const std::string& id, int code, const std::string& why = "") {
    AttemptFinished report;
    report.token = token(id);
    report.started = true;
    report.exit_code = code;
    report.reason = why;
    report.started_at = engine.find_job(*engine.ids().from_uuid(id))->started_at;
    report.stopped_at = now;
    apply(report);
  }

  Engine engine;
  TimeMs now = 1'700'000'000'000;
  std::vector<StartAttempt> started;
  std::vector<StopAttempt> stopped;
  std::vector<RevokeAttempt> revoked;
};

}  // namespace millrace::engine

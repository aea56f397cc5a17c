#include "exec/dispatch.h"

#include <spdlog/spdlog.h>

#include <cmath>

#include "base/error.h"

namespace millrace::exec {

Dispatch::Dispatch(engine::Driver& driver, Executor& executor, AttemptSetup& setup)
    : driver_(driver), executor_(executor), setup_(setup) {}

void Dispatch::begin(const std::vector<AttemptToken>& believed) {
  executor_.adopt(believed, *this);
  offer_host();
}

void Dispatch::offer_host() {
  Capacity capacity = executor_.capacity();
  engine::HostUp host;
  host.instance = executor_.instance();
  host.vcpus_milli = std::llround(capacity.vcpus * 1000);
  host.memory_mib = capacity.memory_mib;
  host.gpus = capacity.gpus;
  driver_.report(host);
}

namespace {

constexpr size_t kReasonMax = 2048;

using Variables = AttemptSetup::Variables;

void set(Variables& environment, std::pair<std::string, std::string>&& variable) {
  std::erase_if(environment, [&](const auto& other) { return other.first == variable.first; });
  environment.push_back(std::move(variable));
}

}  // namespace

bool Dispatch::set_up(engine::StartAttempt& start, AttemptSpec& spec) {
  try {
    spec.environment = setup_.environment(start);
    Variables secrets = setup_.secrets(start);
    for (auto& variable : start.environment) set(spec.environment, std::move(variable));
    for (auto& variable : secrets) set(spec.environment, std::move(variable));
    return true;
  } catch (const base::Error& error) {
    engine::AttemptFinished report;
    report.token = start.token;
    report.reason = std::string(error.what()).substr(0, kReasonMax);
    driver_.report(std::move(report));
    return false;
  }
}

void Dispatch::perform(std::vector<engine::Effect> effects) {
  std::vector<AttemptSpec> starts;
  // After the starts: what is stopped or revoked may be among them.
  std::vector<AttemptToken> revoked;
  std::vector<engine::StopAttempt> stops;
  std::vector<AttemptToken> acknowledged;
  for (engine::Effect& effect : effects) {
    if (auto* start = std::get_if<engine::StartAttempt>(&effect)) {
      AttemptSpec spec;
      spec.token = start->token;
      spec.after = start->after;
      spec.image = start->image;
      spec.command = std::move(start->command);
      if (!set_up(*start, spec)) continue;
      spec.vcpus = static_cast<double>(start->vcpus_milli) / 1000;
      spec.memory_mib = start->memory_mib;
      spec.log_group = start->log_group;
      spec.log_stream = start->log_stream;
      starts.push_back(std::move(spec));
    } else if (auto* revoke = std::get_if<engine::RevokeAttempt>(&effect)) {
      revoked.push_back(revoke->token);
    } else if (auto* stop = std::get_if<engine::StopAttempt>(&effect)) {
      stops.push_back(*stop);
    } else if (auto* acknowledge = std::get_if<engine::AcknowledgeAttempt>(&effect)) {
      acknowledged.push_back(acknowledge->token);
      setup_.ended(acknowledge->token);
    } else if (auto* notice = std::get_if<engine::JobNotice>(&effect); notice && listener_) {
      listener_->tell(std::move(*notice));
    }
  }
  if (!starts.empty()) executor_.start(std::move(starts));
  for (AttemptToken token : revoked) executor_.revoke(token);
  for (const engine::StopAttempt& stop : stops) executor_.stop(stop.token, stop.grace_ms);
  if (!acknowledged.empty()) executor_.acknowledge(acknowledged);
}

void Dispatch::attempt_started(AttemptToken token, base::TimeMs at) {
  driver_.report(engine::AttemptStarted{token, at});
}

void Dispatch::attempt_finished(const AttemptOutcome& outcome) {
  engine::AttemptFinished report;
  report.token = outcome.token;
  report.started = outcome.started;
  report.host_lost = outcome.host_lost;
  report.never_received = outcome.never_received;
  report.revoked = outcome.revoked;
  report.exit_code = outcome.exit_code;
  report.reason = outcome.reason;
  report.started_at = outcome.started_at;
  report.stopped_at = outcome.stopped_at;
  report.cpu_ms = (outcome.user_us + outcome.system_us) / 1000;
  report.memory_peak_bytes = outcome.rss_bytes_max;
  driver_.report(std::move(report));
}

void Dispatch::host_lost(const std::string& instance) {
  spdlog::warn("the runner {} is gone, and with it the jobs that ran there; {} takes its place", instance,
               executor_.instance());
  offer_host();
}

}  // namespace millrace::exec

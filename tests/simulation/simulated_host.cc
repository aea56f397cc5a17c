#include "tests/simulation/simulated_host.h"

#include <fmt/format.h>

namespace millrace::simulation {

using engine::AttemptFinished;
using engine::AttemptStarted;

engine::HostUp SimulatedHost::offer() const {
  return {fmt::format("i-{:017x}", number_), vcpus_milli_, memory_mib_, 0};
}

const AttemptFinished* SimulatedHost::truth(uint64_t token) const {
  auto it = truth_.find(token);
  return it == truth_.end() ? nullptr : &it->second;
}

void SimulatedHost::adopt(const std::vector<uint64_t>& believed) {
  connected_ = true;
  std::set<uint64_t> wanted(believed.begin(), believed.end());
  for (auto it = processes_.begin(); it != processes_.end();) {
    if (wanted.contains(it->first)) {
      ++it;
      continue;
    }
    // The record of an attempt is durable before it is started, so a restarted engine knows all that run.
    violations.push_back(
        fmt::format("attempt {} is under way and a restarted engine knows nothing of it", it->first));
    it = processes_.erase(it);
  }
  for (uint64_t token : believed) {
    if (auto process = processes_.find(token); process != processes_.end()) {
      if (process->second.running) report(AttemptStarted{token, process->second.started_at});
    } else if (!unacknowledged_.contains(token)) {
      AttemptFinished unknown;
      unknown.token = token;
      unknown.host_lost = lost_.contains(token);
      unknown.never_received = !unknown.host_lost;
      unknown.stopped_at = now_;
      reports.push_back(unknown);
    }
  }
  for (const auto& [token, outcome] : unacknowledged_) report(outcome);
  reports.insert(reports.begin() + static_cast<std::ptrdiff_t>(random_.below(reports.size() + 1)), offer());
}

void SimulatedHost::disconnect() {
  connected_ = false;
  for (size_t arrive = random_.below(link_.size() + 1); arrive > 0; --arrive) {
    receive(link_.front());
    link_.pop_front();
  }
  link_.clear();
  faults_.lost += static_cast<int>(reports.size());
  reports.clear();
}

// Starts of other tokens may overtake each other; nothing else is promised to be in order either.
void SimulatedHost::report(engine::Command command) {
  if (!connected_) return;
  bool started = std::holds_alternative<AttemptStarted>(command);
  if (started && random_.percent(10)) {
    ++faults_.lost;
    return;
  }
  int copies = random_.percent(10) ? 2 : 1;
  faults_.repeated += copies - 1;
  for (; copies > 0; --copies) {
    size_t at = random_.percent(10) ? random_.below(reports.size() + 1) : reports.size();
    faults_.early += at < reports.size();
    reports.insert(reports.begin() + static_cast<std::ptrdiff_t>(at), command);
  }
}

void SimulatedHost::receive(const engine::Effect& effect) {
  if (const auto* start = std::get_if<engine::StartAttempt>(&effect)) {
    if (!seen_.insert(start->token).second) return;
    processes_[start->token] = {start->job_id, start->attempt, start->after};
  } else if (const auto* revoke = std::get_if<engine::RevokeAttempt>(&effect)) {
    auto process = processes_.find(revoke->token);
    if (process == processes_.end() || process->second.running) return;
    close_gap(revoke->token, process->second.after);
    processes_.erase(process);
    AttemptFinished outcome;
    outcome.token = revoke->token;
    outcome.revoked = true;
    outcome.stopped_at = now_;
    unacknowledged_[revoke->token] = outcome;
    report(outcome);
  } else if (const auto* stop = std::get_if<engine::StopAttempt>(&effect)) {
    auto process = processes_.find(stop->token);
    if (process == processes_.end()) return;
    if (!process->second.running) return end(stop->token, now_);
    if (process->second.kill_at == 0) process->second.kill_at = now_ + stop->grace_ms;
  } else if (const auto* acknowledge = std::get_if<engine::AcknowledgeAttempt>(&effect)) {
    if (processes_.contains(acknowledge->token))
      violations.push_back(
          fmt::format("the end of attempt {} was acknowledged while it is under way", acknowledge->token));
    unacknowledged_.erase(acknowledge->token);
    lost_.erase(acknowledge->token);
  }
}

// Who waited for `token` waits for the one that it waited for.
void SimulatedHost::close_gap(uint64_t token, uint64_t front) {
  for (auto& [other, process] : processes_)
    if (process.after == token) process.after = front;
}

void SimulatedHost::begin(uint64_t token, Process& process, TimeMs now) {
  if (!begun_.insert(token).second)
    violations.push_back(fmt::format("attempt {} of job {} ran twice", token, process.job_id));
  for (const auto& [other, running] : processes_)
    if (running.running && running.job_id == process.job_id)
      violations.push_back(
          fmt::format("attempts {} and {} of job {} run at the same time", other, token, process.job_id));
  process.running = true;
  process.started_at = now;
  report(AttemptStarted{token, now});
}

void SimulatedHost::end(uint64_t token, TimeMs now) {
  Process process = processes_.at(token);
  if (!process.running) close_gap(token, process.after);
  processes_.erase(token);
  AttemptFinished outcome;
  outcome.token = token;
  outcome.started = process.running;
  outcome.started_at = process.started_at;
  outcome.stopped_at = now;
  if (!process.running) {
    outcome.reason = process.kill_at ? "CannotStartContainerError: stopped before it was started"
                                     : "CannotPullContainerError: no such image";
  } else if (process.kill_at) {
    outcome.exit_code = random_.percent(30) ? 0 : random_.percent(50) ? 143 : 137;
  } else {
    constexpr int kCodes[] = {0, 0, 0, 1, 3, 137};
    outcome.exit_code = kCodes[random_.below(std::size(kCodes))];
    if (outcome.exit_code == 137) outcome.reason = "OutOfMemoryError: Container killed due to memory usage";
  }
  truth_[token] = outcome;
  unacknowledged_[token] = outcome;
  report(outcome);
}

void SimulatedHost::step(TimeMs now) {
  now_ = now;
  for (auto it = processes_.begin(); it != processes_.end();) {
    auto process = it++;
    if (process->second.kill_at > 0 && process->second.kill_at <= now) end(process->first, now);
  }
  if (!link_.empty() && random_.percent(60)) {
    receive(link_.front());
    link_.pop_front();
  }
  if (processes_.empty()) return;
  auto chosen = processes_.begin();
  std::advance(chosen, static_cast<std::ptrdiff_t>(random_.below(processes_.size())));
  if (chosen->second.running) {
    if (random_.percent(30)) end(chosen->first, now);
  } else if (!may_begin(chosen->second)) {
    return;
  } else if (random_.percent(8)) {
    end(chosen->first, now);
  } else {
    begin(chosen->first, chosen->second, now);
  }
}

void SimulatedHost::die(TimeMs now) {
  now_ = now;
  std::set<uint64_t> lost;
  for (const auto& [token, process] : processes_) lost.insert(token);
  for (const engine::Effect& effect : link_)
    if (const auto* start = std::get_if<engine::StartAttempt>(&effect))
      if (!seen_.contains(start->token)) lost.insert(start->token);
  for (uint64_t token : lost) {
    AttemptFinished outcome;
    outcome.token = token;
    outcome.started = processes_.contains(token) && processes_.at(token).running;
    outcome.host_lost = true;
    truth_[token] = outcome;
  }
  lost_.insert(lost.begin(), lost.end());
  for (const auto& [token, outcome] : unacknowledged_) {
    lost_.insert(token);
    truth_[token].host_lost = true;  // how it ended is known only if the report was under way
  }
  processes_.clear();
  unacknowledged_.clear();
  link_.clear();
  seen_.clear();
  ++number_;
  if (!connected_) return;
  reports.push_back(offer());
  for (uint64_t token : lost) report(truth_.at(token));
}

void SimulatedHost::settle(TimeMs now) {
  now_ = now;
  for (; !link_.empty(); link_.pop_front()) receive(link_.front());
  while (!processes_.empty()) {
    auto& [token, process] = *processes_.begin();
    if (!process.running) begin(token, process, now);
    end(token, now);
  }
}

}  // namespace millrace::simulation

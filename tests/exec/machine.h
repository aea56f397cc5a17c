// What the runner's tests share: a private data folder, a listener that can be waited for, and the lines that
// jobs left in the log files.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "exec/runner.h"
#include "logs/segment_format.h"

namespace millrace::exec {

constexpr auto kPatience = std::chrono::seconds(60);  // only a broken program waits so long

class TemporaryFolder {
 public:
  TemporaryFolder() {
    char path[] = "/tmp/millrace-exec-XXXXXX";
    if (!mkdtemp(path)) throw std::runtime_error("mkdtemp");
    path_ = path;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class Reports final : public ExecutorListener {
 public:
  void attempt_started(AttemptToken token, base::TimeMs at) override {
    std::lock_guard lock(mutex_);
    started_[token] = at;
    changed_.notify_all();
  }
  void attempt_finished(const AttemptOutcome& outcome) override {
    std::lock_guard lock(mutex_);
    ++counts_[outcome.token];
    outcomes_[outcome.token] = outcome;
    if (acknowledge_) acknowledge_(outcome.token);
    changed_.notify_all();
  }
  void host_lost(const std::string& instance) override {
    std::lock_guard lock(mutex_);
    lost_.push_back(instance);
    changed_.notify_all();
  }

  void on_outcome(std::function<void(AttemptToken)> acknowledge) {
    std::lock_guard lock(mutex_);
    acknowledge_ = std::move(acknowledge);
  }
  AttemptOutcome outcome(AttemptToken token) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, [&] { return outcomes_.contains(token); }))
      throw std::runtime_error("no outcome of attempt " + std::to_string(token));
    return outcomes_[token];
  }
  void wait_started(AttemptToken token) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, [&] { return started_.contains(token); }))
      throw std::runtime_error("attempt was not started: " + std::to_string(token));
  }
  void wait_outcomes(size_t count) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kPatience * 2, [&] { return outcomes_.size() >= count; }))
      throw std::runtime_error("only " + std::to_string(outcomes_.size()) + " outcomes");
  }
  std::map<AttemptToken, int> counts() {
    std::lock_guard lock(mutex_);
    return counts_;
  }
  bool has(AttemptToken token) {
    std::lock_guard lock(mutex_);
    return outcomes_.contains(token);
  }
  std::vector<std::string> lost() {
    std::lock_guard lock(mutex_);
    return lost_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void(AttemptToken)> acknowledge_;
  std::map<AttemptToken, base::TimeMs> started_;
  std::map<AttemptToken, AttemptOutcome> outcomes_;
  std::map<AttemptToken, int> counts_;
  std::vector<std::string> lost_;
};

// A named pipe that jobs write to: how a test waits for what a job does.
class Signpost {
 public:
  explicit Signpost(const std::string& path) : path_(path) {
    if (mkfifo(path.c_str(), 0600) != 0) throw std::runtime_error("mkfifo");
    fd_.reset(open(path.c_str(), O_RDWR | O_CLOEXEC));
  }
  const std::string& path() const { return path_; }
  std::string line() {
    std::string text;
    for (char c; text.empty() || text.back() != '\n'; text += c) {
      pollfd wait{fd_.get(), POLLIN, 0};
      if (poll(&wait, 1, 60'000) != 1 || read(fd_.get(), &c, 1) != 1)
        throw std::runtime_error("nobody wrote");
    }
    text.pop_back();
    return text;
  }

 private:
  std::string path_;
  base::UniqueFd fd_;
};

// The messages of one stream in the order they were written, over all log files of the folder.
inline std::vector<std::string> log_lines(const std::string& data_dir, const std::string& stream) {
  std::vector<std::string> lines;
  std::set<std::filesystem::path> files;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(data_dir + "/logs", none))
    files.insert(entry.path());
  for (const auto& path : files) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream all;
    all << file.rdbuf();
    const std::string text = all.str();
    if (!logs::is_file_header(text)) continue;
    std::string_view rest = std::string_view(text).substr(logs::kFileHeaderBytes);
    std::map<uint32_t, std::string> names;
    logs::ParsedHead head;
    while (logs::parse_head(rest, head) == logs::HeadState::kWhole) {
      for (const auto& declaration : head.declarations) names[declaration.stream] = declaration.name;
      std::string_view payload = rest.substr(head.head.head_bytes, head.head.payload_bytes);
      for (const auto& section : head.sections) {
        std::string_view events = payload.substr(0, section.bytes);
        payload.remove_prefix(section.bytes);
        logs::EventView event;
        for (size_t offset = 0; logs::next_event(events, section.ingestion_base, offset, event);)
          if (names[section.stream] == stream) lines.emplace_back(event.message);
      }
      rest.remove_prefix(head.head.head_bytes + head.head.payload_bytes);
    }
  }
  return lines;
}

// Dead or a zombie that nobody reaped.
inline bool is_dead(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  size_t end = text.rfind(')');
  return end == std::string::npos || text[end + 2] == 'Z' || text[end + 2] == 'X';
}

// Waits for the process to die; false when it does not.
inline bool dies(pid_t pid) {
  base::UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) return true;
  pollfd wait{fd.get(), POLLIN, 0};
  return poll(&wait, 1, 30'000) == 1;
}

class MachineTest : public testing::Test {
 protected:
  void TearDown() override {
    if (runner_) {
      pid_t pid = runner_->runner_pid();
      runner_.reset();
      kill(pid, SIGKILL);
      EXPECT_TRUE(dies(pid));
      reports_.on_outcome(nullptr);
    }
    // What a killed runner leaves (jobs, cgroups) is cleared up by the next one, which ends by itself.
    if (std::filesystem::exists(data() + "/runner/attempts")) Runner last(options());
  }

  RunnerOptions options() {
    RunnerOptions options;
    options.data_dir = data();
    options.runtime = runtime_;
    options.idle_exit_ms = 500;
    return options;
  }
  Runner& runner(const std::vector<AttemptToken>& believed = {}) {
    if (!runner_) {
      runner_ = std::make_unique<Runner>(options());
      runner_->adopt(believed, reports_);
    }
    return *runner_;
  }
  static AttemptSpec spec(AttemptToken token, std::vector<std::string> command) {
    AttemptSpec spec;
    spec.token = token;
    spec.image = "millrace";
    spec.command = std::move(command);
    spec.environment = {{"PATH", "/usr/bin:/bin"}};
    spec.log_group = "/aws/batch/job";
    spec.log_stream = "test/default/" + std::to_string(token);
    return spec;
  }
  static AttemptSpec shell(AttemptToken token, const std::string& script) {
    return spec(token, {"sh", "-c", script});
  }
  AttemptOutcome run(const AttemptSpec& spec) {
    runner().start({spec});
    return reports_.outcome(spec.token);
  }
  std::vector<std::string> lines(AttemptToken token) {
    return log_lines(data(), "test/default/" + std::to_string(token));
  }
  std::string data() const { return folder_.path() + "/data"; }
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }

  TemporaryFolder folder_;
  std::string runtime_;
  Reports reports_;
  std::unique_ptr<Runner> runner_;
};

}  // namespace millrace::exec

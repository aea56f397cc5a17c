#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace millrace::cli {
namespace {

constexpr size_t kBarWidth = 30;
constexpr auto kTerminalPause = std::chrono::milliseconds(100);
constexpr auto kLinePause = std::chrono::seconds(5);

}  // namespace

Progress::Progress(std::string what, uint64_t total)
    : what_(std::move(what)), total_(total), terminal_(isatty(2)), last_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
  if (terminal_ && drawn_) std::fputs("\r\033[K", stderr);
}

void Progress::update(uint64_t done, const std::string& note) {
  done_ = done;
  auto now = std::chrono::steady_clock::now();
  if (now - last_ <
      (terminal_ ? std::chrono::duration_cast<std::chrono::milliseconds>(kTerminalPause) : kLinePause))
    return;
  last_ = now;
  draw(note);
}

void Progress::draw(const std::string& note) {
  drawn_ = true;
  uint64_t percent = total_ == 0 ? 0 : std::min<uint64_t>(100, done_ * 100 / total_);
  if (!terminal_) {
    fmt::print(stderr, "{}: {}% {}\n", what_, percent, note);
    return;
  }
  size_t full = kBarWidth * percent / 100;
  fmt::print(stderr, "\r\033[K{} [{:=<{}}{: <{}}] {}% {}", what_, "", full, "", kBarWidth - full, percent,
             note);
  std::fflush(stderr);
}

}  // namespace millrace::cli

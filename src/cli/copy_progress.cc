#include "cli/copy_progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "base/strings.h"

namespace millrace::cli {
namespace {

constexpr double kLineSeconds = 5;     // between two lines of JSON
constexpr double kWindowSeconds = 10;  // of which the rate is
constexpr size_t kBarWidth = 24;
constexpr uint64_t kRowsToo = 100;  // of so many rows those that are done tell how long the rest takes

// "42 s", "3 min 05 s", "2 h 07 min".
std::string duration(double seconds) {
  auto whole = static_cast<uint64_t>(std::ceil(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

}  // namespace

CopyProgressDisplay::CopyProgressDisplay()
    : terminal_(isatty(STDERR_FILENO) != 0),
      started_(std::chrono::steady_clock::now()),
      next_line_s_(kLineSeconds) {}

void CopyProgressDisplay::clear() {
  if (std::exchange(drawn_, false)) std::fputs("\r\033[K", stderr);
}

void CopyProgressDisplay::show(const copy::CopyProgress& now) {
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  sample(now, seconds);
  if (!terminal_) {
    if (seconds < next_line_s_) return;
    next_line_s_ = seconds + kLineSeconds;
    fmt::print(stderr, "{}\n", json(now, seconds));
    return;
  }
  drawn_ = true;
  std::string line = bar(now);
  // A line that wraps cannot be taken back.
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 && line.size() >= size.ws_col)
    line.resize(size.ws_col - 1U);
  fmt::print(stderr, "\r{}\033[K", line);
}

void CopyProgressDisplay::sample(const copy::CopyProgress& now, double seconds) {
  samples_.push_back({seconds, now.objects_done, now.bytes_done, now.rows_done});
  while (samples_.size() > 2 && samples_[1].seconds <= seconds - kWindowSeconds) samples_.pop_front();
}

double CopyProgressDisplay::rate(uint64_t Sample::* what) const {
  const Sample &first = samples_.front(), &last = samples_.back();
  if (last.seconds - first.seconds < 0.5 || last.*what <= first.*what) return 0;
  return static_cast<double>(last.*what - first.*what) / (last.seconds - first.seconds);
}

std::optional<double> CopyProgressDisplay::seconds_left(const copy::CopyProgress& now) const {
  auto time_for = [](uint64_t all, uint64_t done, double per_second) {
    return all <= done || per_second <= 0 ? 0 : static_cast<double>(all - done) / per_second;
  };
  if (!now.planned) {
    // Rows are not equally large; many of them are on average.
    if (now.rows <= kRowsToo || now.rows_done == 0) return std::nullopt;
    double left = time_for(now.rows, now.rows_done, rate(&Sample::rows));
    return left > 0 ? std::optional(left) : std::nullopt;
  }
  if (now.objects_done >= now.objects_planned) return std::nullopt;
  double objects = rate(&Sample::objects), bytes = rate(&Sample::bytes);
  // Small objects cost their number, large ones their bytes: whichever takes longer. A rate of 0 says nothing
  // while the other one goes on.
  double left = std::max(time_for(now.objects_planned, now.objects_done, objects),
                         time_for(now.bytes_planned, now.bytes_done, bytes));
  if (left <= 0) return std::nullopt;
  return left;
}

std::string CopyProgressDisplay::bar(const copy::CopyProgress& now) const {
  std::string line;
  if (now.planned && now.objects_planned > 0) {
    // By bytes, unless objects are further behind: the last one may be the largest.
    double share = static_cast<double>(now.objects_done) / static_cast<double>(now.objects_planned);
    if (now.bytes_planned > 0)
      share = std::min(share, static_cast<double>(now.bytes_done) / static_cast<double>(now.bytes_planned));
    auto filled = static_cast<size_t>(std::min(1.0, share) * kBarWidth);
    line = fmt::format("[{}{}] {} of {}{} copied", std::string(filled, '#'),
                       std::string(kBarWidth - filled, '.'), now.objects_done, now.about ? "about " : "",
                       now.objects_planned);
  } else if (now.planned) {
    line = "nothing to copy";
  } else {
    // A share of what is not known yet would only go back.
    line = fmt::format("listing: {} of {} found so far copied", now.objects_done, now.objects_planned);
  }
  // What matters most comes first: a narrow terminal cuts off the rest.
  if (auto left = seconds_left(now)) line += ", " + duration(*left) + " left";
  double objects = rate(&Sample::objects), bytes = rate(&Sample::bytes);
  if (objects > 0 || bytes > 0)
    line += fmt::format(", {}/s, {:.0f} objects/s", base::human_bytes(static_cast<uint64_t>(bytes)), objects);
  if (now.skipped > 0) line += fmt::format(", {} same", now.skipped);
  if (now.deleted > 0) line += fmt::format(", {} deleted", now.deleted);
  if (now.failed > 0) line += fmt::format(", {} failed", now.failed);
  if (now.rows > 1) line += fmt::format(", rows {}/{}", now.rows_done, now.rows);
  return line;
}

std::string CopyProgressDisplay::json(const copy::CopyProgress& now, double seconds) const {
  std::string left;
  if (auto time = seconds_left(now)) left = fmt::format(",\"seconds_left\":{:.0f}", std::ceil(*time));
  return fmt::format(
      R"({{"progress":{{"rows":{},"rows_done":{},"listed":{},"planned":{},"done":{},"bytes_planned":{},)"
      R"("bytes_done":{},"skipped":{},"deleted":{},"failed":{},"seconds":{:.1f},"bytes_per_second":{:.0f},)"
      R"("objects_per_second":{:.1f}{}}}}})",
      now.rows, now.rows_done, now.planned, now.objects_planned, now.objects_done, now.bytes_planned,
      now.bytes_done, now.skipped, now.deleted, now.failed, seconds, rate(&Sample::bytes),
      rate(&Sample::objects), left);
}

}  // namespace millrace::cli

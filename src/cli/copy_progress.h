// How far a copy is: a bar with rate and time left on a terminal, a line of JSON every few seconds elsewhere.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <string>

#include "workloads/copy/copy.h"

namespace millrace::cli {

class CopyProgressDisplay {
 public:
  CopyProgressDisplay();
  ~CopyProgressDisplay() { clear(); }
  CopyProgressDisplay(const CopyProgressDisplay&) = delete;
  CopyProgressDisplay& operator=(const CopyProgressDisplay&) = delete;
  void show(const copy::CopyProgress& now);
  void clear();

 private:
  struct Sample {
    double seconds;
    uint64_t objects, bytes, rows;
  };
  void sample(const copy::CopyProgress& now, double seconds);
  double rate(uint64_t Sample::* what) const;  // a second, lately
  // Known once every listing is at its end.
  std::optional<double> seconds_left(const copy::CopyProgress& now) const;
  std::string bar(const copy::CopyProgress& now) const;
  std::string json(const copy::CopyProgress& now, double seconds) const;

  const bool terminal_;
  const std::chrono::steady_clock::time_point started_;
  std::deque<Sample> samples_;
  double next_line_s_;
  bool drawn_ = false;
};

}  // namespace millrace::cli

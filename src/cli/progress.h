// Progress of a long step: a bar on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace millrace::cli {

class Progress {
 public:
  // `total` in the units of update(), 0 when it is not known.
  Progress(std::string what, uint64_t total);
  ~Progress();  // ends the line
  void update(uint64_t done, const std::string& note = "");

 private:
  void draw(const std::string& note);
  const std::string what_;
  const uint64_t total_;
  const bool terminal_;
  uint64_t done_ = 0;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace millrace::cli

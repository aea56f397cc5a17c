// Ceph's radosgw for one test program: an S3 server that nobody here wrote.
#pragma once

#include <sys/types.h>

#include <string>

namespace millrace::testing {

class Radosgw {
 public:
  static constexpr const char* kKey = "AKIDEXAMPLE";
  static constexpr const char* kSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
  // Why it cannot be had here (its programs are not installed); empty when it can.
  static std::string missing();
  // The server of this process, started at the first call (some 10 s). Throws std::runtime_error when it does
  // not come up. Not thread-safe.
  static Radosgw& instance();
  const std::string& url() const { return url_; }
  ~Radosgw();
  Radosgw(const Radosgw&) = delete;
  Radosgw& operator=(const Radosgw&) = delete;

 private:
  Radosgw();
  std::string folder_, url_;
  pid_t script_ = -1;
  int input_ = -1;  // its end is the script's
};

}  // namespace millrace::testing

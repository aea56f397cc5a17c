// What a job prints, line by line, as it comes.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "cli/api_client.h"

namespace millrace::cli {

inline constexpr char kDefaultLogGroup[] = "/aws/batch/job";

// Reads one log stream from its beginning on. A stream that is not there yet has no lines: it is made by its
// first one.
class LogLines {
 public:
  LogLines(ApiClient& api, std::string group, std::string stream)
      : api_(api), group_(std::move(group)), stream_(std::move(stream)) {}

  const std::string& stream() const { return stream_; }
  // Gives every line that has come since the last call to `take`, in order; true when there were any.
  bool read_new(const std::function<void(std::string_view line)>& take);

 private:
  ApiClient& api_;
  const std::string group_, stream_;
  std::string token_;
};

}  // namespace millrace::cli

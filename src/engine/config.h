// What an engine is told once, when it starts.
#pragma once

#include <string>
#include <string_view>

namespace millrace::engine {

struct Config {
  std::string partition = "aws";
  std::string region = "us-east-1";
  std::string account = "123456789012";
  std::string id_seed;                                // 16 bytes, see JobIds
  int64_t retain_ms = int64_t{7} * 24 * 3600 * 1000;  // finished jobs are kept so long
  // While attempts are no longer than this on average, the next job is sent before the last has ended.
  int64_t short_attempt_ms = 50;
  // A job that asks for more vCPUs or memory than a host has fails at once; otherwise it runs alone.
  bool strict_capacity = false;
  int32_t array_size_max = 10'000;  // AWS's limit; larger arrays are AWS's users' wish

  // "arn:aws:batch:us-east-1:123456789012:" + `resource`.
  std::string arn(std::string_view resource) const {
    return "arn:" + partition + ":batch:" + region + ":" + account + ":" + std::string(resource);
  }
};

}  // namespace millrace::engine

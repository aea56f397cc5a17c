// What an engine is told once, when it starts.
#pragma once

#include <string>
#include <string_view>

namespace millrace::engine {

struct Config {
  std::string partition = "aws";
  std::string region = "us-east-1";
  std::string account = "123456789012";
  std::string id_seed;  // 16 bytes, see JobIds

  // "arn:aws:batch:us-east-1:123456789012:" + `resource`.
  std::string arn(std::string_view resource) const {
    return "arn:" + partition + ":batch:" + region + ":" + account + ":" + std::string(resource);
  }
};

}  // namespace millrace::engine

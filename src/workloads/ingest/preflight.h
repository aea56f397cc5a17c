// Can the hosts of a list be reached at all?
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::ingest {

// Host and port that a clone URL leads to; nothing for paths and what is no URL.
std::optional<std::pair<std::string, uint16_t>> endpoint_of(std::string_view url);

struct Unreachable {
  std::string host;
  uint16_t port = 0;
  std::string why;
};
// Opens a connection to each (a proxy of the environment is not asked), several at once.
std::vector<Unreachable> find_unreachable(const std::set<std::pair<std::string, uint16_t>>& endpoints,
                                          std::chrono::milliseconds time);

}  // namespace millrace::ingest

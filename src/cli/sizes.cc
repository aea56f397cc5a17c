#include "cli/sizes.h"

#include <cstdint>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/strings.h"

namespace millrace::cli {

double parse_bytes(const std::string& text, const char* what) {
  std::string lower = base::to_lower(text);
  for (const char* suffix : {"ib", "b"})
    if (lower.ends_with(suffix)) lower.resize(lower.size() - std::string(suffix).size());
  double factor = 1;
  size_t power = lower.empty() ? std::string::npos : std::string("kmgt").find(lower.back());
  if (power != std::string::npos) {
    for (size_t i = 0; i <= power; ++i) factor *= 1024;
    lower.pop_back();
  }
  auto number = base::parse_number<double>(lower);
  if (!number || *number <= 0) throw base::UsageError(std::string(what) + ": '" + text + "' is no size");
  return *number * factor;
}

std::chrono::milliseconds parse_duration(const std::string& text, const char* what) {
  std::string_view number = text;
  int64_t unit = 1000;
  for (auto [suffix, ms] : {std::pair<std::string_view, int64_t>("ms", 1),
                            {"s", 1000},
                            {"m", 60'000},
                            {"h", 3'600'000},
                            {"d", 86'400'000}})
    if (number.ends_with(suffix)) {
      number.remove_suffix(suffix.size());
      unit = ms;
      break;
    }
  constexpr int64_t kLongest = 3650LL * 86'400'000;
  auto value = base::parse_number<int64_t>(number);
  if (!value || *value <= 0 || *value > kLongest / unit)
    throw base::UsageError(std::string(what) + ": '" + text + "' is no time such as 30s, 45m or 12h");
  return std::chrono::milliseconds(*value * unit);
}

}  // namespace millrace::cli

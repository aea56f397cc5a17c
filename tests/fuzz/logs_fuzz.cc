// libFuzzer entry: a filter pattern and a message, divided by a NUL byte. Whatever they are, nothing crashes
// or hangs, what matches alone may also match inside a block, and a message that matches gives its values.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "logs/filter_pattern.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace::logs;
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const size_t cut = all.find('\0');
  if (cut == std::string_view::npos) return 0;
  const std::string_view message = all.substr(cut + 1);
  try {
    const FilterPattern pattern = FilterPattern::parse(all.substr(0, cut));
    const bool matched = pattern.matches(message);
    if (matched && !pattern.may_match("before" + std::string(message) + "after")) __builtin_trap();
    const ExtractedValues values = pattern.extract(message);
    if (matched)
      for (const auto& [name, value] : values)
        if (!name.starts_with('$')) __builtin_trap();
  } catch (const millrace::base::UsageError&) {
  }
  return 0;
}

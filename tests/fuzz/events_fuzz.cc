// libFuzzer entry: a pattern and an event, divided by a NUL byte. Whatever they are, the compiled matcher
// does not crash, and where both are accepted it agrees with the slow matcher of the tests. clang++
// -std=c++20 -fsanitize=fuzzer,address,undefined -Isrc -I. with this file, src/events, src/base.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "events/matcher.h"
#include "events/pattern_error.h"
#include "tests/events/slow_matcher.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace::events;
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const size_t cut = all.find('\0');
  if (cut == std::string_view::npos) return 0;
  const std::string_view event = all.substr(cut + 1);
  try {
    const Pattern pattern = parse_pattern(all.substr(0, cut));
    const Matcher matcher({&pattern});
    MatchScratch scratch;
    std::vector<uint32_t> matched;
    matcher.match(event, &scratch, &matched);
    if (scratch.gave_up() || event.size() > 500) return 0;
    millrace::base::parse_json(event);
    if (!matched.empty() != oracle::matches(pattern, oracle::Flattener(event).fields)) __builtin_trap();
  } catch (const InvalidPatternError&) {
  } catch (const millrace::base::CorruptError&) {
  }
  return 0;
}

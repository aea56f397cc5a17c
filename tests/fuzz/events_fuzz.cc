// libFuzzer entry: event patterns, divided by bytes 1, then a NUL byte, then an event. Whatever they are,
// nothing crashes or reads beyond the event; and for what is accepted the compiled matcher, what `why` says
// and TestEventPattern agree with the slow matcher of the tests.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "events/event.h"
#include "events/explain.h"
#include "events/matcher.h"
#include "events/pattern_error.h"
#include "events/structural_index.h"
#include "events/test_pattern.h"
#include "tests/events/slow_matcher.h"

namespace {

using namespace millrace;
using namespace millrace::events;

void must(bool holds) {
  if (!holds) __builtin_trap();
}

// The slow matcher tries every combination; hopeless ones are left out.
bool few_combinations(const Pattern& pattern, const std::vector<oracle::Field>& fields) {
  for (const auto& alternative : pattern.alternatives) {
    double combinations = 1;
    for (const uint32_t number : alternative) {
      const Condition& condition = pattern.conditions[number];
      size_t there = 1;
      for (const oracle::Field& field : fields) there += field.path == condition.path ? 1 : 0;
      combinations *= static_cast<double>(there * condition.any_of.size());
    }
    if (combinations > 20'000) return false;
  }
  return true;
}

// However the processor reads it, the skeleton of a text is the same.
void check_structure(std::string_view text) {
  StructuralIndex portable(StructuralIndex::Way::kPortable), best;
  bool refused = false, refused_too = false;
  try {
    portable.build(text);
  } catch (const base::CorruptError&) {
    refused = true;
  }
  try {
    best.build(text);
  } catch (const base::CorruptError&) {
    refused_too = true;
  }
  must(refused == refused_too);
  if (refused) return;
  must(portable.size() == best.size() && portable.has_backslash() == best.has_backslash());
  for (size_t i = 0; i < best.size(); ++i) must(portable.positions()[i] == best.positions()[i]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const size_t cut = all.find('\0');
  if (cut == std::string_view::npos) return 0;
  const std::string_view event = all.substr(cut + 1);
  check_structure(event);
  std::vector<Pattern> patterns;
  std::vector<std::string_view> texts;
  for (const std::string_view text : base::split(all.substr(0, cut), '\1')) {
    if (patterns.size() == 20) break;
    try {
      patterns.push_back(parse_pattern(text));
      texts.push_back(text);
    } catch (const InvalidPatternError& error) {
      must(!std::string_view(error.what()).empty());
    }
  }
  if (patterns.empty()) return 0;
  std::vector<const Pattern*> pointers;
  for (const Pattern& pattern : patterns) pointers.push_back(&pattern);
  const Matcher matcher(pointers);
  MatchScratch scratch;
  std::vector<uint32_t> numbers;
  bool followed = true;
  try {
    matcher.match(event, &scratch, &numbers);
  } catch (const base::CorruptError&) {
    followed = false;
  }
  std::vector<bool> matched(patterns.size());
  for (const uint32_t number : numbers) {
    must(number < patterns.size() && !matched[number]);
    matched[number] = true;
  }
  try {
    if (!base::parse_json(event, kEventDepthMax).is_object()) return 0;
  } catch (const base::CorruptError&) {
    return 0;
  }
  must(followed);
  if (event.size() > 500 || scratch.gave_up()) return 0;
  const auto fields = oracle::Flattener(event).fields;
  for (size_t i = 0; i < patterns.size(); ++i) {
    if (!few_combinations(patterns[i], fields)) continue;
    must(matched[i] == oracle::matches(patterns[i], fields));
    const Explanation explanation = explain(patterns[i], event);
    must(explanation.matches == matched[i] && explanation.matches == explanation.reason.empty());
    try {
      must(test_event_pattern(texts[i], event) == matched[i]);
    } catch (const InvalidEventError&) {
    }
  }
  return 0;
}

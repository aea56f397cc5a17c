#include "events/explain.h"

#include <fmt/format.h>

#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "events/matcher.h"

namespace millrace::events {
namespace {

using base::json::value;

constexpr size_t kValueBytesMax = 120;

std::string shortened(std::string text) {
  if (text.size() <= kValueBytesMax) return text;
  size_t end = kValueBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

// Boost writes 2.5 as 2.5E0.
std::string text_of(const value& v) {
  return v.is_double() ? fmt::format("{}", v.get_double()) : serialize(v);
}

bool matches(const Pattern& pattern, std::string_view event) {
  const Matcher matcher({&pattern});
  MatchScratch scratch;
  std::vector<uint32_t> matched;
  matcher.match(event, &scratch, &matched);
  return !matched.empty();
}

Pattern only(const Pattern& pattern, uint32_t condition) { return {{pattern.conditions[condition]}, {{0}}}; }

// Goes down a dotted path, through arrays and through members whose names have dots themselves.
class Look {
 public:
  Look(const value& event, std::string_view path) : path_(path) { at(event, path, 0); }

  std::vector<std::string> values;  // scalars at the path
  size_t value_count = 0;
  bool reached_container = false;  // the path leads to an object, or to an empty array
  size_t deepest = 0;              // so many bytes of the path are there

 private:
  void at(const value& v, std::string_view rest, size_t used) {
    if (const auto* array = v.if_array()) {
      if (array->empty() && used > path_.size()) reached_container = true;
      for (const value& each : *array) at(each, rest, used);
      return;
    }
    if (used > path_.size()) {
      if (v.is_object()) {
        reached_container = true;
        return;
      }
      if (value_count++ < Mismatch::kSeenMax) values.push_back(shortened(text_of(v)));
      return;
    }
    const auto* object = v.if_object();
    if (!object) return;
    for (const auto& member : *object) {
      const std::string_view name(member.key().data(), member.key().size());
      if (!rest.starts_with(name) || (rest.size() > name.size() && rest[name.size()] != '.')) continue;
      const size_t next = used + name.size() + 1;
      deepest = std::max(deepest, std::min(used + name.size(), path_.size()));
      at(member.value(), rest.size() > name.size() ? rest.substr(name.size() + 1) : "", next);
    }
  }

  std::string_view path_;
};

std::string joined(const std::vector<std::string>& parts, const char* separator) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : separator) + part;
  return out;
}

Mismatch mismatch(const Condition& condition, const value& event) {
  Mismatch m;
  m.path = condition.path;
  for (const Test& test : condition.any_of) m.wanted.push_back(describe(test));
  const Look look(event, condition.path);
  m.seen = look.values;
  m.seen_count = look.value_count;
  const std::string wanted = shortened(joined(m.wanted, " or "));
  if (m.seen_count > 0) {
    const size_t more = m.seen_count - m.seen.size();
    m.reason = fmt::format("{} is {}{}; the rule wants {}", m.path, joined(m.seen, ", "),
                           more > 0 ? fmt::format(" and {} more", more) : "", wanted);
  } else if (look.reached_container) {
    m.reason =
        fmt::format("{} is an object or an empty list, not a value; the rule wants {}", m.path, wanted);
  } else if (look.deepest == 0) {
    m.reason = fmt::format("the event has no {}; the rule wants {}", m.path, wanted);
  } else {
    m.reason = fmt::format("the event has no {} (only {}); the rule wants {}", m.path,
                           m.path.substr(0, look.deepest), wanted);
  }
  return m;
}

}  // namespace

Explanation explain(const Pattern& pattern, std::string_view event) {
  const value parsed = base::parse_json(event, Matcher::kDepthMax);
  if (!parsed.is_object()) throw base::CorruptError("the event is not a JSON object");
  Explanation out;
  out.matches = matches(pattern, event);
  if (out.matches) return out;
  std::vector<std::optional<bool>> holds(pattern.conditions.size());
  const std::vector<uint32_t>* nearest = nullptr;
  size_t fewest = SIZE_MAX;
  for (const auto& alternative : pattern.alternatives) {
    size_t missed = 0;
    for (const uint32_t c : alternative) {
      if (!holds[c]) holds[c] = matches(only(pattern, c), event);
      missed += *holds[c] ? 0 : 1;
    }
    if (missed < fewest) {
      fewest = missed;
      nearest = &alternative;
    }
  }
  if (!nearest) return out;
  std::vector<std::string> reasons;
  for (const uint32_t c : *nearest) {
    if (*holds[c]) continue;
    out.mismatches.push_back(mismatch(pattern.conditions[c], parsed));
    reasons.push_back(out.mismatches.back().reason);
  }
  if (!reasons.empty()) {
    out.reason = joined(reasons, "; ");
    return out;
  }
  std::vector<std::string> paths;
  for (const uint32_t c : *nearest) paths.push_back(pattern.conditions[c].path);
  out.reason = fmt::format("{} are each fulfilled, but by values from different elements of the same list",
                           joined(paths, ", "));
  return out;
}

}  // namespace millrace::events

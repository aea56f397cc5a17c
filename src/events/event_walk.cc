#include "events/event_walk.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "base/error.h"
#include "events/utf8.h"

namespace millrace::events {
namespace {

// How much deeper each structural character leads.
constexpr std::array<int8_t, 256> kDeeper = [] {
  std::array<int8_t, 256> deeper{};
  deeper['{'] = deeper['['] = 1;
  deeper['}'] = deeper[']'] = -1;
  return deeper;
}();

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const int lower = c | 0x20;
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// The four digits at `at`, or -1.
int hex_unit(std::string_view text, size_t at) {
  if (text.size() < 4 || at > text.size() - 4) return -1;
  int unit = 0;
  for (size_t i = 0; i < 4; ++i) {
    const int digit = hex_value(text[at + i]);
    if (digit < 0) return -1;
    unit = unit << 4 | digit;
  }
  return unit;
}

}  // namespace

void EventWalk::broken(size_t at) const {
  throw base::CorruptError(fmt::format("the event is not JSON: its structure breaks at offset {}", at));
}

void EventWalk::run() {
  scratch_.index_.build({text_, size_});
  positions_ = scratch_.index_.positions();
  count_ = scratch_.index_.size();
  has_backslash_ = scratch_.index_.has_backslash();
  require(count_ > 0 && text_[positions_[0]] == '{', 0);
  object(0, matcher_.paths_.root(), 0);
}

// Of the brackets at `i` and all inside; the place behind the closing one.
inline size_t EventWalk::skip(size_t i) const {
  int depth = 0;
  do {
    require(i < count_, i);
    depth += kDeeper[static_cast<unsigned char>(text_[positions_[i]])];
    ++i;
  } while (depth > 0);
  return i;
}

// The node that the name in front of the colon leads to.
inline const PathTree::Node* EventWalk::child(const PathTree::Node& node, size_t from, size_t colon) {
  while (is_space(text_[from])) ++from;
  size_t end = colon - 1;
  while (end > from && is_space(text_[end])) --end;
  if (text_[from] != '"' || end <= from || text_[end] != '"') broken(from);
  const std::string_view name(text_ + from + 1, end - from - 1);
  if (has_backslash_ && std::memchr(name.data(), '\\', name.size())) [[unlikely]] {
    return matcher_.paths_.child(node, unescape(name, &scratch_.name_buffer_));
  }
  return matcher_.paths_.child(node, name);
}

// The object whose '{' is structural character `i`; the place behind its '}'.
size_t EventWalk::object(size_t i, const PathTree::Node& node, int depth) {
  if (depth > Matcher::kDepthMax) throw base::CorruptError("the event is nested too deeply");
  size_t from = positions_[i] + 1;
  ++i;
  require(i < count_, i);
  if (text_[positions_[i]] == '}') return i + 1;
  for (;;) {
    require(i + 1 < count_ && text_[positions_[i]] == ':', i);
    const size_t colon = positions_[i];
    const PathTree::Node* next = child(node, from, colon);
    ++i;
    size_t value = colon + 1;
    while (is_space(text_[value])) ++value;  // ends: another structural character follows
    const char c = text_[value];
    if (c == '{') {
      i = next && next->children() ? object(i, *next, depth + 1) : skip(i);
    } else if (c == '[') {
      i = next ? array(i, *next, depth + 1) : skip(i);
    } else if (next && next->field != PathTree::kNone) {
      scalar(next->field, value, positions_[i]);
    }
    require(i < count_, i);
    const char end = text_[positions_[i]];
    from = positions_[i] + 1;
    ++i;
    if (end == '}') return i;
    require(end == ',' && i < count_, i);
  }
}

// The array whose '[' is structural character `i`; the place behind its ']'.
size_t EventWalk::array(size_t i, const PathTree::Node& node, int depth) {
  if (depth > Matcher::kDepthMax) throw base::CorruptError("the event is nested too deeply");
  const auto number = static_cast<uint32_t>(scratch_.arrays_.size());
  scratch_.arrays_.push_back({static_cast<uint32_t>(scratch_.scopes_.size()), 0});
  size_t from = positions_[i] + 1;
  ++i;
  for (bool first = true;; first = false) {
    require(i < count_, i);
    while (is_space(text_[from])) ++from;
    const char c = text_[from];
    if (c == ']' && first) {
      ++i;
      break;
    }
    if (c == '{') {
      if (node.children()) {
        enter(number);
        i = object(i, node, depth + 1);
        leave();
      } else {
        i = skip(i);
      }
    } else if (c == '[') {
      enter(number);
      i = array(i, node, depth + 1);
      leave();
    } else if (node.field != PathTree::kNone) {
      scalar(node.field, from, positions_[i]);
    }
    require(i < count_, i);
    const char end = text_[positions_[i]];
    from = positions_[i] + 1;
    ++i;
    if (end == ']') break;
    require(end == ',', i);
  }
  scratch_.arrays_[number].end = static_cast<uint32_t>(scratch_.scopes_.size());
  return i;
}

void EventWalk::enter(uint32_t array) {
  const auto scope = static_cast<uint32_t>(scratch_.scopes_.size());
  scratch_.scopes_.push_back({scope_, array, 0});
  scope_ = scope;
}

void EventWalk::leave() {
  MatchScratch::Scope& scope = scratch_.scopes_[scope_];
  scope.end = static_cast<uint32_t>(scratch_.scopes_.size());
  scope_ = scope.parent;
}

inline void EventWalk::found(uint32_t condition) {
  MatchScratch::Condition& c = scratch_.conditions_[condition];
  if (c.event != scratch_.event_) {
    c = {scratch_.event_, 0, MatchScratch::kNoHit};
    scratch_.fulfilled_.push_back(condition);
  }
  if (scope_ == 0) {
    c.everywhere = 1;
  } else if (c.last_hit == MatchScratch::kNoHit || scratch_.hits_[c.last_hit].scope != scope_) {
    scratch_.hits_.push_back({scope_, c.last_hit});
    c.last_hit = static_cast<uint32_t>(scratch_.hits_.size() - 1) & MatchScratch::kNoHit;
  }
}

// The string, number or word between `from` and the structural character at `end`.
void EventWalk::scalar(uint32_t field, size_t from, size_t end) {
  const FieldMatcher& matcher = matcher_.fields_[field];
  const auto tell = [this](uint32_t condition) { found(condition); };
  --end;
  while (end > from && is_space(text_[end])) --end;
  const char c = text_[from];
  if (c == '"') {
    if (end == from || text_[end] != '"') broken(from);
    std::string_view value(text_ + from + 1, end - from - 1);
    if (has_backslash_ && std::memchr(value.data(), '\\', value.size())) [[unlikely]] {
      value = unescape(value, &scratch_.buffer_);
    }
    matcher.match_string(value, &scratch_.field_, tell);
  } else {
    if (end < from) broken(from);
    const std::string_view value(text_ + from, end + 1 - from);
    if (c == '-' || (c >= '0' && c <= '9')) {
      matcher.match_number(value, &scratch_.field_, tell);
    } else {
      matcher.match_literal(value, &scratch_.field_, tell);
    }
  }
}

// The text of a string with escapes; a broken one stands for itself.
std::string_view EventWalk::unescape(std::string_view raw, std::string* buffer) const {
  buffer->clear();
  static constexpr std::string_view kFrom = "\"\\/bfnrt", kTo = "\"\\/\b\f\n\r\t";
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\' || i + 1 == raw.size()) {
      buffer->push_back(raw[i]);
      continue;
    }
    const char c = raw[++i];
    if (const size_t known = kFrom.find(c); known != std::string_view::npos) {
      buffer->push_back(kTo[known]);
      continue;
    }
    const int unit = c == 'u' ? hex_unit(raw, i + 1) : -1;
    if (unit < 0) {
      buffer->push_back(c);
      continue;
    }
    i += 4;
    auto code = static_cast<char32_t>(unit);
    if (code >= 0xD800 && code < 0xDC00 && raw.substr(i + 1, 2) == "\\u") {
      const int low = hex_unit(raw, i + 3);
      if (low >= 0xDC00 && low < 0xE000) {
        code = 0x10000 + ((code - 0xD800) << 10) + (static_cast<char32_t>(low) - 0xDC00);
        i += 6;
      }
    }
    if (code >= 0xD800 && code < 0xE000) code = '?';  // half a pair: as in patterns
    append_utf8(buffer, code);
  }
  return *buffer;
}

}  // namespace millrace::events

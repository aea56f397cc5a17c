// One pass over the text of an event: the values that rules look at are matched on the way, the rest is
// skipped.
#pragma once

#include <cstdint>
#include <string_view>

#include "events/matcher.h"

namespace millrace::events {

class EventWalk {
 public:
  // The scratch must be prepared for the matcher.
  EventWalk(const Matcher& matcher, std::string_view event, MatchScratch* scratch)
      : matcher_(matcher), text_(event.data()), size_(event.size()), scratch_(*scratch) {}

  // Throws CorruptError, see Matcher::match.
  void run();

 private:
  size_t object(size_t i, const PathTree::Node& node, int depth);
  size_t array(size_t i, const PathTree::Node& node, int depth);
  size_t skip(size_t i) const;
  const PathTree::Node* child(const PathTree::Node& node, size_t from, size_t colon);
  void scalar(uint32_t field, size_t from, size_t end);
  std::string_view unescape(std::string_view raw, std::string* buffer) const;
  void found(uint32_t condition);
  void enter(uint32_t array);
  void leave();
  [[noreturn]] void broken(size_t at) const;
  void require(bool condition, size_t i) const {
    if (!condition) [[unlikely]] {
      broken(i < count_ ? positions_[i] : size_);
    }
  }
  static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

  const Matcher& matcher_;
  const char* text_;
  size_t size_;
  MatchScratch& scratch_;
  const uint32_t* positions_ = nullptr;
  size_t count_ = 0;
  bool has_backslash_ = false;
  uint32_t scope_ = 0;
};

}  // namespace millrace::events

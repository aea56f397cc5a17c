// Many event patterns compiled into one machine that reads an event once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "events/field_matcher.h"
#include "events/path_tree.h"
#include "events/pattern.h"
#include "events/structural_index.h"

namespace millrace::events {

class Matcher;

// Working space for matching one event after another, with one matcher or several. One a thread.
class MatchScratch {
 public:
  // True when the last event made some rule's search through nested arrays so long that it was given up and
  // the rule taken as not matching. No event is known that does: it is a bound, not a rule.
  bool gave_up() const { return gave_up_; }

 private:
  friend class Matcher;
  friend class EventWalk;
  friend class ArraySearch;
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint32_t kNoHit = UINT32_MAX >> 1;

  // An element of an array that is an object or an array itself: the values in it belong together. 0 is the
  // event.
  struct Scope {
    uint32_t parent, array;
    uint32_t end;  // scopes from this one to before `end` are inside
  };
  struct Array {
    uint32_t begin, end;  // its scopes and those inside them
  };
  struct Pin {
    uint32_t scope;  // 0: none
    uint32_t by;     // the condition, by its place among those needed
  };
  struct Hit {
    uint32_t scope, previous;
  };
  struct Condition {
    uint32_t event = 0;           // the last event in which it was fulfilled
    uint32_t everywhere : 1 = 0;  // by a value that is in no array
    uint32_t last_hit : 31 = kNoHit;
  };

  uint64_t matcher_ = 0;
  uint32_t event_ = 0;
  bool gave_up_ = false;
  StructuralIndex index_;
  std::string buffer_, name_buffer_;
  FieldScratch field_;
  std::vector<Condition> conditions_;
  std::vector<uint32_t> fulfilled_;
  std::vector<Hit> hits_;
  std::vector<Scope> scopes_;
  std::vector<Array> arrays_;
  std::vector<uint32_t> rules_;  // the last event that a rule matched
  // The search through arrays.
  std::vector<Pin> pinned_;     // of an array: the element chosen
  std::vector<uint32_t> pins_;  // the arrays pinned so far
  std::vector<std::vector<uint32_t>> values_, presences_;
};

// Immutable; safe to use from any number of threads, each with a scratch of its own.
class Matcher {
 public:
  // The patterns are numbered by their place; they are not needed afterwards.
  explicit Matcher(const std::vector<const Pattern*>& patterns);

  // Puts the numbers of the patterns that match into `matched`, in no particular order. Throws CorruptError
  // when the event is so broken that its structure cannot be followed; events that pass a JSON parser never
  // are, unless they are nested deeper than kDepthMax where rules look.
  void match(std::string_view event, MatchScratch* scratch, std::vector<uint32_t>* matched) const;

  static constexpr int kDepthMax = 500;

 private:
  friend class EventWalk;
  friend class ArraySearch;
  static constexpr uint32_t kNone = UINT32_MAX;
  // Of a condition needed: absence of the field also does.
  static constexpr uint32_t kAbsentToo = 1U << 31;
  // Of a count, see alternatives_.
  static constexpr uint32_t kOneOfMany = 1U << 31;

  class Compiler;
  bool holds(const uint32_t* needs, size_t count, MatchScratch* scratch) const;
  void decide(uint32_t begin, uint32_t end, MatchScratch* scratch, std::vector<uint32_t>* matched) const;

  uint64_t id_;
  uint32_t rule_count_ = 0;
  uint32_t condition_count_ = 0;
  PathTree paths_;
  std::vector<FieldMatcher> fields_;
  // The alternatives of all patterns, each as the pattern's number, how many conditions it needs (with
  // kOneOfMany when the pattern has other alternatives) and these, in the order of their paths. Together in
  // memory because they are read together.
  std::vector<uint32_t> alternatives_;
  // Which of them to look at when a condition is fulfilled: from begin[condition] to begin[condition + 1].
  // Each hangs on one of its conditions only; those behind the last hang on none and are always looked at.
  std::vector<uint32_t> begin_;
  std::vector<uint32_t> presence_;  // of a condition with absence: the condition that the field is there
};

}  // namespace millrace::events

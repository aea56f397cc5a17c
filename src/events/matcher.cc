#include "events/matcher.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <unordered_map>

#include "events/array_search.h"
#include "events/event_walk.h"

namespace millrace::events {
namespace {

// A text that is the same for the same tests.
void identify(const Test& test, std::string* out) {
  const auto put = [&](const std::string& text) {
    const auto size = static_cast<uint32_t>(text.size());
    out->append(reinterpret_cast<const char*>(&size), sizeof size);
    *out += text;
  };
  out->push_back(static_cast<char>(test.kind));
  put(test.text);
  if (test.kind == TestKind::kAnythingBut) {
    const auto count = static_cast<uint32_t>(test.except.size());
    out->append(reinterpret_cast<const char*>(&count), sizeof count);
    for (const Test& each : test.except) identify(each, out);
  }
}

}  // namespace

// Gives numbers to fields, conditions and alternatives. The same condition in many rules is one condition.
class Matcher::Compiler {
 public:
  // With a single pattern nothing can be shared, and looking for it costs as much as the rest.
  Compiler(Matcher* out, bool single) : out_(*out), single_(single) { exists_.kind = TestKind::kExists; }

  void add(uint32_t rule, const Pattern& pattern) {
    std::vector<uint32_t> numbers(pattern.conditions.size(), kNone);
    for (const std::vector<uint32_t>& alternative : pattern.alternatives) {
      const auto begin = static_cast<uint32_t>(needs_.size());
      for (const uint32_t c : alternative) {
        if (numbers[c] == kNone) numbers[c] = condition(pattern.conditions[c]);
        needs_.push_back(numbers[c]);
      }
      const uint32_t many = pattern.alternatives.size() > 1 ? kOneOfMany : 0;
      alternatives_.push_back({rule, begin, static_cast<uint32_t>(alternative.size()), many, kNone});
    }
  }

  void finish() {
    out_.condition_count_ = static_cast<uint32_t>(weak_.size());
    out_.paths_.build(paths_);
    out_.fields_.resize(paths_.size());
    for (size_t f = 0; f < paths_.size(); ++f) out_.fields_[f].build(uses_[f]);
    hang();
  }

 private:
  uint32_t field(const std::string& path) {
    if (single_ && paths_.size() < 16) {
      const auto known = std::find(paths_.begin(), paths_.end(), path);
      if (known != paths_.end()) return static_cast<uint32_t>(known - paths_.begin());
    } else {
      for (; numbered_ < paths_.size(); ++numbered_) field_numbers_.emplace(paths_[numbered_], numbered_);
      const auto known = field_numbers_.find(path);
      if (known != field_numbers_.end()) return known->second;
    }
    paths_.push_back(path);
    uses_.emplace_back();
    field_presence_.push_back(kNone);
    return static_cast<uint32_t>(paths_.size() - 1);
  }

  uint32_t fresh_condition(bool weak) {
    weak_.push_back(weak);
    out_.presence_.push_back(kNone);
    return static_cast<uint32_t>(weak_.size() - 1);
  }

  // The number of the condition, with kAbsentToo where that is so.
  uint32_t condition(const Condition& condition) {
    const uint32_t f = field(condition.path);
    bool absent = false, weak = false;
    for (const Test& test : condition.any_of) {
      absent = absent || test.kind == TestKind::kAbsent;
      weak = weak || test.kind == TestKind::kExists || test.kind == TestKind::kAnythingBut;
    }
    uint32_t* known = nullptr;
    if (!single_) {
      key_.assign(reinterpret_cast<const char*>(&f), sizeof f);
      for (const Test& test : condition.any_of) identify(test, &key_);
      const auto [at, fresh] = condition_numbers_.try_emplace(key_, 0);
      if (!fresh) return at->second;
      known = &at->second;
    }
    const uint32_t number = fresh_condition(weak);
    for (const Test& test : condition.any_of) {
      if (test.kind != TestKind::kAbsent) uses_[f].push_back({&test, number});
    }
    if (absent) {
      if (field_presence_[f] == kNone) {
        field_presence_[f] = fresh_condition(true);
        uses_[f].push_back({&exists_, field_presence_[f]});
      }
      out_.presence_[number] = field_presence_[f];
    }
    const uint32_t result = absent ? number | kAbsentToo : number;
    if (known) *known = result;
    return result;
  }

  // Every alternative hangs on the condition that fewest others have, so that what all rules ask for (the
  // source of an event, say) leads to none of them.
  void hang() {
    const auto conditions = static_cast<uint32_t>(weak_.size());
    std::vector<uint32_t> uses(conditions, 0);
    for (const uint32_t need : needs_) ++uses[need & ~kAbsentToo];
    for (Alternative& a : alternatives_) {
      uint64_t best = UINT64_MAX;
      a.hangs_on = conditions;  // behind all: on none
      for (uint32_t n = a.begin; n < a.begin + a.count; ++n) {
        const uint32_t need = needs_[n];
        if (need & kAbsentToo) continue;
        const uint64_t cost = uses[need] + (weak_[need] ? 1ULL << 32 : 0);
        if (cost < best) {
          best = cost;
          a.hangs_on = need;
        }
      }
    }
    std::stable_sort(alternatives_.begin(), alternatives_.end(),
                     [](const Alternative& a, const Alternative& b) { return a.hangs_on < b.hangs_on; });
    size_t next = 0;
    for (uint32_t condition = 0; condition <= conditions; ++condition) {
      out_.begin_.push_back(static_cast<uint32_t>(out_.alternatives_.size()));
      for (; next < alternatives_.size() && alternatives_[next].hangs_on == condition; ++next) {
        const Alternative& a = alternatives_[next];
        out_.alternatives_.push_back(a.rule);
        out_.alternatives_.push_back(a.count | a.many);
        out_.alternatives_.insert(out_.alternatives_.end(), needs_.begin() + a.begin,
                                  needs_.begin() + a.begin + a.count);
      }
    }
    out_.begin_.push_back(static_cast<uint32_t>(out_.alternatives_.size()));
  }

  struct Alternative {
    uint32_t rule, begin, count;  // begin in needs_
    uint32_t many, hangs_on;
  };

  Matcher& out_;
  bool single_;
  uint32_t numbered_ = 0;  // paths in field_numbers_
  Test exists_;
  std::string key_;
  std::unordered_map<std::string, uint32_t> field_numbers_, condition_numbers_;
  std::vector<std::string> paths_;
  std::vector<std::vector<FieldMatcher::Use>> uses_;
  std::vector<uint32_t> field_presence_;
  std::vector<Alternative> alternatives_;
  std::vector<uint32_t> needs_;
  std::vector<bool> weak_;  // of a condition: nearly every value fulfils it
};

Matcher::Matcher(const std::vector<const Pattern*>& patterns) {
  static std::atomic<uint64_t> next_id{1};
  id_ = next_id++;
  rule_count_ = static_cast<uint32_t>(patterns.size());
  Compiler compiler(this, patterns.size() == 1);
  for (uint32_t i = 0; i < rule_count_; ++i) compiler.add(i, *patterns[i]);
  compiler.finish();
}

void Matcher::match(std::string_view event, MatchScratch* scratch, std::vector<uint32_t>* matched) const {
  MatchScratch& s = *scratch;
  matched->clear();
  if (s.matcher_ != id_ || s.event_ == UINT32_MAX) {
    s.matcher_ = id_;
    s.event_ = 0;
    s.conditions_.assign(condition_count_, {});
    s.rules_.assign(rule_count_, 0);
  }
  ++s.event_;
  s.gave_up_ = false;
  s.fulfilled_.clear();
  s.hits_.clear();
  s.arrays_.clear();
  s.scopes_.assign(1, {0, MatchScratch::kNone, 0});
  EventWalk(*this, event, scratch).run();
  for (const uint32_t condition : s.fulfilled_)
    decide(begin_[condition], begin_[condition + 1], scratch, matched);
  decide(begin_[condition_count_], begin_[condition_count_ + 1], scratch, matched);
}

// Looks at some alternatives.
inline void Matcher::decide(uint32_t begin, uint32_t end, MatchScratch* scratch,
                            std::vector<uint32_t>* matched) const {
  for (const uint32_t *a = alternatives_.data() + begin, *last = alternatives_.data() + end; a != last;) {
    const uint32_t rule = a[0], count = a[1] & ~kOneOfMany;
    const bool many = (a[1] & kOneOfMany) != 0;
    const uint32_t* needs = a + 2;
    a = needs + count;
    if (many && scratch->rules_[rule] == scratch->event_) continue;
    if (!holds(needs, count, scratch)) continue;
    if (many) scratch->rules_[rule] = scratch->event_;
    matched->push_back(rule);
  }
}

bool Matcher::holds(const uint32_t* needs, size_t count, MatchScratch* scratch) const {
  const uint32_t event = scratch->event_;
  size_t in_arrays = 0;
  bool absence_in_arrays = false;
  for (size_t n = 0; n < count; ++n) {
    const uint32_t number = needs[n] & ~kAbsentToo;
    const MatchScratch::Condition& c = scratch->conditions_[number];
    if (c.event == event) {
      if (!c.everywhere) ++in_arrays;
      continue;
    }
    if (!(needs[n] & kAbsentToo)) return false;
    const MatchScratch::Condition& presence = scratch->conditions_[presence_[number]];
    if (presence.event != event) continue;
    if (presence.everywhere) return false;
    absence_in_arrays = true;
  }
  if (in_arrays <= 1 && !absence_in_arrays) return true;
  ArraySearch search(*this, needs, count, scratch);
  const bool found = search.succeeds();
  scratch->gave_up_ = scratch->gave_up_ || search.gave_up();
  return found;
}

}  // namespace millrace::events

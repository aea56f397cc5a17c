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
  explicit Compiler(Matcher* out) : out_(*out) { exists_.kind = TestKind::kExists; }

  void add(uint32_t rule, const Pattern& pattern) {
    std::vector<uint32_t> numbers(pattern.conditions.size(), kNone);
    for (const std::vector<uint32_t>& alternative : pattern.alternatives) {
      const auto begin = static_cast<uint32_t>(out_.needs_.size());
      for (const uint32_t c : alternative) {
        if (numbers[c] == kNone) numbers[c] = condition(pattern.conditions[c]);
        out_.needs_.push_back(numbers[c]);
      }
      out_.alternatives_.push_back({rule, begin, static_cast<uint32_t>(out_.needs_.size())});
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
    const auto [at, fresh] = field_numbers_.try_emplace(path, static_cast<uint32_t>(paths_.size()));
    if (fresh) {
      paths_.push_back(path);
      uses_.emplace_back();
      field_presence_.push_back(kNone);
    }
    return at->second;
  }

  uint32_t fresh_condition(bool weak) {
    weak_.push_back(weak);
    out_.presence_.push_back(kNone);
    return static_cast<uint32_t>(weak_.size() - 1);
  }

  // The number of the condition, with kAbsentToo where that is so.
  uint32_t condition(const Condition& condition) {
    const uint32_t f = field(condition.path);
    key_.assign(reinterpret_cast<const char*>(&f), sizeof f);
    bool absent = false, weak = false;
    for (const Test& test : condition.any_of) {
      identify(test, &key_);
      absent = absent || test.kind == TestKind::kAbsent;
      weak = weak || test.kind == TestKind::kExists || test.kind == TestKind::kAnythingBut;
    }
    const auto [at, fresh] = condition_numbers_.try_emplace(key_, 0);
    if (!fresh) return at->second;
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
    return at->second = absent ? number | kAbsentToo : number;
  }

  // Every alternative hangs on the condition that fewest others have, so that what all rules ask for (the
  // source of an event, say) leads to none of them.
  void hang() {
    std::vector<uint32_t> uses(weak_.size(), 0), on(out_.alternatives_.size(), kNone);
    for (const uint32_t need : out_.needs_) ++uses[need & ~kAbsentToo];
    std::vector<uint32_t> counts(weak_.size() + 1, 0);
    for (uint32_t a = 0; a < on.size(); ++a) {
      uint64_t best = UINT64_MAX;
      for (uint32_t n = out_.alternatives_[a].begin; n < out_.alternatives_[a].end; ++n) {
        const uint32_t need = out_.needs_[n];
        if (need & kAbsentToo) continue;
        const uint64_t cost = uses[need] + (weak_[need] ? 1ULL << 32 : 0);
        if (cost < best) {
          best = cost;
          on[a] = need;
        }
      }
      if (on[a] == kNone) {
        out_.always_.push_back(a);
      } else {
        ++counts[on[a] + 1];
      }
    }
    for (size_t c = 1; c < counts.size(); ++c) counts[c] += counts[c - 1];
    out_.hangs_begin_ = counts;
    out_.hangs_.resize(counts.back());
    for (uint32_t a = 0; a < on.size(); ++a) {
      if (on[a] != kNone) out_.hangs_[counts[on[a]]++] = a;
    }
  }

  Matcher& out_;
  Test exists_;
  std::string key_;
  std::unordered_map<std::string, uint32_t> field_numbers_, condition_numbers_;
  std::vector<std::string> paths_;
  std::vector<std::vector<FieldMatcher::Use>> uses_;
  std::vector<uint32_t> field_presence_;
  std::vector<bool> weak_;  // of a condition: nearly every value fulfils it
};

Matcher::Matcher(const std::vector<const Pattern*>& patterns) {
  static std::atomic<uint64_t> next_id{1};
  id_ = next_id++;
  rule_count_ = static_cast<uint32_t>(patterns.size());
  Compiler compiler(this);
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
  for (const uint32_t condition : s.fulfilled_) {
    for (uint32_t h = hangs_begin_[condition]; h < hangs_begin_[condition + 1]; ++h)
      decide(hangs_[h], scratch, matched);
  }
  for (const uint32_t alternative : always_) decide(alternative, scratch, matched);
}

inline void Matcher::decide(uint32_t alternative, MatchScratch* scratch,
                            std::vector<uint32_t>* matched) const {
  const Alternative& a = alternatives_[alternative];
  uint32_t& last = scratch->rules_[a.rule];
  if (last == scratch->event_ || !holds(a, scratch)) return;
  last = scratch->event_;
  matched->push_back(a.rule);
}

bool Matcher::holds(const Alternative& alternative, MatchScratch* scratch) const {
  const uint32_t event = scratch->event_;
  size_t in_arrays = 0;
  bool absence_in_arrays = false;
  for (uint32_t n = alternative.begin; n < alternative.end; ++n) {
    const uint32_t number = needs_[n] & ~kAbsentToo;
    const MatchScratch::Condition& c = scratch->conditions_[number];
    if (c.event == event) {
      if (!c.everywhere) ++in_arrays;
      continue;
    }
    if (!(needs_[n] & kAbsentToo)) return false;
    const MatchScratch::Condition& presence = scratch->conditions_[presence_[number]];
    if (presence.event != event) continue;
    if (presence.everywhere) return false;
    absence_in_arrays = true;
  }
  if (in_arrays <= 1 && !absence_in_arrays) return true;
  ArraySearch search(*this, needs_.data() + alternative.begin, alternative.end - alternative.begin, scratch);
  const bool found = search.succeeds();
  scratch->gave_up_ = scratch->gave_up_ || search.gave_up();
  return found;
}

}  // namespace millrace::events

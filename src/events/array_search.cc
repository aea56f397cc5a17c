#include "events/array_search.h"

#include <algorithm>

namespace millrace::events {

// The scopes where the condition is fulfilled, ascending; 0 for the event itself.
void ArraySearch::collect(uint32_t condition, Scopes* out) const {
  out->clear();
  const MatchScratch::Condition& c = scratch_.conditions_[condition];
  if (c.event != scratch_.event_) return;
  for (uint32_t hit = c.last_hit; hit != MatchScratch::kNoHit; hit = scratch_.hits_[hit].previous) {
    out->push_back(scratch_.hits_[hit].scope);
  }
  if (c.everywhere) out->push_back(0);
  // The last comes first, and only an object that goes on behind an array breaks the order.
  std::reverse(out->begin(), out->end());
  if (std::is_sorted(out->begin(), out->end())) return;
  std::sort(out->begin(), out->end());
  out->erase(std::unique(out->begin(), out->end()), out->end());
}

bool ArraySearch::succeeds() {
  if (scratch_.values_.size() < count_) {
    scratch_.values_.resize(count_);
    scratch_.presences_.resize(count_);
  }
  scratch_.pins_.clear();
  for (size_t k = 0; k < count_; ++k) {
    const uint32_t condition = needs_[k] & ~Matcher::kAbsentToo;
    collect(condition, &scratch_.values_[k]);
    if (needs_[k] & Matcher::kAbsentToo) {
      collect(matcher_.presence_[condition], &scratch_.presences_[k]);
    } else if (scratch_.values_[k].empty()) {
      return false;
    }
  }
  scratch_.pinned_.assign(scratch_.arrays_.size(), {0, 0});
  Blame blame = 0;
  return search(0, &blame);
}

// The first place from `from` on whose value is consistent with what is pinned. `blame` gets the conditions
// that pinned what the skipped values are not consistent with.
size_t ArraySearch::next(const Scopes& scopes, size_t from, Blame* blame) {
  while (from < scopes.size()) {
    if (++steps_ > kStepsMax) return scopes.size();
    // The outermost array around the value of which another element is pinned.
    uint32_t wrong = MatchScratch::kNone;
    for (uint32_t s = scopes[from]; s != 0; s = scratch_.scopes_[s].parent) {
      const uint32_t pinned = scratch_.pinned_[scratch_.scopes_[s].array].scope;
      if (pinned != 0 && pinned != s) wrong = s;
    }
    if (wrong == MatchScratch::kNone) return from;
    const uint32_t array = scratch_.scopes_[wrong].array;
    const MatchScratch::Pin pinned = scratch_.pinned_[array];
    *blame |= bit(pinned.by);
    const uint32_t to = wrong < pinned.scope ? pinned.scope : scratch_.arrays_[array].end;
    from = static_cast<size_t>(
        std::lower_bound(scopes.begin() + static_cast<ptrdiff_t>(from), scopes.end(), to) - scopes.begin());
  }
  return from;
}

// How many arrays it pinned that were not.
size_t ArraySearch::pin(uint32_t scope, size_t k) {
  size_t count = 0;
  for (uint32_t s = scope; s != 0; s = scratch_.scopes_[s].parent) {
    MatchScratch::Pin& pinned = scratch_.pinned_[scratch_.scopes_[s].array];
    if (pinned.scope != 0) continue;
    pinned = {s, static_cast<uint32_t>(k)};
    scratch_.pins_.push_back(scratch_.scopes_[s].array);
    ++count;
  }
  return count;
}

void ArraySearch::unpin(size_t count) {
  for (; count > 0; --count) {
    scratch_.pinned_[scratch_.pins_.back()].scope = 0;
    scratch_.pins_.pop_back();
  }
}

// Finds values for the conditions from the k-th on. When there are none, `blame` gets conditions before the
// k-th whose choices alone are enough to make it so.
bool ArraySearch::search(size_t k, Blame* blame) {
  if (k == count_) return true;
  Blame mine = 0;
  if (needs_[k] & Matcher::kAbsentToo) {
    Blame unused = 0;
    const Scopes& there = scratch_.presences_[k];
    if (next(there, 0, &unused) < there.size()) {
      // There now; any other choice before might have pinned it away.
      mine |= bit(k) - 1;
      if (k >= 63) mine |= bit(k);
    } else if (!gave_up() && search(k + 1, &mine)) {
      return true;
    }
  }
  const Scopes& scopes = scratch_.values_[k];
  for (size_t i = next(scopes, 0, &mine); i < scopes.size() && !gave_up(); i = next(scopes, i + 1, &mine)) {
    Blame deeper = 0;
    const size_t count = pin(scopes[i], k);
    const bool found = search(k + 1, &deeper);
    unpin(count);
    if (found) return true;
    if (!(deeper & bit(k))) {
      *blame |= deeper;
      return false;
    }
    mine |= k < 63 ? deeper & ~bit(k) : deeper;
  }
  *blame |= mine;
  return false;
}

}  // namespace millrace::events

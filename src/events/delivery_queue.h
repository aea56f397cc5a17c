// The open deliveries that are in memory: the first ones in the order in which they are due. The others are
// only in the store and come when there is room, so memory is bounded however many wait.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "events/delivery.h"

namespace millrace::events {

// Not thread-safe.
class DeliveryQueue {
 public:
  static constexpr size_t kMost = 4096;  // waiting in memory
  static constexpr size_t kFew = 1024;   // below, more are fetched
  static constexpr size_t kPage = 2048;  // at a time
  static constexpr size_t kInFlight = 256;

  using Place = std::pair<TimeMs, int64_t>;  // due, seq

  // A new delivery, or one to be tried again; its row is in the store.
  void add(Delivery delivery) {
    const Place place{delivery.next_at, delivery.seq};
    if (horizon_ && place > *horizon_) return;
    waiting_.emplace(place, std::move(delivery));
    if (waiting_.size() <= kMost) return;
    while (waiting_.size() > kMost / 2) waiting_.erase(std::prev(waiting_.end()));
    horizon_ = waiting_.rbegin()->first;
  }
  // Where the next page begins, when one is wanted.
  std::optional<Place> wants_page() const {
    return horizon_ && waiting_.size() < kFew ? horizon_ : std::nullopt;
  }
  // What the store had behind wants_page(), at most kPage.
  void add_page(std::vector<Delivery> page) {
    horizon_ =
        page.size() < kPage ? std::nullopt : std::optional(Place{page.back().next_at, page.back().seq});
    for (Delivery& delivery : page) {
      const Place place{delivery.next_at, delivery.seq};
      waiting_.emplace(place, std::move(delivery));
    }
  }
  // Nothing is known yet of what the store has.
  void restart() {
    waiting_.clear();
    in_flight_.clear();
    horizon_ = Place{INT64_MIN, 0};
  }

  // Takes the next one that is due, unless too many are under way.
  std::optional<Delivery> take(TimeMs now) {
    if (waiting_.empty() || waiting_.begin()->first.first > now || in_flight_.size() >= kInFlight)
      return std::nullopt;
    Delivery delivery = std::move(waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
    in_flight_.insert(delivery.seq);
    return delivery;
  }
  void landed(int64_t seq) { in_flight_.erase(seq); }
  bool is_full() const { return in_flight_.size() >= kInFlight; }
  std::optional<TimeMs> next_due() const {
    if (waiting_.empty() || is_full()) return std::nullopt;
    return waiting_.begin()->first.first;
  }

 private:
  std::map<Place, Delivery> waiting_;
  std::set<int64_t> in_flight_;
  std::optional<Place> horizon_ = Place{INT64_MIN, 0};
};

}  // namespace millrace::events

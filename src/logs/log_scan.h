// Reads events out of segment spans in the order of time, a page at a time, with flat memory.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "logs/filter_pattern.h"
#include "logs/log_index.h"

namespace millrace::logs {

// The total order of events, and their place: unique and stable.
struct EventKey {
  base::TimeMs timestamp = 0;
  base::TimeMs ingestion = 0;
  uint64_t writer = 0;
  uint32_t segment = 0;
  uint32_t offset = 0;
  auto operator<=>(const EventKey&) const = default;

  static EventKey before(base::TimeMs t) { return {t, std::numeric_limits<base::TimeMs>::min(), 0, 0, 0}; }
  static EventKey after(base::TimeMs t) {
    return {t, std::numeric_limits<base::TimeMs>::max(), UINT64_MAX, UINT32_MAX, UINT32_MAX};
  }
  // 64 hexadecimal digits, and back.
  std::string text() const;
  static std::optional<EventKey> parse(std::string_view text);
  // 56 decimal digits that sort as time does, like CloudWatch's.
  std::string event_id() const;
};

struct Event {
  EventKey key;
  std::shared_ptr<const std::string> stream;
  std::string message;
};

struct ScanItem {
  SegmentId segment;
  std::shared_ptr<const SegmentFile> file;
  Span span;
};

// What a section of a block is to the query.
struct SectionTarget {
  std::shared_ptr<const std::string> stream;  // null: not wanted
  base::TimeMs hidden_until = kNoTime;
};

struct ScanQuery {
  bool forward = true;  // the oldest events after `bound`; false: the newest before it
  EventKey bound = EventKey::before(std::numeric_limits<base::TimeMs>::min());  // exclusive
  base::TimeMs from = std::numeric_limits<base::TimeMs>::min();                 // inclusive
  base::TimeMs to = std::numeric_limits<base::TimeMs>::max();                   // inclusive
  size_t events_max = 10'000;
  size_t bytes_max = 1 << 20;  // of messages, 26 for each event included; one event always fits
  // After that many bytes of files the page ends, as long as it is further than the last one.
  uint64_t scan_bytes_max = UINT64_MAX;
  const FilterPattern* pattern = nullptr;
  // Tells which sections of a block are wanted: one target for each. Called often.
  std::function<void(SegmentId, const std::vector<SectionHead>&, std::vector<SectionTarget>&)> resolve;
};

struct ScanPage {
  std::vector<Event> events;    // ascending
  bool more = false;            // there may be more beyond
  EventKey resume;              // the bound of the next page, when `more`
  uint64_t damaged_blocks = 0;  // skipped: their checksum does not hold
};

// Memory: the page, one span and its neighbours' heads. Damaged blocks are skipped, deleted files are empty.
ScanPage scan(std::vector<ScanItem> items, const ScanQuery& query);

}  // namespace millrace::logs

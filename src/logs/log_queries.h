// What is asked of the log store, and what it answers.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "logs/filter_pattern.h"
#include "logs/log_scan.h"

namespace millrace::logs {

struct GroupInfo {
  std::string name;
  base::TimeMs created = 0;
  int retention_days = 0;  // 0: for ever
  uint64_t stored_bytes = 0;
  std::string log_class;
  std::string kms_key;
};

struct StreamInfo {
  std::string name;
  base::TimeMs created = 0;
  // Nothing when the stream has no events.
  std::optional<base::TimeMs> first_event, last_event, last_ingestion;
};

enum class StreamOrder { kName, kLastEvent };

struct StreamQuery {
  std::string group;
  std::string prefix;
  StreamOrder order = StreamOrder::kName;
  bool descending = false;
  size_t limit = 50;
  std::string after;  // `next` of the page before
};
struct StreamPage {
  std::vector<StreamInfo> streams;
  std::string next;  // empty: the end
};

struct InputEvent {
  base::TimeMs timestamp;
  std::string_view message;
};
// Which events of a batch were not taken, as PutLogEvents tells it.
struct Rejections {
  std::optional<size_t> too_new_start, too_old_end, expired_end;
};

struct GetQuery {
  std::string group, stream;
  std::optional<base::TimeMs> from, until;  // until is exclusive
  bool from_head = false;
  size_t limit = 10'000;
  std::string token;
};
struct GetPage {
  std::vector<Event> events;
  std::string forward, backward;  // never empty; at the end the token that was passed
};

struct FilterQuery {
  std::string group;
  std::vector<std::string> streams;  // empty: all, or those of the prefix
  std::string prefix;
  std::optional<base::TimeMs> from, to;  // both inclusive
  FilterPattern pattern;
  bool newest_first = false;
  size_t limit = 10'000;
  std::string token;
};
struct FilterPage {
  std::vector<Event> events;
  std::string next;  // empty: the end
};

// What a live tail follows: groups, or in one group the streams of a list or of prefixes.
struct TailQuery {
  std::vector<std::string> groups;
  std::vector<std::string> streams, prefixes;  // both empty: all
  FilterPattern pattern;
  size_t events_max = 500;
  size_t bytes_max = 8 << 20;  // of messages
};
// How far a tail has read: from one call to the next.
struct TailPosition {
  SegmentId first_unknown = 0;
  std::map<SegmentId, uint64_t> read_bytes;  // of files that may still grow
};
struct TailEvent {
  Event event;
  std::string group;
};
struct TailPage {
  std::vector<TailEvent> events;  // ascending
  bool sampled = false;           // there were more
};

}  // namespace millrace::logs

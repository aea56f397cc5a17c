// An event as an event bus carries it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace millrace::events {

// Where this Millrace pretends to be: what ARNs are made of.
struct Place {
  std::string region = "us-east-1";
  std::string account = "123456789012";
  // arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE, with the partition of the region.
  std::string arn(std::string_view service, std::string_view resource) const;
};

inline constexpr std::string_view kDefaultBus = "default";
inline constexpr std::string_view kBatchSource = "aws.batch";  // of what Millrace's own jobs tell
// Levels of nesting: of what PutEvents takes as detail, and of anything that an event may be part of.
inline constexpr size_t kDetailDepthMax = 100, kEventDepthMax = 200;

struct Event {
  std::string id;
  std::string bus;
  std::string source, detail_type;
  base::TimeMs time = 0;
  std::string body;  // the whole event, JSON
  int hops = 0;      // from bus to bus
  // Nothing is lost with it when no rule matches: it is kept in memory only then.
  bool passing = false;
  bool replay = false;                  // not archived again
  std::vector<std::string> only_rules;  // of a replay: ARNs; empty: all
};

struct EventFields {
  std::string source, detail_type;
  base::TimeMs time = 0;
  std::vector<std::string> resources;
  std::string detail = "{}";  // JSON
  std::string id;             // empty: a new one
};

// The envelope in EventBridge's order: version, id, detail-type, source, account, time, region, resources,
// detail. `time` is told in whole seconds.
Event make_event(const EventFields& fields, const Place& place, std::string_view bus = kDefaultBus);

// The same event as a replay sends it.
Event replayed(const Event& event, std::string_view replay);

}  // namespace millrace::events

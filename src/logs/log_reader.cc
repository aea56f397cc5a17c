#include "logs/log_reader.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <unordered_set>

namespace millrace::logs {
namespace {

constexpr uint64_t kTailScanBytesMax = 256 << 20;  // of what came in between two calls

// "f/<key>/s": reading goes on after the key; "b/<key>/s": before it.
std::string direction_token(char direction, const EventKey& key) {
  return std::string(1, direction) + "/" + key.text() + "/s";
}

}  // namespace

std::vector<ScanItem> LogReader::plan(GroupId group, const std::vector<StreamId>* wanted, base::TimeMs from,
                                      base::TimeMs to) const {
  std::vector<ScanItem> items;
  auto add = [&](SegmentId id, const LogIndex::Segment& segment, const Span& span) {
    if (span.timestamp_max >= from && span.timestamp_min <= to) items.push_back({id, segment.file, span});
  };
  if (wanted == nullptr) {
    for (const auto& [id, segment] : state_.index.segments()) {
      auto share = std::find_if(segment.groups.begin(), segment.groups.end(),
                                [&](const auto& s) { return s.group == group; });
      if (share == segment.groups.end() || share->timestamp_max < from) continue;
      for (const Span& span : segment.spans) add(id, segment, span);
    }
    return items;
  }
  std::map<SegmentId, std::vector<std::pair<uint32_t, uint32_t>>> ranges;
  for (StreamId id : *wanted) {
    const Stream* stream = state_.index.find_stream(id);
    if (stream == nullptr) continue;
    for (const StreamPart& part : stream->parts)
      if (part.timestamp_max >= from && part.timestamp_min <= to)
        ranges[part.segment].emplace_back(part.span_first, part.span_last);
  }
  for (auto& [id, spans] : ranges) {
    const LogIndex::Segment& segment = state_.index.segments().at(id);
    std::sort(spans.begin(), spans.end());
    uint32_t next = 0;  // the first span not yet added
    for (auto [first, last] : spans) {
      for (uint32_t i = std::max(first, next); i <= last; ++i) add(id, segment, segment.spans[i]);
      next = std::max(next, last + 1);
    }
  }
  return items;
}

GetPage LogReader::get_events(const GetQuery& query) {
  ScanQuery scan_query;
  scan_query.forward = query.from_head;
  scan_query.events_max = query.limit;
  // Where both tokens stand when nothing is found.
  EventKey here = query.from_head ? EventKey::before(std::numeric_limits<base::TimeMs>::min())
                                  : EventKey::after(std::numeric_limits<base::TimeMs>::max());
  if (!query.token.empty()) {
    std::string_view token = query.token;
    if (token.size() != 68 || (!token.starts_with("f/") && !token.starts_with("b/")) ||
        !token.ends_with("/s"))
      bad_token();
    auto key = EventKey::parse(token.substr(2, 64));
    if (!key) bad_token();
    scan_query.forward = token[0] == 'f';
    here = *key;
  }
  scan_query.bound = here;

  state_.catch_up();
  std::vector<ScanItem> items;
  StreamId id;
  {
    std::shared_lock lock(state_.mutex);
    const Group& group = state_.known_group(query.group);
    auto it = group.streams.find(query.stream);
    if (it == group.streams.end()) no_stream();
    id = it->second;
    scan_query.from = std::max(query.from.value_or(kNoTime), state_.oldest_kept(group));
    if (query.until && *query.until == kNoTime) return {};
    if (query.until) scan_query.to = *query.until - 1;
    const std::vector<StreamId> wanted{id};
    items = plan(state_.index.group_id(query.group), &wanted, scan_query.from, scan_query.to);
  }
  scan_query.resolve = [&](SegmentId segment, const std::vector<SectionHead>& sections,
                           std::vector<SectionTarget>& targets) {
    targets.assign(sections.size(), {});
    std::shared_lock lock(state_.mutex);
    const Stream* stream = state_.index.find_stream(id);
    if (stream == nullptr) return;
    for (size_t i = 0; i < sections.size(); ++i)
      if (state_.index.stream_of(segment, sections[i].stream) == id)
        targets[i] = {stream->name, stream->hidden_until};
  };
  ScanPage found = scan(std::move(items), scan_query);

  GetPage page;
  if (found.events.empty()) {
    // A stream read from its newest end that has no events yet: what comes is to be found going forward.
    if (query.token.empty()) here = EventKey::before(std::numeric_limits<base::TimeMs>::min());
    page.forward = direction_token('f', here);
    page.backward = direction_token('b', here);
  } else {
    page.forward = direction_token('f', found.events.back().key);
    page.backward = direction_token('b', found.events.front().key);
  }
  page.events = std::move(found.events);
  return page;
}

FilterPage LogReader::filter_events(const FilterQuery& query) {
  ScanQuery scan_query;
  scan_query.forward = !query.newest_first;
  scan_query.events_max = query.limit;
  scan_query.scan_bytes_max = scan_bytes_max_;
  if (!query.pattern.matches_all()) scan_query.pattern = &query.pattern;
  scan_query.bound = scan_query.forward ? EventKey::before(std::numeric_limits<base::TimeMs>::min())
                                        : EventKey::after(std::numeric_limits<base::TimeMs>::max());
  if (!query.token.empty()) {
    auto key = EventKey::parse(query.token);
    if (!key) bad_token();
    scan_query.bound = *key;
  }
  if (query.to) scan_query.to = *query.to;

  state_.catch_up();
  std::vector<ScanItem> items;
  const bool all = query.streams.empty() && query.prefix.empty();
  std::unordered_set<StreamId> wanted;
  GroupId group_id;
  {
    std::shared_lock lock(state_.mutex);
    const Group& group = state_.known_group(query.group);
    group_id = state_.index.group_id(query.group);
    scan_query.from = std::max(query.from.value_or(kNoTime), state_.oldest_kept(group));
    std::vector<StreamId> ids;
    for (const std::string& name : query.streams) {
      auto it = group.streams.find(name);
      if (it == group.streams.end()) no_stream();
      ids.push_back(it->second);
    }
    if (!query.prefix.empty()) {
      for (auto it = group.streams.lower_bound(query.prefix);
           it != group.streams.end() && it->first.starts_with(query.prefix); ++it)
        ids.push_back(it->second);
    }
    wanted.insert(ids.begin(), ids.end());
    base::TimeMs from = scan_query.from, to = scan_query.to;
    if (scan_query.forward)
      from = std::max(from, scan_query.bound.timestamp);
    else
      to = std::min(to, scan_query.bound.timestamp);
    items = plan(group_id, all ? nullptr : &ids, from, to);
  }
  scan_query.resolve = [&](SegmentId segment, const std::vector<SectionHead>& sections,
                           std::vector<SectionTarget>& targets) {
    targets.assign(sections.size(), {});
    std::shared_lock lock(state_.mutex);
    for (size_t i = 0; i < sections.size(); ++i) {
      auto id = state_.index.stream_of(segment, sections[i].stream);
      if (!id || (!all && !wanted.contains(*id))) continue;
      const Stream* stream = state_.index.find_stream(*id);
      if (stream->group == group_id) targets[i] = {stream->name, stream->hidden_until};
    }
  };
  ScanPage found = scan(std::move(items), scan_query);

  FilterPage page;
  page.events = std::move(found.events);
  if (!scan_query.forward) std::reverse(page.events.begin(), page.events.end());
  if (found.more) page.next = found.resume.text();
  return page;
}

TailPosition LogReader::tail_from_now() {
  state_.catch_up();
  std::shared_lock lock(state_.mutex);
  TailPosition position;
  plan_tail(position);
  return position;
}

std::vector<ScanItem> LogReader::plan_tail(TailPosition& position) const {
  std::vector<ScanItem> items;
  auto read_on = [&](SegmentId id, const LogIndex::Segment& segment, uint64_t from) {
    auto span = std::partition_point(segment.spans.begin(), segment.spans.end(),
                                     [&](const Span& s) { return s.offset + s.bytes <= from; });
    for (; span != segment.spans.end(); ++span) {
      Span rest = *span;
      if (rest.offset < from) {
        rest.bytes -= static_cast<uint32_t>(from - rest.offset);
        rest.offset = from;
      }
      items.push_back({id, segment.file, rest});
    }
  };
  const auto& segments = state_.index.segments();
  std::map<SegmentId, uint64_t> growing;
  auto look = [&](SegmentId id, const LogIndex::Segment& segment, uint64_t from) {
    read_on(id, segment, from);
    if (!segment.sealed) growing[id] = segment.indexed_bytes;
  };
  for (const auto& [id, from] : position.read_bytes)
    if (auto segment = segments.find(id); segment != segments.end()) look(id, segment->second, from);
  for (auto segment = segments.lower_bound(position.first_unknown); segment != segments.end(); ++segment)
    look(segment->first, segment->second, 0);
  if (!segments.empty())
    position.first_unknown = std::max(position.first_unknown, segments.rbegin()->first + 1);
  position.read_bytes = std::move(growing);
  return items;
}

TailPage LogReader::tail(const TailQuery& query, TailPosition& position) {
  state_.catch_up();
  ScanQuery scan_query;
  scan_query.events_max = query.events_max;
  scan_query.bytes_max = query.bytes_max;
  scan_query.scan_bytes_max = kTailScanBytesMax;
  if (!query.pattern.matches_all()) scan_query.pattern = &query.pattern;

  std::vector<ScanItem> items;
  {
    std::shared_lock lock(state_.mutex);
    items = plan_tail(position);
  }
  auto wants = [&](const std::string& stream) {
    if (query.streams.empty() && query.prefixes.empty()) return true;
    return std::find(query.streams.begin(), query.streams.end(), stream) != query.streams.end() ||
           std::any_of(query.prefixes.begin(), query.prefixes.end(),
                       [&](const std::string& prefix) { return stream.starts_with(prefix); });
  };
  std::unordered_map<const std::string*, std::string> group_of;  // by the stream's name
  scan_query.resolve = [&](SegmentId segment, const std::vector<SectionHead>& sections,
                           std::vector<SectionTarget>& targets) {
    targets.assign(sections.size(), {});
    std::shared_lock lock(state_.mutex);
    for (size_t i = 0; i < sections.size(); ++i) {
      auto id = state_.index.stream_of(segment, sections[i].stream);
      if (!id) continue;
      const Stream& stream = *state_.index.find_stream(*id);
      const std::string& group = state_.index.group(stream.group).name;
      if (std::find(query.groups.begin(), query.groups.end(), group) == query.groups.end() ||
          !wants(*stream.name))
        continue;
      targets[i] = {stream.name, stream.hidden_until};
      group_of.try_emplace(stream.name.get(), group);
    }
  };
  ScanPage found = scan(std::move(items), scan_query);
  TailPage page;
  page.sampled = found.more;
  page.events.reserve(found.events.size());
  for (Event& event : found.events) {
    const std::string& group = group_of.at(event.stream.get());
    page.events.push_back({std::move(event), group});
  }
  return page;
}

}  // namespace millrace::logs

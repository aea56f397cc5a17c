#include "logs/log_store.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "logs/group_table.h"
#include "logs/log_index.h"
#include "logs/segment_writer.h"

namespace millrace::logs {
namespace {

constexpr base::TimeMs kDayMs = 86'400'000;
constexpr base::TimeMs kTooNewMs = 2 * 3'600'000;
constexpr base::TimeMs kTooOldMs = 14 * kDayMs;
constexpr size_t kTagsMax = 50;
constexpr size_t kOpenStreamsMax = 4096;

[[noreturn]] void no_group() {
  throw base::NotFoundError("The specified log group does not exist.", "ResourceNotFoundException");
}
[[noreturn]] void no_stream() {
  throw base::NotFoundError("The specified log stream does not exist.", "ResourceNotFoundException");
}
[[noreturn]] void bad_token() {
  throw base::UsageError("The specified nextToken is invalid.", "InvalidParameterException");
}

std::string prepared_directory(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) throw base::TransientError(base::system_message("mkdir " + directory, error.value()));
  return directory;
}

// "f/<key>/s": reading goes on after the key; "b/<key>/s": before it.
std::string direction_token(char direction, const EventKey& key) {
  return std::string(1, direction) + "/" + key.text() + "/s";
}

}  // namespace

class LogStore::Impl {
 public:
  Impl(const std::string& directory, const base::Clock& clock, LogStoreOptions options)
      : clock_(clock),
        options_(std::move(options)),
        table_(prepared_directory(directory) + "/groups.db"),
        index_(directory),
        writer_(directory, options_.writer, options_.segment_bytes_max) {
    table_.load(index_);
    catch_up();
  }

  void create_group(std::string_view name, std::string_view log_class, std::string_view kms_key,
                    const std::map<std::string, std::string>& tags) {
    catch_up();
    std::unique_lock lock(mutex_);
    if (Group* group = index_.group(name); group != nullptr && group->exists)
      throw base::ConflictError("The specified log group already exists", "ResourceAlreadyExistsException");
    make_group(name, log_class, kms_key);
    for (const auto& [key, value] : tags) table_.set_tag(name, key, value);
  }

  void ensure_group(std::string_view name) {
    std::unique_lock lock(mutex_);
    Group* group = index_.group(name);
    if (group == nullptr || !group->exists) make_group(name, "STANDARD", "");
  }

  void delete_group(std::string_view name) {
    catch_up();
    std::unique_lock lock(mutex_);
    Group& group = known_group(name);
    Group deleted;
    deleted.name = group.name;
    deleted.created = group.created;
    deleted.hidden_until = std::max({clock_.now_ms(), group.ingestion_max, group.hidden_until});
    table_.delete_group(deleted);
    forget_writer_streams(name, nullptr);
    index_.remove_group(group, deleted.hidden_until);
  }

  bool has_group(std::string_view name) {
    catch_up();
    std::shared_lock lock(mutex_);
    Group* group = index_.group(name);
    return group != nullptr && group->exists;
  }

  std::vector<GroupInfo> groups(std::string_view prefix, std::string_view contains, std::string_view after,
                                size_t limit) {
    catch_up();
    std::shared_lock lock(mutex_);
    std::vector<GroupInfo> found;
    const auto& names = index_.groups();
    auto it = after.empty() || after < prefix ? names.lower_bound(prefix) : names.upper_bound(after);
    for (; it != names.end() && it->first.starts_with(prefix) && found.size() < limit; ++it) {
      const Group& group = index_.group(it->second);
      if (!group.exists || group.name.find(contains) == std::string::npos) continue;
      found.push_back({group.name, group.created, group.retention_days, group.stored_bytes, group.log_class,
                       group.kms_key});
    }
    return found;
  }

  void set_retention(std::string_view name, int days) {
    catch_up();
    std::unique_lock lock(mutex_);
    Group& group = known_group(name);
    const int before = std::exchange(group.retention_days, days);
    try {
      table_.save_group(group);
    } catch (...) {
      group.retention_days = before;
      throw;
    }
  }

  std::map<std::string, std::string> tags(std::string_view name) {
    catch_up();
    std::unique_lock lock(mutex_);
    known_group(name);
    return table_.tags(name);
  }

  void set_tags(std::string_view name, const std::map<std::string, std::string>& tags) {
    catch_up();
    std::unique_lock lock(mutex_);
    known_group(name);
    auto all = table_.tags(name);
    for (const auto& [key, value] : tags) all[key] = value;
    if (all.size() > kTagsMax)
      throw base::UsageError("A resource can have no more than 50 tags.", "TooManyTagsException");
    for (const auto& [key, value] : tags) table_.set_tag(name, key, value);
  }

  void remove_tags(std::string_view name, const std::vector<std::string>& keys) {
    catch_up();
    std::unique_lock lock(mutex_);
    known_group(name);
    for (const std::string& key : keys) table_.remove_tag(name, key);
  }

  void create_stream(std::string_view group_name, std::string_view name) {
    catch_up();
    std::unique_lock lock(mutex_);
    Group& group = known_group(group_name);
    if (group.streams.contains(name))
      throw base::ConflictError("The specified log stream already exists", "ResourceAlreadyExistsException");
    base::TimeMs hidden_until = group.hidden_until;
    if (auto hidden = group.hidden_streams.find(name); hidden != group.hidden_streams.end())
      hidden_until = std::max(hidden_until, hidden->second);
    table_.save_stream(group_name, name, clock_.now_ms(), hidden_until);
    StreamId id = index_.make_stream(index_.group_id(group_name), name, clock_.now_ms(), hidden_until);
    index_.stream(id).created_by_call = true;
  }

  void delete_stream(std::string_view group_name, std::string_view name) {
    catch_up();
    std::unique_lock lock(mutex_);
    Group& group = known_group(group_name);
    auto it = group.streams.find(name);
    if (it == group.streams.end()) no_stream();
    const Stream& stream = index_.stream(it->second);
    const base::TimeMs until = std::max({clock_.now_ms(), stream.ingestion_max, stream.hidden_until});
    table_.delete_stream(group_name, name, until);
    forget_writer_streams(group_name, &name);
    index_.remove_stream(it->second, until);
  }

  StreamPage streams(const StreamQuery& query) {
    catch_up();
    std::shared_lock lock(mutex_);
    const Group& group = known_group(query.group);
    return query.order == StreamOrder::kName ? streams_by_name(group, query) : streams_by_time(group, query);
  }

  Rejections put_events(std::string_view group_name, std::string_view stream_name,
                        const std::vector<InputEvent>& events);
  GetPage get_events(const GetQuery& query);
  FilterPage filter_events(const FilterQuery& query);

  size_t apply_retention() {
    catch_up();
    std::scoped_lock look(catch_up_mutex_);
    std::unique_lock lock(mutex_);
    return index_.delete_expired(clock_.now_ms());
  }

 private:
  // One PutLogEvents that waits for its turn; its thread sleeps in put_events().
  struct Batch {
    std::string_view group, stream;
    base::TimeMs ingestion;
    const InputEvent* begin;
    const InputEvent* end;
    bool done = false;
    std::exception_ptr error;
  };

  void catch_up() {
    std::scoped_lock look(catch_up_mutex_);
    // Only this thread changes what behind() reads while it holds catch_up_mutex_; other changes take it too.
    if (!index_.behind()) return;
    std::unique_lock lock(mutex_);
    for (GroupId id : index_.catch_up()) table_.save_group(index_.group(id));
  }

  Group& known_group(std::string_view name) {
    Group* group = index_.group(name);
    if (group == nullptr || !group->exists) no_group();
    return *group;
  }

  void make_group(std::string_view name, std::string_view log_class, std::string_view kms_key) {
    Group made;
    if (Group* old = index_.group(name)) made.hidden_until = old->hidden_until;
    made.name = name;
    made.exists = true;
    made.created = clock_.now_ms();
    made.log_class = log_class;
    made.kms_key = kms_key;
    table_.save_group(made);
    *index_.group(name, true) = std::move(made);
  }

  StreamInfo info(const Stream& stream) const {
    StreamInfo out;
    out.name = *stream.name;
    out.created = stream.created;
    if (stream.ingestion_max != kNoTime) {
      out.first_event = stream.timestamp_min;
      out.last_event = stream.timestamp_max;
      out.last_ingestion = stream.ingestion_max;
    }
    return out;
  }

  StreamPage streams_by_name(const Group& group, const StreamQuery& query) const {
    StreamPage page;
    const auto& all = group.streams;
    if (!query.descending) {
      auto it = query.after.empty() || query.after < query.prefix ? all.lower_bound(query.prefix)
                                                                  : all.upper_bound(query.after);
      for (; it != all.end() && it->first.starts_with(query.prefix); ++it) {
        if (page.streams.size() == query.limit) {
          page.next = page.streams.back().name;
          break;
        }
        page.streams.push_back(info(*index_.find_stream(it->second)));
      }
      return page;
    }
    // Bytes of names are below 0xff (UTF-8): this is beyond every name with the prefix.
    auto it = query.after.empty() ? all.lower_bound(query.prefix + "\xff") : all.lower_bound(query.after);
    while (it != all.begin()) {
      --it;
      if (!it->first.starts_with(query.prefix)) break;
      if (page.streams.size() == query.limit) {
        page.next = page.streams.back().name;
        break;
      }
      page.streams.push_back(info(*index_.find_stream(it->second)));
    }
    return page;
  }

  StreamPage streams_by_time(const Group& group, const StreamQuery& query) const {
    using Rank = std::pair<base::TimeMs, std::string_view>;
    auto before = [&](const Rank& a, const Rank& b) { return query.descending ? b < a : a < b; };
    std::optional<Rank> after;
    if (!query.after.empty()) {
      size_t colon = query.after.find(':');  // stream names have none
      auto time = base::parse_number<int64_t>(std::string_view(query.after).substr(0, colon));
      if (colon == std::string::npos || !time) bad_token();
      after = Rank{*time, std::string_view(query.after).substr(colon + 1)};
    }
    std::vector<Rank> ranks;
    ranks.reserve(group.streams.size());
    for (const auto& [name, id] : group.streams) {
      const Stream& stream = *index_.find_stream(id);
      Rank rank{stream.ingestion_max == kNoTime ? 0 : stream.timestamp_max, name};
      if (!after || before(*after, rank)) ranks.push_back(rank);
    }
    const size_t count = std::min(query.limit, ranks.size());
    std::partial_sort(ranks.begin(), ranks.begin() + static_cast<ptrdiff_t>(count), ranks.end(), before);
    StreamPage page;
    for (size_t i = 0; i < count; ++i)
      page.streams.push_back(info(*index_.find_stream(group.streams.at(ranks[i].second))));
    if (count < ranks.size())
      page.next = std::to_string(ranks[count - 1].first) + ":" + std::string(ranks[count - 1].second);
    return page;
  }

  base::TimeMs oldest_kept(const Group& group) const {
    return group.retention_days == 0 ? kNoTime : clock_.now_ms() - group.retention_days * kDayMs;
  }

  // The spans of one stream's parts, or of all of a group's segments, in a range of time.
  std::vector<ScanItem> plan(GroupId group, const std::vector<StreamId>* wanted, base::TimeMs from,
                             base::TimeMs to) const;
  uint32_t writer_stream(std::string_view group, std::string_view stream);
  void forget_writer_streams(std::string_view group, const std::string_view* stream);
  void write(const std::vector<Batch*>& batches);

  const base::Clock& clock_;
  const LogStoreOptions options_;

  std::mutex catch_up_mutex_;  // before mutex_: held by whoever looks at the directory
  mutable std::shared_mutex mutex_;
  GroupTable table_;  // under mutex_, exclusively
  LogIndex index_;

  std::mutex put_mutex_;
  std::condition_variable put_done_;
  std::vector<Batch*> put_queue_;
  bool putting_ = false;

  std::mutex writer_mutex_;  // after mutex_
  SegmentWriter writer_;
  std::map<std::pair<std::string, std::string>, uint32_t, std::less<>> writer_streams_;
};

std::vector<ScanItem> LogStore::Impl::plan(GroupId group, const std::vector<StreamId>* wanted,
                                           base::TimeMs from, base::TimeMs to) const {
  std::vector<ScanItem> items;
  auto add = [&](SegmentId id, const LogIndex::Segment& segment, const Span& span) {
    if (span.timestamp_max >= from && span.timestamp_min <= to) items.push_back({id, segment.file, span});
  };
  if (wanted == nullptr) {
    for (const auto& [id, segment] : index_.segments()) {
      auto share = std::find_if(segment.groups.begin(), segment.groups.end(),
                                [&](const auto& s) { return s.group == group; });
      if (share == segment.groups.end() || share->timestamp_max < from) continue;
      for (const Span& span : segment.spans) add(id, segment, span);
    }
    return items;
  }
  std::map<SegmentId, std::vector<std::pair<uint32_t, uint32_t>>> ranges;
  for (StreamId id : *wanted) {
    const Stream* stream = index_.find_stream(id);
    if (stream == nullptr) continue;
    for (const StreamPart& part : stream->parts)
      if (part.timestamp_max >= from && part.timestamp_min <= to)
        ranges[part.segment].emplace_back(part.span_first, part.span_last);
  }
  for (auto& [id, spans] : ranges) {
    const LogIndex::Segment& segment = index_.segments().at(id);
    std::sort(spans.begin(), spans.end());
    uint32_t next = 0;  // the first span not yet added
    for (auto [first, last] : spans) {
      for (uint32_t i = std::max(first, next); i <= last; ++i) add(id, segment, segment.spans[i]);
      next = std::max(next, last + 1);
    }
  }
  return items;
}

uint32_t LogStore::Impl::writer_stream(std::string_view group, std::string_view stream) {
  std::pair<std::string, std::string> key(group, stream);
  auto it = writer_streams_.find(key);
  if (it != writer_streams_.end()) return it->second;
  if (writer_streams_.size() >= kOpenStreamsMax) {
    for (const auto& [name, number] : writer_streams_) writer_.close_stream(number);
    writer_streams_.clear();
  }
  return writer_streams_[std::move(key)] = writer_.open_stream(group, stream);
}

void LogStore::Impl::forget_writer_streams(std::string_view group, const std::string_view* stream) {
  std::scoped_lock lock(writer_mutex_);
  std::erase_if(writer_streams_, [&](const auto& entry) {
    if (entry.first.first != group || (stream != nullptr && entry.first.second != *stream)) return false;
    writer_.close_stream(entry.second);
    return true;
  });
}

void LogStore::Impl::write(const std::vector<Batch*>& batches) {
  std::scoped_lock lock(writer_mutex_);
  for (Batch* batch : batches) {
    uint32_t number = writer_stream(batch->group, batch->stream);
    for (const InputEvent* event = batch->begin; event != batch->end; ++event)
      writer_.append(number, event->timestamp, batch->ingestion, event->message);
  }
  writer_.sync();
}

Rejections LogStore::Impl::put_events(std::string_view group_name, std::string_view stream_name,
                                      const std::vector<InputEvent>& events) {
  catch_up();
  const base::TimeMs now = clock_.now_ms();
  Rejections rejections;
  Batch batch{group_name, stream_name, now, nullptr, nullptr, false, nullptr};
  {
    std::shared_lock lock(mutex_);
    const Group& group = known_group(group_name);
    const Stream* stream = index_.stream(group_name, stream_name);
    if (stream == nullptr) no_stream();
    // What was deleted is told by its time of ingestion.
    batch.ingestion = std::max(now, stream->hidden_until == kNoTime ? now : stream->hidden_until + 1);

    auto older = [&](base::TimeMs limit) {
      return static_cast<size_t>(
          std::partition_point(events.begin(), events.end(),
                               [&](const InputEvent& e) { return e.timestamp < limit; }) -
          events.begin());
    };
    const size_t too_old = older(now - kTooOldMs);
    const size_t expired = std::max(too_old, older(oldest_kept(group)));
    const size_t end = older(now + kTooNewMs + 1);
    if (too_old > 0) rejections.too_old_end = too_old;
    if (expired > too_old) rejections.expired_end = expired;
    if (end < events.size()) rejections.too_new_start = end;
    batch.begin = events.data() + std::min(expired, end);
    batch.end = events.data() + end;
  }
  if (batch.begin == batch.end) return rejections;

  // The first to come writes for all that wait: one sync for many batches.
  std::unique_lock lock(put_mutex_);
  put_queue_.push_back(&batch);
  put_done_.wait(lock, [&] { return batch.done || !putting_; });
  if (!batch.done) {
    putting_ = true;
    std::vector<Batch*> batches = std::exchange(put_queue_, {});
    lock.unlock();
    std::exception_ptr error;
    try {
      write(batches);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    for (Batch* each : batches) {
      each->error = error;
      each->done = true;
    }
    putting_ = false;
    put_done_.notify_all();
  }
  if (batch.error) std::rethrow_exception(batch.error);
  return rejections;
}

GetPage LogStore::Impl::get_events(const GetQuery& query) {
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

  catch_up();
  std::vector<ScanItem> items;
  StreamId id;
  {
    std::shared_lock lock(mutex_);
    const Group& group = known_group(query.group);
    auto it = group.streams.find(query.stream);
    if (it == group.streams.end()) no_stream();
    id = it->second;
    scan_query.from = std::max(query.from.value_or(kNoTime), oldest_kept(group));
    if (query.until && *query.until == kNoTime) return {};
    if (query.until) scan_query.to = *query.until - 1;
    const std::vector<StreamId> wanted{id};
    items = plan(index_.group_id(query.group), &wanted, scan_query.from, scan_query.to);
  }
  scan_query.resolve = [&](SegmentId segment, const std::vector<SectionHead>& sections,
                           std::vector<SectionTarget>& targets) {
    targets.assign(sections.size(), {});
    std::shared_lock lock(mutex_);
    const Stream* stream = index_.find_stream(id);
    if (stream == nullptr) return;
    for (size_t i = 0; i < sections.size(); ++i)
      if (index_.stream_of(segment, sections[i].stream) == id)
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

FilterPage LogStore::Impl::filter_events(const FilterQuery& query) {
  ScanQuery scan_query;
  scan_query.forward = !query.newest_first;
  scan_query.events_max = query.limit;
  scan_query.scan_bytes_max = options_.scan_bytes_max;
  if (!query.pattern.matches_all()) scan_query.pattern = &query.pattern;
  scan_query.bound = scan_query.forward ? EventKey::before(std::numeric_limits<base::TimeMs>::min())
                                        : EventKey::after(std::numeric_limits<base::TimeMs>::max());
  if (!query.token.empty()) {
    auto key = EventKey::parse(query.token);
    if (!key) bad_token();
    scan_query.bound = *key;
  }
  if (query.to) scan_query.to = *query.to;

  catch_up();
  std::vector<ScanItem> items;
  const bool all = query.streams.empty() && query.prefix.empty();
  std::unordered_set<StreamId> wanted;
  GroupId group_id;
  {
    std::shared_lock lock(mutex_);
    const Group& group = known_group(query.group);
    group_id = index_.group_id(query.group);
    scan_query.from = std::max(query.from.value_or(kNoTime), oldest_kept(group));
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
    std::shared_lock lock(mutex_);
    for (size_t i = 0; i < sections.size(); ++i) {
      auto id = index_.stream_of(segment, sections[i].stream);
      if (!id || (!all && !wanted.contains(*id))) continue;
      const Stream* stream = index_.find_stream(*id);
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

LogStore::LogStore(const std::string& directory, const base::Clock& clock, LogStoreOptions options)
    : impl_(std::make_unique<Impl>(directory, clock, std::move(options))) {}
LogStore::~LogStore() = default;

void LogStore::create_group(std::string_view name, std::string_view log_class, std::string_view kms_key,
                            const std::map<std::string, std::string>& tags) {
  impl_->create_group(name, log_class, kms_key, tags);
}
void LogStore::ensure_group(std::string_view name) { impl_->ensure_group(name); }
void LogStore::delete_group(std::string_view name) { impl_->delete_group(name); }
bool LogStore::has_group(std::string_view name) { return impl_->has_group(name); }
std::vector<GroupInfo> LogStore::groups(std::string_view prefix, std::string_view contains,
                                        std::string_view after, size_t limit) {
  return impl_->groups(prefix, contains, after, limit);
}
void LogStore::set_retention(std::string_view group, int days) { impl_->set_retention(group, days); }
std::map<std::string, std::string> LogStore::tags(std::string_view group) { return impl_->tags(group); }
void LogStore::set_tags(std::string_view group, const std::map<std::string, std::string>& tags) {
  impl_->set_tags(group, tags);
}
void LogStore::remove_tags(std::string_view group, const std::vector<std::string>& keys) {
  impl_->remove_tags(group, keys);
}
void LogStore::create_stream(std::string_view group, std::string_view name) {
  impl_->create_stream(group, name);
}
void LogStore::delete_stream(std::string_view group, std::string_view name) {
  impl_->delete_stream(group, name);
}
StreamPage LogStore::streams(const StreamQuery& query) { return impl_->streams(query); }
Rejections LogStore::put_events(std::string_view group, std::string_view stream,
                                const std::vector<InputEvent>& events) {
  return impl_->put_events(group, stream, events);
}
GetPage LogStore::get_events(const GetQuery& query) { return impl_->get_events(query); }
FilterPage LogStore::filter_events(const FilterQuery& query) { return impl_->filter_events(query); }
size_t LogStore::apply_retention() { return impl_->apply_retention(); }

}  // namespace millrace::logs

#include "logs/log_store.h"

#include <algorithm>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "logs/event_intake.h"
#include "logs/log_reader.h"
#include "logs/store_state.h"

namespace millrace::logs {
namespace {

constexpr base::TimeMs kTooNewMs = 2 * 3'600'000;
constexpr base::TimeMs kTooOldMs = 14 * 86'400'000LL;
constexpr size_t kTagsMax = 50;
constexpr size_t kDeletedAtOnce = 16;  // segments, before others have a turn

StreamInfo info(const Stream& stream) {
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

StreamPage streams_by_name(const LogIndex& index, const Group& group, const StreamQuery& query) {
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
      page.streams.push_back(info(*index.find_stream(it->second)));
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
    page.streams.push_back(info(*index.find_stream(it->second)));
  }
  return page;
}

StreamPage streams_by_time(const LogIndex& index, const Group& group, const StreamQuery& query) {
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
    const Stream& stream = *index.find_stream(id);
    Rank rank{stream.ingestion_max == kNoTime ? 0 : stream.timestamp_max, name};
    if (!after || before(*after, rank)) ranks.push_back(rank);
  }
  const size_t count = std::min(query.limit, ranks.size());
  std::partial_sort(ranks.begin(), ranks.begin() + static_cast<ptrdiff_t>(count), ranks.end(), before);
  StreamPage page;
  for (size_t i = 0; i < count; ++i)
    page.streams.push_back(info(*index.find_stream(group.streams.at(ranks[i].second))));
  if (count < ranks.size())
    page.next = std::to_string(ranks[count - 1].first) + ":" + std::string(ranks[count - 1].second);
  return page;
}

}  // namespace

class LogStore::Impl : public StoreState {
 public:
  Impl(const std::string& directory, const base::Clock& its_clock, const LogStoreOptions& options)
      : StoreState(directory, its_clock),
        intake(directory, options.writer, options.segment_bytes_max),
        reader(*this, options.scan_bytes_max) {}

  void make_group(std::string_view name, std::string_view log_class, std::string_view kms_key) {
    Group made;
    if (Group* old = index.group(name)) made.hidden_until = old->hidden_until;
    made.name = name;
    made.exists = true;
    made.created = clock.now_ms();
    made.log_class = log_class;
    made.kms_key = kms_key;
    table.save_group(made);
    *index.group(name, true) = std::move(made);
  }

  void delete_group(std::string_view name);
  // Durable before anybody sees it.
  void change_group(std::string_view name, const std::function<void(Group&)>& change);

  EventIntake intake;
  LogReader reader;
};

LogStore::LogStore(const std::string& directory, const base::Clock& clock, LogStoreOptions options)
    : impl_(std::make_unique<Impl>(directory, clock, options)) {}
LogStore::~LogStore() = default;

void LogStore::create_group(std::string_view name, std::string_view log_class, std::string_view kms_key,
                            const std::map<std::string, std::string>& tags) {
  impl_->catch_up();
  std::unique_lock lock(impl_->mutex);
  if (Group* group = impl_->index.group(name); group != nullptr && group->exists)
    throw base::ConflictError("The specified log group already exists", "ResourceAlreadyExistsException");
  impl_->make_group(name, log_class, kms_key);
  for (const auto& [key, value] : tags) impl_->table.set_tag(name, key, value);
}

void LogStore::ensure_group(std::string_view name) {
  std::unique_lock lock(impl_->mutex);
  Group* group = impl_->index.group(name);
  if (group == nullptr || !group->exists) impl_->make_group(name, "STANDARD", "");
}

void LogStore::delete_group(std::string_view name) {
  impl_->delete_group(name);
  apply_retention();
}

void LogStore::Impl::delete_group(std::string_view name) {
  catch_up();
  std::unique_lock lock(mutex);
  Group& group = known_group(name);
  Group deleted;
  deleted.name = group.name;
  deleted.created = group.created;
  deleted.hidden_until = std::max({clock.now_ms(), group.ingestion_max, group.hidden_until});
  table.delete_group(deleted);
  intake.forget(name, nullptr);
  index.remove_group(group, deleted.hidden_until);
}

bool LogStore::has_group(std::string_view name) {
  impl_->catch_up();
  std::shared_lock lock(impl_->mutex);
  Group* group = impl_->index.group(name);
  return group != nullptr && group->exists;
}

std::vector<GroupInfo> LogStore::groups(std::string_view prefix, std::string_view contains,
                                        std::string_view after, size_t limit) {
  impl_->catch_up();
  std::shared_lock lock(impl_->mutex);
  std::vector<GroupInfo> found;
  const auto& names = impl_->index.groups();
  auto it = after.empty() || after < prefix ? names.lower_bound(prefix) : names.upper_bound(after);
  for (; it != names.end() && it->first.starts_with(prefix) && found.size() < limit; ++it) {
    const Group& group = impl_->index.group(it->second);
    if (!group.exists || group.name.find(contains) == std::string::npos) continue;
    found.push_back({group.name, group.created, group.retention_days, group.stored_bytes, group.log_class,
                     group.kms_key});
  }
  return found;
}

void LogStore::Impl::change_group(std::string_view name, const std::function<void(Group&)>& change) {
  catch_up();
  std::unique_lock lock(mutex);
  Group& group = known_group(name);
  Group saved;
  saved.name = group.name;
  saved.exists = true;
  saved.created = group.created;
  saved.hidden_until = group.hidden_until;
  saved.retention_days = group.retention_days;
  saved.log_class = group.log_class;
  saved.kms_key = group.kms_key;
  change(saved);
  table.save_group(saved);
  change(group);
}

void LogStore::set_retention(std::string_view name, int days) {
  impl_->change_group(name, [&](Group& group) { group.retention_days = days; });
}
void LogStore::set_kms_key(std::string_view name, std::string_view key) {
  impl_->change_group(name, [&](Group& group) { group.kms_key = key; });
}

std::vector<Document> LogStore::documents(DocumentKind kind, std::string_view group) {
  std::unique_lock lock(impl_->mutex);
  return impl_->table.documents(kind, group);
}
void LogStore::put_document(DocumentKind kind, const Document& document) {
  impl_->catch_up();
  std::unique_lock lock(impl_->mutex);
  if (!document.group.empty()) impl_->known_group(document.group);
  impl_->table.put_document(kind, document);
}
bool LogStore::delete_document(DocumentKind kind, std::string_view group, std::string_view name) {
  std::unique_lock lock(impl_->mutex);
  return impl_->table.delete_document(kind, group, name);
}

std::map<std::string, std::string> LogStore::tags(std::string_view name) {
  impl_->catch_up();
  std::unique_lock lock(impl_->mutex);
  impl_->known_group(name);
  return impl_->table.tags(name);
}

void LogStore::set_tags(std::string_view name, const std::map<std::string, std::string>& tags) {
  impl_->catch_up();
  std::unique_lock lock(impl_->mutex);
  impl_->known_group(name);
  auto all = impl_->table.tags(name);
  for (const auto& [key, value] : tags) all[key] = value;
  if (all.size() > kTagsMax)
    throw base::UsageError("A resource can have no more than 50 tags.", "TooManyTagsException");
  for (const auto& [key, value] : tags) impl_->table.set_tag(name, key, value);
}

void LogStore::remove_tags(std::string_view name, const std::vector<std::string>& keys) {
  impl_->catch_up();
  std::unique_lock lock(impl_->mutex);
  impl_->known_group(name);
  for (const std::string& key : keys) impl_->table.remove_tag(name, key);
}

void LogStore::create_stream(std::string_view group_name, std::string_view name) {
  impl_->catch_up();
  std::unique_lock lock(impl_->mutex);
  Group& group = impl_->known_group(group_name);
  if (group.streams.contains(name))
    throw base::ConflictError("The specified log stream already exists", "ResourceAlreadyExistsException");
  base::TimeMs hidden_until = group.hidden_until;
  if (auto hidden = group.hidden_streams.find(name); hidden != group.hidden_streams.end())
    hidden_until = std::max(hidden_until, hidden->second);
  impl_->table.save_stream(group_name, name, impl_->clock.now_ms(), hidden_until);
  StreamId id =
      impl_->index.make_stream(impl_->index.group_id(group_name), name, impl_->clock.now_ms(), hidden_until);
  impl_->index.stream(id).created_by_call = true;
}

void LogStore::delete_stream(std::string_view group_name, std::string_view name) {
  impl_->catch_up();
  std::unique_lock lock(impl_->mutex);
  Group& group = impl_->known_group(group_name);
  auto it = group.streams.find(name);
  if (it == group.streams.end()) no_stream();
  const Stream& stream = impl_->index.stream(it->second);
  const base::TimeMs until = std::max({impl_->clock.now_ms(), stream.ingestion_max, stream.hidden_until});
  impl_->table.delete_stream(group_name, name, until);
  impl_->intake.forget(group_name, &name);
  impl_->index.remove_stream(it->second, until);
}

StreamPage LogStore::streams(const StreamQuery& query) {
  impl_->catch_up();
  std::shared_lock lock(impl_->mutex);
  const Group& group = impl_->known_group(query.group);
  return query.order == StreamOrder::kName ? streams_by_name(impl_->index, group, query)
                                           : streams_by_time(impl_->index, group, query);
}

Rejections LogStore::put_events(std::string_view group_name, std::string_view stream_name,
                                const std::vector<InputEvent>& events) {
  impl_->catch_up();
  const base::TimeMs now = impl_->clock.now_ms();
  Rejections rejections;
  base::TimeMs ingestion = now;
  std::span<const InputEvent> taken;
  {
    std::shared_lock lock(impl_->mutex);
    const Group& group = impl_->known_group(group_name);
    const Stream* stream = impl_->index.stream(group_name, stream_name);
    if (stream == nullptr) no_stream();
    // What was deleted is told by its time of ingestion.
    ingestion = std::max(now, stream->hidden_until == kNoTime ? now : stream->hidden_until + 1);

    auto older = [&](base::TimeMs limit) {
      return static_cast<size_t>(
          std::partition_point(events.begin(), events.end(),
                               [&](const InputEvent& e) { return e.timestamp < limit; }) -
          events.begin());
    };
    const size_t too_old = older(now - kTooOldMs);
    const size_t expired = std::max(too_old, older(impl_->oldest_kept(group)));
    const size_t end = older(now + kTooNewMs + 1);
    if (too_old > 0) rejections.too_old_end = too_old;
    if (expired > too_old) rejections.expired_end = expired;
    if (end < events.size()) rejections.too_new_start = end;
    const size_t begin = std::min(expired, end);
    taken = std::span(events).subspan(begin, end - begin);
  }
  if (!taken.empty()) impl_->intake.put(group_name, stream_name, ingestion, taken);
  return rejections;
}

GetPage LogStore::get_events(const GetQuery& query) { return impl_->reader.get_events(query); }
FilterPage LogStore::filter_events(const FilterQuery& query) { return impl_->reader.filter_events(query); }
TailPosition LogStore::tail_from_now() { return impl_->reader.tail_from_now(); }
TailPage LogStore::tail(const TailQuery& query, TailPosition& position) {
  return impl_->reader.tail(query, position);
}

size_t LogStore::apply_retention() {
  impl_->catch_up();
  size_t deleted = 0;
  for (size_t now_deleted = kDeletedAtOnce; now_deleted == kDeletedAtOnce; deleted += now_deleted) {
    std::scoped_lock look(impl_->catch_up_mutex);
    std::unique_lock lock(impl_->mutex);
    now_deleted = impl_->index.delete_expired(impl_->clock.now_ms(), kDeletedAtOnce);
  }
  return deleted;
}

}  // namespace millrace::logs

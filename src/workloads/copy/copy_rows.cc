// A row of a copy job from its beginning to its end: what it is, what is compared, what is deleted.
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "base/error.h"
#include "workloads/copy/copy_job.h"
#include "workloads/copy/key_split.h"

namespace millrace::copy {
namespace {

constexpr size_t kDeleteBatch = 1000;  // DeleteObjects: keys a request
constexpr int kSplitProbes = 40;

std::string last_part(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

std::string CopyJob::name_of(const Row& row) const {
  std::string name = row.line > 0 ? "row " + std::to_string(row.line) + ": " : "";
  return name + shown(row.from) + " to " + shown(row.to);
}

void CopyJob::begin_row(size_t index) {
  const Row& row = rows_[index];
  auto state = std::make_shared<RowState>(row, index);
  {
    std::lock_guard lock(mutex_);
    active_.insert(state);
  }
  if (auto refused = refused_.find(index); refused != refused_.end()) {
    state->broken = refused->second;
    state->broken_code = "Overlap";
    return release(state);
  }
  try {
    open_sites(*state);
  } catch (const base::Error& error) {
    break_row(*state, error);
    return release(state);
  }
  set_rules(*state);
  state->transfer.acl = row.options.acl;
  state->transfer.storage_class = row.options.storage_class;
  state->transfer.keep_encryption = options_.keep_encryption;
  state->transfer.verify = options_.verify;
  state->transfer.server_side = sites_.same_service();
  state->transfer.uploads = journal_ ? &uploads_ : nullptr;
  state->transfer.stream_if_denied = !sites_.same_credentials();
  if (state->single) {
    try {
      plan_single(state);
    } catch (const base::Error& error) {
      break_row(*state, error);
    }
    return release(state);
  }
  std::vector<KeyRange> ranges = ranges_of(index);
  state->partial = cuts_.contains(index);
  std::vector<std::string> failed;
  if (auto left = before_of(index)) {
    ranges = std::move(left->ranges);
    failed = std::move(left->failed);
    state->went_on = true;
  }
  std::vector<Task> tasks;
  for (KeyRange& range : ranges) tasks.push_back(range_task(state, std::move(range)));
  if (!failed.empty()) {
    Task task;
    task.kind = Task::Kind::kRetry;
    task.row = state;
    task.keys = std::move(failed);
    ++state->open;
    tasks.push_back(std::move(task));
  }
  {
    std::lock_guard lock(mutex_);
    before_.erase(index);
    comparing_ += static_cast<unsigned>(tasks.size());
  }
  for (Task& task : tasks) post(std::move(task));
  release(state);
}

void CopyJob::set_rules(RowState& state) const {
  state.rules.compare = options_.compare;
  state.rules.filters = state.row.options.filters;
  state.rules.markers = options_.markers;
  state.rules.thaw = options_.thaw;
  state.rules.exact_times = state.from.is_s3() && !state.to.is_s3();
  find_holes(state);
}

std::vector<KeyRange> CopyJob::ranges_of(size_t index) const {
  auto cut = cuts_.find(index);
  if (cut == cuts_.end()) return {KeyRange{}};
  std::vector<KeyRange> ranges;
  const std::vector<std::string>& keys = cut->second;
  for (size_t i = 0; i <= keys.size(); ++i)
    if ((i + index) % options_.shard.count == options_.shard.index)
      ranges.push_back({i == 0 ? "" : keys[i - 1], i == keys.size() ? "" : keys[i]});
  return ranges;
}

std::optional<RowLeft> CopyJob::before_of(size_t index) {
  std::lock_guard lock(mutex_);
  auto found = before_.find(index);
  if (found == before_.end()) return std::nullopt;
  return found->second;
}

CopyJob::Task CopyJob::range_task(const std::shared_ptr<RowState>& row, KeyRange range) {
  Task task;
  task.kind = Task::Kind::kRange;
  task.row = row;
  ++row->open;
  std::lock_guard lock(row->mutex);
  task.range = &row->ranges.emplace_back(std::move(range));
  return task;
}

void CopyJob::open_sites(RowState& state) {
  const Row& row = state.row;
  std::string object;  // the name of a single one
  if (row.from.is_s3) {
    std::string key = row.from.path;
    if (!key.empty() && !key.ends_with('/')) {
      Site root = sites_.bucket(true, row.from.bucket, "");
      if (is_object(root, key)) {
        state.single = true;
        state.source_key = key;
        object = last_part(key);
        state.from = root;
      } else {
        key += '/';
      }
    }
    if (!state.single) state.from = sites_.bucket(true, row.from.bucket, key);
  } else {
    struct stat st{};
    if (stat(row.from.path.c_str(), &st) != 0) {
      std::string text = base::system_message("read " + row.from.path, errno);
      if (errno == EACCES) throw base::DeniedError(text);
      throw base::NotFoundError(text, "NotFound");
    }
    if (S_ISDIR(st.st_mode)) {
      state.from = sites_.folder(row.from.path);
    } else {
      std::filesystem::path path = row.from.path;
      state.single = true;
      state.source_key = object = path.filename().string();
      state.from = sites_.folder(path.has_parent_path() ? path.parent_path().string() : ".");
    }
  }
  if (row.to.is_s3) {
    std::string key = row.to.path;
    if (state.single) {
      // A place for objects, and not the name of one.
      if (key.empty() || key.ends_with('/')) key += object;
      state.destination_key = key;
      state.to = sites_.bucket(false, row.to.bucket, "");
    } else {
      if (!key.empty() && !key.ends_with('/')) key += '/';
      state.to = sites_.bucket(false, row.to.bucket, key);
    }
    return;
  }
  if (!state.single) {
    state.to = sites_.folder(row.to.path);
    return;
  }
  std::filesystem::path path = row.to.path;
  std::error_code ignored;
  if (row.to.path.ends_with('/') || std::filesystem::is_directory(path, ignored)) path /= object;
  state.destination_key = path.filename().string();
  state.to = sites_.folder(path.has_parent_path() ? path.parent_path().string() : ".");
}

void CopyJob::find_holes(RowState& state) const {
  if (state.single || state.from.is_s3() != state.to.is_s3()) return;
  std::string from = state.from.prefix, to = state.to.prefix;
  if (state.from.is_s3()) {
    if (!sites_.same_service() || state.from.client->url() != state.to.client->url()) return;
  } else {
    auto whole = [](const Site& site) {
      std::error_code ignored;
      std::string path = std::filesystem::weakly_canonical(site.folder->path(), ignored).string();
      return path.ends_with('/') ? path : path + "/";
    };
    from = whole(state.from);
    to = whole(state.to);
  }
  if (to.size() > from.size() && to.starts_with(from)) state.rules.source_hole = to.substr(from.size());
  if (from.size() > to.size() && from.starts_with(to)) state.rules.destination_hole = from.substr(to.size());
}

bool CopyJob::is_object(const Site& root, const std::string& key) {
  try {
    objects::ObjectDetails details = root.client->details(key);
    // What other tools store to mark a folder.
    return details.info.size > 0 ||
           !details.headers.get("content-type").starts_with("application/x-directory");
  } catch (const base::NotFoundError&) {
  }
  std::string below = key + "/";
  if (!root.client
           ->list_page({.prefix = below, .delimiter = {}, .start_after = {}, .token = {}, .keys_max = 1})
           .objects.empty())
    return false;
  throw base::NotFoundError("there is no object " + root.url(key) + " and nothing below it", "NoSuchKey");
}

void CopyJob::break_row(RowState& state, const base::Error& error) {
  std::lock_guard lock(state.mutex);
  if (!state.broken.empty()) return;
  state.broken = error.what();
  state.broken_code = error.code().empty() ? kind_name(error.kind()) : error.code();
}

std::string CopyJob::kind_name(base::ErrorKind kind) {
  switch (kind) {
    case base::ErrorKind::kNotFound:
      return "NotFound";
    case base::ErrorKind::kDenied:
      return "AccessDenied";
    case base::ErrorKind::kConflict:
      return "Conflict";
    case base::ErrorKind::kTransient:
      return "Unavailable";
    case base::ErrorKind::kCorrupt:
      return "Corrupt";
    case base::ErrorKind::kUsage:
      return "Invalid";
    case base::ErrorKind::kInternal:
      break;
  }
  return "Failed";
}

void CopyJob::plan_single(const std::shared_ptr<RowState>& state) {
  if (shares_keys(state->row) && !has(state->source_key)) return;
  if (!state->to.is_s3() && !options_.dry_run) state->to.folder->remove_leftovers();
  ObjectInfo source = head(state->from, state->source_key);
  std::optional<ObjectInfo> destination;
  try {
    destination = head(state->to, state->destination_key);
  } catch (const base::NotFoundError&) {
  }
  const char* why = "";
  Decision decision = decide(source, destination ? &*destination : nullptr, state->rules, why);
  // Whoever names one object wants that object: only what is known to be the same is left alone.
  if (decision == Decision::kSkip && options_.compare == Compare::kTime) {
    bool same = state->from.is_s3() && state->to.is_s3()
                    ? !source.etag.empty() && source.etag == destination->etag
                    : source.last_modified == destination->last_modified;
    if (!same) {
      decision = Decision::kCopy;
      why = "not known to be the same";
    }
  }
  source.key = state->source_key;
  decided(state, nullptr, decision, why, &source, destination ? &*destination : nullptr);
}

ObjectInfo CopyJob::head(const Site& site, const std::string& key) {
  if (site.is_s3()) {
    objects::ObjectDetails details = site.client->details(site.key(key));
    details.info.key = key;
    details.info.storage_class = details.headers.get("x-amz-storage-class");
    return details.info;
  }
  ObjectInfo info = objects::open_reader(objects::Location{false, "", site.folder->path()})->head(key);
  info.key = key;
  return info;
}

void CopyJob::compare_range(const std::shared_ptr<RowState>& state, RangeProgress* range) {
  try {
    KeyRange bounds;
    {
      std::lock_guard lock(state->mutex);
      bounds = range->left();
    }
    auto unreadable = [&](const std::string& key, const base::Error& error) {
      // Whatever lies there was not seen: nothing may be taken for gone.
      fail(*state, state->from.url(key), "", error);
      break_row(*state, error);
    };
    std::unique_ptr<Listing> source = state->from.list(bounds, pool_, unreadable);
    std::unique_ptr<Listing> destination =
        state->to.list(bounds, pool_, unreadable, options_.dry_run ? Leftovers::kKeep : Leftovers::kRemove);
    bool may_split = state->from.is_s3() && state->to.is_s3();
    MergeCounts counts = merge(
        *source, *destination, state->rules,
        [&](Decision decision, const char* why, const ObjectInfo* from, const ObjectInfo* to) {
          decided(state, range, decision, why, from, to);
          return true;
        },
        may_split ? OnPause([&](const std::string& behind) { return split(state, *range, behind); })
                  : OnPause());
    state->source_listed += counts.source_listed;
    state->source_objects += counts.source_objects;
    state->destination_objects += counts.destination_objects;
    std::lock_guard lock(state->mutex);
    range->listed();
  } catch (const base::Error& error) {
    if (!is_interrupted(error)) break_row(*state, error);
  }
  release(state);
}

std::optional<std::string> CopyJob::split(const std::shared_ptr<RowState>& state, RangeProgress& range,
                                          const std::string& behind) {
  {
    std::lock_guard lock(mutex_);
    if (idle_planners_ == 0 || next_row_ < rows_.size()) return std::nullopt;
  }
  std::string until;
  {
    std::lock_guard lock(state->mutex);
    until = range.left().until;
  }
  auto next_key = [&](const std::string& start_after) -> std::optional<std::string> {
    std::string from = state->from.key(start_after);
    objects::ListedPage page = state->from.client->list_page(
        {.prefix = state->from.prefix, .delimiter = {}, .start_after = from, .token = {}, .keys_max = 1});
    if (page.objects.empty()) return std::nullopt;
    return page.objects[0].key.substr(state->from.prefix.size());
  };
  auto key = split_key(behind, until, next_key, kSplitProbes);
  if (!key) return std::nullopt;
  Task task = range_task(state, KeyRange{*key, until});
  {
    std::lock_guard lock(state->mutex);
    range.shorten(*key);
  }
  {
    std::lock_guard lock(mutex_);
    ++comparing_;
  }
  post(std::move(task));
  return key;
}

void CopyJob::retry_keys(const std::shared_ptr<RowState>& state, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    try {
      ObjectInfo source = head(state->from, key);
      std::optional<ObjectInfo> destination;
      try {
        destination = head(state->to, key);
      } catch (const base::NotFoundError&) {
      }
      const char* why = "";
      Decision decision = decide(source, destination ? &*destination : nullptr, state->rules, why);
      decided(state, nullptr, decision, why, &source, destination ? &*destination : nullptr);
    } catch (const base::NotFoundError&) {
      ++vanished_;
      ++state->vanished;
      write(*state, "vanished", key, key, 0, {}, "", "gone since an earlier run failed to copy it");
    } catch (const base::Error& error) {
      if (is_interrupted(error)) break;
      fail(*state, state->from.url(key), key, error);
    }
  }
  release(state);
}

void CopyJob::end_row(const std::shared_ptr<RowState>& state) {
  if (stopping_) return forget(state, false);
  if (state->broken.empty() && !state->single && state->from.is_s3() && !state->from.prefix.empty() &&
      state->source_listed == 0 && state->vanished == 0 && !state->went_on && !state->partial)
    break_row(*state, base::NotFoundError("there is nothing below " + state->from.url(""), "NoSuchPrefix"));
  uint64_t extra = state->extra.count();
  if (extra > 0) {
    if (auto why = not_to_be_deleted(*state, extra); !why.second.empty()) {
      std::lock_guard lock(state->mutex);
      if (state->broken.empty()) {
        state->broken = why.second;
        state->broken_code = why.first;
      }
    } else {
      try {
        remove_extra(*state);
      } catch (const base::Error& error) {
        if (is_interrupted(error)) return forget(state, false);
        break_row(*state, error);
      }
    }
  }
  bool broken = !state->broken.empty();
  if (broken) result_.item_failed(name_of(state->row), state->broken, state->broken_code);
  bool failed = broken || state->failed > 0;
  ++(failed ? rows_failed_ : rows_done_);
  if (report_) {
    std::string totals = std::to_string(state->copied) + " copied, " + std::to_string(state->skipped) +
                         " skipped, " + std::to_string(state->deleted) + " deleted, " +
                         std::to_string(state->failed) + " failed";
    if (broken) totals += "; " + state->broken;
    report_->write({state->row.line,
                    failed ? "row-failed" : "row-done",
                    shown(state->row.from),
                    shown(state->row.to),
                    state->bytes,
                    {},
                    {},
                    {},
                    state->broken_code,
                    totals});
  }
  forget(state, !failed);
}

std::pair<std::string, std::string> CopyJob::not_to_be_deleted(const RowState& state, uint64_t extra) const {
  std::string many = std::to_string(extra) + " objects only the destination has were not deleted: ";
  if (!state.broken.empty()) return {"NotDeleted", many + state.broken};
  if (state.failed > 0) return {"NotDeleted", many + "not everything was copied"};
  if (state.source_objects == 0 && !options_.allow_empty_source)
    return {"EmptySource", many + "there is nothing at the source (--allow-empty-source)"};
  if (!options_.max_delete.allows(extra, state.destination_objects))
    return {"TooManyDeletes",
            many + "more than --max-delete allows, of " + std::to_string(state.destination_objects)};
  return {};
}

void CopyJob::remove_extra(RowState& state) {
  std::vector<std::string> keys;
  auto remove = [&] {
    if (options_.dry_run) {
      for (const std::string& key : keys) {
        ++planned_deletes_;
        write(state, "delete", "", key, 0, {}, "", "only the destination has it");
      }
    } else {
      std::set<std::string> failed = remove_keys(state, keys);
      for (const std::string& key : keys) {
        if (failed.contains(key)) continue;
        ++deleted_;
        ++state.deleted;
        write(state, "deleted", "", key, 0, {}, "", "only the destination had it");
      }
    }
    keys.clear();
  };
  state.extra.for_each([&](std::string key) {
    keys.push_back(std::move(key));
    if (keys.size() < kDeleteBatch) return;
    limiter_->spend(0);
    remove();
  });
  if (!keys.empty()) remove();
}

std::set<std::string> CopyJob::remove_keys(RowState& state, const std::vector<std::string>& keys) {
  std::set<std::string> left;
  auto failed = [&](const std::string& key, const std::string& code, const std::string& why) {
    left.insert(key);
    ++failed_;
    ++state.failed;
    result_.item_failed(state.to.url(key), "not deleted: " + why, code);
    if (report_)
      report_->write(
          {state.row.line, "failed", "", state.to.url(key), 0, {}, {}, {}, code, "not deleted: " + why});
  };
  if (state.to.is_s3()) {
    std::vector<std::string> whole;
    for (const std::string& key : keys) whole.push_back(state.to.key(key));
    for (const objects::RemoveFailure& failure : state.to.client->remove_all(whole))
      failed(failure.key.substr(std::min(failure.key.size(), state.to.prefix.size())), failure.code,
             failure.message);
  } else {
    for (const std::string& key : keys) {
      try {
        state.to.folder->remove(key);
      } catch (const base::Error& error) {
        failed(key, kind_name(error.kind()), error.what());
      }
    }
  }
  return left;
}

void CopyJob::forget(const std::shared_ptr<RowState>& state, bool done) {
  std::lock_guard lock(mutex_);
  if (done) {
    done_[state->index] = true;
    before_.erase(state->index);
  } else if (auto left = left_of(*state)) {
    before_[state->index] = std::move(*left);
  }
  active_.erase(state);
  wake_.notify_all();
}

}  // namespace millrace::copy

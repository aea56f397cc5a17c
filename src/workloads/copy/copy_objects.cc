// What a copy job does with each object, and what it says about it.
#include "base/error.h"
#include "objects/checksum.h"
#include "workloads/copy/copy_job.h"

namespace millrace::copy {
namespace {

constexpr int kChangedAttempts = 3;  // for objects that change while they are copied

}  // namespace

void CopyJob::decided(const std::shared_ptr<RowState>& state, RangeProgress* range, Decision decision,
                      const char* why, const ObjectInfo* source, const ObjectInfo* destination) {
  if (stopping_) throw base::TransientError("interrupted", "Interrupted");
  const std::string& key = source ? source->key : destination->key;
  auto pass = [&] {
    if (!range || !journal_) return;
    std::lock_guard lock(state->mutex);
    range->pass(key);
  };
  if (shares_keys(state->row) && !state->single && !has(key)) return pass();
  switch (decision) {
    case Decision::kSkip:
      ++skipped_;
      ++state->skipped;
      write(*state, "skipped", key, target_key(*state, key), source->size, {}, "", why);
      return pass();
    case Decision::kExtra:
      if (state->row.options.remove_extra && !state->single) {
        std::lock_guard lock(state->mutex);
        state->extra.add(key);
      }
      return pass();
    case Decision::kArchived:
      fail(*state, state->from.url(key), key,
           base::InternalError("in the storage class " + source->storage_class +
                                   ": it has to be restored first (then: --force-archived)",
                               "InvalidObjectState"));
      return pass();
    case Decision::kInspect:
    case Decision::kCopy:
      break;
  }
  if (options_.dry_run && decision == Decision::kCopy) {
    ++planned_copies_;
    write(*state, "copy", key, target_key(*state, key), source->size, {}, "", why);
    return;
  }
  auto item = std::make_shared<Item>();
  item->row = state;
  item->source = *source;
  item->key = target_key(*state, key);
  if (destination) item->destination = *destination;
  item->why = why;
  item->inspect = decision == Decision::kInspect;
  start(std::move(item), range);
}

const std::string& CopyJob::target_key(const RowState& state, const std::string& key) {
  return state.single ? state.destination_key : key;
}

void CopyJob::start(ItemPtr item, RangeProgress* range) {
  RowState& state = *item->row;
  slow_.wait_room(stopping_);
  if (range && journal_) {
    std::lock_guard lock(state.mutex);
    item->range = range;
    item->ticket = range->begin(item->source.key);
  }
  ++state.open;
  ++objects_planned_;
  bytes_planned_ += item->source.size;
  {
    std::lock_guard lock(mutex_);
    ++in_flight_;
  }
  try {
    if (!item->inspect && fits_one_request(state, item->source)) {
      limiter_->spend(item->source.size);
      if (limiter_->limits_requests()) {
        limiter_->enter();
        begin_copy(item);
        return;
      }
      ready_.push(item, stopping_);
      begin_ready();
      return;
    }
  } catch (...) {
    abandon(item);
    throw;
  }
  slow_.push(std::move(item));
}

void CopyJob::begin_ready() {
  while (limiter_->try_enter()) {
    ItemPtr item = ready_.pop();
    if (!item) return limiter_->leave_unused();
    begin_copy(item);
  }
}

void CopyJob::begin_copy(const ItemPtr& item) {
  RowState& state = *item->row;
  ObjectInfo whole = item->source;
  whole.key = state.from.key(item->source.key);
  try {
    state.to.client->start_copy(state.from.client->options().bucket, whole, state.to.key(item->key),
                                copy_options(item->source, state.transfer),
                                [this, item](objects::CopyResult result, std::exception_ptr error) {
                                  // This is the HTTP client's thread: nothing here may wait for another
                                  // request.
                                  if (error) return slow_.push(item);
                                  Transferred done{std::move(result.etag), std::move(result.version_id),
                                                   std::move(result.checksum), ""};
                                  if (options_.verify) {
                                    if (done.etag != item->source.etag || !is_md5(done.etag)) {
                                      item->copied = std::move(done);
                                      return slow_.push(item);
                                    }
                                    done.verified = "etag";
                                  }
                                  finished(item, done);
                                });
  } catch (const base::Error&) {
    // No credentials: the workers find out, and say so.
    limiter_->leave_unused();
    slow_.push(item);
  }
}

bool CopyJob::fits_one_request(const RowState& state, const ObjectInfo& source) const {
  return state.from.is_s3() && state.to.is_s3() && state.transfer.server_side &&
         !state.transfer.keep_encryption && state.transfer.acl != "keep" &&
         state.to.client->copied_by_one_request(source.size);
}

void CopyJob::work_on(const ItemPtr& item) {
  RowState& state = *item->row;
  for (int attempt = 1;; ++attempt) {
    try {
      if (item->copied) {
        if (options_.verify) item->copied->verified = verify(state.from, item->source, state.to, item->key);
        return finished(item, *item->copied);
      }
      if (item->inspect) {
        ObjectInfo there = *item->destination;
        there.key = item->key;
        if (same_content(state.from, item->source, state.to, there)) {
          ++skipped_;
          ++state.skipped;
          write(state, "skipped", item->source.key, item->key, item->source.size, {}, "", "same content");
          return done_with(item);
        }
        item->why = "content differs";
        item->inspect = false;
        if (options_.dry_run) {
          ++planned_copies_;
          write(state, "copy", item->source.key, item->key, item->source.size, {}, "", item->why);
          return done_with(item);
        }
      }
      if (attempt == 1) limiter_->spend(item->source.size);
      std::atomic<uint64_t> moved = 0;
      TransferOptions options = state.transfer;
      options.progress = [&](uint64_t bytes) {
        moved += bytes;
        bytes_moved_ += bytes;
      };
      struct TakeBack {  // what failed has to be moved again, and what is done is counted as a whole
        std::atomic<uint64_t>&moved, &all;
        ~TakeBack() { all -= moved; }
      } take_back{moved, bytes_moved_};
      Transferred done = transfer(state.from, item->source, state.to, item->key, options, *limiter_);
      return finished(item, done);
    } catch (const base::Error& error) {
      if (is_interrupted(error) || stopping_) return abandon(item);
      bool changed = error.code() == "PreconditionFailed";
      bool gone = error.kind() == base::ErrorKind::kNotFound;
      if (changed || gone) {
        try {
          ObjectInfo now = head(state.from, item->source.key);
          bool same = now.etag == item->source.etag && now.size == item->source.size &&
                      now.mtime_ns == item->source.mtime_ns;
          if (!same && attempt < kChangedAttempts) {
            now.key = item->source.key;
            item->source = std::move(now);
            continue;
          }
        } catch (const base::NotFoundError& missing) {
          if (missing.code() != "NoSuchBucket") {
            ++vanished_;
            ++state.vanished;
            write(state, "vanished", item->source.key, item->key, 0, {}, "", "removed while the copy ran");
            return done_with(item);
          }
        } catch (const base::Error& other) {
          if (is_interrupted(other)) return abandon(item);
        }
      }
      fail(state, state.from.url(item->source.key), item->source.key, error);
      return done_with(item);
    }
  }
}

void CopyJob::finished(const ItemPtr& item, const Transferred& done) {
  RowState& state = *item->row;
  ++copied_;
  ++state.copied;
  bytes_copied_ += item->source.size;
  bytes_moved_ += item->source.size;
  state.bytes += item->source.size;
  if (report_) {
    std::string reason = item->why;
    if (!done.verified.empty()) reason += "; verified by " + done.verified;
    write(state, "copied", item->source.key, item->key, item->source.size, done, "", reason);
  }
  done_with(item);
}

void CopyJob::fail(RowState& state, const std::string& url, const std::string& key,
                   const base::Error& error) {
  ++failed_;
  ++state.failed;
  std::string code = error.code().empty() ? kind_name(error.kind()) : error.code();
  std::string text = error.what();
  if (error.kind() == base::ErrorKind::kDenied && !state.transfer.acl.empty() && state.to.is_s3())
    text += " (setting the ACL " + state.transfer.acl + " needs s3:PutObjectAcl; --acl none sets none)";
  result_.item_failed(url, text, code);
  if (report_) {
    std::string target = state.single ? state.to.url(state.destination_key) : state.to.url(key);
    report_->write({state.row.line, "failed", url, target, 0, {}, {}, {}, code, text});
  }
  if (!journal_ || state.single) return;
  std::lock_guard lock(state.mutex);
  if (state.failed_keys.size() < RowState::kFailedKeysMax)
    state.failed_keys.push_back(key);
  else
    state.restart = true;
}

void CopyJob::write(const RowState& state, std::string_view action, const std::string& source,
                    const std::string& destination, uint64_t bytes, const Transferred& done,
                    std::string_view code, std::string_view reason) {
  if (!report_) return;
  std::string checksum;
  if (done.checksum)
    checksum = std::string(objects::checksum_name(done.checksum->algorithm)) + ":" + done.checksum->value;
  std::string from = source.empty() && action != "copied" ? "" : state.from.url(source);
  report_->write({state.row.line, action, from, state.to.url(destination), bytes, done.version_id, done.etag,
                  checksum, code, reason});
}

void CopyJob::done_with(const ItemPtr& item) {
  if (item->range) {
    std::lock_guard lock(item->row->mutex);
    item->range->end(item->ticket);
  }
  leave(*item);
}

void CopyJob::leave(Item& item) {
  // The HTTP client's thread may be the last to hold the item: what it held must not outlive the job.
  std::shared_ptr<RowState> row = std::move(item.row);
  release(row);
  row.reset();
  std::lock_guard lock(mutex_);
  if (--in_flight_ == 0) {
    idle_.notify_all();
    wake_.notify_all();
  }
}

void CopyJob::release(const std::shared_ptr<RowState>& row) {
  if (--row->open > 0) return;
  Task task;
  task.kind = Task::Kind::kFinish;
  task.row = row;
  post(std::move(task));
}

}  // namespace millrace::copy

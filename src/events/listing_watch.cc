#include "events/listing_watch.h"

#include <array>

#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"
#include "sql/migration.h"

namespace millrace::events {
namespace {

constexpr char kSchema[] = R"sql(
CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE seen(key BLOB PRIMARY KEY, size INTEGER NOT NULL, etag TEXT NOT NULL, modified INTEGER NOT NULL)
  STRICT, WITHOUT ROWID;
CREATE TABLE changes(sequence INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, bucket TEXT NOT NULL,
  key BLOB NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL, time INTEGER NOT NULL, request TEXT NOT NULL) STRICT;
)sql";

constexpr int64_t kPage = 1000;  // rows read at a time

}  // namespace

// The objects of the last look, in the order of their keys.
class ListingWatch::Seen {
 public:
  explicit Seen(sql::Connection& connection)
      : page_(connection.prepare(
            "SELECT key, size, etag, modified FROM seen WHERE key > $1 ORDER BY key LIMIT $2")) {
    fetch();
  }
  const objects::ObjectInfo* current() const { return at_ < rows_.size() ? &rows_[at_] : nullptr; }
  void advance() {
    if (++at_ == rows_.size() && rows_.size() == kPage) fetch();
  }

 private:
  void fetch() {
    page_->bind_blob(1, rows_.empty() ? std::string() : rows_.back().key).bind(2, kPage);
    rows_.clear();
    at_ = 0;
    while (page_->step())
      rows_.push_back({std::string(page_->text(0)), static_cast<uint64_t>(page_->int64(1)),
                       std::string(page_->text(2)), page_->int64(3), 0});
  }
  std::unique_ptr<sql::Statement> page_;
  std::vector<objects::ObjectInfo> rows_;
  size_t at_ = 0;
};

ListingWatch::ListingWatch(const std::string& path) {
  sql::SqliteOptions options;
  options.exclusive = true;
  connection_ = sql::open_sqlite(path, options);
  constexpr std::array<const char*, 1> kSteps = {kSchema};
  if (sql::format_of(*connection_) > static_cast<int64_t>(kSteps.size()))
    throw base::ConflictError(path + " was made by a newer version of Millrace; run that version");
  sql::migrate(*connection_, path, kSteps, [this] {
    const auto id = static_cast<int64_t>(base::xxh3(base::random_bytes(16)) >> 1);
    connection_->prepare("INSERT INTO meta(key, value) VALUES ('id', $1)")->bind(1, id).run();
  });
  auto row = connection_->prepare("SELECT value FROM meta WHERE key = 'id'");
  if (!row->step()) throw base::CorruptError(path + " has no id; remove it to begin anew");
  id_ = row->int64(0);
}

ListingWatch::~ListingWatch() = default;

void ListingWatch::note(objects::ObjectEvent event) {
  connection_
      ->prepare(
          "INSERT INTO changes(kind, bucket, key, size, etag, time, request) VALUES ($1, $2, $3, $4, $5, $6, "
          "$7)")
      ->bind(1, static_cast<int64_t>(event.kind))
      .bind(2, event.bucket)
      .bind_blob(3, event.key)
      .bind(4, static_cast<int64_t>(event.size))
      .bind(5, event.etag)
      .bind(6, event.time)
      .bind(7, event.request_id)
      .run();
}

size_t ListingWatch::look(objects::ObjectReader& reader, const std::string& bucket, const std::string& prefix,
                          base::TimeMs now, bool existing) {
  using Kind = objects::ObjectEvent::Kind;
  sql::Transaction transaction(*connection_);
  auto looked = connection_->prepare("SELECT 1 FROM meta WHERE key = 'looked'");
  const bool tell = looked->step() || existing;
  looked->reset();
  auto put = connection_->prepare(
      "INSERT INTO seen(key, size, etag, modified) VALUES ($1, $2, $3, $4) ON CONFLICT(key) DO UPDATE SET "
      "size = excluded.size, etag = excluded.etag, modified = excluded.modified");
  auto drop = connection_->prepare("DELETE FROM seen WHERE key = $1");
  size_t count = 0;
  auto tell_of = [&](Kind kind, const objects::ObjectInfo& object) {
    if (!tell) return;
    ++count;
    objects::ObjectEvent event;
    event.kind = kind;
    event.bucket = bucket;
    event.key = object.key;
    if (kind == Kind::kCreated) {
      event.size = object.size;
      event.etag = object.etag;
    }
    event.time = kind == Kind::kCreated ? object.last_modified : now;
    event.request_id = "watch";
    note(std::move(event));
  };
  // Two sorted rows of keys side by side. What is written lies behind the place where `seen` reads on.
  Seen seen(*connection_);
  auto gone_before = [&](const std::string* key) {
    while (seen.current() && (!key || seen.current()->key < *key)) {
      tell_of(Kind::kDeleted, *seen.current());
      drop->bind_blob(1, seen.current()->key).run();
      seen.advance();
    }
  };
  reader.list(prefix, [&](const objects::ObjectInfo& object) {
    gone_before(&object.key);
    const objects::ObjectInfo* old = seen.current();
    const bool known = old && old->key == object.key;
    const bool same = known && old->size == object.size && old->etag == object.etag &&
                      old->last_modified == object.last_modified;
    if (known) seen.advance();
    if (same) return true;
    tell_of(Kind::kCreated, object);
    put->bind_blob(1, object.key)
        .bind(2, static_cast<int64_t>(object.size))
        .bind(3, object.etag)
        .bind(4, object.last_modified)
        .run();
    return true;
  });
  gone_before(nullptr);
  connection_->execute("INSERT OR IGNORE INTO meta(key, value) VALUES ('looked', 1)");
  transaction.commit();
  return count;
}

std::vector<objects::ObjectEvent> ListingWatch::changes(int64_t after, size_t limit) {
  auto rows = connection_->prepare(
      "SELECT sequence, kind, bucket, key, size, etag, time, request FROM changes WHERE sequence > $1 "
      "ORDER BY sequence LIMIT $2");
  rows->bind(1, after).bind(2, static_cast<int64_t>(limit));
  std::vector<objects::ObjectEvent> out;
  while (rows->step()) {
    objects::ObjectEvent event;
    event.sequence = rows->int64(0);
    event.kind = static_cast<objects::ObjectEvent::Kind>(rows->int64(1));
    event.bucket = rows->text(2);
    event.key = rows->text(3);
    event.size = static_cast<uint64_t>(rows->int64(4));
    event.etag = rows->text(5);
    event.time = rows->int64(6);
    event.request_id = rows->text(7);
    // How it came there is not in a listing; the ETag of parts has a dash.
    const bool parts = event.etag.find('-') != std::string::npos;
    event.reason = event.kind == objects::ObjectEvent::Kind::kDeleted ? "DeleteObject"
                   : parts                                            ? "CompleteMultipartUpload"
                                                                      : "PutObject";
    event.requester = "watch";
    out.push_back(std::move(event));
  }
  return out;
}

void ListingWatch::forget(int64_t until) {
  connection_->prepare("DELETE FROM changes WHERE sequence <= $1")->bind(1, until).run();
}

}  // namespace millrace::events

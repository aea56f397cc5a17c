#include "audit/audit_log.h"

#include <fcntl.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "base/error.h"
#include "base/unique_fd.h"
#include "sql/migration.h"

namespace millrace::audit {
namespace {

// Resources between line feeds, so that one can be looked for.
constexpr char kVersion1[] = R"sql(
CREATE TABLE events(seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,
  source TEXT NOT NULL, user TEXT NOT NULL, access_key TEXT NOT NULL, read_only INTEGER NOT NULL,
  resources TEXT NOT NULL, body TEXT NOT NULL) STRICT;
CREATE INDEX events_by_id ON events(id);
CREATE INDEX events_by_name ON events(name);
CREATE INDEX events_by_time ON events(time);
)sql";
constexpr std::array<const char*, 1> kSteps = {kVersion1};

constexpr auto kWriteEvery = std::chrono::milliseconds(500);
constexpr size_t kEarlyAt = 1000;  // so many waiting are written at once
constexpr TimeMs kPurgeEveryMs = TimeMs{3600} * 1000;
constexpr int64_t kPurgeRows = 10'000;

const char* condition_of(Attribute attribute) {
  switch (attribute) {
    case Attribute::kEventId:
      return "id = $5";
    case Attribute::kEventName:
      return "name = $5";
    case Attribute::kReadOnly:
      return "read_only = ($5 = 'true')";
    case Attribute::kUsername:
      return "user = $5";
    case Attribute::kResourceName:
      return "instr(resources, char(10) || $5 || char(10)) > 0";
    case Attribute::kEventSource:
      return "source = $5";
    case Attribute::kAccessKeyId:
      return "access_key = $5";
  }
  return "1";
}

}  // namespace

AuditLog::AuditLog(const std::string& path, const base::Clock& clock) : clock_(clock) {
  base::UniqueFd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  sql::SqliteOptions options;
  options.durable = false;
  connection_ = sql::open_sqlite(path, options);
  // Little is left for a stop to write back, also after many kills.
  connection_->execute("PRAGMA wal_autocheckpoint=32");
  sql::migrate(*connection_, path, kSteps, [] {});
  thread_ = std::thread([this] { run(); });
}

AuditLog::~AuditLog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void AuditLog::add(std::function<Event()> make) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= kWaitingMax) {
      given_up_ += kWaitingMax / 2;
      waiting_.erase(waiting_.begin(), waiting_.begin() + kWaitingMax / 2);
    }
    waiting_.push_back(std::move(make));
    wake = waiting_.size() == 1 || waiting_.size() == kEarlyAt;
  }
  if (wake) wake_.notify_one();
}

void AuditLog::run() {
  pthread_setname_np(pthread_self(), "audit");
  for (;;) {
    size_t given_up = 0;
    bool stopping = false;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      wake_.wait_for(lock, kWriteEvery, [this] { return stopping_ || waiting_.size() >= kEarlyAt; });
      given_up = std::exchange(given_up_, 0);
      stopping = stopping_;
    }
    if (given_up > 0) spdlog::error("the audit log could not be written: {} events are lost", given_up);
    const std::lock_guard database(database_mutex_);
    try {
      std::vector<std::function<Event()>> waiting;
      {
        const std::lock_guard lock(mutex_);
        waiting.swap(waiting_);
      }
      write(std::move(waiting));
      if (clock_.now_ms() >= next_purge_) purge();
    } catch (const base::Error& error) {
      spdlog::error("the audit log cannot be written: {}", error.what());
    }
    if (stopping) return;
  }
}

// With database_mutex_ held. What cannot be written waits on.
void AuditLog::write(std::vector<std::function<Event()>> waiting) {
  if (waiting.empty()) return;
  try {
    sql::Transaction transaction(*connection_);
    auto row = connection_->prepare(
        "INSERT INTO events(time, id, name, source, user, access_key, read_only, resources, body) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
    for (const auto& make : waiting) {
      const Event event = make();
      std::string resources = "\n";
      for (const std::string& resource : event.resources) resources.append(resource).append("\n");
      row->bind(1, event.time).bind(2, event.id).bind(3, event.name).bind(4, event.source);
      row->bind(5, event.user).bind(6, event.access_key).bind(7, int64_t{event.read_only});
      row->bind(8, resources).bind(9, event.body).run();
    }
    transaction.commit();
  } catch (const base::Error&) {
    const std::lock_guard lock(mutex_);
    waiting_.insert(waiting_.begin(), std::make_move_iterator(waiting.begin()),
                    std::make_move_iterator(waiting.end()));
    throw;
  }
}

void AuditLog::purge() {
  auto drop = connection_->prepare(
      "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE time < $1 ORDER BY time LIMIT $2)");
  drop->bind(1, clock_.now_ms() - kKeptMs).bind(2, kPurgeRows).run();
  if (connection_->changes() < kPurgeRows) next_purge_ = clock_.now_ms() + kPurgeEveryMs;
}

std::vector<Event> AuditLog::find(const Lookup& lookup) {
  const std::lock_guard database(database_mutex_);
  std::vector<std::function<Event()>> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting.swap(waiting_);
  }
  write(std::move(waiting));
  std::string sql =
      "SELECT seq, time, id, name, source, user, access_key, read_only, resources, body FROM events WHERE "
      "seq < "
      "$1 AND time >= $2 AND time <= $3";
  if (lookup.attribute) sql += std::string(" AND ") + condition_of(lookup.attribute->first);
  auto rows = connection_->prepare(sql + " ORDER BY seq DESC LIMIT $4");
  rows->bind(1, lookup.before)
      .bind(2, std::max(lookup.from, clock_.now_ms() - kKeptMs))
      .bind(3, lookup.until);
  rows->bind(4, static_cast<int64_t>(lookup.limit));
  if (lookup.attribute) rows->bind(5, lookup.attribute->second);
  std::vector<Event> found;
  while (rows->step()) {
    Event event;
    event.seq = rows->int64(0);
    event.time = rows->int64(1);
    event.id = rows->text(2);
    event.name = rows->text(3);
    event.source = rows->text(4);
    event.user = rows->text(5);
    event.access_key = rows->text(6);
    event.read_only = rows->int64(7) != 0;
    std::string_view resources = rows->text(8);
    for (size_t at = 1; at < resources.size();) {
      const size_t end = resources.find('\n', at);
      event.resources.emplace_back(resources.substr(at, end - at));
      at = end + 1;
    }
    event.body = rows->text(9);
    found.push_back(std::move(event));
  }
  return found;
}

}  // namespace millrace::audit

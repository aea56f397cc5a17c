#include "events/event_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"
#include "sql/migration.h"

namespace millrace::events {
namespace {

constexpr char kVersion1[] = R"sql(
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE resources(kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY(kind, key))
  STRICT, WITHOUT ROWID;
CREATE TABLE counts(owner TEXT PRIMARY KEY, matched INTEGER NOT NULL, delivered INTEGER NOT NULL,
  failed INTEGER NOT NULL, dead INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE fired(owner TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE events(seq INTEGER PRIMARY KEY, received INTEGER NOT NULL, id TEXT NOT NULL, bus TEXT NOT NULL,
  source TEXT NOT NULL, detail_type TEXT NOT NULL, time INTEGER NOT NULL, rules TEXT NOT NULL, body TEXT NOT NULL)
  STRICT;
CREATE INDEX events_by_id ON events(id);
CREATE TABLE deliveries(seq INTEGER PRIMARY KEY, event INTEGER NOT NULL, owner TEXT NOT NULL, target TEXT NOT NULL,
  state INTEGER NOT NULL, attempts INTEGER NOT NULL, born INTEGER NOT NULL, next_at INTEGER NOT NULL,
  retries_max INTEGER NOT NULL, age_max INTEGER NOT NULL, dead_letter TEXT NOT NULL, request TEXT NOT NULL,
  outcome TEXT NOT NULL) STRICT;
CREATE INDEX deliveries_open ON deliveries(next_at, seq) WHERE state = 0;
CREATE INDEX deliveries_by_event ON deliveries(event);
CREATE INDEX deliveries_by_owner ON deliveries(owner, seq);
CREATE TABLE archived(seq INTEGER PRIMARY KEY, archive TEXT NOT NULL, time INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
CREATE INDEX archived_by_time ON archived(archive, time, seq);
)sql";

// Deliveries that wait for their turn at an API destination.
constexpr char kVersion2[] = R"sql(
ALTER TABLE deliveries ADD COLUMN paced INTEGER NOT NULL DEFAULT 0;
)sql";

constexpr std::array<const char*, 2> kSteps = {kVersion1, kVersion2};

// Room after the highest number in use, so that a purge does not free a number to be used again.
constexpr int64_t kKeptMin = 1000;

constexpr char kDeliveryColumns[] =
    "SELECT seq, event, owner, target, state, attempts, born, next_at, retries_max, age_max, dead_letter, "
    "request, outcome, paced FROM deliveries ";

Delivery read_delivery(const sql::Statement& row) {
  Delivery d;
  d.seq = row.int64(0);
  d.event = row.int64(1);
  d.owner = row.text(2);
  d.target = row.text(3);
  d.state = static_cast<DeliveryState>(row.int64(4));
  d.attempts = static_cast<int>(row.int64(5));
  d.born = row.int64(6);
  d.next_at = row.int64(7);
  d.policy.retries_max = static_cast<int>(row.int64(8));
  d.policy.age_max_ms = row.int64(9);
  d.dead_letter = row.text(10);
  d.request = base::parse_json(row.text(11)).as_object();
  d.outcome = row.text(12);
  d.paced = row.int64(13) != 0;
  return d;
}

constexpr char kEventColumns[] =
    "SELECT seq, received, id, bus, source, detail_type, time, rules, body FROM events ";

EventRow read_event(const sql::Statement& row) {
  EventRow e;
  e.seq = row.int64(0);
  e.received = row.int64(1);
  e.event.id = row.text(2);
  e.event.bus = row.text(3);
  e.event.source = row.text(4);
  e.event.detail_type = row.text(5);
  e.event.time = row.int64(6);
  const json::value rules = base::parse_json(row.text(7));
  for (const json::value& rule : rules.as_array()) e.rules.emplace_back(base::view(rule.as_string()));
  e.event.body = row.text(8);
  return e;
}

// What a sealed body begins with; one that is not begins with '{'.
constexpr std::string_view kSealed = "sealed:";

// Gives up what is left of a cached statement's rows, so that it does not hold the file.
struct Running {
  explicit Running(sql::Statement& statement) : statement(statement) {}
  ~Running() { statement.reset(); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  sql::Statement& statement;
};

}  // namespace

EventStore::EventStore(const std::string& path, Sealing sealing) : sealing_(std::move(sealing)) {
  sql::SqliteOptions options;
  options.exclusive = true;
  connection_ = sql::open_sqlite(path, options);
  sql::migrate(*connection_, path, kSteps, [this] {
    connection_->prepare("INSERT INTO meta(key, value) VALUES ('id', $1)")->bind(1, base::uuid4()).run();
  });
  sql::Statement& id = statement("SELECT value FROM meta WHERE key = 'id'");
  const Running running(id);
  if (!id.step()) throw base::CorruptError(path + " has no id; restore it from a backup");
  id_ = id.text(0);
}

EventStore::~EventStore() = default;

sql::Statement& EventStore::statement(const char* text) {
  for (auto& [known, made] : statements_)
    if (known == text) return *made;
  statements_.emplace_back(text, connection_->prepare(text));
  return *statements_.back().second;
}

void EventStore::load(Registry& registry) {
  for (Kind kind : {Kind::kBus, Kind::kRule, Kind::kArchive, Kind::kReplay, Kind::kConnection,
                    Kind::kDestination, Kind::kGroup, Kind::kSchedule}) {
    auto rows = connection_->prepare("SELECT key, body FROM resources WHERE kind = $1");
    rows->bind(1, to_string(kind));
    std::vector<std::pair<std::string, std::string>> unsealed;
    while (rows->step()) {
      std::string key(rows->text(0)), body(rows->text(1));
      if (body.starts_with(kSealed)) {
        if (!sealing_.open)
          throw base::CorruptError("the connection " + key + " needs the key it was sealed with");
        const auto bytes = base::unbase64(std::string_view(body).substr(kSealed.size()));
        body = sealing_.open(bytes.value_or(""), "connection " + key);
      } else if (kind == Kind::kConnection && sealing_.seal) {
        unsealed.emplace_back(key, body);
      }
      registry.restore(kind, key, body);
    }
    if (unsealed.empty()) continue;
    connection_->execute("PRAGMA secure_delete = ON");
    sql::Transaction transaction(*connection_);
    for (const auto& [key, body] : unsealed) put_resource(kind, key, body);
    transaction.commit();
  }
  auto rows = connection_->prepare("SELECT owner, matched, delivered, failed, dead FROM counts");
  while (rows->step())
    registry.counts[std::string(rows->text(0))] = {rows->int64(1), rows->int64(2), rows->int64(3),
                                                   rows->int64(4)};
  rows = connection_->prepare("SELECT owner, at FROM fired");
  while (rows->step()) registry.fired[std::string(rows->text(0))] = rows->int64(1);
}

void EventStore::put_resource(Kind kind, const std::string& key, const std::string& body) {
  const bool sealed = kind == Kind::kConnection && sealing_.seal;
  statement(
      "INSERT INTO resources(kind, key, body) VALUES ($1, $2, $3) "
      "ON CONFLICT(kind, key) DO UPDATE SET body = excluded.body")
      .bind(1, to_string(kind))
      .bind(2, key)
      .bind(3, sealed ? std::string(kSealed) + base::base64(sealing_.seal(body, "connection " + key)) : body)
      .run();
}

std::pair<int64_t, int64_t> EventStore::counters() {
  auto row = connection_->prepare(
      "SELECT (SELECT coalesce(max(seq), 0) FROM events), (SELECT coalesce(max(seq), 0) FROM deliveries)");
  row->step();
  return {row->int64(0), row->int64(1)};
}

int64_t EventStore::cursor(std::string_view feed) {
  sql::Statement& row = statement("SELECT value FROM meta WHERE key = 'cursor:' || $1");
  const Running running(row);
  row.bind(1, feed);
  return row.step() ? std::stoll(std::string(row.text(0))) : 0;
}

void EventStore::commit(const EventChanges& changes, const Registry& registry) {
  sql::Transaction transaction(*connection_);
  for (const auto& [kind, key] : changes.resources) {
    if (auto body = registry.serialise(kind, key)) {
      put_resource(kind, key, *body);
    } else {
      statement("DELETE FROM resources WHERE kind = $1 AND key = $2")
          .bind(1, to_string(kind))
          .bind(2, key)
          .run();
    }
  }
  for (const std::string& archive : changes.dropped_archives)
    statement("DELETE FROM archived WHERE archive = $1").bind(1, archive).run();
  for (const EventRow& row : changes.events) {
    json::array rules(row.rules.begin(), row.rules.end());
    statement(
        "INSERT INTO events(seq, received, id, bus, source, detail_type, time, rules, body) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .bind(1, row.seq)
        .bind(2, row.received)
        .bind(3, row.event.id)
        .bind(4, row.event.bus)
        .bind(5, row.event.source)
        .bind(6, row.event.detail_type)
        .bind(7, row.event.time)
        .bind(8, json::serialize(rules))
        .bind(9, row.event.body)
        .run();
  }
  for (const Delivery& d : changes.made) {
    statement(
        "INSERT INTO deliveries(seq, event, owner, target, state, attempts, born, next_at, retries_max, "
        "age_max, dead_letter, request, outcome) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)")
        .bind(1, d.seq)
        .bind(2, d.event)
        .bind(3, d.owner)
        .bind(4, d.target)
        .bind(5, static_cast<int64_t>(d.state))
        .bind(6, int64_t{d.attempts})
        .bind(7, d.born)
        .bind(8, d.next_at)
        .bind(9, int64_t{d.policy.retries_max})
        .bind(10, d.policy.age_max_ms)
        .bind(11, d.dead_letter)
        .bind(12, json::serialize(d.request))
        .bind(13, d.outcome)
        .run();
  }
  for (const Delivery& d : changes.changed) {
    statement(
        "UPDATE deliveries SET state = $2, attempts = $3, next_at = $4, outcome = $5, paced = $6 WHERE seq = "
        "$1")
        .bind(1, d.seq)
        .bind(2, static_cast<int64_t>(d.state))
        .bind(3, int64_t{d.attempts})
        .bind(4, d.next_at)
        .bind(5, d.outcome)
        .bind(6, int64_t{d.paced})
        .run();
  }
  for (const EventChanges::Archived& a : changes.archived)
    statement("INSERT INTO archived(archive, time, body) VALUES ($1, $2, $3)")
        .bind(1, a.archive)
        .bind(2, a.time)
        .bind(3, a.body)
        .run();
  for (const std::string& owner : changes.counted) {
    auto found = registry.counts.find(owner);
    if (found == registry.counts.end()) {
      statement("DELETE FROM counts WHERE owner = $1").bind(1, owner).run();
      continue;
    }
    const Counts& c = found->second;
    statement(
        "INSERT INTO counts(owner, matched, delivered, failed, dead) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT(owner) DO UPDATE SET matched = excluded.matched, delivered = excluded.delivered, "
        "failed = excluded.failed, dead = excluded.dead")
        .bind(1, owner)
        .bind(2, c.matched)
        .bind(3, c.delivered)
        .bind(4, c.failed)
        .bind(5, c.dead)
        .run();
  }
  for (const std::string& owner : changes.fired) {
    auto found = registry.fired.find(owner);
    if (found == registry.fired.end()) {
      statement("DELETE FROM fired WHERE owner = $1").bind(1, owner).run();
      continue;
    }
    statement(
        "INSERT INTO fired(owner, at) VALUES ($1, $2) ON CONFLICT(owner) DO UPDATE SET at = excluded.at")
        .bind(1, owner)
        .bind(2, found->second)
        .run();
  }
  for (const auto& [feed, value] : changes.cursors)
    statement(
        "INSERT INTO meta(key, value) VALUES ('cursor:' || $1, $2) "
        "ON CONFLICT(key) DO UPDATE SET value = excluded.value")
        .bind(1, feed)
        .bind(2, std::to_string(value))
        .run();
  transaction.commit();
}

void EventStore::probe() {
  sql::Transaction transaction(*connection_);
  statement(
      "INSERT INTO meta(key, value) VALUES ('probe', $1) ON CONFLICT(key) DO UPDATE SET value = "
      "excluded.value")
      .bind(1, std::string(4096, 'x'))
      .run();
  transaction.commit();
}

std::vector<Delivery> EventStore::open_deliveries(TimeMs due, int64_t seq, size_t limit) {
  auto rows =
      connection_->prepare(std::string(kDeliveryColumns) +
                           "WHERE state = 0 AND (next_at, seq) > ($1, $2) ORDER BY next_at, seq LIMIT $3");
  rows->bind(1, due).bind(2, seq).bind(3, static_cast<int64_t>(limit));
  std::vector<Delivery> out;
  while (rows->step()) out.push_back(read_delivery(*rows));
  return out;
}

std::map<std::string, TimeMs> EventStore::last_turns() {
  auto rows = connection_->prepare(
      "SELECT json_extract(request, '$.destination'), max(next_at) FROM deliveries WHERE state = 0 AND paced "
      "= 1 "
      "GROUP BY 1");
  std::map<std::string, TimeMs> out;
  while (rows->step()) out[std::string(rows->text(0))] = rows->int64(1);
  return out;
}

std::vector<Delivery> EventStore::deliveries_of(int64_t event) {
  auto rows = connection_->prepare(std::string(kDeliveryColumns) + "WHERE event = $1 ORDER BY seq");
  rows->bind(1, event);
  std::vector<Delivery> out;
  while (rows->step()) out.push_back(read_delivery(*rows));
  return out;
}

std::vector<Delivery> EventStore::latest(std::string_view owner, size_t limit) {
  auto rows =
      connection_->prepare(std::string(kDeliveryColumns) + "WHERE owner = $1 ORDER BY seq DESC LIMIT $2");
  rows->bind(1, owner).bind(2, static_cast<int64_t>(limit));
  std::vector<Delivery> out;
  while (rows->step()) out.push_back(read_delivery(*rows));
  return out;
}

std::optional<EventRow> EventStore::find_event(std::string_view id) {
  auto row = connection_->prepare(std::string(kEventColumns) + "WHERE id = $1 ORDER BY seq DESC LIMIT 1");
  row->bind(1, id);
  if (!row->step()) return std::nullopt;
  return read_event(*row);
}

std::optional<EventRow> EventStore::event(int64_t seq) {
  auto row = connection_->prepare(std::string(kEventColumns) + "WHERE seq = $1");
  row->bind(1, seq);
  if (!row->step()) return std::nullopt;
  return read_event(*row);
}

std::vector<EventRow> EventStore::events_after(int64_t seq, size_t limit) {
  auto rows = connection_->prepare(std::string(kEventColumns) + "WHERE seq > $1 ORDER BY seq LIMIT $2");
  rows->bind(1, seq).bind(2, static_cast<int64_t>(limit));
  std::vector<EventRow> out;
  while (rows->step()) out.push_back(read_event(*rows));
  return out;
}

std::vector<EventRow> EventStore::latest_events(size_t limit) {
  auto rows = connection_->prepare(std::string(kEventColumns) + "ORDER BY seq DESC LIMIT $1");
  rows->bind(1, static_cast<int64_t>(limit));
  std::vector<EventRow> out;
  while (rows->step()) out.push_back(read_event(*rows));
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<EventStore::ArchivedEvent> EventStore::archived(std::string_view archive, TimeMs from,
                                                            TimeMs until, int64_t after_seq, size_t limit) {
  auto rows = connection_->prepare(
      "SELECT seq, time, body FROM archived WHERE archive = $1 AND (time, seq) > ($2, $3) AND time < $4 "
      "ORDER BY time, seq LIMIT $5");
  rows->bind(1, archive).bind(2, from).bind(3, after_seq).bind(4, until).bind(5, static_cast<int64_t>(limit));
  std::vector<ArchivedEvent> out;
  while (rows->step()) out.push_back({rows->int64(0), rows->int64(1), std::string(rows->text(2))});
  return out;
}

std::pair<int64_t, int64_t> EventStore::archive_size(std::string_view archive) {
  auto row = connection_->prepare(
      "SELECT count(*), coalesce(sum(length(body)), 0) FROM archived WHERE archive = $1");
  row->bind(1, archive);
  row->step();
  return {row->int64(0), row->int64(1)};
}

bool EventStore::purge(TimeMs before, int64_t most) {
  const auto [last_event, last_delivery] = counters();
  sql::Transaction transaction(*connection_);
  // In the order of their numbers, which is that of their arrival; an event with an open delivery stays.
  auto drop = connection_->prepare(
      "DELETE FROM events WHERE seq IN (SELECT seq FROM events e WHERE seq < $1 AND received < $2 AND NOT "
      "EXISTS "
      "(SELECT 1 FROM deliveries d WHERE d.event = e.seq AND d.state = 0) ORDER BY seq LIMIT $3)");
  drop->bind(1, last_event - kKeptMin).bind(2, before).bind(3, most).run();
  const int64_t events = connection_->changes();
  drop = connection_->prepare(
      "DELETE FROM deliveries WHERE seq IN (SELECT seq FROM deliveries WHERE seq < $1 AND born < $2 AND "
      "state <> 0 "
      "ORDER BY seq LIMIT $3)");
  drop->bind(1, last_delivery - kKeptMin).bind(2, before).bind(3, most).run();
  const int64_t deliveries = connection_->changes();
  transaction.commit();
  return events == most || deliveries == most;
}

void EventStore::purge_archive(std::string_view archive, TimeMs before) {
  connection_->prepare("DELETE FROM archived WHERE archive = $1 AND time < $2")
      ->bind(1, archive)
      .bind(2, before)
      .run();
}

}  // namespace millrace::events

// Events, deliveries and what the registry knows, on disk: one SQLite file, written by group commits.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "events/delivery.h"
#include "events/registry.h"
#include "sql/connection.h"

namespace millrace::events {

struct EventRow {
  int64_t seq = 0;
  TimeMs received = 0;
  std::vector<std::string> rules;  // that matched, by name
  Event event;
};

// What one commit writes.
struct EventChanges {
  std::vector<EventRow> events;
  std::vector<Delivery> made;
  std::vector<Delivery> changed;  // state, attempts, next_at, paced, outcome
  struct Archived {
    std::string archive;
    TimeMs time = 0;
    std::string body;
  };
  std::vector<Archived> archived;
  std::set<std::string> counted, fired;                  // keys into the registry
  std::set<std::pair<Kind, std::string>> resources;      // keys into the registry
  std::vector<std::string> dropped_archives;             // their events go too
  std::vector<std::pair<std::string, int64_t>> cursors;  // of feeds: how far they were read
  bool empty() const {
    return events.empty() && made.empty() && changed.empty() && archived.empty() && counted.empty() &&
           fired.empty() && resources.empty() && dropped_archives.empty() && cursors.empty();
  }
};

// How connections, which hold passwords, keys and client secrets, are encrypted on disk. `place` names where
// the text belongs; elsewhere it cannot be opened. open() throws CorruptError.
struct Sealing {
  using Function = std::function<std::string(std::string_view text, const std::string& place)>;
  Function seal, open;  // none: connections are on disk as they are
};

// Not thread-safe. Throws as sql::Connection does.
class EventStore {
 public:
  // Opens or creates `path`. Throws ConflictError when another process has it, or when a newer version of
  // Millrace made it.
  explicit EventStore(const std::string& path, Sealing sealing = {});
  ~EventStore();

  // Drawn when the file was made: tokens made of it are never those of another file.
  const std::string& id() const { return id_; }
  // Connections that are there unsealed, from before there was sealing, are sealed. Throws CorruptError for
  // one that was sealed with another key.
  void load(Registry& registry);
  // The highest numbers used so far: of events and of deliveries.
  std::pair<int64_t, int64_t> counters();
  int64_t cursor(std::string_view feed);  // 0: never read

  // In one transaction: on return it survives a power cut, when it throws nothing of it is there.
  void commit(const EventChanges& changes, const Registry& registry);
  void probe();  // throws when the disk takes no writes now

  // Open deliveries in the order in which they are due, after (`due`, `seq`), at most `limit`.
  std::vector<Delivery> open_deliveries(TimeMs due, int64_t seq, size_t limit);
  // Of API destinations that deliveries wait for: when the last of them has its turn.
  std::map<std::string, TimeMs> last_turns();
  std::vector<Delivery> deliveries_of(int64_t event);
  // Those of a rule or schedule that ended last, newest first.
  std::vector<Delivery> latest(std::string_view owner, size_t limit);
  std::optional<EventRow> find_event(std::string_view id);
  std::optional<EventRow> event(int64_t seq);
  std::vector<EventRow> events_after(int64_t seq, size_t limit);
  std::vector<EventRow> latest_events(size_t limit);  // in the order in which they came

  struct ArchivedEvent {
    int64_t seq = 0;
    TimeMs time = 0;
    std::string body;
  };
  // Events of an archive from `from` up to before `until`, by time, after (`time`, `seq`).
  std::vector<ArchivedEvent> archived(std::string_view archive, TimeMs from, TimeMs until, int64_t after_seq,
                                      size_t limit);
  std::pair<int64_t, int64_t> archive_size(std::string_view archive);  // events, bytes

  // Drops events received before `before` whose deliveries have ended, with these, a few at a time. True when
  // there may be more.
  bool purge(TimeMs before, int64_t most);
  void purge_archive(std::string_view archive, TimeMs before);

 private:
  sql::Statement& statement(const char* text);
  void put_resource(Kind kind, const std::string& key, const std::string& body);

  const Sealing sealing_;
  std::unique_ptr<sql::Connection> connection_;
  std::vector<std::pair<const char*, std::unique_ptr<sql::Statement>>> statements_;
  std::string id_;
};

}  // namespace millrace::events

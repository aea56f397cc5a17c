// Who asked for what change, when, and what became of it: append-only, kept for 90 days as CloudTrail keeps
// its event history.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/time.h"
#include "sql/connection.h"

namespace millrace::audit {

using base::TimeMs;

struct Event {
  int64_t seq = 0;  // set by the log
  TimeMs time = 0;
  std::string id;  // a UUID
  std::string name, source;
  std::string user, access_key;
  bool read_only = false;
  std::vector<std::string> resources;  // names or ARNs
  std::string body;                    // the CloudTrail record, JSON text
};

enum class Attribute {
  kEventId,
  kEventName,
  kReadOnly,
  kUsername,
  kResourceName,
  kEventSource,
  kAccessKeyId
};

struct Lookup {
  std::optional<std::pair<Attribute, std::string>> attribute;
  TimeMs from = 0, until = INT64_MAX;  // both included
  int64_t before = INT64_MAX;          // numbers below this only
  size_t limit = 50;
};

// Thread-safe. add() waits for no disk: events are written twice a second, or sooner when many wait. A killed
// engine loses what it added since then; what was written survives a crash of the program, and a power cut
// but for the last checkpoints of SQLite (WAL, synchronous=NORMAL). When more than kWaitingMax wait because
// the disk takes none, the oldest are given up and counted in the program's log.
class AuditLog {
 public:
  static constexpr size_t kWaitingMax = 20'000;
  static constexpr TimeMs kKeptMs = TimeMs{90} * 24 * 3600 * 1000;

  // `clock` outlives it. Throws as sql::open_sqlite.
  AuditLog(const std::string& path, const base::Clock& clock);
  // Writes what waits.
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  // `make` is called in the log's own thread; it must not throw.
  void add(std::function<Event()> make);
  // Newest first; what was added before the call is in it.
  std::vector<Event> find(const Lookup& lookup);

 private:
  void run();
  void write(std::vector<std::function<Event()>> waiting);
  void purge();

  const base::Clock& clock_;
  std::mutex database_mutex_;
  std::unique_ptr<sql::Connection> connection_;
  TimeMs next_purge_ = 0;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::function<Event()>> waiting_;
  size_t given_up_ = 0;
  bool stopping_ = false;
  std::thread thread_;  // last
};

}  // namespace millrace::audit

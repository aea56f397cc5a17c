// Runs an engine: one thread that owns it, drains commands in groups, commits each group once, and only then
// releases replies and effects.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/time.h"
#include "engine/engine.h"
#include "engine/store.h"

namespace millrace::engine {

// Does what the engine decided.
class Performer {
 public:
  virtual ~Performer() = default;
  // Called in the engine's thread after the commit; must not block.
  virtual void perform(std::vector<Effect> effects) = 0;
  // Whether anybody listens to JobNotice; asked before each group.
  virtual bool wants_notices() { return false; }
};

class Driver {
 public:
  using Reply = std::function<void(std::variant<json::object, Refusal>)>;
  using Read = std::function<void(const Engine& engine, Store& store)>;
  using Refused = std::function<void(Refusal)>;

  // Loads the engine's state from `store`. All arguments outlive the driver.
  Driver(Config config, Store& store, const base::Clock& clock);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  // The state as it was loaded; only before start().
  const Engine& engine() const { return *engine_; }
  // From now on commands are applied. `performer` outlives the driver.
  void start(Performer& performer);
  // Applies what is queued, commits, and ends the thread. Later commands are refused.
  void stop();

  // Thread-safe, never blocks on the disk. `reply` is called in the engine's thread, after the commit.
  void post(ApiCommand command, Reply reply);
  // A report of the executor. It is applied even when the disk is full: again and again until it is durable.
  void report(Command command);
  // Each JobNotice is kept with the commit of what it tells, under a number that rises. Thread-safe; who was
  // told says so once everything up to `seq` is durable there: it is not kept after the next commit. What was
  // not heard when the process ended is in Store::notices_after().
  void notices_heard(int64_t seq);
  // Runs `read` in the engine's thread, between two groups: it sees only what is durable. `refused` is called
  // instead when the engine stops or too much waits for it.
  void read(Read read, Refused refused);

 private:
  struct Item {
    Command command;
    Reply reply;  // API commands; to a read only a refusal
    Read read;    // reads
  };
  void push(Item item);
  void run();
  void run_group(std::vector<Item>& group);
  Outcome apply(const Command& command, TimeMs now, Store::Tokens& tokens);
  Store::Notices number_notices(std::vector<Outcome>& outcomes);
  json::object submitted(const Job& job) const;
  void recall(const Command& command);
  void purge();
  // `undone`: nothing of it can come back after a crash.
  void refuse_group(std::vector<Item>& group, const std::string& why, bool undone);
  void reload();

  Config config_;
  Store& store_;
  const base::Clock& clock_;
  Performer* performer_ = nullptr;
  std::unique_ptr<Engine> engine_;
  Command host_;            // the last HostUp, for reload()
  bool disk_full_ = false;  // the last commit failed
  TimeMs next_purge_ = 0;
  int64_t last_notice_ = 0, forgotten_notice_ = 0;
  std::atomic<int64_t> heard_notice_ = 0;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Item> queue_;
  bool urgent_ = false;  // somebody waits for something in the queue
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace millrace::engine

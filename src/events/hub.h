// Runs event buses and schedules: one thread that owns their state, drains what it is asked in groups,
// commits each group once, and only then answers and delivers.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

#include "base/time.h"
#include "events/delivery.h"
#include "events/delivery_queue.h"
#include "events/event_store.h"
#include "events/invocation_pace.h"
#include "events/matcher.h"
#include "events/registry.h"
#include "events/timetable.h"

namespace millrace::events {

struct HubOptions {
  TimeMs retain_ms = TimeMs{7} * 24 * 3600 * 1000;     // events and ended deliveries
  TimeMs missed_window_ms = TimeMs{24} * 3600 * 1000;  // how long ago a rule may have missed its time
  Sealing sealing = {};
};

// Thread-safe, but for start().
class Hub {
 public:
  // Runs in the hub's thread. Throws what the caller is answered, having changed nothing.
  using Change = std::function<json::object(Registry&, EventChanges&, TimeMs now)>;
  using Done = std::function<void(json::object, std::exception_ptr)>;

  // Loads the state from `path`. `clock` and `outlet` outlive the hub.
  Hub(Place place, const std::string& path, const base::Clock& clock, Outlet& outlet,
      HubOptions options = {});
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  void start();
  // Commits what is queued and ends the thread. Deliveries under way are tried again by the next start.
  void stop();

  const Place& place() const { return place_; }
  const base::Clock& clock() const { return clock_; }

  // `done` is called in the hub's thread after the commit.
  void change(Change change, Done done);
  // Runs between two commits: sees only what is durable. Throws like a change.
  using Read = std::function<json::object(Registry&, EventStore&)>;
  void read(Read read, Done done);
  // Events to be taken: when `done` is called they, their matches and their deliveries are durable. An event
  // for a bus that is not there is dropped; the answer has a member of that bus's name.
  void accept(std::vector<Event> events, Done done);
  // The same for a feed that can be read again after a crash: `cursor` is committed with the events, and
  // cursor() tells where to go on.
  void accept_from(std::string feed, int64_t cursor, std::vector<Event> events, Done done);
  int64_t cursor(const std::string& feed);  // before start() only

  // Whether anybody would hear what AWS Batch tells of its jobs, on the default bus: a rule or an archive
  // that does not ask for other sources, or a reader of recent() in the last half minute.
  bool listens() const;

  // Makes the thread look at the clock: for tests with a clock of their own.
  void wake();

  // The latest events, whether something matched or not, oldest first, after number `after`; bounded. For
  // Hub::Read.
  std::vector<EventRow> recent(int64_t after, size_t limit) const;
  std::optional<EventRow> find_recent(std::string_view id) const;
  // When a rule or schedule ("rule:…", "schedule:…") fires next. For Hub::Read.
  std::optional<TimeMs> fires_at(const std::string& owner) const;

 private:
  struct Result {
    Delivery delivery;
    DeliveryResult result;
  };
  struct Arrival {
    std::vector<Event> events;
    std::string feed;
    int64_t cursor = 0;
  };
  using Postponed = std::vector<Delivery>;  // that have been given a turn
  using Work = std::variant<std::monostate, Change, Read, Arrival, Result, Postponed>;
  struct Item {
    Work work;
    Done done;
  };

  void push(Item item, bool always = false);
  void run();
  void run_group(std::vector<Item>& group);
  void reload();
  void purge(TimeMs now);
  std::optional<TimeMs> next_due() const;

  // hub_events.cc
  bool take_event(Event event, EventChanges& changes, TimeMs now);
  void match_rule(Rule& rule, const Event& event, int64_t seq, EventChanges& changes, TimeMs now);
  void remember(EventRow row);
  void look_for_listeners();
  void continue_replays(EventChanges& changes, TimeMs now);
  bool replay_page(const std::string& name, json::object& replay, EventChanges& changes, TimeMs now);

  // hub_deliveries.cc
  void make_delivery(Delivery delivery, EventChanges& changes, TimeMs now);
  void finish_attempt(Result result, EventChanges& changes, TimeMs now);
  void give_up(Delivery& delivery, const std::string& error_code, const std::string& exhausted,
               EventChanges& changes, TimeMs now);
  void deliver_to_bus(Delivery& delivery, const Event* event, EventChanges& changes, TimeMs now);
  void send_due(TimeMs now);
  bool is_its_turn(Delivery& delivery, TimeMs now);
  void count(const std::string& owner, int64_t Counts::* which, EventChanges& changes);

  // hub_schedules.cc
  void plan(const std::string& owner, EventChanges& changes, TimeMs now);
  void plan_rule(const std::string& owner, const Rule& rule, TimeMs now);
  void plan_schedule(const std::string& owner, const ScheduledCall& call, TimeMs now);
  void plan_all(TimeMs now);
  void fire_due(EventChanges& changes, TimeMs now);
  void fire_rule(Rule& rule, TimeMs scheduled, EventChanges& changes, TimeMs now);
  void fire_schedule(ScheduledCall& call, const Timetable::Entry& entry, EventChanges& changes, TimeMs now);
  void complete(const std::string& owner, EventChanges& changes);

  // Targets may answer when the hub is gone.
  struct Gate {
    std::mutex mutex;
    Hub* hub = nullptr;
  };

  const Place place_;
  const HubOptions options_;
  const base::Clock& clock_;
  Outlet& outlet_;
  EventStore store_;
  std::unique_ptr<Registry> registry_;
  Timetable timetable_;
  DeliveryQueue queue_;
  InvocationPace pace_;
  MatchScratch scratch_;
  int64_t last_event_ = 0, last_delivery_ = 0;
  // Of the group under way, once it is committed.
  std::vector<Delivery> to_queue_;
  std::vector<EventRow> seen_;
  bool disk_full_ = false;
  bool replaying_ = false;
  TimeMs next_purge_ = 0;
  std::atomic<bool> has_listeners_ = false;
  mutable std::atomic<TimeMs> watched_until_ = 0;
  std::deque<EventRow> recent_;
  size_t recent_bytes_ = 0;

  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Item> items_;
  bool stopping_ = false, poked_ = false;
  std::thread thread_;
};

}  // namespace millrace::events

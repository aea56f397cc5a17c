#include "events/hub.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

#include "base/error.h"

namespace millrace::events {
namespace {

constexpr size_t kGroupMax = 2048;     // items in one commit
constexpr size_t kItemsMax = 100'000;  // waiting; more are refused
constexpr int64_t kPurgeRows = 500;
constexpr TimeMs kPurgeEveryMs = 60'000, kPurgeAgainMs = 100;
constexpr TimeMs kSleepMaxMs = 60'000;
constexpr TimeMs kRetryDiskMs = 500;

// False when the pattern asks for other sources only, in so many words.
bool may_match_source(std::string_view pattern, std::string_view source) {
  json::value parsed;
  try {
    parsed = base::parse_json(pattern, kEventDepthMax);
  } catch (const base::CorruptError&) {  // text after the pattern, which is allowed
    return true;
  }
  const json::object* object = parsed.if_object();
  const json::array* sources = object ? base::find_array(*object, "source") : nullptr;
  return !sources || std::any_of(sources->begin(), sources->end(), [&](const json::value& wanted) {
    return !wanted.is_string() || base::view(wanted.get_string()) == source;
  });
}

}  // namespace

Hub::Hub(Place place, const std::string& path, const base::Clock& clock, Outlet& outlet, HubOptions options)
    : place_(std::move(place)),
      options_(std::move(options)),
      clock_(clock),
      outlet_(outlet),
      store_(path, options_.sealing) {
  gate_->hub = this;
  reload();
}

Hub::~Hub() {
  stop();
  std::lock_guard lock(gate_->mutex);
  gate_->hub = nullptr;
}

// From what is durable: at the start, and when a commit failed and memory is ahead of the disk.
void Hub::reload() {
  registry_ = std::make_unique<Registry>(place_);
  store_.load(*registry_);
  registry_->make_defaults(clock_.now_ms());
  std::tie(last_event_, last_delivery_) = store_.counters();
  // Numbers of events that nothing matched were used in memory only.
  if (!recent_.empty()) last_event_ = std::max(last_event_, recent_.back().seq);
  to_queue_.clear();
  seen_.clear();
  for (const auto& [destination, last] : store_.last_turns()) pace_.restore(destination, last);
  replaying_ = !registry_->replays.empty();
  timetable_.clear();
  plan_all(clock_.now_ms());
  look_for_listeners();
}

void Hub::start() {
  thread_ = std::thread([this] { run(); });
}

void Hub::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Hub::wake() {
  {
    std::lock_guard lock(mutex_);
    poked_ = true;
  }
  wake_.notify_one();
}

void Hub::push(Item item, bool always) {
  {
    std::lock_guard lock(mutex_);
    if (!stopping_ && (always || items_.size() < kItemsMax)) {
      items_.push_back(std::move(item));
      if (items_.size() == 1) wake_.notify_one();
      return;
    }
  }
  if (item.done)
    item.done({},
              std::make_exception_ptr(base::TransientError(
                  "Millrace is stopping or has too many requests waiting; try again.", "InternalException")));
}

void Hub::change(Change change, Done done) { push({std::move(change), std::move(done)}); }
void Hub::read(Read read, Done done) { push({std::move(read), std::move(done)}); }
void Hub::accept(std::vector<Event> events, Done done) {
  push({Arrival{std::move(events), "", 0}, std::move(done)});
}
void Hub::accept_from(std::string feed, int64_t cursor, std::vector<Event> events, Done done) {
  push({Arrival{std::move(events), std::move(feed), cursor}, std::move(done)}, true);
}
int64_t Hub::cursor(const std::string& feed) { return store_.cursor(feed); }

bool Hub::listens() const { return has_listeners_ || clock_.now_ms() < watched_until_; }

void Hub::look_for_listeners() {
  bool any = false;
  auto listen = [&](const json::object& body) {
    auto pattern = base::find_string(body, "EventPattern");
    any |= !pattern || may_match_source(*pattern, kBatchSource);
  };
  if (const Bus* bus = registry_->find_bus(kDefaultBus)) {
    for (const auto& [name, rule] : bus->rules)
      if (rule.enabled && rule.body.contains("EventPattern")) listen(rule.body);
    for (const auto& [name, archive] : registry_->archives)
      if (Registry::bus_name(base::find_string(archive, "EventSourceArn").value_or("")) == kDefaultBus)
        listen(archive);
  }
  has_listeners_ = any;
}

std::optional<TimeMs> Hub::next_due() const {
  std::optional<TimeMs> due = timetable_.next();
  auto sooner = [&](std::optional<TimeMs> other) {
    if (other && (!due || *other < *due)) due = other;
  };
  sooner(queue_.next_due());
  sooner(next_purge_);
  if (replaying_ || (queue_.wants_page() && !queue_.is_full())) due = 0;
  return due;
}

void Hub::run() {
  pthread_setname_np(pthread_self(), "events");
  std::vector<Item> group;
  for (;;) {
    bool stopping;
    {
      std::unique_lock lock(mutex_);
      TimeMs wait = kSleepMaxMs;
      if (auto due = next_due()) wait = std::clamp<TimeMs>(*due - clock_.now_ms(), 0, kSleepMaxMs);
      if (disk_full_)
        wake_.wait_for(lock, std::chrono::milliseconds(kRetryDiskMs), [this] { return stopping_; });
      wake_.wait_for(lock, std::chrono::milliseconds(wait),
                     [this] { return stopping_ || poked_ || !items_.empty(); });
      poked_ = false;
      stopping = stopping_;
      if (items_.size() <= kGroupMax) {
        group.swap(items_);
      } else {
        auto end = items_.begin() + kGroupMax;
        group.assign(std::make_move_iterator(items_.begin()), std::make_move_iterator(end));
        items_.erase(items_.begin(), end);
        stopping = false;
      }
    }
    run_group(group);
    group.clear();
    if (stopping) return;
  }
}

void Hub::run_group(std::vector<Item>& group) {
  const TimeMs now = clock_.now_ms();
  struct Answer {
    json::object reply;
    std::exception_ptr error;
  };
  std::vector<Answer> answers(group.size());
  // Tells everybody that nothing was changed; what targets answered is told again.
  auto refuse = [&](const std::string& why) {
    auto error = std::make_exception_ptr(base::TransientError(
        "Nothing was changed: the state cannot be written (" + why + ").", "InternalException"));
    std::vector<Item> again;
    for (Item& item : group) {
      if (std::holds_alternative<Result>(item.work) || std::holds_alternative<Postponed>(item.work) ||
          (std::holds_alternative<Arrival>(item.work) && !std::get<Arrival>(item.work).feed.empty()))
        again.push_back(std::move(item));
      else if (item.done)
        item.done({}, error);
    }
    std::lock_guard lock(mutex_);
    items_.insert(items_.begin(), std::make_move_iterator(again.begin()),
                  std::make_move_iterator(again.end()));
  };
  if (disk_full_) {
    try {
      store_.probe();
      disk_full_ = false;
      spdlog::info("events: the data folder takes writes again");
    } catch (const base::Error& error) {
      return refuse(error.what());
    }
  }
  EventChanges changes;
  for (size_t i = 0; i < group.size(); ++i) {
    try {
      if (auto* change = std::get_if<Change>(&group[i].work)) {
        answers[i].reply = (*change)(*registry_, changes, now);
      } else if (auto* arrival = std::get_if<Arrival>(&group[i].work)) {
        for (const Event& event : arrival->events)
          if (!take_event(event, changes, now)) answers[i].reply[event.bus] = true;
        if (!arrival->feed.empty()) changes.cursors.emplace_back(arrival->feed, arrival->cursor);
      } else if (auto* result = std::get_if<Result>(&group[i].work)) {
        finish_attempt(*result, changes, now);
      } else if (auto* postponed = std::get_if<Postponed>(&group[i].work)) {
        changes.changed.insert(changes.changed.end(), postponed->begin(), postponed->end());
        to_queue_.insert(to_queue_.end(), postponed->begin(), postponed->end());
      }
    } catch (...) {
      answers[i].error = std::current_exception();
    }
  }
  fire_due(changes, now);
  if (replaying_) continue_replays(changes, now);
  for (const auto& touched : registry_->take_touched()) {
    changes.resources.insert(touched);
    if (touched.first == Kind::kRule) plan("rule:" + touched.second, changes, now);
    if (touched.first == Kind::kSchedule) plan("schedule:" + touched.second, changes, now);
    if (touched.first == Kind::kReplay) replaying_ = true;
  }
  if (!changes.empty()) {
    try {
      store_.commit(changes, *registry_);
    } catch (const base::Error& error) {
      spdlog::error("cannot write the state of events: {}. Events are refused until it can.", error.what());
      disk_full_ = true;
      reload();
      return refuse(error.what());
    }
  }
  if (!changes.resources.empty()) look_for_listeners();
  for (Delivery& delivery : to_queue_) queue_.add(std::move(delivery));
  to_queue_.clear();
  for (Item& item : group) {
    if (auto* result = std::get_if<Result>(&item.work)) queue_.landed(result->delivery.seq);
    if (auto* postponed = std::get_if<Postponed>(&item.work))
      for (const Delivery& delivery : *postponed) queue_.landed(delivery.seq);
  }
  for (EventRow& row : seen_) remember(std::move(row));
  seen_.clear();
  for (size_t i = 0; i < group.size(); ++i) {
    if (auto* read = std::get_if<Read>(&group[i].work)) {
      try {
        answers[i].reply = (*read)(*registry_, store_);
      } catch (...) {
        answers[i].error = std::current_exception();
      }
    }
    if (group[i].done) group[i].done(std::move(answers[i].reply), answers[i].error);
  }
  try {
    if (auto place = queue_.wants_page())
      queue_.add_page(store_.open_deliveries(place->first, place->second, DeliveryQueue::kPage));
    if (now >= next_purge_) purge(now);
  } catch (const base::Error& error) {
    spdlog::error("events: {}", error.what());
  }
  send_due(now);
}

void Hub::purge(TimeMs now) {
  const bool more = store_.purge(now - options_.retain_ms, kPurgeRows);
  for (const auto& [name, archive] : registry_->archives)
    if (auto days = base::find_int(archive, "RetentionDays"); days && *days > 0)
      store_.purge_archive(name, now - *days * 24 * 3600 * 1000);
  next_purge_ = now + (more ? kPurgeAgainMs : kPurgeEveryMs);
}

}  // namespace millrace::events

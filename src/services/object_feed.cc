#include "services/object_feed.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/glob.h"
#include "base/strings.h"
#include "events/s3_event.h"

namespace millrace::services {
namespace {

constexpr char kFeed[] = "objects";
constexpr size_t kPage = 500;  // events read at a time
constexpr auto kRetry = std::chrono::milliseconds(500);

}  // namespace

TrailSelector::TrailSelector(const std::string& text) {
  if (text == "none") return;
  for (std::string_view part : base::split(text == "all" ? "*" : text, ',')) {
    part = base::trim(part);
    if (part.empty())
      throw base::UsageError(
          "--trail takes all, none, or names of buckets with commas between, such as logs,in-*");
    globs_.emplace_back(part);
  }
}

bool TrailSelector::covers(std::string_view bucket) const {
  return std::any_of(globs_.begin(), globs_.end(),
                     [&](const std::string& glob) { return base::glob_match(glob, bucket); });
}

ObjectFeed::ObjectFeed(objects::DirectoryStore& store, events::Hub& hub, TrailSelector trail)
    : store_(store), hub_(hub), trail_(std::move(trail)), cursor_(hub.cursor(kFeed)) {
  store_.keep_events();
  store_.set_observer([signal = signal_](const objects::ObjectEvent&) {
    {
      std::lock_guard lock(signal->mutex);
      if (signal->news) return;
      signal->news = true;
    }
    signal->wake.notify_one();
  });
}

ObjectFeed::~ObjectFeed() { stop(); }

void ObjectFeed::start() {
  thread_ = std::thread([this] { run(); });
}

void ObjectFeed::stop() {
  {
    std::lock_guard lock(signal_->mutex);
    signal_->stopping = true;
  }
  signal_->wake.notify_one();
  if (thread_.joinable()) thread_.join();
}

void ObjectFeed::run() {
  pthread_setname_np(pthread_self(), "object-feed");
  for (;;) {
    {
      std::unique_lock lock(signal_->mutex);
      signal_->wake.wait(lock, [this] { return signal_->stopping || signal_->news; });
      if (signal_->stopping) return;
      signal_->news = false;
    }
    try {
      while (pass_on()) {
      }
    } catch (const std::exception& error) {
      spdlog::error("events of objects wait: {}", error.what());
      std::unique_lock lock(signal_->mutex);
      signal_->wake.wait_for(lock, kRetry, [this] { return signal_->stopping; });
      signal_->news = true;
    }
  }
}

bool ObjectFeed::pass_on() {
  const std::vector<objects::ObjectEvent> changes = store_.kept_events(cursor_, kPage);
  if (changes.empty()) return false;
  std::vector<events::Event> taken;
  taken.reserve(changes.size() * 2);
  for (const objects::ObjectEvent& change : changes) {
    taken.push_back(events::native_s3_event(change, hub_.place()));
    if (trail_.covers(change.bucket)) taken.push_back(events::trail_s3_event(change, hub_.place()));
  }
  for (events::Event& event : taken) event.passing = true;
  signal_->answered = false;
  hub_.accept_from(kFeed, changes.back().sequence, std::move(taken),
                   [signal = signal_](base::json::object, std::exception_ptr error) {
                     {
                       std::lock_guard lock(signal->mutex);
                       signal->answered = true;
                       signal->error = error;
                     }
                     signal->wake.notify_one();
                   });
  {
    // The hub waits for a full disk as long as it takes.
    std::unique_lock lock(signal_->mutex);
    signal_->wake.wait(lock, [this] { return signal_->stopping || signal_->answered; });
    if (signal_->stopping) return false;
    if (signal_->error) std::rethrow_exception(signal_->error);
  }
  cursor_ = changes.back().sequence;
  store_.forget_events(cursor_);
  return true;
}

}  // namespace millrace::services

// Takes what happens in the object store to the event buses: everything once, in order, also after a crash.
#pragma once

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "events/hub.h"
#include "objects/directory_store.h"

namespace millrace::services {

// Which buckets' changes come in the form of CloudTrail, too.
class TrailSelector {
 public:
  // "all", "none", or globs of bucket names separated by commas. Throws UsageError for an empty glob.
  explicit TrailSelector(const std::string& text);
  bool covers(std::string_view bucket) const;

 private:
  std::vector<std::string> globs_;
};

// The store keeps each event with the change it tells of until the hub has it; the hub commits with the
// events how far it got.
class ObjectFeed {
 public:
  // Before anything is changed in the store, and before hub.start().
  ObjectFeed(objects::DirectoryStore& store, events::Hub& hub, TrailSelector trail);
  ~ObjectFeed();
  void start();
  void stop();  // before hub.stop()

 private:
  void run();
  bool pass_on();  // false: there was nothing, or it is to stop

  // The store's thread and the hub's tell it what is new; they may do so when the feed is gone.
  struct Signal {
    std::mutex mutex;
    std::condition_variable wake;
    bool news = true, stopping = false;
    bool answered = false;  // by the hub
    std::exception_ptr error;
  };

  objects::DirectoryStore& store_;
  events::Hub& hub_;
  const TrailSelector trail_;
  int64_t cursor_;
  std::shared_ptr<Signal> signal_ = std::make_shared<Signal>();
  std::thread thread_;
};

}  // namespace millrace::services

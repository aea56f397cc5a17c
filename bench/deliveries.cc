// What durability costs: events that PutEvents may answer, and deliveries that are known to be over, per
// second: bench_deliveries [FOLDER]. Everything is on the disk of FOLDER (default: the current one), in one
// SQLite file as in `millrace serve`; the target answers at once.
#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "events/hub.h"
#include "events/s3_event.h"
#include "objects/directory_store.h"

namespace {

using namespace millrace::events;
namespace base = millrace::base;
using SteadyClock = std::chrono::steady_clock;

class Immediate final : public Outlet {
 public:
  void send(const Delivery&, const std::string&, bool, Done done) override {
    ++sent;
    done({true, "job 0d3f6c1e-0000-4000-8000-000000000000", "", false, 0});
  }
  std::atomic<size_t> sent{0};
};

Event event(size_t number) {
  EventFields fields;
  fields.source = "bench";
  fields.detail_type = "Thing Happened";
  fields.time = base::SystemClock().now_ms();
  fields.detail = fmt::format(R"({{"key":"input/{:06}.csv","size":{},"filler":"{}"}})", number, number,
                              std::string(600, 'x'));
  return make_event(fields, Place{});
}

double seconds_since(SteadyClock::time_point begin) {
  return std::chrono::duration<double>(SteadyClock::now() - begin).count();
}

void put_rules(Hub& hub, bool matching) {
  std::promise<void> done;
  hub.change(
      [&](Registry& registry, EventChanges&, base::TimeMs) {
        for (int i = 0; i < 100; ++i) {
          Rule& rule = registry.buses["default"].rules[fmt::format("rule-{}", i)];
          rule.bus = "default";
          rule.name = fmt::format("rule-{}", i);
          rule.body["EventPattern"] =
              i == 0 && matching ? R"({"source":["bench"]})" : fmt::format(R"({{"source":["other-{}"]}})", i);
          json::object target =
              base::parse_json(
                  R"({"Id":"job","Arn":"arn:aws:batch:us-east-1:123456789012:job-queue/q","BatchParameters":)"
                  R"({"JobName":"n","JobDefinition":"d"},"InputTransformer":{"InputPathsMap":{"k":"$.detail.key"},)"
                  R"("InputTemplate":"{\"Parameters\":{\"key\":<k>}}"}})")
                  .as_object();
          rule.targets["job"] = {target, parse_target_input(target)};
          registry.apply_pattern(rule);
          registry.touch(Kind::kRule, rule.key());
        }
        return json::object();
      },
      [&](json::object, std::exception_ptr) { done.set_value(); });
  done.get_future().get();
}

// `callers` threads that wait for each answer, with `entries` events in each call.
void run(const std::string& folder, const char* name, bool matching, unsigned callers, size_t entries,
         size_t total) {
  const std::string file = folder + "/bench-events.db";
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(file + suffix);
  base::SystemClock clock;
  Immediate outlet;
  Hub hub(Place{}, file, clock, outlet);
  hub.start();
  put_rules(hub, matching);
  std::vector<double> latencies;
  std::mutex mutex;
  const auto begin = SteadyClock::now();
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < callers; ++t)
    threads.emplace_back([&, t] {
      std::vector<double> mine;
      for (size_t n = t * entries; n < total; n += callers * entries) {
        std::vector<Event> events;
        for (size_t i = 0; i < entries; ++i) events.push_back(event(n + i));
        std::promise<void> done;
        const auto asked = SteadyClock::now();
        hub.accept(std::move(events), [&](json::object, std::exception_ptr) { done.set_value(); });
        done.get_future().get();
        mine.push_back(seconds_since(asked));
      }
      std::lock_guard lock(mutex);
      latencies.insert(latencies.end(), mine.begin(), mine.end());
    });
  for (std::thread& thread : threads) thread.join();
  const double accepted = seconds_since(begin);
  size_t delivered = 0;
  while (matching && delivered < total) {
    std::promise<size_t> answer;
    hub.read(
        [](Registry& registry, EventStore&) {
          return json::object{{"n", registry.counts["rule:default/rule-0"].delivered}};
        },
        [&](json::object reply, std::exception_ptr) { answer.set_value(reply.at("n").to_number<size_t>()); });
    delivered = answer.get_future().get();
  }
  const double over = seconds_since(begin);
  std::sort(latencies.begin(), latencies.end());
  fmt::print("{:<44}{:>9.0f} accepted/s  p50 {:>6.2f} ms  p99 {:>6.2f} ms", name,
             static_cast<double>(total) / accepted, latencies[latencies.size() / 2] * 1e3,
             latencies[latencies.size() * 99 / 100] * 1e3);
  if (matching) fmt::print("  {:>8.0f} delivered/s", static_cast<double>(total) / over);
  fmt::print("\n");
  std::fflush(stdout);
}

// Small objects by 32 callers, alone and with their events taken by a hub that has a rule for none of them.
void put_objects(const std::string& folder, bool with_events) {
  const std::string data = folder + "/bench-objects";
  std::filesystem::remove_all(data);
  for (const char* suffix : {"", "-wal", "-shm"})
    std::filesystem::remove(folder + "/bench-events.db" + suffix);
  base::SystemClock clock;
  Immediate outlet;
  millrace::objects::DirectoryStore store(data, clock);
  Hub hub(Place{}, folder + "/bench-events.db", clock, outlet);
  hub.start();
  put_rules(hub, true);
  std::atomic<bool> over{false};
  std::thread feed;
  size_t told = 0;
  if (with_events) {
    store.keep_events();
    feed = std::thread([&] {
      int64_t cursor = 0;
      for (;;) {
        const bool last = over;
        auto changes = store.kept_events(cursor, 500);
        if (changes.empty() && last) return;
        if (changes.empty()) {
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
          continue;
        }
        std::vector<Event> events;
        for (const auto& change : changes)
          for (auto make : {native_s3_event, trail_s3_event}) {
            events.push_back(make(change, Place{}));
            events.back().passing = true;
          }
        told += changes.size();
        cursor = changes.back().sequence;
        std::promise<void> done;
        hub.accept_from("objects", cursor, std::move(events),
                        [&](json::object, std::exception_ptr) { done.set_value(); });
        done.get_future().get();
        store.forget_events(cursor);
      }
    });
  }
  store.create_bucket("bucket", "us-east-1");
  constexpr size_t kTotal = 20'000;
  const auto begin = SteadyClock::now();
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 32; ++t)
    threads.emplace_back([&, t] {
      for (size_t n = t; n < kTotal; n += 32) {
        auto writer =
            store.put({"bucket", fmt::format("key-{}", n), {}, {}, {}, {"123456789012", "127.0.0.1", "id"}});
        writer->write(std::string(1024, 'x'));
        writer->finish();
      }
    });
  for (std::thread& thread : threads) thread.join();
  const double took = seconds_since(begin);
  over = true;
  if (feed.joinable()) feed.join();
  fmt::print("{:<44}{:>9.0f} objects/s",
             with_events ? "32 callers, objects of 1 KiB, with their events"
                         : "32 callers, objects of 1 KiB, without events",
             static_cast<double>(kTotal) / took);
  if (with_events) fmt::print("  {} events in {:.1f} s", 2 * told, seconds_since(begin));
  fmt::print("\n");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : ".";
  run(folder, "1 caller, 1 event a call, no rule matches", false, 1, 1, 500);
  run(folder, "1 caller, 1 event a call, a job each", true, 1, 1, 500);
  run(folder, "32 callers, 1 event a call, a job each", true, 32, 1, 8'000);
  run(folder, "32 callers, 10 events a call, no rule matches", false, 32, 10, 40'000);
  run(folder, "32 callers, 10 events a call, a job each", true, 32, 10, 40'000);
  put_objects(folder, false);
  put_objects(folder, true);
  return 0;
}

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <random>

#include "logs/log_store.h"
#include "logs/retention_task.h"
#include "logs/segment_writer.h"
#include "tests/logs/reading.h"

namespace millrace::logs {
namespace {

constexpr base::TimeMs kDay = 86'400'000;

std::vector<std::string> messages_of(const TailPage& page) {
  std::vector<std::string> messages;
  for (const TailEvent& each : page.events) messages.push_back(each.event.message);
  return messages;
}

size_t segments_in(const std::string& directory) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    count += entry.path().extension() == ".seg";
  return count;
}

class Tail : public ::testing::Test {
 protected:
  Tail() : store_(folder_.path(), clock_), runner_(folder_.path(), "runner", 4000) {}
  void print(const std::string& group, const std::string& stream, const std::string& line,
             base::TimeMs timestamp = kNow) {
    const uint32_t number = runner_.open_stream(group, stream);
    runner_.append(number, timestamp, clock_.now_ms(), line);
    runner_.close_stream(number);
    runner_.flush();
  }

  Folder folder_;
  base::ManualClock clock_{kNow};
  LogStore store_;
  SegmentWriter runner_;
};

// Without this: a live tail shows what was there before, or what nobody asked for, or misses a line of
// another writer or one whose own time is long past.
TEST_F(Tail, SeesWhatComesInSinceAndWasAskedFor) {
  store_.create_group("by-call");
  store_.create_stream("by-call", "s");
  print("jobs", "a/1", "before");
  TailPosition position = store_.tail_from_now();
  TailQuery query;
  query.groups = {"jobs", "by-call"};
  EXPECT_TRUE(store_.tail(query, position).events.empty());

  print("jobs", "a/1", "one");
  print("other", "a/1", "of another group");
  store_.put_events("by-call", "s", {{kNow - 1, "two"}});
  print("jobs", "b/1", "late", kNow - 3 * kDay);
  const TailPage page = store_.tail(query, position);
  EXPECT_EQ(messages_of(page), (std::vector<std::string>{"late", "two", "one"}));
  EXPECT_FALSE(page.sampled);
  EXPECT_EQ(page.events[1].group, "by-call");
  EXPECT_EQ(page.events[2].group, "jobs");
  EXPECT_TRUE(store_.tail(query, position).events.empty());

  query.groups = {"jobs"};
  query.prefixes = {"a/"};
  query.pattern = FilterPattern::parse("yes");
  print("jobs", "a/2", "yes 1");
  print("jobs", "a/2", "no");
  print("jobs", "b/2", "yes of b");
  EXPECT_EQ(messages_of(store_.tail(query, position)), std::vector<std::string>{"yes 1"});
  query.prefixes.clear();
  query.streams = {"b/2"};
  print("jobs", "b/2", "yes 2");
  print("jobs", "b/22", "yes 3");
  EXPECT_EQ(messages_of(store_.tail(query, position)), std::vector<std::string>{"yes 2"});

  // A group that comes and goes.
  query = {};
  query.groups = {"later"};
  print("later", "s", "1");
  EXPECT_EQ(messages_of(store_.tail(query, position)), std::vector<std::string>{"1"});
  store_.delete_group("later");
  EXPECT_TRUE(store_.tail(query, position).events.empty());
}

// Without this: a job that prints much makes an update of any size, without a word that it is not all.
TEST_F(Tail, TooMuchIsSampled) {
  TailPosition position = store_.tail_from_now();
  TailQuery query;
  query.groups = {"jobs"};
  query.events_max = 10;
  for (int i = 0; i < 11; ++i) print("jobs", "s", std::to_string(i));
  TailPage page = store_.tail(query, position);
  EXPECT_EQ(page.events.size(), 10u);
  EXPECT_TRUE(page.sampled);
  print("jobs", "s", "x");
  page = store_.tail(query, position);
  EXPECT_EQ(messages_of(page), std::vector<std::string>{"x"});
  EXPECT_FALSE(page.sampled);
  query.bytes_max = 100;
  for (int i = 0; i < 5; ++i) print("jobs", "s", std::string(40, 'y'));
  page = store_.tail(query, position);
  EXPECT_EQ(page.events.size(), 1u);
  EXPECT_TRUE(page.sampled);
}

// Without this: a line is shown twice, never, or out of order when files rotate, are deleted or cut in blocks
// at odd moments. From a seed that a failure prints.
TEST_F(Tail, EveryLineOnceAndInOrder) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  TailPosition position = store_.tail_from_now();
  TailQuery query;
  query.groups = {"jobs"};
  std::map<std::string, int> printed, seen;
  std::vector<uint32_t> streams;
  for (int i = 0; i < 5; ++i) streams.push_back(runner_.open_stream("jobs", std::to_string(i)));
  auto look = [&] {
    for (const TailEvent& each : store_.tail(query, position).events)
      ASSERT_EQ(each.event.message.substr(0, each.event.message.find(' ')),
                std::to_string(seen[*each.event.stream]++))
          << *each.event.stream;
  };
  for (int step = 0; step < 2000; ++step) {
    clock_.advance(1);
    const size_t at = random() % streams.size();
    runner_.append(streams[at], clock_.now_ms(), clock_.now_ms(),
                   std::to_string(printed[std::to_string(at)]++) + " " + std::string(random() % 300, 'x'));
    if (random() % 4 == 0) runner_.flush();
    if (random() % 10 == 0) look();
    if (random() % 100 == 0) store_.apply_retention();
  }
  runner_.flush();
  look();
  EXPECT_EQ(seen, printed);
  EXPECT_GT(segments_in(folder_.path()), 20u);
}

// Without this: the disk that a deleted group took is never given back.
TEST_F(Tail, DeletingAGroupFreesItsDisk) {
  for (int i = 0; i < 100; ++i) print("gone", "s", std::string(1000, 'x'));
  print("stays", "s", "y");
  for (int i = 0; i < 100; ++i) print("gone", "s", std::string(1000, 'x'));
  store_.groups("", "", "", 1);
  const size_t before = segments_in(folder_.path());
  EXPECT_GT(before, 20u);
  store_.delete_group("gone");
  EXPECT_LE(segments_in(folder_.path()), 2u);  // with "stays" in it, and the one that is still written to
  EXPECT_EQ(read_all(store_, "stays", "s", 10).size(), 1u);
}

// Without this: retention waits for somebody to ask.
TEST_F(Tail, RetentionWorksInTheBackground) {
  for (int i = 0; i < 100; ++i) print("jobs", "s", std::string(1000, 'x'));
  store_.set_retention("jobs", 1);
  clock_.advance(2 * kDay);
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  auto until_one_is_left = [&] {  // the runner writes to it still
    while (segments_in(folder_.path()) > 1 && std::chrono::steady_clock::now() < give_up)
      std::this_thread::yield();
    return segments_in(folder_.path());
  };
  RetentionTask task(store_, std::chrono::milliseconds(1));
  EXPECT_EQ(until_one_is_left(), 1u);
  // Again, of its own accord: lines that were printed long ago.
  for (int i = 0; i < 100; ++i) print("jobs", "s", std::string(1000, 'x'));
  EXPECT_EQ(until_one_is_left(), 1u);
  EXPECT_TRUE(read_all(store_, "jobs", "s", 10).empty());
}

// Without this: a writer of few lines holds one file open for months, whose events retention cannot delete.
TEST_F(Tail, SegmentsAreOfADayAtMost) {
  SegmentWriter writer(folder_.path(), "slow");
  const uint32_t stream = writer.open_stream("jobs", "s");
  for (int day = 0; day < 5; ++day)
    for (int hour = 0; hour < 24; hour += 6) {
      writer.append(stream, kNow + day * kDay + hour * 3'600'000, kNow + day * kDay + hour * 3'600'000, "x");
      writer.flush();
    }
  EXPECT_EQ(segments_in(folder_.path()), 5u);
  clock_.advance(5 * kDay);
  EXPECT_EQ(read_all(store_, "jobs", "s", 7).size(), 20u);
  store_.set_retention("jobs", 3);
  EXPECT_EQ(store_.apply_retention(), 2u);
}

}  // namespace
}  // namespace millrace::logs

#include "logs/log_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <set>
#include <thread>

#include "base/error.h"
#include "logs/segment_writer.h"
#include "tests/logs/reading.h"

namespace millrace::logs {
namespace {

constexpr base::TimeMs kDay = 86'400'000;

FilterQuery everything(const std::string& group, size_t limit = 10'000) {
  FilterQuery query;
  query.group = group;
  query.limit = limit;
  return query;
}

std::vector<Event> filter_all(LogStore& store, FilterQuery query) {
  std::vector<Event> events;
  for (;;) {
    FilterPage page = store.filter_events(query);
    for (Event& event : page.events) events.push_back(std::move(event));
    if (page.next.empty()) return events;
    query.token = page.next;
  }
}

std::string code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const base::Error& error) {
    return error.code();
  }
  return "";
}

class Store : public ::testing::Test {
 protected:
  Store() {
    store_ = std::make_unique<LogStore>(folder_.path(), clock_);
    store_->create_group("g");
    store_->create_stream("g", "s");
  }
  void put(const std::string& stream, base::TimeMs timestamp, const std::string& message) {
    store_->put_events("g", stream, {{timestamp, message}});
  }
  GetPage get(bool from_head, size_t limit, const std::string& token = "") {
    GetQuery query;
    query.group = "g";
    query.stream = "s";
    query.from_head = from_head;
    query.limit = limit;
    query.token = token;
    return store_->get_events(query);
  }

  Folder folder_;
  base::ManualClock clock_{kNow};
  std::unique_ptr<LogStore> store_;
};

// Without this: clients that follow tokens loop for ever, or miss lines written after they reached the end.
TEST_F(Store, TokensGoBothWaysAndStayAtTheEnd) {
  GetPage empty = get(true, 2);
  EXPECT_TRUE(empty.events.empty());
  EXPECT_EQ(get(true, 2, empty.forward).forward, empty.forward);
  for (int i = 0; i < 5; ++i) put("s", kNow + i, std::to_string(i));
  EXPECT_EQ(get(true, 2, empty.forward).events.at(0).message, "0");
  EXPECT_EQ(get(true, 2, get(false, 2, "").backward).events.at(0).message, "1");

  GetPage newest = get(false, 2);  // the default: the newest page
  ASSERT_EQ(newest.events.size(), 2u);
  EXPECT_EQ(newest.events[0].message, "3");
  EXPECT_EQ(newest.events[1].message, "4");
  GetPage end = get(true, 2, newest.forward);
  EXPECT_TRUE(end.events.empty());
  EXPECT_EQ(end.forward, newest.forward);
  put("s", kNow + 9, "later");
  EXPECT_EQ(get(true, 2, end.forward).events.at(0).message, "later");

  GetPage back = get(false, 2, newest.backward);
  ASSERT_EQ(back.events.size(), 2u);
  EXPECT_EQ(back.events[0].message, "1");
  GetPage first = get(false, 2, back.backward);
  ASSERT_EQ(first.events.size(), 1u);
  GetPage beginning = get(false, 2, first.backward);
  EXPECT_TRUE(beginning.events.empty());
  EXPECT_EQ(beginning.backward, first.backward);
  for (const char* bad : {"x", "f/12/s", "12345"})
    EXPECT_EQ(code_of([&] { get(true, 1, bad); }), "InvalidParameterException") << bad;
}

// Without this: the last event of a range is missing, or one too many is there (the two calls differ on AWS).
TEST_F(Store, EndTimeIsExclusiveForGetAndInclusiveForFilter) {
  for (int i = 0; i < 5; ++i) put("s", kNow + i, std::to_string(i));
  GetQuery get;
  get.group = "g";
  get.stream = "s";
  get.from = kNow + 1;
  get.until = kNow + 3;
  get.from_head = true;
  EXPECT_EQ(store_->get_events(get).events.size(), 2u);
  FilterQuery filter = everything("g");
  filter.from = kNow + 1;
  filter.to = kNow + 3;
  EXPECT_EQ(store_->filter_events(filter).events.size(), 3u);
}

// Without this: a paginator over a group makes an endless or wrong list, or `aws logs tail` shows lines
// twice.
TEST_F(Store, FilterPagesAreOrderedAndEndWithoutToken) {
  for (uint32_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    Folder folder;
    SegmentWriter first(folder.path(), "runner-a", 30'000), second(folder.path(), "runner-b", 40'000);
    std::multiset<std::string> expected, rare;
    std::optional<uint32_t> streams[2];
    for (int i = 0; i < 4000; ++i) {
      SegmentWriter& writer = random() % 2 == 0 ? first : second;
      const size_t which = &writer == &first ? 0 : 1;
      if (random() % 200 == 0 || !streams[which])
        streams[which] = writer.open_stream("g", "s" + std::to_string(i));
      std::string message = (random() % 100 == 0 ? "needle " : "hay ") + std::to_string(i);
      // Events come up to 50 ms out of order, and many share a time.
      writer.append(*streams[which], kNow + i / 8 - random() % 50, kNow + i, message);
      if (message[0] == 'n') rare.insert(message);
      expected.insert(std::move(message));
    }
    first.flush();
    second.flush();
    LogStoreOptions options;
    options.scan_bytes_max = 50'000;  // pages end early: empty ones with a token are legal
    LogStore store(folder.path(), clock_, options);
    for (bool newest_first : {false, true}) {
      FilterQuery query = everything("g", 1 + random() % 300);
      query.newest_first = newest_first;
      std::vector<Event> events = filter_all(store, query);
      std::multiset<std::string> found;
      std::set<std::string> ids;
      for (size_t i = 0; i < events.size(); ++i) {
        found.insert(events[i].message);
        ids.insert(events[i].key.event_id());
        if (i > 0) {
          ASSERT_TRUE(newest_first ? events[i].key < events[i - 1].key : events[i - 1].key < events[i].key);
        }
      }
      EXPECT_EQ(found, expected);
      EXPECT_EQ(ids.size(), expected.size());
      query.pattern = FilterPattern::parse("needle");
      found.clear();
      for (const Event& event : filter_all(store, query)) found.insert(event.message);
      EXPECT_EQ(found, rare);
    }
  }
}

// Without this: a page that ends exactly at the last event carries a token, and `--max-items` loops ask once
// more.
TEST_F(Store, AFullLastPageHasNoToken) {
  for (int i = 0; i < 4; ++i) put("s", kNow + i, std::to_string(i));
  FilterPage page = store_->filter_events(everything("g", 2));
  ASSERT_FALSE(page.next.empty());
  FilterQuery query = everything("g", 2);
  query.token = page.next;
  page = store_->filter_events(query);
  EXPECT_EQ(page.events.size(), 2u);
  EXPECT_TRUE(page.next.empty());
}

// Without this: late, future and expired events are stored, or good ones beside them are not.
TEST_F(Store, PutRejectsByTime) {
  store_->set_retention("g", 7);
  std::vector<InputEvent> events{{kNow - 15 * kDay, "old"},
                                 {kNow - 8 * kDay, "expired"},
                                 {kNow, "good"},
                                 {kNow + 2 * 3'600'000, "edge"},
                                 {kNow + 2 * 3'600'000 + 1, "new"}};
  Rejections rejections = store_->put_events("g", "s", events);
  EXPECT_EQ(rejections.too_old_end, 1u);
  EXPECT_EQ(rejections.expired_end, 2u);
  EXPECT_EQ(rejections.too_new_start, 4u);
  EXPECT_EQ(read_all(*store_, "g", "s", 10).size(), 2u);
}

// Without this: a stream made again under an old name shows the deleted one's lines, now or after a restart.
TEST_F(Store, DeletedEventsStayDeleted) {
  store_->create_stream("g", "other");
  put("s", kNow, "one");
  put("other", kNow, "kept");
  store_->delete_stream("g", "s");
  EXPECT_EQ(code_of([&] { get(true, 1); }), "ResourceNotFoundException");
  store_->create_stream("g", "s");
  put("s", kNow, "two");
  for (int restart = 0; restart < 2; ++restart) {
    auto events = read_all(*store_, "g", "s", 10);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].message, "two");
    EXPECT_EQ(read_all(*store_, "g", "other", 10).size(), 1u);
    store_.reset();
    store_ = std::make_unique<LogStore>(folder_.path(), clock_);
  }
  store_->delete_group("g");
  EXPECT_EQ(code_of([&] { store_->delete_group("g"); }), "ResourceNotFoundException");
  store_.reset();
  store_ = std::make_unique<LogStore>(folder_.path(), clock_);
  EXPECT_FALSE(store_->has_group("g"));
  store_->create_group("g");
  EXPECT_TRUE(filter_all(*store_, everything("g")).empty());
}

// Without this: disks fill up although a retention is set, or logs vanish that are still wanted.
TEST_F(Store, RetentionDeletesWholeSegments) {
  {
    SegmentWriter writer(folder_.path(), "runner", 20'000);
    uint32_t old = writer.open_stream("short", "s"), kept = writer.open_stream("long", "s");
    for (int i = 0; i < 500; ++i) writer.append(old, kNow - 10 * kDay + i, kNow, std::string(500, 'x'));
    writer.append(kept, kNow - 10 * kDay, kNow, "kept");
    for (int i = 0; i < 10; ++i) writer.append(old, kNow, kNow, "new");
  }
  store_->set_retention("short", 5);
  EXPECT_EQ(read_all(*store_, "short", "s", 1000).size(), 10u);  // hidden before they are deleted
  EXPECT_GE(store_->apply_retention(), 2u);
  EXPECT_EQ(store_->apply_retention(), 0u);
  EXPECT_EQ(read_all(*store_, "short", "s", 1000).size(), 10u);
  EXPECT_EQ(read_all(*store_, "long", "s", 10).size(), 1u);
}

// Without this: settings, tags or empty streams are forgotten by a restart.
TEST_F(Store, MetadataSurvivesARestart) {
  store_->set_retention("g", 30);
  store_->set_tags("g", {{"team", "render"}, {"gone", "x"}});
  store_->remove_tags("g", {"gone"});
  store_.reset();
  store_ = std::make_unique<LogStore>(folder_.path(), clock_);
  EXPECT_EQ(store_->groups("", "", "", 10).at(0).retention_days, 30);
  EXPECT_EQ(store_->tags("g"), (std::map<std::string, std::string>{{"team", "render"}}));
  EXPECT_EQ(code_of([&] { store_->create_stream("g", "s"); }), "ResourceAlreadyExistsException");
  EXPECT_EQ(code_of([&] { store_->create_group("g"); }), "ResourceAlreadyExistsException");
  std::map<std::string, std::string> many;
  for (int i = 0; i < 50; ++i) many[std::to_string(i)] = "";
  EXPECT_EQ(code_of([&] { store_->set_tags("g", many); }), "TooManyTagsException");
}

// Without this: the log of one job among 10,000 costs a scan of all of them.
TEST_F(Store, OneOfTenThousandStreamsIsFoundByTheIndex) {
  SegmentWriter writer(folder_.path(), "runner");
  for (int i = 0; i < 10'000; ++i) {
    uint32_t stream = writer.open_stream("jobs", "d/default/" + std::to_string(i));
    for (int line = 0; line < 3; ++line) writer.append(stream, kNow + i, kNow + i, std::to_string(line));
    writer.close_stream(stream);
  }
  writer.flush();
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    auto events = read_all(*store_, "jobs", "d/default/" + std::to_string(random() % 10'000), 10);
    ASSERT_EQ(events.size(), 3u);
    for (int line = 0; line < 3; ++line) ASSERT_EQ(events[line].message, std::to_string(line));
  }
  for (StreamOrder order : {StreamOrder::kName, StreamOrder::kLastEvent}) {
    for (bool descending : {false, true}) {
      StreamQuery query;
      query.group = "jobs";
      query.order = order;
      query.descending = descending;
      query.limit = 1999;
      std::set<std::string> names;
      std::vector<base::TimeMs> times;
      do {
        StreamPage page = store_->streams(query);
        for (const StreamInfo& stream : page.streams) {
          names.insert(stream.name);
          times.push_back(*stream.last_event);
        }
        query.after = page.next;
      } while (!query.after.empty());
      EXPECT_EQ(names.size(), 10'000u);
      EXPECT_EQ(times.size(), 10'000u);
      if (order == StreamOrder::kLastEvent) {
        EXPECT_TRUE(descending ? std::is_sorted(times.rbegin(), times.rend())
                               : std::is_sorted(times.begin(), times.end()));
      }
    }
  }
  StreamQuery prefix;
  prefix.group = "jobs";
  prefix.prefix = "d/default/123";
  EXPECT_EQ(store_->streams(prefix).streams.size(), 11u);
  prefix.descending = true;
  EXPECT_EQ(store_->streams(prefix).streams.size(), 11u);
}

// Without this: concurrent clients lose events, or one sees another's torn batch.
TEST_F(Store, ConcurrentPutsAndReads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    store_->create_stream("g", "t" + std::to_string(t));
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) put("t" + std::to_string(t), kNow + i, std::to_string(i));
    });
  }
  size_t seen = 0;
  while (seen < 400) {
    size_t now = filter_all(*store_, everything("g", 77)).size();
    ASSERT_GE(now, seen);
    seen = now;
  }
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < 4; ++t) EXPECT_EQ(read_all(*store_, "g", "t" + std::to_string(t), 33).size(), 100u);
}

}  // namespace
}  // namespace millrace::logs

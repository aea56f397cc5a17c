// What a copy keeps while it runs: marks, journal, limits.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "base/error.h"
#include "tests/support/temporary_folder.h"
#include "workloads/copy/journal.h"
#include "workloads/copy/limiter.h"
#include "workloads/copy/listing.h"
#include "workloads/copy/report.h"
#include "workloads/copy/row_state.h"
#include "workloads/copy/shared_place.h"

namespace millrace::copy {
namespace {

TEST(CopyRange, TheMarkNeverPassesWhatIsNotDone) {
  // Without this a run that goes on after a crash leaves out what was under way.
  for (uint32_t seed = 1; seed <= 2000; ++seed) {
    std::mt19937 random(seed);
    RangeProgress range(KeyRange{});
    std::map<uint64_t, int> open;  // ticket, key
    std::set<int> undone;
    int next = 0;
    for (int step = 0; step < 60; ++step) {
      if (random() % 2) {
        std::string key = std::to_string(1000 + next);
        if (random() % 2) {
          range.pass(key);
        } else {
          open[range.begin(key)] = next;
          undone.insert(next);
        }
        ++next;
      } else if (!open.empty()) {
        auto chosen = std::next(open.begin(), static_cast<long>(random() % open.size()));
        range.end(chosen->first);
        undone.erase(chosen->second);
        open.erase(chosen);
      }
      int first_undone = undone.empty() ? next : *undone.begin();
      std::string mark = range.left().after;
      std::string expected = first_undone == 0 ? "" : std::to_string(1000 + first_undone - 1);
      ASSERT_EQ(mark, expected) << "seed " << seed;
      ASSERT_FALSE(range.done());
    }
    range.listed();
    ASSERT_EQ(range.done(), undone.empty());
  }
}

TEST(CopyJournal, ComesBackAsItWasWhateverTheKeys) {
  // Without this a run goes on at another key than the one where it stopped.
  millrace::testing::TemporaryFolder folder;
  Journal journal(folder / "j");
  EXPECT_FALSE(journal.load());
  JournalState state;
  state.fingerprint = "f";
  state.done = {{0, 3}, {7, 7}};
  state.rows[4] = {{{"a\nb\"\\x41", "\xff\xfe"}, {"", ""}}, {"ключ", std::string("nul\0", 4)}};
  state.uploads = {{"bucket", "key\n\xff", "id", "etag/5", 17}, {"bucket", "k", "", "", 0}};
  journal.save(state);
  auto back = journal.load();
  ASSERT_TRUE(back);
  EXPECT_EQ(back->uploads, state.uploads);
  EXPECT_EQ(back->fingerprint, "f");
  EXPECT_EQ(back->done, state.done);
  EXPECT_EQ(back->rows, state.rows);
  journal.remove();
  EXPECT_FALSE(journal.load());
  std::ofstream(folder / "j") << "{\"other\":1}\n";
  EXPECT_THROW(journal.load(), base::CorruptError);
  std::ofstream(folder / "j") << "";
  EXPECT_THROW(journal.load(), base::CorruptError);
}

TEST(CopyPlan, ComesBackAsItWasAndCutsWhateverTheKeysAre) {
  // Without this shards disagree on which keys are whose, and some are nobody's.
  ShardPlan plan{"f", 3, 9, {{2, {"a\n", "b\xff"}}, {7, {"k"}}}};
  EXPECT_EQ(parse_plan(plan_text(plan)), plan);
  EXPECT_THROW(parse_plan("{}"), base::CorruptError);
  EXPECT_THROW(parse_plan(R"({"millrace_copy_plan":1,"shards":2,"cuts":{"0":["b","a"]}})"),
               base::CorruptError);
  std::set<std::string> keys;
  auto next = [&](const std::string& after) -> std::optional<std::string> {
    auto found = after.empty() ? keys.begin() : keys.upper_bound(after);
    if (found == keys.end()) return std::nullopt;
    return *found;
  };
  EXPECT_TRUE(cut_keys(next, 16).empty());
  keys = {"one"};
  EXPECT_TRUE(cut_keys(next, 16).empty());
  for (int i = 0; i < 20'000; ++i)
    keys.insert("shots/" + std::to_string(i % 97) + "/frame-" + std::to_string(i) + ".exr");
  std::vector<std::string> cuts = cut_keys(next, 24);
  EXPECT_GT(cuts.size(), 15u);
  EXPECT_LT(cuts.size(), 24u);
  std::vector<size_t> shares(3);
  for (const std::string& key : keys) {
    auto range = std::lower_bound(cuts.begin(), cuts.end(), key) - cuts.begin();  // up to and including a cut
    ++shares[static_cast<size_t>(range) % 3];
  }
  EXPECT_GT(*std::min_element(shares.begin(), shares.end()), keys.size() / 6) << "about a third each";
}

TEST(CopyLimiter, HalvesWhenThrottledAndNeverExceedsItsLimit) {
  // Without this a server that asks for fewer requests gets more of them.
  Limits limits;
  limits.concurrency = 16;
  Limiter limiter(limits);
  for (int i = 0; i < 16; ++i) limiter.enter();
  for (int i = 0; i < 8; ++i) limiter.leave(true);
  EXPECT_EQ(limiter.allowed(), 8u) << "once for all that were on their way";
  for (int i = 0; i < 8; ++i) limiter.leave(false);
  std::atomic<int> inside{0}, most{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 32; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 200; ++n) {
        limiter.enter();
        int now = ++inside;
        for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
        }
        --inside;
        limiter.leave(false);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most, 8);
}

TEST(CopyLimiter, KeepsToRequestsAndBytesASecond) {
  // Without this a limit that somebody pays for is not kept.
  Limits limits;
  limits.requests_per_second = 200;
  limits.bytes_per_second = 1e6;
  Limiter limiter(limits);
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 140; ++i) {
    limiter.enter();
    limiter.leave(false);
  }
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_GE(seconds, 0.48) << "100 requests behind the first 40";
  limiter.spend(600'000);
  limiter.spend(1);
  double more = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() - seconds;
  EXPECT_GE(more, 0.38);
}

TEST(CopyLimiter, WhoWaitsIsToldToStop) {
  // Without this a job that is stopped hangs until its limits let it go.
  std::atomic<bool> stop = false;
  Limits limits;
  limits.concurrency = 1;
  limits.bytes_per_second = 1;
  Limiter limiter(limits, &stop);
  limiter.enter();
  limiter.spend(1'000'000);
  std::thread a([&] { EXPECT_THROW(limiter.enter(), base::TransientError); });
  std::thread b([&] { EXPECT_THROW(limiter.spend(1), base::TransientError); });
  stop = true;
  limiter.wake();
  // A thread that began to wait only now is woken by the next one.
  for (int i = 0; i < 100; ++i) {
    std::this_thread::yield();
    limiter.wake();
  }
  a.join();
  b.join();
}

TEST(CopyFolderListing, HasEveryFileInTheOrderOfItsKeyWhateverTheRange) {
  // Without this "a-b", "a.txt" and "a/x" come in another order than from a bucket, and a sync deletes them.
  namespace fs = std::filesystem;
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    std::mt19937 random(seed);
    millrace::testing::TemporaryFolder folder;
    std::set<std::string> keys;
    for (int i = 0; i < 40; ++i) {
      std::string key;
      for (size_t depth = random() % 3; depth > 0; --depth)
        key += std::string("d") + "-./0a"[random() % 5 == 2 ? 0 : random() % 5] + "/";
      std::replace(key.begin(), key.end(), '.', '!');
      key += std::string("f") + "-.0a"[random() % 4] + std::to_string(random() % 4);
      std::error_code error;
      fs::create_directories((folder.path() / key).parent_path(), error);
      if (error || fs::is_directory(folder.path() / key)) continue;
      std::ofstream(folder.path() / key) << "x";
      keys.insert(fs::path(key).lexically_normal().string());
    }
    std::ofstream(folder.path() / (std::string(kUnfinishedPrefix) + "abc")) << "x";
    std::vector<std::string> all(keys.begin(), keys.end());
    KeyRange range;
    if (random() % 2) range.after = all[random() % all.size()];
    if (random() % 2) range.until = all[random() % all.size()];
    std::vector<std::string> expected, listed;
    for (const std::string& key : all)
      if (key > range.after && (range.until.empty() || key <= range.until)) expected.push_back(key);
    auto listing = list_folder(folder.path().string(), range, {});
    objects::ObjectInfo info;
    while (listing->next(info)) listed.push_back(info.key);
    ASSERT_EQ(listed, expected) << "seed " << seed << " after " << range.after << " until " << range.until;
  }
  EXPECT_FALSE([] {
    objects::ObjectInfo info;
    return list_folder("/nonexistent/folder", {}, {})->next(info);
  }()) << "a destination that is not there yet is empty";
}

TEST(CopyReport, LinesCanBeReadBackWhateverTheKeys) {
  // Without this a report cannot be read by what is to act on it.
  ReportLine line;
  line.row = 3;
  line.action = "copied";
  line.source = "s3://a/\"x\",\n\xff";
  line.destination = "s3://b/plain";
  line.bytes = 5;
  line.reason = " new ";
  EXPECT_EQ(csv_line(line), "3,copied,\"s3://a/\"\"x\"\",\n\\xff\",s3://b/plain,5,,,,,\" new \"");
  EXPECT_EQ(json_line(line),
            "{\"row\":3,\"action\":\"copied\",\"source\":\"s3://a/\\\"x\\\",\\u000a\\\\xff\","
            "\"destination\":\"s3://b/plain\",\"bytes\":5,\"reason\":\" new \"}");
}

}  // namespace
}  // namespace millrace::copy

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "base/error.h"
#include "logs/log_store.h"
#include "logs/segment_format.h"
#include "logs/segment_writer.h"
#include "tests/logs/reading.h"

namespace millrace::logs {
namespace {

namespace fs = std::filesystem;

// Without this: what jobs print comes back changed, lost, or out of order, for some mix of streams, sizes,
// flushes and file changes.
TEST(Segments, GiveBackWhatWasAppended) {
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    Folder folder;
    base::ManualClock clock(kNow);
    std::map<std::string, std::vector<std::string>> expected;
    {
      SegmentWriter writer(folder.path(), "runner", 1 + random() % 300'000);
      std::map<uint32_t, std::string> open;
      base::TimeMs now = kNow;
      const int steps = 3000;
      int streams = 0;
      for (int i = 0; i < steps; ++i) {
        const uint32_t dice = random() % 100;
        if (open.empty() || (dice < 3 && open.size() < 40)) {
          std::string name = "def/default/" + std::to_string(streams++);
          open[writer.open_stream("/aws/batch/job", name)] = name;
        } else if (dice < 5) {
          auto it = std::next(open.begin(), random() % open.size());
          writer.close_stream(it->first);
          open.erase(it);
        } else if (dice < 8) {
          writer.flush();
        } else {
          auto it = std::next(open.begin(), random() % open.size());
          size_t length = random() % 50 == 0 ? random() % 200'000 : random() % 80;
          std::string message(length, static_cast<char>('a' + random() % 26));
          message += std::to_string(i);
          now += random() % 3;
          // A clock that is set back by an hour: ingestion steps back, the order of lines is that of their
          // timestamps.
          writer.append(it->first, now, random() % 200 == 0 ? now - 3'600'000 : now, message);
          expected[it->second].push_back(std::to_string(now) + " " + message);
        }
      }
    }
    LogStore store(folder.path(), clock);
    size_t count = 0;
    for (const auto& [name, lines] : expected) {
      // Ties in the timestamp may stand in another order when the clock was set back in between.
      std::vector<std::string> found, wanted = lines;
      for (const Event& event : read_all(store, "/aws/batch/job", name, 1 + random() % 50))
        found.push_back(std::to_string(event.key.timestamp) + " " + event.message);
      std::sort(found.begin(), found.end());
      std::sort(wanted.begin(), wanted.end());
      ASSERT_EQ(found, wanted) << name;
      count += lines.size();
    }
    EXPECT_GT(count, 2000u);
  }
}

// Without this: a power cut that tears the last block makes the log unreadable, or shows garbage as output.
TEST(Segments, ATornTailIsIgnoredAtEveryByte) {
  Folder folder;
  base::ManualClock clock(kNow);
  {
    SegmentWriter writer(folder.path(), "w");
    uint32_t stream = writer.open_stream("g", "s");
    for (int i = 0; i < 3; ++i) {
      writer.append(stream, kNow + i, kNow, "line " + std::to_string(i));
      writer.flush();
    }
  }
  const std::string path = folder.path() + "/" + segment_file_name("w", 1);
  std::ifstream in(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  ASSERT_GT(bytes.size(), 300u);
  size_t lines_before = 0;
  for (size_t size = 0; size <= bytes.size(); ++size) {
    for (bool zeros : {false, true}) {
      Folder torn;
      // A file system may also have grown the file without having written its end.
      write_file(torn.path() + "/" + segment_file_name("w", 1),
                 bytes.substr(0, size) + (zeros ? std::string(bytes.size() - size, '\0') : ""));
      LogStore store(torn.path(), clock);
      std::vector<Event> events;
      if (store.has_group("g")) events = read_all(store, "g", "s", 10);
      ASSERT_LE(events.size(), 3u);
      if (!zeros) {
        ASSERT_GE(events.size(), lines_before) << size;
        lines_before = events.size();
      }
      for (size_t i = 0; i < events.size(); ++i)
        ASSERT_EQ(events[i].message, "line " + std::to_string(i)) << size;
    }
  }
  EXPECT_EQ(lines_before, 3u);
}

// Without this: a flipped bit on the disk is shown as a job's output, or crashes the server.
TEST(Segments, ADamagedBlockIsNotShown) {
  Folder folder;
  base::ManualClock clock(kNow);
  {
    SegmentWriter writer(folder.path(), "w");
    uint32_t stream = writer.open_stream("g", "s");
    writer.append(stream, kNow, kNow, "abcdefgh");
    writer.flush();
    writer.append(stream, kNow + 1, kNow, "ijklmnop");
  }
  const std::string name = "/" + segment_file_name("w", 1);
  std::ifstream in(folder.path() + name, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  for (size_t at = 0; at < bytes.size(); ++at) {
    Folder damaged;
    std::string copy = bytes;
    copy[at] = static_cast<char>(copy[at] ^ (1 << (at % 8)));
    write_file(damaged.path() + name, copy);
    LogStore store(damaged.path(), clock);
    if (!store.has_group("g")) continue;
    for (const Event& event : read_all(store, "g", "s", 10))
      ASSERT_TRUE(event.message == "abcdefgh" || event.message == "ijklmnop") << at << " " << event.message;
  }
}

// Without this: a line that was flushed is lost with the runner, or a reader in another process never sees
// it.
TEST(Segments, WhatAKilledWriterFlushedIsReadable) {
  Folder folder;
  base::ManualClock clock(kNow);
  LogStore store(folder.path(), clock);  // opened before the writer exists
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    SegmentWriter writer(folder.path(), "runner", 200'000);
    uint32_t stream = writer.open_stream("g", "s");
    for (uint32_t i = 0;; ++i) {
      writer.append(stream, kNow + i, kNow + i, "line " + std::to_string(i));
      if (i % 7 == 0) {
        writer.flush();
        if (write(pipe_ends[1], &i, sizeof i) != sizeof i) _exit(1);
      }
    }
  }
  close(pipe_ends[1]);
  uint32_t flushed = 0, told = 0;
  for (int i = 0; i < 2000; ++i) {
    ASSERT_EQ(read(pipe_ends[0], &flushed, sizeof flushed), static_cast<ssize_t>(sizeof flushed));
    if (i % 100 == 0) {  // while it runs
      GetQuery query{
          .group = "g", .stream = "s", .from = {}, .until = {}, .from_head = false, .limit = 1, .token = ""};
      GetPage page = store.get_events(query);
      ASSERT_EQ(page.events.size(), 1u);
      ASSERT_GE(page.events[0].key.timestamp, kNow + flushed);
    }
  }
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  while (read(pipe_ends[0], &told, sizeof told) == sizeof told) flushed = told;
  close(pipe_ends[0]);

  std::vector<Event> events = read_all(store, "g", "s", 5000);
  ASSERT_GT(events.size(), flushed);
  for (size_t i = 0; i < events.size(); ++i) ASSERT_EQ(events[i].message, "line " + std::to_string(i));
  // The next writer of that name goes on in files of its own.
  SegmentWriter next(folder.path(), "runner");
  next.append(next.open_stream("g", "s"), kNow + 1'000'000, kNow, "afterwards");
  next.flush();
  EXPECT_EQ(read_all(store, "g", "s", 5000).back().message, "afterwards");
}

// Without this: a full disk loses lines, or ends the runner.
TEST(Segments, AFullDiskLosesNothing) {
  Folder folder;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // The size limit of a process stands for the disk: write() takes a part, then fails.
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit{100'000, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &limit);
    SegmentWriter writer(folder.path(), "runner", 80'000);
    uint32_t stream = writer.open_stream("g", "s");
    int failures = 0;
    for (uint32_t i = 0; i < 4000; ++i) {
      writer.append(stream, kNow + i, kNow, std::string(100, 'x') + std::to_string(i));
      if (i % 1000 == 999) {
        try {
          writer.flush();
        } catch (const base::TransientError&) {
          ++failures;
          if (writer.buffered_bytes() == 0) _exit(2);
        }
      }
    }
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    writer.sync();
    _exit(failures > 0 && writer.buffered_bytes() == 0 ? 0 : 3);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  ASSERT_EQ(WEXITSTATUS(status), 0);
  base::ManualClock clock(kNow);
  LogStore store(folder.path(), clock);
  std::vector<Event> events = read_all(store, "g", "s", 10'000);
  ASSERT_EQ(events.size(), 4000u);
  for (size_t i = 0; i < events.size(); ++i) ASSERT_EQ(events[i].message.substr(100), std::to_string(i));
}

// Without this: a bug in a caller corrupts the file instead of being reported.
TEST(Segments, RefuseNonsense) {
  Folder folder;
  EXPECT_THROW(SegmentWriter(folder.path(), "a/b"), base::UsageError);
  SegmentWriter writer(folder.path(), "w");
  EXPECT_THROW(writer.open_stream("", "s"), base::UsageError);
  EXPECT_THROW(writer.open_stream("g", std::string(513, 'x')), base::UsageError);
  EXPECT_THROW(writer.append(7, kNow, kNow, "x"), base::InternalError);
  uint32_t stream = writer.open_stream("g", "s");
  EXPECT_THROW(writer.append(stream, kNow, kNow, std::string((1 << 20) + 1, 'x')), base::UsageError);
  writer.append(stream, kNow, kNow, std::string(1 << 20, 'x'));
  writer.sync();
  base::ManualClock clock(kNow);
  LogStore store(folder.path(), clock);
  EXPECT_EQ(read_all(store, "g", "s", 10).at(0).message.size(), 1u << 20);
}

}  // namespace
}  // namespace millrace::logs

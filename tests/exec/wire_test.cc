#include "exec/wire.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace millrace::exec {
namespace {

TEST(Wire, CarriesAnAttemptAndItsOutcomeUnchanged) {
  // Breaks when a member is forgotten or two are swapped on one side.
  AttemptSpec spec{7,    6,   "img", {"a", "", "c d"}, {{"N", "v=1"}, {"EMPTY", ""}},
                   "/w", 1.5, 2048,  "group",          "stream"};
  AttemptOutcome outcome{9, true, false, false, true, 137, true, "why", 11, 12, 13, 14, 15};
  std::string bytes;
  write_start(bytes, spec, true);
  write_outcome(bytes, outcome);
  FrameQueue queue;
  Frame frame;
  for (size_t i = 0; i + 1 < bytes.size(); ++i) {  // byte by byte: no frame comes early
    queue.append(std::string_view(bytes).substr(i, 1));
    if (!queue.next(frame)) continue;
    ASSERT_EQ(frame.type, FrameType::kStart);
    StartRequest read = read_start(frame.payload);
    EXPECT_TRUE(read.plain_process);
    EXPECT_EQ(read.spec.token, 7u);
    EXPECT_EQ(read.spec.after, 6u);
    EXPECT_EQ(read.spec.image, "img");
    EXPECT_EQ(read.spec.command, spec.command);
    EXPECT_EQ(read.spec.environment, spec.environment);
    EXPECT_EQ(read.spec.working_directory, "/w");
    EXPECT_EQ(read.spec.vcpus, 1.5);
    EXPECT_EQ(read.spec.memory_mib, 2048);
    EXPECT_EQ(read.spec.log_group, "group");
    EXPECT_EQ(read.spec.log_stream, "stream");
  }
  queue.append(std::string_view(bytes).substr(bytes.size() - 1));
  ASSERT_TRUE(queue.next(frame));
  ASSERT_EQ(frame.type, FrameType::kFinished);
  AttemptOutcome read = read_outcome(frame.payload);
  EXPECT_EQ(read.token, 9u);
  EXPECT_TRUE(read.started);
  EXPECT_FALSE(read.host_lost);
  EXPECT_TRUE(read.revoked);
  EXPECT_EQ(read.exit_code, 137);
  EXPECT_TRUE(read.out_of_memory);
  EXPECT_EQ(read.reason, "why");
  EXPECT_EQ(read.started_at, 11);
  EXPECT_EQ(read.stopped_at, 12);
  EXPECT_EQ(read.user_us, 13);
  EXPECT_EQ(read.system_us, 14);
  EXPECT_EQ(read.rss_bytes_max, 15);
}

TEST(Wire, RefusesWhatIsCutShortOrTooLarge) {
  // Breaks when a damaged frame is read beyond its end.
  std::string bytes;
  write_start(bytes, {7, 6, "img", {"a"}, {{"N", "v"}}, "", 1, 0, "g", "s"}, false);
  std::string_view payload = std::string_view(bytes).substr(5);
  for (size_t size = 0; size < payload.size(); ++size)
    EXPECT_THROW(read_start(payload.substr(0, size)), base::CorruptError) << size;
  for (std::string_view head :
       {std::string_view("\0\0\0\0\1", 5), std::string_view("\xff\xff\xff\xff\1", 5)}) {
    FrameQueue queue;
    Frame frame;
    queue.append(head);
    EXPECT_THROW(queue.next(frame), base::CorruptError);
  }
}

}  // namespace
}  // namespace millrace::exec

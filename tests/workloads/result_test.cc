#include "workloads/result.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/error.h"
#include "tests/support/temporary_folder.h"
#include "workloads/shard.h"
#include "workloads/text.h"

namespace millrace::workloads {
namespace {

using base::json::value;

value document(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return base::parse_json(text.str());
}

// Without it: a job that lost items exits 0, or a result contradicts the exit code.
TEST(JobResult, ExitCodeAndDocumentTellTheSame) {
  testing::TemporaryFolder folder;
  base::ManualClock clock(1'000'000);
  JobResult result("scan", clock);
  result.count("files", 2);
  result.count("files");
  result.detail("source", "/x");
  EXPECT_EQ(result.exit_code(), kExitDone);
  EXPECT_EQ(base::parse_json(result.log_line()).at("status"), "succeeded");
  clock.advance(1500);
  result.item_failed("a\xff\n", "it is \"broken\"", "Broken");
  EXPECT_EQ(result.exit_code(), kExitPartial);
  result.write(folder / "r.json");
  value partial = document(folder / "r.json");
  EXPECT_EQ(partial.at("status"), "partial");
  EXPECT_EQ(partial.at("exit_code"), 3);
  EXPECT_EQ(partial.at("duration_ms"), 1500);
  EXPECT_EQ(partial.at("counts").at("files"), 3);
  EXPECT_EQ(partial.at("source"), "/x");
  EXPECT_EQ(partial.at("failed").at(0).at("item"), "a\\xff\n");
  EXPECT_EQ(partial.at("failed").at(0).at("code"), "Broken");
  result.fail("first");
  result.fail("second");
  EXPECT_EQ(result.exit_code(), kExitFailed);
  EXPECT_EQ(base::parse_json(result.log_line()).at("error"), "first");
  EXPECT_EQ(result.log_line().find('\n'), std::string::npos);
}

// Without it: with many failures the result forgets some of them, or holds all of them in memory.
TEST(JobResult, ManyFailuresAreAllNamed) {
  testing::TemporaryFolder folder;
  base::ManualClock clock(0);
  JobResult result("scan", clock);
  constexpr int kItems = 2500;
  for (int i = 0; i < kItems; ++i) result.item_failed("item" + std::to_string(i), "e");
  for (int round = 0; round < 2; ++round) {  // written twice: the spilled ones are still there
    result.write(folder / "r.json");
    value whole = document(folder / "r.json");
    ASSERT_EQ(whole.at("failed").as_array().size(), kItems);
    for (int i = 0; i < kItems; ++i) {
      ASSERT_EQ(whole.at("failed").at(i).at("item").as_string(), "item" + std::to_string(i));
    }
  }
  value line = base::parse_json(result.log_line());
  EXPECT_EQ(line.at("failed_count"), kItems);
  EXPECT_EQ(line.at("failed").as_array().size(), JobResult::kItemsInLogLine);
}

// Without it: what became of each item would be lost beyond the first thousand, or would swell the log line.
TEST(JobResult, ItemsAreAllInTheDocumentAndNotInTheLogLine) {
  testing::TemporaryFolder folder;
  base::ManualClock clock(1'000'000);
  JobResult result("ingest", clock);
  for (int i = 0; i < 1500; ++i) result.item({{"row", i}});
  result.item_failed("x", "broken");
  result.write(folder / "r.json");
  value whole = document(folder / "r.json");
  ASSERT_EQ(whole.at("items").as_array().size(), 1500u);
  EXPECT_EQ(whole.at("items").at(1499).at("row"), 1499);
  EXPECT_EQ(whole.at("failed").as_array().size(), 1u);
  EXPECT_EQ(result.log_line().find("items"), std::string::npos);
}

// Without it: hours of work end in a result that cannot be written.
TEST(JobResult, AnUnwritableDestinationIsFoundBeforeTheWork) {
  testing::TemporaryFolder folder;
  EXPECT_THROW(JobResult::require_writable(folder / "none/r.json"), base::NotFoundError);
  EXPECT_THROW(JobResult::require_writable("s3://bucket/"), base::UsageError);
  JobResult::require_writable(folder / "r.json");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

// Without it: two files get one row, or a name from the database does not lead back to the file.
TEST(Text, AnyBytesHaveTheirOwnText) {
  EXPECT_EQ(storage_text("plain/Ümläut \\n.png"), "plain/Ümläut \\n.png");
  EXPECT_EQ(storage_text("a\xff"
                         "b"),
            "a\\xffb");
  EXPECT_EQ(storage_text("a\\xffb"), "a\\x5cxffb");
  for (std::string bytes : {std::string("a\\x5cxffb"), std::string("\\\xff"), std::string("\\x\\xf\xe2\x82"),
                            std::string("nul\0x", 5), std::string("\xed\xa0\x80")}) {
    std::string text = storage_text(bytes);
    EXPECT_TRUE(is_storage_text(bytes) || text != bytes);
    EXPECT_EQ(storage_bytes(text), bytes);
    EXPECT_EQ(text.find('\0'), std::string::npos);
  }
  EXPECT_EQ(printable("a\x1b[31m\n"), "a\\x1b[31m\\x0a");
  EXPECT_EQ(shortened("äää", 5), "ä…");
}

// Without it: parts of an array job overlap, or leave items out.
TEST(Shard, EveryItemIsInExactlyOne) {
  for (int item = 0; item < 1000; ++item) {
    int owners = 0;
    for (uint32_t index = 0; index < 7; ++index) owners += Shard{index, 7}.has("key" + std::to_string(item));
    ASSERT_EQ(owners, 1);
  }
  EXPECT_EQ(parse_shard("2/5").index, 2);
  for (const char* bad : {"5/5", "1", "a/b", "0/0", "1/", "-1/3", "0/10001"}) {
    EXPECT_THROW(parse_shard(bad), base::UsageError) << bad;
  }
}

}  // namespace
}  // namespace millrace::workloads

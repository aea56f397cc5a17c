#include "workloads/stac/item_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "base/error.h"
#include "base/hash.h"
#include "base/unique_fd.h"
#include "tests/support/temporary_folder.h"
#include "tests/workloads/stac/made_item.h"
#include "workloads/stac/item.h"

namespace millrace::stac {
namespace {

using millrace::testing::TemporaryFolder;
using testing::MadeItem;
using testing::text_of;

// Without this what was put into a spool comes out as something else, twice, or in the file of another month.
TEST(ItemStore, WhatGoesInComesOutOnceInTheFileOfItsMonth) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  TemporaryFolder folder;
  ItemSpool spool(folder / "spool");
  ItemChecker checker;
  struct Best {
    std::string updated, line;
    uint32_t month;
  };
  std::map<std::pair<std::string, std::string>, Best> expected;
  std::vector<std::string> chunks;
  size_t added = 0;
  for (int c = 0; c < 5; ++c) {
    chunks.push_back("chunk-" + std::to_string(c));
    ItemChunk chunk = spool.begin(chunks.back());
    for (int i = 0; i < 400; ++i, ++added) {
      MadeItem made{.id = "item" + std::to_string(random() % 700), .collection = random() % 2 ? "a" : "b"};
      if (random() % 3) made.updated = "2024-07-0" + std::to_string(1 + random() % 9) + "T00:00:00Z";
      made.more = ",\"number\":" + std::to_string(random());
      uint32_t month = random() % 2 ? 202406 : 202407;
      const CheckedItem& item = checker.check(text_of(made));
      chunk.add(item, month, i % 2 ? source_of("https://example.org/" + made.id) : 0);
      auto [best, fresh] = expected.try_emplace({made.collection, made.id});
      if (fresh || made.updated >= best->second.updated) best->second = {made.updated, item.line, month};
    }
    chunk.finish();
  }
  for (bool by_collection : {false, true}) {
    SealReport report;
    std::vector<ItemSpool::Part> parts = spool.seal(chunks, by_collection, report);
    EXPECT_EQ(report.items, added);
    EXPECT_EQ(report.duplicates, added - expected.size());
    ASSERT_EQ(parts.size(), by_collection ? 4U : 2U);
    size_t seen = 0;
    std::string line;
    for (const ItemSpool::Part& part : parts) {
      uint64_t bytes = 0;
      for (const ItemRecord& record : part.items.records()) {
        part.items.read(record, line);
        bytes += line.size();
        std::string id = line.substr(record.id_offset, record.id_length);
        const Best& best = expected.at({part.items.collection_of(record), id});
        EXPECT_EQ(line, best.line);
        EXPECT_EQ(part.month, best.month);
        if (by_collection) {
          EXPECT_EQ(part.collection, part.items.collection_of(record));
        }
        ++seen;
      }
      EXPECT_EQ(bytes, part.items.bytes());
    }
    EXPECT_EQ(seen, expected.size());
  }
}

// Without this a run that was killed fetches everything again, or believes in half a line.
TEST(ItemStore, ACrashKeepsWhatIsWhole) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  ItemChecker checker;
  for (int round = 0; round < 40; ++round) {
    TemporaryFolder folder;
    std::vector<std::string> lines;
    {
      ItemSpool spool(folder / "spool");
      ItemChunk chunk = spool.begin("day");
      for (int i = 0; i < 50; ++i) {
        const CheckedItem& item = checker.check(text_of({.id = "item" + std::to_string(i)}));
        lines.push_back(item.line);
        chunk.add(item, 202406, source_of("https://example.org/" + std::to_string(i)));
      }
      chunk.sync();
      if (round % 4 == 0) chunk.finish();
    }
    // Either file is cut anywhere, or a byte is not what it was.
    std::string part = round % 4 == 0 ? "" : ".part";
    std::string file = folder / ("spool/day" + std::string(random() % 2 ? ".ndjson" : ".index") + part);
    auto size = std::filesystem::file_size(file);
    if (random() % 2) {
      std::filesystem::resize_file(file, random() % (size + 1));
    } else {
      base::UniqueFd fd(open(file.c_str(), O_RDWR));
      auto at = static_cast<off_t>(random() % size);
      char byte = 0;
      ASSERT_EQ(pread(fd.get(), &byte, 1, at), 1);
      byte = static_cast<char>(byte ^ 1);
      ASSERT_EQ(pwrite(fd.get(), &byte, 1, at), 1);
    }
    ItemSpool spool(folder / "spool");
    ItemChunk chunk = spool.begin("day");
    const size_t kept = chunk.kept().size();
    ASSERT_LE(kept, lines.size());
    for (size_t i = 0; i < kept; ++i) EXPECT_EQ(chunk.kept()[i].length, lines[i].size());
    for (size_t i = kept; i < lines.size(); ++i) chunk.add(checker.check(lines[i]), 202406);
    chunk.finish();
    SealReport report;
    std::vector<ItemSpool::Part> parts = spool.seal({"day"}, false, report);
    ASSERT_EQ(parts.size(), 1U);
    ASSERT_EQ(parts[0].items.size(), lines.size());
    std::string line;
    for (size_t i = 0; i < lines.size(); ++i) {
      parts[0].items.read(parts[0].items.records()[i], line);
      EXPECT_EQ(line, lines[i]);
    }
  }
}

// Without this items that are to be left out stay, others go with them, or a crash between the two files of a
// chunk makes one of the wrong items.
TEST(ItemStore, WhatIsNotWantedIsLeftOut) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 30; ++round) {
    TemporaryFolder folder;
    const bool crash = round % 2 == 1;
    std::vector<std::string> expected;
    std::vector<bool> wanted(50);
    ItemChecker checker;
    ItemSpool spool(folder / "spool");
    {
      ItemChunk chunk = spool.begin("day");
      for (size_t i = 0; i < wanted.size(); ++i) {
        const CheckedItem& item = checker.check(text_of({.id = "item" + std::to_string(i * i)}));
        wanted[i] = random() % 4 != 0;
        if (wanted[i]) expected.push_back(item.line);
        chunk.add(item, 202406, i + 1, 7);
      }
      chunk.finish();
    }
    std::filesystem::copy(folder / "spool/day.index", folder / "index");
    {
      ItemChunk chunk = spool.begin("day");
      const size_t dropped =
          chunk.keep_only([&](const ItemRecord& record) { return wanted[record.source - 1]; });
      EXPECT_EQ(dropped, wanted.size() - expected.size());
      EXPECT_EQ(chunk.kept().size(), expected.size());
      if (!crash) chunk.finish();
    }
    if (crash)  // the lines were renamed, the index was not
      std::filesystem::rename(folder / "index", folder / "spool/day.index.part");
    ItemChunk chunk = spool.begin("day");
    const size_t kept = chunk.kept().size();
    ASSERT_LE(kept, expected.size());
    if (!crash) {
      EXPECT_EQ(kept, expected.size());
    }
    for (const ItemRecord& record : chunk.kept()) EXPECT_EQ(record.revision_us, 7);
    for (size_t i = kept; i < expected.size(); ++i) chunk.add(checker.check(expected[i]), 202406);
    chunk.finish();
    SealReport report;
    std::vector<ItemSpool::Part> parts = spool.seal({"day"}, false, report);
    ASSERT_EQ(parts.size(), 1U);
    ASSERT_EQ(parts[0].items.size(), expected.size());
    std::string line;
    for (size_t i = 0; i < expected.size(); ++i) {
      parts[0].items.read(parts[0].items.records()[i], line);
      EXPECT_EQ(line, expected[i]);
    }
  }
}

// Without this a disk that forgets bytes makes a file of other items, without a word.
TEST(ItemStore, ALineThatChangedIsNotGivenOut) {
  TemporaryFolder folder;
  ItemSpool spool(folder / "spool");
  ItemChunk chunk = spool.begin("day");
  chunk.add(ItemChecker().check(text_of({})), 202406);
  chunk.finish();
  SealReport report;
  std::vector<ItemSpool::Part> parts = spool.seal({"day"}, false, report);
  base::UniqueFd fd(open((folder / "spool/day.ndjson").c_str(), O_RDWR));
  ASSERT_EQ(pwrite(fd.get(), "!", 1, 40), 1);
  std::string line;
  EXPECT_THROW(parts[0].items.read(parts[0].items.records()[0], line), base::CorruptError);
}

}  // namespace
}  // namespace millrace::stac

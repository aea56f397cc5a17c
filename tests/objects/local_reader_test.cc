#include "objects/local_reader.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

namespace millrace::objects {
namespace {

namespace fs = std::filesystem;

class LocalReaderTest : public testing::Test {
 protected:
  LocalReaderTest() {
    std::string pattern = fs::temp_directory_path() / "millrace-local-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~LocalReaderTest() override { fs::remove_all(folder_); }
  void file(const std::string& key, const std::string& content) {
    fs::create_directories((folder_ / key).parent_path());
    std::ofstream(folder_ / key, std::ios::binary) << content;
  }
  std::set<std::string> keys(std::string_view prefix = "") {
    std::set<std::string> out;
    open_local(folder_)->list(prefix, [&](const ObjectInfo& info) {
      EXPECT_TRUE(out.insert(info.key).second) << "listed twice: " << info.key;
      return true;
    });
    return out;
  }
  fs::path folder_;
};

TEST_F(LocalReaderTest, ListsEveryFileOnceWithItsSize) {
  // Without this a scan misses files, or counts them twice.
  file("a", "1");
  file("b/c d+e%41.png", "22");
  file("b/\xc3\xa4/x", "333");
  file("b/.hidden", "");
  std::map<std::string, uint64_t> sizes;
  open_local(folder_)->list("", [&](const ObjectInfo& info) {
    sizes[info.key] = info.size;
    EXPECT_GT(info.mtime_ns, 1'000'000'000'000'000'000);
    EXPECT_EQ(info.etag, "");
    return true;
  });
  EXPECT_EQ(sizes, (std::map<std::string, uint64_t>{
                       {"a", 1}, {"b/c d+e%41.png", 2}, {"b/\xc3\xa4/x", 3}, {"b/.hidden", 0}}));
}

TEST_F(LocalReaderTest, PrefixNamesAFolderOrTheBeginningOfAName) {
  // Without this `scan /tree --prefix shots/a` would list more or less than its S3 twin.
  file("shots/a1", "");
  file("shots/a2/x", "");
  file("shots/b", "");
  file("shotsx", "");
  EXPECT_EQ(keys("shots/"), (std::set<std::string>{"shots/a1", "shots/a2/x", "shots/b"}));
  EXPECT_EQ(keys("shots/a"), (std::set<std::string>{"shots/a1", "shots/a2/x"}));
  EXPECT_EQ(keys("shots"), (std::set<std::string>{"shots/a1", "shots/a2/x", "shots/b", "shotsx"}));
  EXPECT_EQ(keys("nothing/here"), (std::set<std::string>{}));
  EXPECT_EQ(keys("../"), (std::set<std::string>{}));
}

TEST_F(LocalReaderTest, LinksToFilesAreFilesAndLinksToFoldersEndThere) {
  // Without this a link to a parent folder makes a scan run for ever.
  file("real/x", "abc");
  fs::create_symlink("real/x", folder_ / "link");
  fs::create_directory_symlink("..", folder_ / "real/up");
  fs::create_directory_symlink("real", folder_ / "alias");
  mkfifo((folder_ / "pipe").c_str(), 0600);
  EXPECT_EQ(keys(), (std::set<std::string>{"link", "real/x"}));
}

TEST_F(LocalReaderTest, WhatCannotBeListedIsNamedAndTheRestIsListed) {
  // Without this one dangling link hides a whole tree, or is itself hidden.
  file("a/x", "");
  file("z", "");
  fs::create_symlink("nowhere", folder_ / "a/dangling");
  EXPECT_THROW(keys(), base::NotFoundError);
  std::set<std::string> seen, bad;
  open_local(folder_)->list_tolerant(
      "", [&](const ObjectInfo& info) { return seen.insert(info.key).second; },
      [&](const std::string& key, const base::Error&) { bad.insert(key); });
  EXPECT_EQ(seen, (std::set<std::string>{"a/x", "z"}));
  EXPECT_EQ(bad, (std::set<std::string>{"a/dangling"}));
}

TEST_F(LocalReaderTest, ATreeDeeperThanTheOpenDirectoriesIsListedWhole) {
  // Without this a deep tree runs out of file descriptors.
  std::string key;
  for (int i = 0; i < 400; ++i) {
    key += "d/";
    file(key + "f", "");
    file(key + "g", "");
  }
  EXPECT_EQ(keys().size(), 800u);
}

TEST_F(LocalReaderTest, StopsWhenToldTo) {
  // Without this --limit would walk the whole tree.
  for (int i = 0; i < 10; ++i) file(std::to_string(i), "");
  int seen = 0;
  open_local(folder_)->list("", [&](const ObjectInfo&) { return ++seen < 3; });
  EXPECT_EQ(seen, 3);
}

TEST_F(LocalReaderTest, ReadsRanges) {
  // Without this header readers see the wrong bytes.
  file("x/y", "0123456789");
  auto reader = open_local(folder_);
  char out[16];
  EXPECT_EQ(reader->read("x/y", 3, out, 4, ""), 4u);
  EXPECT_EQ(std::string(out, 4), "3456");
  EXPECT_EQ(reader->read("x/y", 8, out, 16, ""), 2u);
  EXPECT_EQ(reader->read("x/y", 10, out, 16, ""), 0u);
  EXPECT_EQ(reader->head("x/y").size, 10u);
  EXPECT_THROW(reader->read("x/z", 0, out, 1, ""), base::NotFoundError);
  EXPECT_THROW(reader->head("x"), base::NotFoundError);
  EXPECT_THROW(reader->head("x/../../etc/passwd"), base::NotFoundError);
  EXPECT_THROW(reader->read("x/y", 0, out, 1, "etag"), base::ConflictError);
}

TEST_F(LocalReaderTest, AnOpenFileStaysTheFileItWas) {
  // Without this the beginning of one file and the end of another could make the facts of one.
  file("x/y", "0123456789");
  auto reader = open_local(folder_);
  auto open = reader->open_object("x/y", "");
  file("x/new", "abcdefghij");
  fs::rename(folder_ / "x/new", folder_ / "x/y");
  char out[16];
  EXPECT_EQ(open->read(8, out, 16), 2u);
  EXPECT_EQ(std::string(out, 2), "89");
  EXPECT_EQ(reader->read("x/y", 8, out, 16, ""), 2u);
  EXPECT_EQ(std::string(out, 2), "ij");
  EXPECT_THROW(reader->open_object("x/z", ""), base::NotFoundError);
  EXPECT_THROW(reader->open_object("../x", ""), base::NotFoundError);
  EXPECT_THROW(reader->open_object("x/y", "etag"), base::ConflictError);
}

TEST_F(LocalReaderTest, AMissingFolderIsNotFound) {
  // Without this a mistyped folder scans nothing and succeeds.
  EXPECT_THROW(open_local(folder_ / "nope"), base::NotFoundError);
  file("plain", "");
  EXPECT_THROW(open_local(folder_ / "plain"), base::NotFoundError);
}

TEST(ParseLocation, KeysAreBytes) {
  // Without this keys with '?', '#', '%' or '//' address other objects.
  Location l = parse_location("s3://bucket/a//b?c#d%41+ \xff/../.");
  EXPECT_TRUE(l.is_s3);
  EXPECT_EQ(l.bucket, "bucket");
  EXPECT_EQ(l.path, "a//b?c#d%41+ \xff/../.");
  EXPECT_EQ(parse_location("s3://bucket").path, "");
  EXPECT_EQ(parse_location("s3://bucket/").path, "");
  EXPECT_EQ(parse_location("s3://bucket//x").path, "/x");
}

TEST(ParseLocation, PathsAndFileUrls) {
  // Without this a path with a '%' or a file URL opens the wrong folder.
  EXPECT_EQ(parse_location("/a/b%20c").path, "/a/b%20c");
  EXPECT_EQ(parse_location("a:b").path, "a:b");
  EXPECT_EQ(parse_location("file:///a/b%20c").path, "/a/b c");
  EXPECT_EQ(parse_location("file://localhost/a").path, "/a");
  for (const char* bad : {"", "s3://", "s3:///x", "file://host/x", "file://", "http://x/y", "gs://b/k"})
    EXPECT_THROW(parse_location(bad), base::UsageError) << bad;
}

}  // namespace
}  // namespace millrace::objects

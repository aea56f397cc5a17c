#include "objects/directory_view.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/random.h"
#include "tests/objects/temporary_folder.h"

namespace millrace::objects {
namespace {

namespace fs = std::filesystem;

class ViewTest : public testing::Test {
 protected:
  ViewTest() {
    DirectoryStoreOptions options;
    options.inline_bytes_max = 100;
    options.part_bytes_min = 10;
    store_ = std::make_unique<DirectoryStore>(folder_.path() + "/objects", clock_, options);
    store_->create_bucket("bucket", "us-east-1");
  }
  void put(const std::string& key, std::string_view bytes, std::optional<ChecksumAlgorithm> algorithm = {}) {
    auto writer = store_->put({"bucket", key, {}, {{}, algorithm, {}}, {}, {}});
    writer->write(bytes);
    writer->finish();
  }
  void put_in_parts(const std::string& key, ChecksumAlgorithm algorithm, bool full_object) {
    std::string id = store_->create_upload("bucket", key, {}, algorithm, full_object);
    std::vector<CompletedPart> parts;
    for (int number : {1, 2, 3}) {
      auto writer = store_->put_part({"bucket", key, id, number, {}});
      writer->write(base::random_bytes(1000 * static_cast<size_t>(number)));
      parts.push_back({number, writer->finish().etag, {}});
    }
    store_->complete_upload("bucket", key, id, parts, "", {}, {});
  }
  std::vector<std::string> damage() {
    std::vector<std::string> found;
    VerifyResult result =
        DirectoryView(folder_.path() + "/objects").verify([&](const std::string& what, const std::string&) {
          found.push_back(what);
        });
    EXPECT_EQ(result.damaged, found.size());
    read_ = result;
    return found;
  }

  TemporaryFolder folder_;
  base::ManualClock clock_{1'700'000'000'123};
  std::unique_ptr<DirectoryStore> store_;
  VerifyResult read_;
};

TEST_F(ViewTest, WhatIsStoredIsSeenWhileTheStoreIsInUse) {
  // Without this nobody sees their data but through the endpoint.
  put("a/1", "one");
  put("b", std::string(5000, 'x'));
  store_->set_versioning("bucket", Versioning::kEnabled);
  put("b", "two");
  DirectoryView view(folder_.path() + "/objects");
  EXPECT_EQ(view.buckets().at(0).name, "bucket");
  ListPage page = view.list("bucket", {"", "/", "", 1000});
  EXPECT_EQ(page.common_prefixes, (std::vector<std::string>{"a/"}));
  EXPECT_EQ(page.objects.at(0).key, "b");
  std::string bytes;
  auto sink = [&](std::string_view piece) { bytes += piece; };
  view.read("bucket", "b", "", sink);
  EXPECT_EQ(bytes, "two");
  bytes.clear();
  view.read("bucket", "b", "null", sink);
  EXPECT_EQ(bytes, std::string(5000, 'x'));
  EXPECT_THROW(view.read("bucket", "c", "", sink), base::NotFoundError);
  EXPECT_THROW(view.read("nobucket", "c", "", sink), base::NotFoundError);
  EXPECT_THROW(DirectoryView(folder_.path() + "/elsewhere"), base::NotFoundError);
  EXPECT_FALSE(fs::exists(folder_.path() + "/elsewhere"));
}

TEST_F(ViewTest, VerifyFindsEveryFlippedByte) {
  // Without this a disk that rots is noticed when the data is needed.
  put("empty", "");
  put("small", "hello", ChecksumAlgorithm::kSha256);
  put("large", base::random_bytes(5000), ChecksumAlgorithm::kCrc64nvme);
  put_in_parts("composite", ChecksumAlgorithm::kSha1, false);
  put_in_parts("full", ChecksumAlgorithm::kCrc32, true);
  std::string id = store_->create_upload("bucket", "unfinished", {}, {}, false);
  auto part = store_->put_part({"bucket", "unfinished", id, 7, {}});
  part->write(base::random_bytes(3000));
  part->finish();
  EXPECT_TRUE(damage().empty());
  EXPECT_EQ(read_.objects, 5u);
  EXPECT_EQ(read_.parts, 1u);
  EXPECT_EQ(read_.bytes, 5u + 5000 + 6000 + 6000 + 3000);
  size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder_.path() + "/objects/content")) {
    if (!entry.is_regular_file()) continue;
    ++files;
    int fd = open(entry.path().c_str(), O_RDWR | O_CLOEXEC);
    char byte = 0;
    ASSERT_EQ(pread(fd, &byte, 1, 1500), 1);
    byte = static_cast<char>(byte ^ 1);
    ASSERT_EQ(pwrite(fd, &byte, 1, 1500), 1);
    EXPECT_EQ(damage().size(), files) << "this one, and those cut off before";
    byte = static_cast<char>(byte ^ 1);
    ASSERT_EQ(pwrite(fd, &byte, 1, 1500), 1);
    ASSERT_EQ(ftruncate(fd, 2000), 0);
    close(fd);
    EXPECT_EQ(damage().size(), files);
  }
  EXPECT_EQ(files, 4u);
  fs::remove_all(folder_.path() + "/objects/content");
  EXPECT_EQ(damage(), (std::vector<std::string>{
                          "s3://bucket/composite", "s3://bucket/full", "s3://bucket/large",
                          "s3://bucket/unfinished (part 7 of the unfinished upload " + id + ")"}));
}

}  // namespace
}  // namespace millrace::objects

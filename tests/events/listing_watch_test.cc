#include "events/listing_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/error.h"
#include "tests/support/temporary_folder.h"

namespace millrace::events {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A bucket that can break off its listing.
class Bucket final : public objects::ObjectReader {
 public:
  void list(std::string_view prefix, const std::function<bool(const objects::ObjectInfo&)>& visit) override {
    size_t listed = 0;
    for (const auto& [key, etag] : objects) {
      if (!key.starts_with(prefix)) continue;
      if (listed++ == breaks_after) throw base::TransientError("the network is gone");
      visit({key, etag.size(), etag, 1000, 0});
    }
  }
  objects::ObjectInfo head(std::string_view) override { throw base::InternalError("not asked"); }
  size_t read(std::string_view, uint64_t, char*, size_t, std::string_view) override { return 0; }
  std::string url() const override { return "s3://bucket"; }
  std::map<std::string, std::string> objects;  // ETags by key
  size_t breaks_after = SIZE_MAX;
};

std::vector<std::string> told(ListingWatch& watch, int64_t after = 0) {
  std::vector<std::string> out;
  for (const objects::ObjectEvent& change : watch.changes(after, 100'000))
    out.push_back(change.reason + " " + change.key);
  return out;
}

// Without this: changes elsewhere are missed, told twice, or forgotten by a crash.
TEST(ListingWatch, TellsWhatChangedOnce) {
  millrace::testing::TemporaryFolder folder;
  Bucket bucket;
  bucket.objects = {{"in/a", "1"}, {"in/b", "2"}, {"out/c", "3"}};
  int64_t id = 0;
  {
    ListingWatch watch(folder / "w.db");
    id = watch.id();
    EXPECT_EQ(watch.look(bucket, "bucket", "in/", 5000, false), 0u);
    bucket.objects["in/aa"] = "4-2";
    bucket.objects["in/b"] = "5";
    bucket.objects.erase("in/a");
    bucket.objects["out/d"] = "6";
    bucket.breaks_after = 1;
    EXPECT_THROW(watch.look(bucket, "bucket", "in/", 6000, false), base::TransientError);
    EXPECT_THAT(told(watch), IsEmpty()) << "of a listing that broke off nothing counts";
    bucket.breaks_after = SIZE_MAX;
    EXPECT_EQ(watch.look(bucket, "bucket", "in/", 7000, false), 3u);
    EXPECT_EQ(watch.look(bucket, "bucket", "in/", 8000, false), 0u);
  }
  ListingWatch watch(folder / "w.db");
  EXPECT_EQ(watch.id(), id);
  EXPECT_THAT(told(watch),
              ElementsAre("DeleteObject in/a", "CompleteMultipartUpload in/aa", "PutObject in/b"));
  const auto changes = watch.changes(0, 10);
  EXPECT_EQ(changes[0].time, 7000);
  EXPECT_EQ(changes[1].time, 1000);
  EXPECT_EQ(changes[1].etag, "4-2");
  watch.forget(changes[1].sequence);
  EXPECT_THAT(told(watch), ElementsAre("PutObject in/b"));
  watch.forget(changes[2].sequence);
  bucket.objects["in/z"] = "7";
  watch.look(bucket, "bucket", "in/", 9000, false);
  EXPECT_THAT(told(watch, changes[2].sequence), ElementsAre("PutObject in/z"))
      << "numbers are never used again";
}

// Without this: at the border of a page of what was seen, objects are taken for new or for gone.
TEST(ListingWatch, RandomBucketsOfAnySizeAreFollowed) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  millrace::testing::TemporaryFolder folder;
  ListingWatch watch(folder / "w.db");
  Bucket bucket;
  std::map<std::string, std::string> mirror;
  int64_t after = 0;
  for (int round = 0; round < 8; ++round) {
    for (int i = 0; i < 900; ++i)
      bucket.objects[std::to_string(random() % 5000)] = std::to_string(random() % 3);
    for (auto object = bucket.objects.begin(); object != bucket.objects.end();)
      object = random() % 8 == 0 ? bucket.objects.erase(object) : std::next(object);
    watch.look(bucket, "bucket", "", 1, true);
    for (const objects::ObjectEvent& change : watch.changes(after, 100'000)) {
      after = change.sequence;
      if (change.kind == objects::ObjectEvent::Kind::kDeleted) {
        EXPECT_EQ(mirror.erase(change.key), 1u);
      } else {
        EXPECT_TRUE(!mirror.contains(change.key) || mirror[change.key] != change.etag);
        mirror[change.key] = change.etag;
      }
    }
    ASSERT_EQ(mirror, bucket.objects) << "round " << round;
  }
}

}  // namespace
}  // namespace millrace::events

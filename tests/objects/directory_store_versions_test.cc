#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/hash.h"
#include "objects/directory_store.h"
#include "objects/store_errors.h"
#include "sql/connection.h"
#include "tests/objects/temporary_folder.h"

namespace millrace::objects {
namespace {

std::string content_of(OpenObject object) {
  if (!object.file) return object.data;
  std::string out(object.record.size, '\0');
  EXPECT_EQ(pread(object.file.get(), out.data(), out.size(), 0), static_cast<ssize_t>(out.size()));
  return out;
}

std::string code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const base::Error& error) {
    return error.code();
  }
  return "";
}

class VersionsTest : public testing::Test {
 protected:
  VersionsTest() {
    reopen();
    store_->create_bucket("bucket", "us-east-1");
  }
  void reopen() {
    store_.reset();
    DirectoryStoreOptions options;
    options.inline_bytes_max = 100;
    store_ = std::make_unique<DirectoryStore>(folder_.path() + "/objects", clock_, options);
  }
  PutResult put(const std::string& key, std::string_view bytes) {
    auto writer = store_->put({"bucket", key, {}, {}, {}, {}});
    writer->write(bytes);
    return writer->finish();
  }
  std::string get(const std::string& key, const std::string& version = "") {
    return content_of(store_->open("bucket", key, version));
  }
  RemoveResult remove(const std::string& key, const std::string& version = "") {
    return store_->remove("bucket", key, {}, {}, version);
  }
  void version(Versioning versioning) { store_->set_versioning("bucket", versioning); }
  // "key version[*]" with D for delete markers, in the order of the listing; * is the latest.
  std::vector<std::string> listed(const ListVersionsSpec& spec = {}) {
    std::vector<std::string> all;
    for (const ListedVersion& v : store_->list_versions("bucket", spec).versions)
      all.push_back(v.object.key + " " + v.version_id + (v.delete_marker ? "D" : "") +
                    (v.is_latest ? "*" : ""));
    return all;
  }

  TemporaryFolder folder_;
  base::ManualClock clock_{1'700'000'000'123};
  std::unique_ptr<DirectoryStore> store_;
};

using Lines = std::vector<std::string>;

TEST_F(VersionsTest, OldVersionsStayAndCanBeReadAndDeleted) {
  // Without this an overwritten object is lost in the very bucket that promised to keep it.
  EXPECT_EQ(put("k", "before").version_id, "") << "nobody asked for versions yet";
  version(Versioning::kEnabled);
  std::string large(500, 'x');
  std::string v1 = put("k", large).version_id, v2 = put("k", "two").version_id;
  EXPECT_EQ(listed(), (Lines{"k " + v2 + "*", "k " + v1, "k null"}));
  reopen();
  EXPECT_EQ(get("k"), "two");
  EXPECT_EQ(get("k", v1), large);
  EXPECT_EQ(get("k", "null"), "before");
  EXPECT_EQ(code_of([&] { get("k", "0000000000000001"); }), "NoSuchVersion");
  EXPECT_EQ(code_of([&] { get("k", "nonsense"); }), "InvalidArgument");
  EXPECT_EQ(store_->head("bucket", "k").version_id(), v2);

  RemoveResult hidden = remove("k");
  EXPECT_TRUE(hidden.delete_marker);
  EXPECT_THROW(get("k"), DeleteMarkerError);
  EXPECT_THROW(get("k", hidden.version_id), DeleteMarkerError);
  EXPECT_TRUE(store_->list("bucket", {}).objects.empty());
  EXPECT_EQ(listed(), (Lines{"k " + hidden.version_id + "D*", "k " + v2, "k " + v1, "k null"}));
  EXPECT_EQ(code_of([&] { store_->delete_bucket("bucket"); }), "BucketNotEmpty");

  EXPECT_TRUE(remove("k", hidden.version_id).delete_marker);
  EXPECT_EQ(get("k"), "two") << "the marker is gone: the object is back";
  EXPECT_FALSE(remove("k", v2).delete_marker);
  EXPECT_EQ(get("k"), large) << "the version below comes to light";
  remove("k", v1);
  EXPECT_EQ(get("k"), "before");
  remove("k", "null");
  EXPECT_EQ(code_of([&] { get("k"); }), "NoSuchKey");
  EXPECT_TRUE(listed().empty());
  store_->delete_bucket("bucket");
  EXPECT_EQ(folder_.files("objects/content"), 0u);
}

TEST_F(VersionsTest, SuspendedBucketsKeepOneNullVersion) {
  // Without this a suspended bucket grows without bound, or loses the versions it had.
  version(Versioning::kEnabled);
  std::string v1 = put("k", "one").version_id;
  version(Versioning::kSuspended);
  EXPECT_EQ(put("k", "two").version_id, "null");
  EXPECT_EQ(put("k", "three").version_id, "null");
  EXPECT_EQ(listed(), (Lines{"k null*", "k " + v1}));
  version(Versioning::kEnabled);
  std::string v4 = put("k", "four").version_id;
  version(Versioning::kSuspended);
  put("k", "five");
  EXPECT_EQ(listed(), (Lines{"k null*", "k " + v4, "k " + v1}));
  EXPECT_EQ(remove("k").version_id, "null");
  EXPECT_EQ(listed(), (Lines{"k nullD*", "k " + v4, "k " + v1}));
  EXPECT_EQ(remove("k").version_id, "null");
  EXPECT_EQ(listed().size(), 3u) << "one null marker replaces the other";
  EXPECT_EQ(remove("never there").version_id, "null");
  EXPECT_EQ(code_of([&] { version(Versioning::kNever); }), "IllegalVersioningConfigurationException");
}

TEST_F(VersionsTest, BatchesNameVersionsAndFailByThemselves) {
  // Without this one stale ETag in a thousand keys stops the other deletions, or is deleted all the same.
  version(Versioning::kEnabled);
  std::string a = put("a", "1").version_id;
  put("b", "2");
  std::vector<RemoveOutcome> outcomes = store_->remove_all(
      "bucket", {{"a", a, {}}, {"b", "", {"not its etag", false}}, {"c", "bad id", {}}, {"b", "", {}}}, {});
  EXPECT_FALSE(outcomes[0].error);
  EXPECT_EQ(outcomes[0].result.version_id, a);
  EXPECT_EQ(code_of([&] { std::rethrow_exception(outcomes[1].error); }), "PreconditionFailed");
  EXPECT_EQ(code_of([&] { std::rethrow_exception(outcomes[2].error); }), "InvalidArgument");
  EXPECT_TRUE(outcomes[3].result.delete_marker);
  EXPECT_EQ(listed().size(), 2u);
}

TEST_F(VersionsTest, TagsChangeNothingElse) {
  // Without this tagging an object makes it look new to every sync.
  version(Versioning::kEnabled);
  std::string v1 = put("k", "one").version_id;
  put("k", "two");
  clock_.advance(60'000);
  EXPECT_EQ(store_->put_tags("bucket", "k", v1, "a=b"), v1);
  ObjectRecord record = store_->head("bucket", "k", v1);
  EXPECT_EQ(record.headers, (StoredHeaders{{"x-amz-tagging", "a=b"}}));
  EXPECT_EQ(record.modified, 1'700'000'000'000);
  EXPECT_TRUE(store_->head("bucket", "k").headers.empty());
  store_->put_tags("bucket", "k", v1, "");
  EXPECT_TRUE(store_->head("bucket", "k", v1).headers.empty());
}

TEST_F(VersionsTest, PagesOfAnySizeShowTheSame) {
  // Without this a tool that empties a versioned bucket page by page misses what lies on the borders.
  unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 120; ++i) {
    if (i % 40 == 20) version(Versioning::kEnabled);
    if (i % 40 == 39) version(Versioning::kSuspended);
    std::string key = "d" + std::to_string(random() % 3) + "/" + std::to_string(random() % 5);
    if (random() % 4 == 0)
      remove(key);
    else
      put(key, std::to_string(i));
  }
  for (const char* delimiter : {"", "/"}) {
    std::vector<std::string> whole, latest;
    VersionPage all = store_->list_versions("bucket", {"", delimiter, "", "", 10'000});
    for (const ListedVersion& v : all.versions) whole.push_back(v.object.key + v.version_id);
    for (const std::string& prefix : all.common_prefixes) whole.push_back(prefix);
    for (size_t max : {1, 2, 3, 7}) {
      std::vector<std::string> pieces;
      std::map<std::string, int> latest_of;
      ListVersionsSpec spec{"", delimiter, "", "", max};
      for (;;) {
        VersionPage page = store_->list_versions("bucket", spec);
        EXPECT_LE(page.versions.size() + page.common_prefixes.size(), max);
        for (const ListedVersion& v : page.versions) {
          pieces.push_back(v.object.key + v.version_id);
          latest_of[v.object.key] += v.is_latest;
        }
        for (const std::string& prefix : page.common_prefixes) pieces.push_back(prefix);
        if (!page.truncated) break;
        spec.key_marker = page.next_key_marker;
        spec.version_marker = page.next_version_marker;
      }
      EXPECT_EQ(pieces, whole) << "pages of " << max << ", delimiter " << delimiter;
      for (const auto& [key, count] : latest_of) EXPECT_EQ(count, 1) << key;
    }
  }
}

TEST_F(VersionsTest, FormatOneIsTakenOver) {
  // Without this an update of the program loses sight of everything that was stored before.
  put("k", "kept");
  store_.reset();
  {
    // What format 1 did not have.
    auto index = sql::open_sqlite(folder_.path() + "/objects/index.db");
    index->execute(
        "DROP TABLE versions; DROP TABLE bucket_settings; ALTER TABLE buckets DROP COLUMN versioning;"
        "ALTER TABLE objects DROP COLUMN null_version; PRAGMA user_version=1;");
  }
  reopen();
  EXPECT_EQ(get("k"), "kept");
  version(Versioning::kEnabled);
  std::string v = put("k", "new").version_id;
  EXPECT_EQ(listed(), (Lines{"k " + v + "*", "k null"}));
  store_->put_setting("bucket", "cors", "<x/>");
  EXPECT_EQ(store_->setting("bucket", "cors"), "<x/>");
}

TEST_F(VersionsTest, EventsNameVersionsInTheOrderOfCommits) {
  // Without this a rule on deletions cannot tell a hidden object from a lost one.
  std::vector<ObjectEvent> events;
  store_->set_observer([&](const ObjectEvent& event) { events.push_back(event); });
  version(Versioning::kEnabled);
  std::string v1 = put("k", "one").version_id;
  std::string marker = remove("k").version_id;
  remove("k", v1);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].version_id, v1);
  EXPECT_EQ(events[1].version_id, marker);
  EXPECT_TRUE(events[1].delete_marker);
  EXPECT_EQ(events[2].version_id, v1);
  EXPECT_FALSE(events[2].delete_marker);
  EXPECT_LT(events[0].sequence, events[1].sequence);
  EXPECT_LT(events[1].sequence, events[2].sequence);
}

}  // namespace
}  // namespace millrace::objects

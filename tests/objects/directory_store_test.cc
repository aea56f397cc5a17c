#include "objects/directory_store.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <thread>

#include "base/hash.h"
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

class DirectoryStoreTest : public testing::Test {
 protected:
  DirectoryStoreTest() { reopen(); }
  void reopen() {
    store_.reset();
    DirectoryStoreOptions options;
    options.inline_bytes_max = 100;
    options.part_bytes_min = 10;
    options.put_bytes_max = 1 << 20;
    store_ = std::make_unique<DirectoryStore>(folder_.path() + "/objects", clock_, options);
  }
  PutResult put(const std::string& key, std::string_view bytes, WriteConditions conditions = {},
                Integrity integrity = {}) {
    PutSpec spec;
    spec.bucket = "bucket";
    spec.key = key;
    spec.headers = {{"content-type", "text/plain"}, {"x-amz-meta-a", "b"}};
    spec.conditions = conditions;
    spec.integrity = integrity;
    auto writer = store_->put(spec);
    for (size_t at = 0; at < bytes.size(); at += 1000) writer->write(bytes.substr(at, 1000));
    return writer->finish();
  }
  std::string get(const std::string& key) { return content_of(store_->open("bucket", key)); }
  PutResult put_part(const std::string& upload, int number, std::string_view bytes,
                     Integrity integrity = {}) {
    auto writer = store_->put_part({"bucket", "key", upload, number, integrity});
    writer->write(bytes);
    return writer->finish();
  }
  ListPage list(const std::string& prefix, const std::string& delimiter, const std::string& from = "",
                size_t max = 1000) {
    return store_->list("bucket", {prefix, delimiter, from, max});
  }

  TemporaryFolder folder_;
  base::ManualClock clock_{1'700'000'000'123};
  std::unique_ptr<DirectoryStore> store_;
};

TEST_F(DirectoryStoreTest, WhatIsPutIsReadBackAlsoAfterAReopen) {
  // Without this nothing else of the store matters.
  EXPECT_TRUE(store_->create_bucket("bucket", "us-east-1"));
  EXPECT_FALSE(store_->create_bucket("bucket", "us-east-1"));
  std::string large(300'000, 'x');
  EXPECT_EQ(put("empty", "").etag, "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(put("small", "hello").etag, base::md5_hex("hello"));
  EXPECT_EQ(put("large", large).etag, base::md5_hex(large));
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(get("empty"), "");
    EXPECT_EQ(get("small"), "hello");
    EXPECT_EQ(get("large"), large);
    ObjectRecord record = store_->head("bucket", "large");
    EXPECT_EQ(record.size, large.size());
    EXPECT_EQ(record.modified, 1'700'000'000'000) << "S3 keeps whole seconds";
    EXPECT_EQ(record.headers, (StoredHeaders{{"content-type", "text/plain"}, {"x-amz-meta-a", "b"}}));
    reopen();
  }
  EXPECT_EQ(folder_.files("objects/incoming"), 0u);
  EXPECT_EQ(folder_.files("objects/content"), 1u);
}

TEST_F(DirectoryStoreTest, ReplacedAndRemovedContentLeavesNoFiles) {
  // Without this the disk fills up with objects that nobody can see.
  store_->create_bucket("bucket", "us-east-1");
  std::string large(5000, 'x');
  put("a", large);
  put("a", large + "y");
  put("b", large);
  put("b", "small");
  put("c", large);
  store_->remove("bucket", "c", {}, {});
  store_->remove("bucket", "never there", {}, {});
  {
    store_->put({"bucket", "d", {}, {}, {}, {}})->write(large);
  }  // never finished
  EXPECT_EQ(get("a"), large + "y");
  EXPECT_EQ(get("b"), "small");
  EXPECT_EQ(code_of([&] { get("c"); }), "NoSuchKey");
  EXPECT_EQ(code_of([&] { get("d"); }), "NoSuchKey");
  reopen();
  EXPECT_EQ(folder_.files("objects/content"), 1u);
  EXPECT_EQ(folder_.files("objects/incoming"), 0u);
}

TEST_F(DirectoryStoreTest, AnOpenObjectStaysWholeWhenItIsReplaced) {
  // Without this a download mixes two versions.
  store_->create_bucket("bucket", "us-east-1");
  std::string old(5000, 'o');
  put("a", old);
  OpenObject object = store_->open("bucket", "a");
  put("a", std::string(5000, 'n'));
  EXPECT_EQ(content_of(std::move(object)), old);
}

TEST_F(DirectoryStoreTest, DigestsAreVerifiedBeforeAnythingIsStored) {
  // Without this a damaged upload is acknowledged.
  store_->create_bucket("bucket", "us-east-1");
  std::string data(5000, 'x');
  EXPECT_EQ(code_of([&] { put("a", data, {}, {base::md5("other"), {}, {}}); }), "BadDigest");
  for (ChecksumAlgorithm algorithm : kChecksumAlgorithms) {
    EXPECT_EQ(code_of([&] { put("a", data, {}, {{}, algorithm, checksum_of(algorithm, "other")}); }),
              "BadDigest");
    EXPECT_EQ(code_of([&] { store_->head("bucket", "a"); }), "NoSuchKey");
  }
  EXPECT_EQ(folder_.files("objects/incoming") + folder_.files("objects/content"), 0u);
  for (ChecksumAlgorithm algorithm : kChecksumAlgorithms) {
    Checksum expected{algorithm, false, base::base64(checksum_of(algorithm, data))};
    EXPECT_EQ(put("a", data, {}, {base::md5(data), algorithm, checksum_of(algorithm, data)}).checksum,
              expected);
    EXPECT_EQ(store_->head("bucket", "a").checksum, expected);
  }
}

TEST_F(DirectoryStoreTest, ConditionalWrites) {
  // Without this two writers that both believe to be first overwrite each other.
  store_->create_bucket("bucket", "us-east-1");
  EXPECT_EQ(code_of([&] { put("a", "1", {"*", false}); }), "NoSuchKey");
  std::string etag = put("a", "1", {"", true}).etag;
  EXPECT_EQ(code_of([&] { put("a", "2", {"", true}); }), "PreconditionFailed");
  EXPECT_EQ(code_of([&] { put("a", "2", {"0123", false}); }), "PreconditionFailed");
  EXPECT_EQ(get("a"), "1");
  put("a", "3", {etag, false});
  EXPECT_EQ(get("a"), "3");
  EXPECT_EQ(code_of([&] { store_->remove("bucket", "a", {etag, false}, {}); }), "PreconditionFailed");
  // Two that race: the condition is checked again where the change is made.
  auto first = store_->put({"bucket", "b", {}, {}, {"", true}, {}});
  auto second = store_->put({"bucket", "b", {}, {}, {"", true}, {}});
  first->write("first");
  second->write("second");
  first->finish();
  EXPECT_EQ(code_of([&] { second->finish(); }), "PreconditionFailed");
  EXPECT_EQ(get("b"), "first");
}

TEST_F(DirectoryStoreTest, BucketsAndTheirErrors) {
  // Without this clients that look at codes (aws s3 mb, Terraform) take the wrong path.
  EXPECT_EQ(code_of([&] { store_->bucket("bucket"); }), "NoSuchBucket");
  EXPECT_EQ(code_of([&] { put("a", ""); }), "NoSuchBucket");
  EXPECT_EQ(code_of([&] { list("", ""); }), "NoSuchBucket");
  for (const char* bad :
       {"ab", "Upper", "a_b", "-ab", "ab-", "a..b", "192.168.1.1", "xn--abc", "abc-s3alias"})
    EXPECT_EQ(code_of([&] { store_->create_bucket(bad, ""); }), "InvalidBucketName") << bad;
  EXPECT_EQ(code_of([&] { store_->create_bucket(std::string(64, 'a'), ""); }), "InvalidBucketName");
  store_->create_bucket("bucket", "eu-west-1");
  store_->create_bucket("another.bucket", "eu-west-1");
  EXPECT_EQ(store_->bucket("bucket").region, "eu-west-1");
  auto all = store_->buckets();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].name, "another.bucket");
  put("a", "");
  EXPECT_EQ(code_of([&] { store_->delete_bucket("bucket"); }), "BucketNotEmpty");
  store_->remove("bucket", "a", {}, {});
  std::string upload = store_->create_upload("bucket", "key", {}, {}, false);
  put_part(upload, 1, std::string(1000, 'x'));
  store_->delete_bucket("bucket");
  EXPECT_EQ(code_of([&] { store_->delete_bucket("bucket"); }), "NoSuchBucket");
  reopen();
  EXPECT_EQ(folder_.files("objects/content"), 0u);
}

TEST_F(DirectoryStoreTest, KeysAreBytesInByteOrder) {
  // Without this keys with odd bytes are lost, merged, or listed out of order, and a sync deletes what it
  // should not.
  store_->create_bucket("bucket", "us-east-1");
  std::set<std::string> keys = {"a",
                                "a/",
                                "a//b",
                                "a/../b",
                                "./a",
                                "/lead",
                                "a b",
                                "a+b",
                                "a%20b",
                                "a%",
                                "\xc3\xa4",
                                "\xf0\x9f\x98\x80",
                                "ctl\x01\n\r\t",
                                "\xff\xfe",
                                "quote\"<&>'",
                                "nul" + std::string(1, '\0') + "in",
                                std::string(1024, 'k'),
                                "A",
                                "~"};
  for (const std::string& key : keys) put(key, key);
  ListPage page = list("", "");
  std::vector<std::string> listed;
  for (auto& object : page.objects) listed.push_back(object.key);
  std::vector<std::string> expected(keys.begin(), keys.end());
  std::sort(expected.begin(), expected.end(), [](const std::string& a, const std::string& b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
      return static_cast<unsigned char>(x) < static_cast<unsigned char>(y);
    });
  });
  EXPECT_EQ(listed, expected);
  for (const std::string& key : keys) EXPECT_EQ(get(key), key);
  EXPECT_EQ(code_of([&] { put(std::string(1025, 'k'), ""); }), "KeyTooLongError");
  EXPECT_EQ(code_of([&] { put("", ""); }), "KeyTooLongError");
}

TEST_F(DirectoryStoreTest, ListingAgreesWithASimpleModel) {
  // Without this a page boundary inside a common prefix repeats or drops entries.
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  store_->create_bucket("bucket", "us-east-1");
  const std::string alphabet("ab/\xff", 4);
  auto random_text = [&](size_t max) {
    std::string text;
    for (size_t n = random() % (max + 1); n > 0; --n) text += alphabet[random() % alphabet.size()];
    return text;
  };
  std::set<std::string> keys;
  for (int i = 0; i < 120; ++i) {
    std::string key = random_text(6);
    if (!key.empty() && keys.insert(key).second) put(key, "");
  }
  for (int round = 0; round < 150; ++round) {
    std::string prefix = random_text(2), delimiter = random() % 3 == 0 ? "" : random() % 4 == 0 ? "//" : "/";
    std::set<std::string> expected_keys, expected_prefixes, got_keys, got_prefixes;
    for (const std::string& key : keys) {
      if (!key.starts_with(prefix)) continue;
      size_t at = delimiter.empty() ? std::string::npos : key.find(delimiter, prefix.size());
      if (at == std::string::npos)
        expected_keys.insert(key);
      else
        expected_prefixes.insert(key.substr(0, at + delimiter.size()));
    }
    size_t max = 1 + random() % 5;
    std::string from;
    for (int pages = 0; pages < 1000; ++pages) {
      ListPage page = list(prefix, delimiter, from, max);
      EXPECT_LE(page.objects.size() + page.common_prefixes.size(), max);
      for (auto& object : page.objects) EXPECT_TRUE(got_keys.insert(object.key).second) << object.key;
      for (auto& common : page.common_prefixes) EXPECT_TRUE(got_prefixes.insert(common).second) << common;
      if (!page.truncated) break;
      EXPECT_EQ(page.objects.size() + page.common_prefixes.size(), max);
      from = page.next_from;
    }
    EXPECT_EQ(got_keys, expected_keys) << "prefix " << prefix << " delimiter " << delimiter << " max " << max;
    EXPECT_EQ(got_prefixes, expected_prefixes) << "prefix " << prefix << " delimiter " << delimiter;
  }
  EXPECT_TRUE(list("", "", "", 0).objects.empty());
}

TEST_F(DirectoryStoreTest, AfterPrefix) {
  // Without this a common prefix that ends in 0xFF makes a listing end early or never.
  EXPECT_EQ(after_prefix("a/"), "a0");
  EXPECT_EQ(after_prefix("a\xff\xff"), "b");
  EXPECT_EQ(after_prefix("\xff"), std::nullopt);
}

TEST_F(DirectoryStoreTest, MultipartUpload) {
  // Without this every upload above 8 MiB of the usual clients fails, or is put together wrongly.
  store_->create_bucket("bucket", "us-east-1");
  std::string upload = store_->create_upload("bucket", "key", {{"content-type", "x/y"}}, {}, false);
  std::string one(500, '1'), two(50, '2'), three(3, '3');
  std::string e1 = put_part(upload, 1, one).etag, e3 = put_part(upload, 7, three).etag;
  put_part(upload, 2, "replaced soon");
  std::string e2 = put_part(upload, 2, two).etag;
  put_part(upload, 9, "uploaded, not wanted");
  EXPECT_EQ(store_->parts("bucket", "key", upload, 1, 2).size(), 2u);
  EXPECT_EQ(store_->uploads("bucket", "", "", "", "", 10).uploads.size(), 1u);
  auto complete = [&](std::vector<CompletedPart> parts) {
    return store_->complete_upload("bucket", "key", upload, parts, "", {}, {});
  };
  EXPECT_EQ(code_of([&] { complete({{2, e2, {}}, {1, e1, {}}}); }), "InvalidPartOrder");
  EXPECT_EQ(code_of([&] { complete({{1, e1, {}}, {1, e1, {}}}); }), "InvalidPartOrder");
  EXPECT_EQ(code_of([&] { complete({{1, e2, {}}}); }), "InvalidPart");
  EXPECT_EQ(code_of([&] { complete({{3, e1, {}}}); }), "InvalidPart");
  EXPECT_EQ(code_of([&] { complete({{7, e3, {}}, {9, base::md5_hex("uploaded, not wanted"), {}}}); }),
            "EntityTooSmall");
  EXPECT_EQ(code_of([&] { store_->head("bucket", "key"); }), "NoSuchKey");
  PutResult result = complete({{1, e1, {}}, {2, e2, {}}, {7, e3, {}}});
  EXPECT_EQ(result.etag, base::md5_hex(base::md5(one) + base::md5(two) + base::md5(three)) + "-3");
  EXPECT_EQ(get("key"), one + two + three);
  ObjectRecord record = store_->head("bucket", "key");
  EXPECT_EQ(record.part_sizes, (std::vector<uint64_t>{500, 50, 3}));
  EXPECT_EQ(record.headers, (StoredHeaders{{"content-type", "x/y"}}));
  EXPECT_EQ(code_of([&] { complete({{1, e1, {}}}); }), "NoSuchUpload");
  EXPECT_EQ(code_of([&] { put_part(upload, 1, "late"); }), "NoSuchUpload");
  reopen();
  EXPECT_EQ(get("key"), one + two + three);
  EXPECT_EQ(folder_.files("objects/content"), 1u);
}

TEST_F(DirectoryStoreTest, MultipartChecksums) {
  // Without this the checksum of a large object is none that a client could verify.
  store_->create_bucket("bucket", "us-east-1");
  std::string one(5000, '1'), two(60, '2');
  for (ChecksumAlgorithm algorithm : kChecksumAlgorithms) {
    bool is_sha = algorithm == ChecksumAlgorithm::kSha1 || algorithm == ChecksumAlgorithm::kSha256;
    for (bool full : {false, true}) {
      if (full && is_sha) continue;
      std::string upload = store_->create_upload("bucket", "key", {}, algorithm, full);
      PutResult p1 = put_part(upload, 1, one), p2 = put_part(upload, 2, two);
      std::string expected = full ? base::base64(checksum_of(algorithm, one + two))
                                  : base::base64(checksum_of(algorithm, checksum_of(algorithm, one) +
                                                                            checksum_of(algorithm, two))) +
                                        "-2";
      auto complete = [&](const std::string& checksum) {
        return store_->complete_upload("bucket", "key", upload, {{1, p1.etag, p1.checksum}, {2, p2.etag, {}}},
                                       checksum, {}, {});
      };
      EXPECT_EQ(code_of([&] { complete("AAAAAA=="); }), "BadDigest");
      EXPECT_EQ(complete(expected).checksum, (Checksum{algorithm, !full, expected}));
    }
  }
}

TEST_F(DirectoryStoreTest, AbortedUploadsLeaveNothing) {
  // Without this unfinished uploads keep the disk full for ever.
  store_->create_bucket("bucket", "us-east-1");
  std::string upload = store_->create_upload("bucket", "key", {}, {}, false);
  put_part(upload, 1, std::string(1000, 'x'));
  auto late = store_->put_part({"bucket", "key", upload, 2, {}});
  late->write(std::string(1000, 'y'));
  EXPECT_EQ(code_of([&] { store_->abort_upload("bucket", "other", upload); }), "NoSuchUpload");
  store_->abort_upload("bucket", "key", upload);
  EXPECT_EQ(code_of([&] { late->finish(); }), "NoSuchUpload");
  EXPECT_EQ(code_of([&] { store_->abort_upload("bucket", "key", upload); }), "NoSuchUpload");
  late.reset();
  reopen();
  EXPECT_EQ(folder_.files("objects/content") + folder_.files("objects/incoming"), 0u);
}

TEST_F(DirectoryStoreTest, Copies) {
  // Without this a server-side copy shares its fate with the original, or keeps a multipart ETag that S3
  // would not.
  store_->create_bucket("bucket", "us-east-1");
  std::string large(5000, 'x');
  auto copy = [&](const std::string& from, const std::string& to,
                  std::optional<ChecksumAlgorithm> algorithm = {}) {
    return store_->copy("bucket", from, store_->head("bucket", from).etag, {"bucket", to, {}, {}, {}, {}},
                        algorithm, false);
  };
  for (const std::string& content : {std::string(), std::string("small"), large}) {
    put("from", content);
    EXPECT_EQ(copy("from", "to").etag, base::md5_hex(content));
    EXPECT_EQ(copy("from", "summed", ChecksumAlgorithm::kSha256).checksum->value,
              base::base64(base::sha256(content)));
    store_->remove("bucket", "from", {}, {});
    EXPECT_EQ(get("to"), content);
    EXPECT_EQ(get("summed"), content);
    EXPECT_EQ(store_->head("bucket", "to").headers.size(), 2u);
  }
  std::string upload = store_->create_upload("bucket", "key", {}, {}, false);
  std::string e1 = put_part(upload, 1, large).etag, e2 = put_part(upload, 2, "tail").etag;
  store_->complete_upload("bucket", "key", upload, {{1, e1, {}}, {2, e2, {}}}, "", {}, {});
  EXPECT_EQ(copy("key", "one piece").etag, base::md5_hex(large + "tail"));
  EXPECT_EQ(copy("one piece", "one piece").etag, base::md5_hex(large + "tail")) << "onto itself";
  EXPECT_EQ(get("one piece"), large + "tail");
  EXPECT_EQ(
      code_of([&] { store_->copy("bucket", "key", "stale", {"bucket", "to", {}, {}, {}, {}}, {}, false); }),
      "PreconditionFailed");
}

TEST_F(DirectoryStoreTest, EventsComeInCommitOrderWithRisingSequences) {
  // Without this a rule fires for an object that is not there, or applies changes of one key in the wrong
  // order.
  std::vector<ObjectEvent> events;
  store_->set_observer([&](const ObjectEvent& event) {
    if (event.kind == ObjectEvent::Kind::kCreated) {
      EXPECT_EQ(store_->head(event.bucket, event.key).etag, event.etag);
    }
    events.push_back(event);
  });
  store_->create_bucket("bucket", "us-east-1");
  put("a", "1");
  put("a", "22");
  code_of([&] { put("a", "3", {"", true}); });
  store_->remove("bucket", "a", {}, {"me", "1.2.3.4", "id"});
  store_->remove("bucket", "a", {}, {});
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[1].size, 2u);
  EXPECT_EQ(events[2].reason, "DeleteObject");
  EXPECT_EQ(events[2].requester, "me");
  EXPECT_LT(events[0].sequence, events[1].sequence);
  EXPECT_LT(events[1].sequence, events[2].sequence);
  int64_t last = events[2].sequence;
  reopen();
  put("a", "4");
  EXPECT_GT(store_->head("bucket", "a").sequence, last);
}

TEST_F(DirectoryStoreTest, ManyWritersAtOnce) {
  // Without this the group commit loses or mixes changes of concurrent writers.
  store_->create_bucket("bucket", "us-east-1");
  std::vector<std::thread> writers;
  for (int t = 0; t < 8; ++t)
    writers.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        std::string key = std::to_string(t) + "/" + std::to_string(i);
        put(key, key + std::string(i % 2 ? 500 : 5, 'x'));
        put("shared", std::string(1000, static_cast<char>('a' + t)));
        std::string shared = get("shared");
        EXPECT_EQ(shared, std::string(1000, shared[0])) << "a mix of two writers";
        EXPECT_TRUE(get(key).starts_with(key));
      }
    });
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(list("", "").objects.size(), 8 * 20 + 1u);
  reopen();
  EXPECT_EQ(folder_.files("objects/content"), 8 * 10 + 1u);
}

TEST_F(DirectoryStoreTest, OneProcessOnly) {
  // Without this two engines on one folder corrupt each other's objects.
  EXPECT_THROW(DirectoryStore(folder_.path() + "/objects", clock_), base::ConflictError);
}

TEST_F(DirectoryStoreTest, ReaderReadsABucket) {
  // Without this jobs inside the engine cannot read what was put.
  store_->create_bucket("bucket", "us-east-1");
  std::string etag = put("a/b", std::string(400, 'z') + "end").etag;
  auto reader = store_->reader("bucket");
  char out[10];
  EXPECT_EQ(reader->read("a/b", 400, out, 10, etag), 3u);
  EXPECT_EQ(std::string(out, 3), "end");
  EXPECT_EQ(reader->read("a/b", 999, out, 10, ""), 0u);
  EXPECT_THROW(reader->read("a/b", 0, out, 10, "stale"), base::ConflictError);
  int count = 0;
  reader->list("a/", [&](const ObjectInfo& info) { return info.key == "a/b" && ++count; });
  EXPECT_EQ(count, 1);
  EXPECT_EQ(reader->url(), "s3://bucket");
}

}  // namespace
}  // namespace millrace::objects

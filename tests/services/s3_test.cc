#include <gtest/gtest.h>

#include <fstream>

#include "base/hash.h"
#include "base/url.h"
#include "tests/services/s3_server.h"

namespace millrace::services {
namespace {

using objects::checksum_of;
using objects::ChecksumAlgorithm;

using S3Test = S3Server;

TEST_F(S3Test, PutGetHeadDelete) {
  // Without this no client can store anything.
  for (const std::string& body : {std::string(), std::string("hello"), std::string(300'000, 'x')}) {
    http::ClientResponse put =
        send("PUT", "/bucket/dir/a%20b%2Bc//x", body, {{"Content-Type", "text/x"}, {"x-amz-meta-Who", "me"}});
    EXPECT_EQ(put.status, 200) << put.body;
    EXPECT_EQ(put.headers.get("etag"), '"' + base::md5_hex(body) + '"');
    http::ClientResponse get = send("GET", "/bucket/dir/a%20b%2Bc//x");
    EXPECT_EQ(get.status, 200);
    EXPECT_EQ(get.body, body);
    EXPECT_EQ(get.headers.get("content-type"), "text/x");
    EXPECT_EQ(get.headers.get("x-amz-meta-who"), "me");
    EXPECT_EQ(get.headers.get("accept-ranges"), "bytes");
    EXPECT_TRUE(base::parse_http_date(get.headers.get("last-modified")));
    http::ClientResponse head = send("HEAD", "/bucket/dir/a%20b%2Bc//x");
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.headers.get("content-length"), std::to_string(body.size()));
    EXPECT_EQ(store_.list("bucket", {}).objects.at(0).key, "dir/a b+c//x");
  }
  EXPECT_EQ(send("DELETE", "/bucket/dir/a%20b%2Bc//x").status, 204);
  EXPECT_EQ(send("DELETE", "/bucket/dir/a%20b%2Bc//x").status, 204);
  expect_error(send("GET", "/bucket/dir/a%20b%2Bc//x"), 404, "NoSuchKey");
  EXPECT_EQ(send("HEAD", "/bucket/nope").status, 404);
  expect_error(send("GET", "/nobucket/x"), 404, "NoSuchBucket");
  expect_error(send("PUT", "/nobucket/x", "y"), 404, "NoSuchBucket");
}

TEST_F(S3Test, RangesAndConditions) {
  // Without this readers of headers get wrong bytes, and caches never a 304.
  std::string small = "0123456789", large;
  for (int i = 0; i < 500; ++i) large += small;
  for (const std::string& body : {small, large}) {
    std::string etag(send("PUT", "/bucket/k", body).headers.get("etag"));
    std::string size = std::to_string(body.size());
    auto get = [&](const Fields& fields) { return send("GET", "/bucket/k", "", fields); };
    struct Case {
      const char* range;
      uint64_t offset, length;
    };
    for (const Case& c :
         {Case{"bytes=0-0", 0, 1}, Case{"bytes=3-5", 3, 3}, Case{"bytes=7-", 7, body.size() - 7},
          Case{"bytes=-4", body.size() - 4, 4}, Case{"bytes=5-99999999", 5, body.size() - 5},
          Case{"bytes=-99999999", 0, body.size()}}) {
      http::ClientResponse r = get({{"Range", c.range}});
      EXPECT_EQ(r.status, 206) << c.range;
      EXPECT_EQ(r.body, body.substr(c.offset, c.length)) << c.range;
      EXPECT_EQ(r.headers.get("content-range"), "bytes " + std::to_string(c.offset) + "-" +
                                                    std::to_string(c.offset + c.length - 1) + "/" + size);
    }
    for (const char* ignored : {"bytes=5-3", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4"})
      EXPECT_EQ(get({{"Range", ignored}}).status, 200) << ignored;
    expect_error(get({{"Range", "bytes=" + size + "-"}}), 416, "InvalidRange");
    expect_error(get({{"Range", "bytes=-0"}}), 416, "InvalidRange");
    EXPECT_EQ(get({{"If-Match", etag}}).status, 200);
    EXPECT_EQ(get({{"If-Match", "\"x\", " + etag}}).status, 200);
    expect_error(get({{"If-Match", "\"x\""}}), 412, "PreconditionFailed");
    EXPECT_EQ(get({{"If-None-Match", etag}}).status, 304);
    EXPECT_EQ(get({{"If-None-Match", "\"x\""}}).status, 200);
    std::string past = "Sat, 01 Jan 2000 00:00:00 GMT", future = "Fri, 01 Jan 2100 00:00:00 GMT";
    EXPECT_EQ(get({{"If-Modified-Since", past}}).status, 200);
    EXPECT_EQ(get({{"If-Modified-Since", future}}).status, 304);
    expect_error(get({{"If-Unmodified-Since", past}}), 412, "PreconditionFailed");
    EXPECT_EQ(get({{"If-Unmodified-Since", past}, {"If-Match", etag}}).status, 200) << "If-Match wins";
    EXPECT_EQ(get({{"If-Modified-Since", future}, {"If-None-Match", "\"x\""}}).status, 200)
        << "If-None-Match wins";
    expect_error(send("PUT", "/bucket/k", "z", {{"If-None-Match", "*"}}), 412, "PreconditionFailed");
    expect_error(send("PUT", "/bucket/k", "z", {{"If-None-Match", "\"etag\""}}), 501, "NotImplemented");
  }
}

TEST_F(S3Test, ChecksumsOfAnyKindAreVerifiedAndShown) {
  // Without this the default uploads of new SDKs fail, or damaged ones pass.
  std::string body(2000, 'q');
  expect_error(send("PUT", "/bucket/k", body, {{"Content-MD5", base::base64(base::md5("z"))}}), 400,
               "BadDigest");
  expect_error(send("PUT", "/bucket/k", body, {{"Content-MD5", "nonsense"}}), 400, "InvalidDigest");
  expect_error(send("PUT", "/bucket/k", body, {{"x-amz-content-sha256", base::sha256_hex("z")}}), 400,
               "XAmzContentSHA256Mismatch");
  for (ChecksumAlgorithm algorithm : objects::kChecksumAlgorithms) {
    std::string name = objects::checksum_header(algorithm);
    expect_error(send("PUT", "/bucket/k", body, {{name, base::base64(checksum_of(algorithm, "z"))}}), 400,
                 "BadDigest");
    expect_error(send("PUT", "/bucket/k", body, {{name, "AAA"}}), 400, "InvalidRequest");
    EXPECT_EQ(send("HEAD", "/bucket/k").status, 404);
    std::string value = base::base64(checksum_of(algorithm, body));
    EXPECT_EQ(send("PUT", "/bucket/k", body, {{name, value}}).headers.get(name), value);
    EXPECT_EQ(send("GET", "/bucket/k", "", {{"x-amz-checksum-mode", "ENABLED"}}).headers.get(name), value);
    EXPECT_EQ(send("GET", "/bucket/k").headers.get(name), "");
    // aws-chunked with the checksum as a trailer, the framing cut anywhere.
    auto framed = [&](const std::string& checksum) {
      return "3e8\r\n" + body.substr(0, 1000) + "\r\n3e8\r\n" + body.substr(1000) + "\r\n0\r\n" + name + ":" +
             checksum + "\r\n\r\n";
    };
    Fields fields = {{"x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"},
                     {"x-amz-trailer", name},
                     {"x-amz-decoded-content-length", "2000"},
                     {"Content-Encoding", "gzip, aws-chunked"}};
    expect_error(send("PUT", "/bucket/t", framed(base::base64(checksum_of(algorithm, "z"))), fields), 400,
                 "BadDigest");
    EXPECT_EQ(send("HEAD", "/bucket/t").status, 404);
    EXPECT_EQ(send("PUT", "/bucket/t", framed(value), fields).status, 200);
    http::ClientResponse get = send("GET", "/bucket/t");
    EXPECT_EQ(get.body, body);
    EXPECT_EQ(get.headers.get("content-encoding"), "gzip");
    for (const char* key : {"/bucket/k", "/bucket/t"}) send("DELETE", key);
  }
}

TEST_F(S3Test, Buckets) {
  // Without this `aws s3 mb`, `ls` and Terraform's reads fail.
  EXPECT_EQ(send("PUT", "/new-bucket").status, 200);
  EXPECT_EQ(send("PUT", "/new-bucket").status, 200) << "us-east-1 allows it twice";
  expect_error(send("PUT", "/Bad_Name"), 400, "InvalidBucketName");
  EXPECT_EQ(send("HEAD", "/new-bucket").status, 200);
  EXPECT_EQ(send("HEAD", "/new-bucket").headers.get("x-amz-bucket-region"), "us-east-1");
  EXPECT_EQ(send("HEAD", "/no-bucket").status, 404);
  std::string all = send("GET", "/").body;
  EXPECT_NE(all.find("<Name>bucket</Name>"), std::string::npos) << all;
  EXPECT_NE(all.find("<Name>new-bucket</Name>"), std::string::npos) << all;
  std::string location = send("GET", "/new-bucket?location").body;
  EXPECT_NE(location.find("<LocationConstraint xmlns="), std::string::npos) << location;
  EXPECT_EQ(location.find("us-east-1"), std::string::npos) << location;
  EXPECT_EQ(send("GET", "/new-bucket?versioning").status, 200);
  send("PUT", "/new-bucket/x", "y");
  expect_error(send("DELETE", "/new-bucket"), 409, "BucketNotEmpty");
  send("DELETE", "/new-bucket/x");
  EXPECT_EQ(send("DELETE", "/new-bucket").status, 204);
  expect_error(send("DELETE", "/new-bucket"), 404, "NoSuchBucket");
  expect_error(send("GET", "/bucket?session"), 501, "NotImplemented");
}

TEST_F(S3Test, ListingsInBothVersions) {
  // Without this `aws s3 ls` and sync see other keys than there are.
  for (const char* key : {"a/1", "a/2", "a+b", "b%20", "c", "%C3%A4/x"})
    EXPECT_EQ(send("PUT", "/bucket/" + base::percent_encode(base::percent_decode(key), true), "v").status,
              200);
  std::string v2 = send("GET", "/bucket?list-type=2&delimiter=%2F&encoding-type=url").body;
  EXPECT_EQ(element(v2, "KeyCount"), "5") << v2;
  EXPECT_NE(v2.find("<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>"), std::string::npos) << v2;
  EXPECT_NE(v2.find("<Key>a%2Bb</Key>"), std::string::npos) << v2;
  EXPECT_NE(v2.find("<Prefix>%C3%A4/</Prefix>"), std::string::npos) << v2;
  EXPECT_EQ(element(v2, "IsTruncated"), "false");
  // Page by page, one entry each.
  for (const char* delimiter : {"", "&delimiter=%2F"}) {
    std::string token, seen;
    for (int page = 0; page < 20; ++page) {
      std::string body =
          send("GET", "/bucket?list-type=2&max-keys=1" + std::string(delimiter) +
                          (token.empty() ? "" : "&continuation-token=" + base::percent_encode(token)))
              .body;
      seen += element(body, "Key") + element(element(body, "CommonPrefixes"), "Prefix") + ",";
      token = element(body, "NextContinuationToken");
      EXPECT_EQ(element(body, "IsTruncated"), token.empty() ? "false" : "true");
      if (token.empty()) break;
    }
    EXPECT_EQ(seen, *delimiter ? "a+b,a/,b ,c,\xc3\xa4/," : "a+b,a/1,a/2,b ,c,\xc3\xa4/x,");
  }
  std::string v1 = send("GET", "/bucket?max-keys=2&delimiter=%2F").body;
  EXPECT_EQ(element(v1, "NextMarker"), "a/") << v1;
  v1 = send("GET", "/bucket?max-keys=1&delimiter=%2F&marker=a%2F").body;
  EXPECT_EQ(element(v1, "Key"), "b ") << v1;
  v2 = send("GET", "/bucket?list-type=2&start-after=a%2F1").body;
  EXPECT_EQ(element(v2, "Key"), "a/2") << v2;
  EXPECT_EQ(element(send("GET", "/bucket?list-type=2&max-keys=0").body, "KeyCount"), "0");
  expect_error(send("GET", "/bucket?list-type=2&continuation-token=%21%21"), 400, "InvalidArgument");
  expect_error(send("GET", "/nobucket?list-type=2"), 404, "NoSuchBucket");
}

TEST_F(S3Test, DeleteObjectsAndCopies) {
  // Without this `aws s3 rm --recursive` and server-side copies fail.
  for (const char* key : {"x", "y", "z"})
    send("PUT", std::string("/bucket/") + key, "data", {{"x-amz-meta-a", "1"}});
  std::string body =
      "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key>x</Key></Object>"
      "<Object><Key>never</Key></Object></Delete>";
  expect_error(send("POST", "/bucket?delete", body), 400, "InvalidRequest");
  expect_error(send("POST", "/bucket?delete", body, {{"Content-MD5", base::base64(base::md5("z"))}}), 400,
               "BadDigest");
  http::ClientResponse deleted =
      send("POST", "/bucket?delete", body,
           {{"x-amz-checksum-crc32", base::base64(checksum_of(ChecksumAlgorithm::kCrc32, body))}});
  EXPECT_EQ(deleted.status, 200) << deleted.body;
  EXPECT_NE(deleted.body.find("<Key>never</Key>"), std::string::npos) << deleted.body;
  EXPECT_EQ(send("HEAD", "/bucket/x").status, 404);
  for (const char* source : {"/bucket/y", "bucket/y", "bucket%2Fy"}) {
    http::ClientResponse copy = send("PUT", "/bucket/copy", "", {{"x-amz-copy-source", source}});
    EXPECT_EQ(copy.status, 200) << copy.body;
    EXPECT_EQ(element(copy.body, "ETag").find(base::md5_hex("data")) != std::string::npos, true) << copy.body;
  }
  EXPECT_EQ(send("GET", "/bucket/copy").headers.get("x-amz-meta-a"), "1");
  EXPECT_EQ(
      send(
          "PUT", "/bucket/copy", "",
          {{"x-amz-copy-source", "bucket/y"}, {"x-amz-metadata-directive", "REPLACE"}, {"x-amz-meta-b", "2"}})
          .status,
      200);
  EXPECT_EQ(send("GET", "/bucket/copy").headers.get("x-amz-meta-a"), "");
  EXPECT_EQ(send("GET", "/bucket/copy").headers.get("x-amz-meta-b"), "2");
  expect_error(send("PUT", "/bucket/y", "", {{"x-amz-copy-source", "bucket/y"}}), 400, "InvalidRequest");
  expect_error(send("PUT", "/bucket/q", "", {{"x-amz-copy-source", "bucket/gone"}}), 404, "NoSuchKey");
  expect_error(send("PUT", "/bucket/q", "",
                    {{"x-amz-copy-source", "bucket/y"}, {"x-amz-copy-source-if-match", "\"no\""}}),
               412, "PreconditionFailed");
}

TEST_F(S3Test, MultipartThroughTheProtocol) {
  // Without this every upload above 8 MiB of the CLI fails.
  std::string id = element(send("POST", "/bucket/big?uploads").body, "UploadId");
  ASSERT_FALSE(id.empty());
  std::string one(5 << 20, '1'), two = "tail";
  std::string e1(send("PUT", "/bucket/big?partNumber=1&uploadId=" + id, one).headers.get("etag"));
  send("PUT", "/bucket/tail", "a tail b");
  http::ClientResponse copied =
      send("PUT", "/bucket/big?partNumber=2&uploadId=" + id, "",
           {{"x-amz-copy-source", "bucket/tail"}, {"x-amz-copy-source-range", "bytes=2-5"}});
  EXPECT_EQ(copied.status, 200) << copied.body;
  expect_error(send("PUT", "/bucket/big?partNumber=2&uploadId=" + id, "",
                    {{"x-amz-copy-source", "bucket/tail"}, {"x-amz-copy-source-range", "bytes=2-50"}}),
               400, "InvalidArgument");
  std::string parts = send("GET", "/bucket/big?uploadId=" + id).body;
  EXPECT_NE(parts.find("<PartNumber>2</PartNumber>"), std::string::npos) << parts;
  EXPECT_NE(send("GET", "/bucket?uploads").body.find(id), std::string::npos);
  auto complete = [&](const std::string& second) {
    return send("POST", "/bucket/big?uploadId=" + id,
                "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + e1 +
                    "</ETag></Part><Part><PartNumber>2</PartNumber><ETag>" + second +
                    "</ETag></Part></CompleteMultipartUpload>");
  };
  expect_error(complete("\"0\""), 400, "InvalidPart");
  expect_error(send("POST", "/bucket/big?uploadId=" + id, "<CompleteMultipartUpload/>"), 400, "MalformedXML");
  http::ClientResponse done = complete(base::md5_hex(two));
  EXPECT_EQ(done.status, 200) << done.body;
  EXPECT_NE(done.body.find(base::md5_hex(base::md5(one) + base::md5(two)) + "-2"), std::string::npos)
      << done.body;
  EXPECT_EQ(send("GET", "/bucket/big").body, one + two);
  http::ClientResponse second = send("GET", "/bucket/big?partNumber=2");
  EXPECT_EQ(second.status, 206);
  EXPECT_EQ(second.body, two);
  EXPECT_EQ(second.headers.get("x-amz-mp-parts-count"), "2");
  expect_error(complete(base::md5_hex(two)), 404, "NoSuchUpload");
  expect_error(send("DELETE", "/bucket/big?uploadId=" + id), 404, "NoSuchUpload");
}

TEST_F(S3Test, OurClientWithVerifiedSignatures) {
  // Without this `millrace scan s3://` and the upload of ./run do not work against our own endpoint.
  objects::S3Client client = s3_client();
  EXPECT_TRUE(client.bucket_exists());
  client.create_bucket();
  std::string odd = "dir//a b+c%41/../\xc3\xa4?#&=\x01";
  std::string etag = client.put(odd, "0123456789", "text/plain", {{"who", "me"}});
  EXPECT_EQ(etag, base::md5_hex("0123456789"));
  for (int i = 0; i < 5; ++i) client.put("list/" + std::to_string(i), "x");
  std::vector<std::string> keys;
  client.list("", [&](const objects::ObjectInfo& info) {
    keys.push_back(info.key);
    return true;
  });
  EXPECT_EQ(keys, (std::vector<std::string>{odd, "list/0", "list/1", "list/2", "list/3", "list/4"}));
  EXPECT_EQ(client.head(odd).size, 10u);
  EXPECT_EQ(client.head(odd).etag, etag);
  char out[16];
  EXPECT_EQ(client.read(odd, 4, out, 3, etag), 3u);
  EXPECT_EQ(std::string(out, 3), "456");
  EXPECT_EQ(client.read(odd, 8, out, 16, ""), 2u);
  EXPECT_EQ(client.read(odd, 10, out, 16, ""), 0u);
  EXPECT_THROW(client.read(odd, 0, out, 1, "stale"), base::ConflictError);
  EXPECT_THROW(client.head("nope"), base::NotFoundError);
  EXPECT_THROW(client.read("nope", 0, out, 1, ""), base::NotFoundError);
  std::string big(11 << 20, 'b');
  for (size_t i = 0; i < big.size(); i += 4096) big[i] = static_cast<char>(i >> 12);
  std::ofstream(folder_.path() + "/big", std::ios::binary) << big;
  uint64_t sent = 0;
  std::string parts_etag =
      client.put_file("big", folder_.path() + "/big", "x/y", [&](uint64_t n) { sent += n; });
  EXPECT_TRUE(parts_etag.ends_with("-3")) << parts_etag;
  EXPECT_EQ(sent, big.size());
  EXPECT_EQ(send("GET", "/bucket/big").body, big);
  EXPECT_TRUE(store_.uploads("bucket", "", "", "", "", 10).uploads.empty());
}

TEST_F(S3Test, AFailedUploadIsAborted) {
  // Without this every broken upload leaves its parts on the disk.
  objects::S3Client client = s3_client();
  std::ofstream(folder_.path() + "/big", std::ios::binary) << std::string(11 << 20, 'b');
  EXPECT_THROW(client.put_file("big", folder_.path() + "/big", "",
                               [](uint64_t) { throw base::UsageError("stopped by the user"); }),
               base::UsageError);
  EXPECT_TRUE(store_.uploads("bucket", "", "", "", "", 10).uploads.empty());
  EXPECT_THROW(client.put_file("x", folder_.path() + "/none"), base::NotFoundError);
}

}  // namespace
}  // namespace millrace::services

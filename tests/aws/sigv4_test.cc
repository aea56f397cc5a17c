// Without this a request could be accepted that its owner never signed, or refused though AWS would take it.
#include "aws/sigv4.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "base/hash.h"
#include "base/url.h"

namespace millrace::aws {
namespace {

const Credentials kKey{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "", {}};
const base::TimeMs kThen = *base::parse_amz_date("20130524T000000Z");

http::RequestHead head_of(const http::ClientRequest& request) {
  base::Url url = base::parse_url(request.url);
  http::RequestHead head;
  head.method = request.method;
  head.path = url.path;
  head.query = url.query;
  head.headers = request.headers;
  head.headers.add("Host", url.authority());
  return head;
}

std::string code_of(const http::RequestHead& head, const std::string& body, Dialect dialect, base::TimeMs now,
                    const std::string& secret = kKey.secret_access_key) {
  try {
    auto claim = parse_claim(head, dialect);
    if (!claim) return "anonymous";
    Verifier verifier;
    verifier.verify(*claim, head, base::sha256_hex(body), secret, now);
  } catch (const ApiError& error) {
    return error.code();
  }
  return "accepted";
}

TEST(SigV4, ThePublishedS3Examples) {
  struct {
    const char *method, *path, *signature;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
  } cases[] = {
      {"GET", "/?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", {}, ""},
      {"GET",
       "/?max-keys=2&prefix=J",
       "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
       {},
       ""},
  };
  for (const auto& each : cases) {
    http::ClientRequest request;
    request.method = each.method;
    request.url = std::string("https://examplebucket.s3.amazonaws.com") + each.path;
    sign(request, kKey, "us-east-1", "s3", kThen);
    EXPECT_NE(request.headers.get("authorization").find(std::string("Signature=") + each.signature),
              std::string::npos)
        << each.path;
    EXPECT_EQ(code_of(head_of(request), "", Dialect::kS3, kThen), "accepted");
  }
  // Range and Date are signed here, which our own signer leaves out.
  http::RequestHead ranged;
  ranged.method = "GET";
  ranged.path = "/test.txt";
  ranged.headers.add("Host", "examplebucket.s3.amazonaws.com");
  ranged.headers.add("Range", "bytes=0-9");
  ranged.headers.add("x-amz-content-sha256", std::string(kEmptySha256));
  ranged.headers.add("x-amz-date", "20130524T000000Z");
  ranged.headers.add("Authorization",
                     "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                     "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
                     "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  EXPECT_EQ(code_of(ranged, "", Dialect::kS3, kThen), "accepted");
  EXPECT_NE(
      presign("GET", "https://examplebucket.s3.amazonaws.com/test.txt", kKey, "us-east-1", "s3", kThen, 86400)
          .find("aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"),
      std::string::npos);
}

TEST(SigV4, TimeAndKeyErrorsByDialect) {
  http::ClientRequest request;
  request.method = "POST";
  request.url = "http://127.0.0.1:4600/v1/submitjob";
  request.body = "{}";
  sign(request, kKey, "us-east-1", "batch", kThen);
  http::RequestHead head = head_of(request);
  EXPECT_EQ(claimed_service(head), "batch");
  constexpr base::TimeMs kMinute = 60'000;
  EXPECT_EQ(code_of(head, "{}", Dialect::kRestJson, kThen + 15 * kMinute), "accepted");
  EXPECT_EQ(code_of(head, "{}", Dialect::kRestJson, kThen - 15 * kMinute), "accepted");
  EXPECT_EQ(code_of(head, "{}", Dialect::kRestJson, kThen + 15 * kMinute + 1), "InvalidSignatureException");
  EXPECT_EQ(code_of(head, "{}", Dialect::kRestJson, kThen - 15 * kMinute - 1000),
            "InvalidSignatureException");
  EXPECT_EQ(code_of(head, "{ }", Dialect::kRestJson, kThen), "InvalidSignatureException");
  EXPECT_EQ(code_of(head, "{}", Dialect::kQuery, kThen, "another"), "SignatureDoesNotMatch");
  try {
    Verifier().verify(*parse_claim(head, Dialect::kJson), head, base::sha256_hex("{}"),
                      kKey.secret_access_key, *base::parse_amz_date("20130524T010000Z"));
    FAIL();
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status, 400);
    EXPECT_STREQ(error.what(),
                 "Signature expired: 20130524T000000Z is now earlier than 20130524T004500Z (20130524T010000Z "
                 "- 15 min.)");
  }
  request = {};
  request.url = "http://127.0.0.1:4600/bucket/key";
  sign(request, kKey, "us-east-1", "s3", kThen);
  EXPECT_EQ(code_of(head_of(request), "", Dialect::kS3, kThen + 16 * kMinute), "RequestTimeTooSkewed");
  EXPECT_EQ(code_of(head_of(request), "x", Dialect::kS3, kThen), "XAmzContentSHA256Mismatch");
  head = head_of(request);
  head.headers.add("X-Amz-Acl", "public-read");
  EXPECT_EQ(code_of(head, "", Dialect::kS3, kThen), "AccessDenied");
  head = {};
  EXPECT_EQ(code_of(head, "", Dialect::kS3, kThen), "anonymous");
  head.headers.add("Authorization", "AWS AKID:sig");
  EXPECT_EQ(code_of(head, "", Dialect::kS3, kThen), "InvalidRequest");
  head.headers.set("Authorization", "AWS4-HMAC-SHA256 Credential=a/b");
  EXPECT_EQ(code_of(head, "", Dialect::kS3, kThen), "AuthorizationHeaderMalformed");
  EXPECT_EQ(code_of(head, "", Dialect::kRestJson, kThen), "IncompleteSignatureException");
}

TEST(SigV4, PresignedUrlsEndWhenTheySay) {
  http::ClientRequest request;
  auto code = [&](int64_t expires_s, base::TimeMs now, const std::string& replace_with = "") {
    request.url = presign("GET", "http://localhost:4600/b/a//./k%20y?versionId=1", kKey, "us-east-1", "s3",
                          kThen, expires_s);
    if (!replace_with.empty())
      request.url.replace(request.url.find("X-Amz-Expires="), 17, "X-Amz-Expires=" + replace_with);
    return code_of(head_of(request), "", Dialect::kS3, now);
  };
  EXPECT_EQ(code(100, kThen + 100'000), "accepted");
  EXPECT_EQ(code(100, kThen + 100'001), "AccessDenied");
  EXPECT_EQ(code(100, kThen + 1, "604801"), "AuthorizationQueryParametersError");
  EXPECT_EQ(code(100, kThen + 1, "x"), "AuthorizationQueryParametersError");
  EXPECT_EQ(code(100, kThen + 1, "200"), "SignatureDoesNotMatch");
  EXPECT_THROW(presign("GET", "http://a/", kKey, "r", "s3", kThen, 604801), base::UsageError);
}

TEST(SigV4, AFlippedByteAnywhereIsRefused) {
  for (unsigned seed = 1; seed <= 400; ++seed) {
    std::mt19937 random(seed);
    bool is_s3 = seed % 2;
    Dialect dialect = is_s3 ? Dialect::kS3 : Dialect::kJson;
    http::ClientRequest request;
    request.method = "PUT";
    request.url = "http://127.0.0.1:4600/bucket/some/key?alpha=1&beta=two";
    request.headers.add("Content-Type", "application/x-amz-json-1.1");
    request.headers.add("X-Amz-Target", "Logs_20140328.GetLogEvents");
    request.body = "{\"logGroupName\":\"/aws/batch/job\"}";
    sign(request, kKey, "us-east-1", is_s3 ? "s3" : "logs", kThen);
    http::RequestHead head = head_of(request);
    std::string body = request.body;
    ASSERT_EQ(code_of(head, body, dialect, kThen), "accepted");
    auto flip = [&](std::string& text, size_t from = 0) {
      text[from + random() % (text.size() - from)] ^= 1;
    };
    auto flip_header = [&](const char* name) {
      std::string value(head.headers.get(name));
      flip(value, std::string_view(name) == "Authorization" ? value.size() - 64 : 0);
      head.headers.set(name, value);
    };
    switch (seed / 2 % 7) {
      case 0:
        flip(head.method);
        break;
      case 1:
        flip(head.path, 1);
        break;
      case 2:
        flip(head.query);
        break;
      case 3:
        flip(body);
        break;
      case 4:
        flip_header("Host");
        break;
      case 5:
        flip_header("X-Amz-Target");
        break;
      default:
        flip_header("Authorization");
        break;
    }
    std::string code = code_of(head, body, dialect, kThen);
    std::string expected = !is_s3              ? "InvalidSignatureException"
                           : seed / 2 % 7 == 3 ? "XAmzContentSHA256Mismatch"
                                               : "SignatureDoesNotMatch";
    EXPECT_EQ(code, expected) << "seed " << seed;
  }
}

}  // namespace
}  // namespace millrace::aws

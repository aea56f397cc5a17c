// Good requests, damaged at random: every reader of src/aws answers or refuses them as AWS does, and never
// more.
#include "tests/support/mutation.h"

#include <gtest/gtest.h>

#include "aws/chunked.h"
#include "aws/protocol.h"
#include "base/hash.h"

namespace millrace::aws {
namespace {

using millrace::testing::Corpus;
using millrace::testing::for_each_mutation;
using millrace::testing::mutations_are_many;
using millrace::testing::Mutator;

// What decode() makes of a body: its JSON, or the code of the refusal, which is always the client's fault.
std::string decoded(const char* service, const char* name, const http::RequestHead& head,
                    const std::string& body) {
  const Operation* operation = find_operation(*find_service(service), name);
  try {
    return base::json::serialize(decode(*operation, head, body));
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status, 400) << error.code();
    EXPECT_FALSE(error.code().empty());
    EXPECT_GE(encode_error(find_service(service), error, "r").body.size(), 2u);
    return error.code();
  }
}

const Corpus& xml_corpus() {
  static const Corpus corpus{
      {R"(<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>a&amp;b &#13;</Key></Object>)"
       R"(<Object><Key>c</Key><VersionId>null</VersionId></Object><Quiet>true</Quiet></Delete>)",
       R"(<?xml version="1.0" encoding="UTF-8"?><CompleteMultipartUpload><Part><PartNumber>1</PartNumber>)"
       R"(<ETag>"0123456789abcdef0123456789abcdef"</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>)"
       R"(<Part><ETag><![CDATA["x"]]></ETag><PartNumber>10000</PartNumber></Part></CompleteMultipartUpload>)",
       R"(<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag><Tag><Key/><Value></Value></Tag></TagSet></Tagging>)",
       R"(<s3:LifecycleConfiguration xmlns:s3="x"><s3:Rule><s3:ID>r</s3:ID><s3:Status>Enabled</s3:Status>)"
       R"(<s3:Filter><s3:Prefix>p/</s3:Prefix></s3:Filter><s3:Expiration><s3:Date>2030-01-01T00:00:00Z</s3:Date>)"
       R"(</s3:Expiration></s3:Rule></s3:LifecycleConfiguration>)"},
      {"<!DOCTYPE x [<!ENTITY e \"&e;&e;\">]>",
       "&e;",
       "&#0;",
       "&#x110000;",
       "<![CDATA[",
       "]]>",
       "<!--",
       "-->",
       "<?",
       "?>",
       "<Object>",
       "</Object>",
       "<Object/>",
       "<Part><PartNumber>99999999999999999999</PartNumber></Part>",
       "<Key>",
       "</Key>",
       " xsi:type=\"x\"",
       "\xef\xbb\xbf",
       "\xff\xfe<\0",
       "<a:b:c>"}};
  return corpus;
}

TEST(Mutation, XmlBodies) {
  // Without this: one damaged body takes the engine down, or is half understood.
  http::RequestHead head;
  head.method = "POST";
  head.path = "/bucket/key";
  head.query = "uploadId=u";
  int accepted = 0, malformed = 0;
  for_each_mutation(xml_corpus(), 4000, [&](const std::string& xml, Mutator&) {
    for (const char* name : {"DeleteObjects", "CompleteMultipartUpload", "PutObjectTagging",
                             "PutBucketTagging", "PutBucketLifecycleConfiguration"}) {
      std::string got = decoded("s3", name, head, xml);
      accepted += got.front() == '{';
      malformed += got == "MalformedXML";
      EXPECT_TRUE(got.front() == '{' || got == "MalformedXML" || got == "MissingRequestBodyError")
          << name << " " << got;
      // An entity of the document's own is never expanded.
      EXPECT_LE(got.size(), 4 * xml.size() + 4096);
    }
  });
  if (!mutations_are_many()) return;
  EXPECT_GT(accepted, 0);
  EXPECT_GT(malformed, 0);
}

TEST(Mutation, QueryForms) {
  // Without this: one damaged form takes the engine down.
  const Corpus corpus{
      {"Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fr&"
       "RoleSessionName=session"
       "&DurationSeconds=900&Tags.member.1.Key=k&Tags.member.1.Value=a+b&Tags.member.2.Key=l&Tags.member.2."
       "Value=%C3%A9"
       "&PolicyArns.member.1.arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FReadOnly&TransitiveTagKeys.member.1=k",
       "Action=GetCallerIdentity&Version=2011-06-15",
       "Action=SimulateCustomPolicy&PolicyInputList.member.1=%7B%7D&ActionNames.member.1=s3%3AGetObject"
       "&ContextEntries.member.1.ContextKeyName=aws%3Akey&ContextEntries.member.1.ContextKeyValues.member.1=1"
       "&ContextEntries.member.1.ContextKeyType=string&MaxItems=10"},
      {".member.1", ".member.0", ".member.-1", ".member.18446744073709551616", ".entry.1.key", "&", "=", "%",
       "%zz", "%00", "+", "&Tags.member.3", "&Tags=", "&DurationSeconds=1e9",
       "&DurationSeconds=", "&MaxItems=99999999999999999999", "..", "Action="}};
  http::RequestHead head;
  head.method = "POST";
  head.path = "/";
  int accepted = 0, refused = 0;
  for_each_mutation(corpus, 4000, [&](const std::string& form, Mutator&) {
    for (const char* name : {"AssumeRole", "GetSessionToken", "GetCallerIdentity"}) {
      std::string got = decoded("sts", name, head, form);
      ++(got.front() == '{' ? accepted : refused);
    }
    decoded("iam", "SimulateCustomPolicy", head, form);
    route(*find_service("sts"), head, form);
  });
  if (!mutations_are_many()) return;
  EXPECT_GT(accepted, 0);
  EXPECT_GT(refused, 0);
}

// ---- aws-chunked ----

constexpr char kContent[] = "The quick brown fox jumps over the lazy dog.";

// `pieces` framed and signed as a client does ("Transferring Payload in Multiple Chunks").
std::string signed_body(const ChunkedOptions& options, const std::vector<std::string>& pieces) {
  const ChunkSigning& signing = *options.signing;
  std::string body, previous = signing.seed_signature;
  std::string start = "\n" + signing.time + "\n" + signing.scope + "\n";
  for (size_t i = 0; i <= pieces.size(); ++i) {
    std::string piece = i < pieces.size() ? pieces[i] : "";
    previous = signature_of(signing.key, "AWS4-HMAC-SHA256-PAYLOAD" + start + previous + "\n" +
                                             std::string(kEmptySha256) + "\n" + base::sha256_hex(piece));
    char size[16];
    snprintf(size, sizeof(size), "%zx", piece.size());
    body +=
        std::string(size) + ";chunk-signature=" + previous + "\r\n" + piece + (piece.empty() ? "" : "\r\n");
  }
  if (options.has_trailer) {
    std::string line = "x-amz-checksum-crc32:AAAAAA==";
    previous = signature_of(
        signing.key, "AWS4-HMAC-SHA256-TRAILER" + start + previous + "\n" + base::sha256_hex(line + "\n"));
    body += line + "\r\nx-amz-trailer-signature:" + previous + "\r\n";
  }
  return body + "\r\n";
}

ChunkedOptions chunked(bool is_signed, bool has_trailer) {
  ChunkedOptions options;
  options.signed_chunks = is_signed;
  options.has_trailer = has_trailer;
  options.decoded_length = sizeof(kContent) - 1;
  if (has_trailer) options.trailer_names = {"x-amz-checksum-crc32"};
  if (is_signed)
    options.signing =
        ChunkSigning{derive_signing_key("secret", "20130524", "us-east-1", "s3"), "20130524T000000Z",
                     "20130524/us-east-1/s3/aws4_request", std::string(64, '5')};
  return options;
}

// What comes out, or the code of the refusal.
struct Outcome {
  std::string code, content, trailers;
  bool operator==(const Outcome&) const = default;
};

Outcome decode_pieces(const ChunkedOptions& options, std::string_view body, Mutator* cuts) {
  Outcome outcome;
  size_t bytes = 0;
  ChunkedDecoder decoder(options, [&](std::string_view piece) {
    bytes += piece.size();
    outcome.content += piece;
  });
  try {
    while (cuts && !body.empty()) {
      size_t size = 1 + cuts->below(std::min<size_t>(body.size(), 40));
      decoder.feed(body.substr(0, size));
      body.remove_prefix(size);
    }
    decoder.feed(body);
    decoder.finish();
    for (const auto& [name, value] : decoder.trailers()) outcome.trailers += name + ":" + value + "\n";
  } catch (const ApiError& error) {
    EXPECT_TRUE(error.status == 400 || error.status == 403) << error.status;
    outcome = {error.code(), "", ""};
  }
  EXPECT_LE(bytes, options.decoded_length);
  return outcome;
}

TEST(Mutation, ChunkedUploads) {
  // Without this: a damaged upload is stored, or stored differently depending on how TCP cut it.
  const std::string text = kContent;
  const std::vector<std::string> pieces{text.substr(0, 20), text.substr(20, 1), text.substr(21)};
  for (bool is_signed : {false, true}) {
    for (bool has_trailer : {false, true}) {
      if (!is_signed && !has_trailer) continue;
      SCOPED_TRACE(is_signed ? "signed" : "unsigned");
      ChunkedOptions options = chunked(is_signed, has_trailer);
      Corpus corpus{{},
                    {"0\r\n", "\r\n", "\r\n\r\n", "1\r\nx\r\n", ";chunk-signature=", "ffffffffffffffff",
                     "x-amz-checksum-crc32:", "x-amz-trailer-signature:", "-1", "0x1", "+1"}};
      if (is_signed) {
        corpus.samples = {signed_body(options, pieces), signed_body(options, {text})};
      } else {
        corpus.samples = {"14\r\n" + pieces[0] + "\r\n1\r\n" + pieces[1] + "\r\n17\r\n" + pieces[2] +
                              "\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
                          "2C;a=b\r\n" + text + "\r\n0\r\nx-amz-checksum-crc32: AAAAAA==\r\n\r\n"};
      }
      for (const std::string& sample : corpus.samples) {
        Outcome good = decode_pieces(options, sample, nullptr);
        EXPECT_EQ(good.code + good.content, text);
      }
      for_each_mutation(corpus, 6000, [&](const std::string& body, Mutator& mutator) {
        Outcome whole = decode_pieces(options, body, nullptr);
        EXPECT_EQ(decode_pieces(options, body, &mutator), whole) << whole.code << " for " << body;
        if (!whole.code.empty()) return;
        EXPECT_EQ(whole.content.size(), options.decoded_length) << body;
        if (is_signed) {
          EXPECT_EQ(whole.content, text) << "nobody signed " << body;
          EXPECT_EQ(whole.trailers, has_trailer ? "x-amz-checksum-crc32:AAAAAA==\n" : "") << body;
        }
      });
    }
  }
}

// ---- SigV4 ----

const Credentials kKey{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "", {}};
const base::TimeMs kThen = *base::parse_amz_date("20130524T000000Z");

// The code of the refusal, or what was accepted.
std::string checked(const http::RequestHead& head, Dialect dialect, std::optional<Claim>& claim) {
  try {
    claim = parse_claim(head, dialect);
    claimed_service(head);
    if (!claim) return "anonymous";
    check_region(*claim, "us-east-1");
    if (claim->access_key != kKey.access_key_id) throw auth_error(AuthProblem::kUnknownKey, dialect);
    Verifier().verify(*claim, head, kEmptySha256, kKey.secret_access_key, kThen);
  } catch (const ApiError& error) {
    EXPECT_TRUE(error.status == 400 || error.status == 403 || error.status == 501) << error.status;
    EXPECT_FALSE(error.code().empty());
    return error.code();
  }
  return "accepted";
}

const std::vector<std::string> kClaimPieces{"AWS4-HMAC-SHA256 ",
                                            "AWS4-ECDSA-P256-SHA256",
                                            "AWS ",
                                            "Credential=",
                                            "SignedHeaders=",
                                            "Signature=",
                                            ", ",
                                            "=",
                                            "/",
                                            "aws4_request",
                                            ";",
                                            "host;host",
                                            "20130524",
                                            "99999999T999999Z",
                                            "20130524T240000Z",
                                            "UNSIGNED-PAYLOAD",
                                            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                                            "&X-Amz-Date=",
                                            "&X-Amz-Expires=-9223372036854775808",
                                            "&X-Amz-Algorithm",
                                            "%2F",
                                            "%",
                                            "X-Amz-Signature=",
                                            "&AWSAccessKeyId=a&Signature=b"};

TEST(Mutation, SignedHeads) {
  // Without this: a damaged Authorization takes the engine down, or says something else than was signed.
  http::ClientRequest request;
  request.url = "http://127.0.0.1:4600/bucket/key?list-type=2";
  for (Dialect dialect : {Dialect::kS3, Dialect::kRestJson}) {
    request.headers = {};
    sign(request, kKey, "us-east-1", dialect == Dialect::kS3 ? "s3" : "batch", kThen, kEmptySha256);
    http::RequestHead good;
    good.method = "GET";
    good.path = "/bucket/key";
    good.query = "list-type=2";
    good.headers = request.headers;
    good.headers.add("Host", "127.0.0.1:4600");
    std::optional<Claim> original, claim;
    ASSERT_EQ(checked(good, dialect, original), "accepted");
    for (const char* name : {"Authorization", "X-Amz-Date", "X-Amz-Content-Sha256"}) {
      if (!good.headers.has(name)) continue;
      SCOPED_TRACE(name);
      Corpus corpus{{std::string(good.headers.get(name))}, kClaimPieces};
      for_each_mutation(corpus, 3000, [&](const std::string& value, Mutator&) {
        http::RequestHead head = good;
        head.headers.set(name, value);
        if (checked(head, dialect, claim) != "accepted") return;
        EXPECT_EQ(claim->signature, original->signature) << value;
        EXPECT_EQ(claim->access_key + "/" + claim->scope(), original->access_key + "/" + original->scope())
            << value;
        EXPECT_EQ(claim->time, original->time) << value;
        EXPECT_EQ(claim->payload_hash, original->payload_hash) << value;
      });
    }
  }
}

TEST(Mutation, PresignedQueries) {
  // Without this: a damaged URL takes the engine down, or lives longer than was signed.
  std::string url =
      presign("GET", "http://127.0.0.1:4600/bucket/key?versionId=1", kKey, "us-east-1", "s3", kThen, 60);
  http::RequestHead good;
  good.method = "GET";
  good.path = "/bucket/key";
  good.query = url.substr(url.find('?') + 1);
  good.headers.add("Host", "127.0.0.1:4600");
  for (Dialect dialect : {Dialect::kS3, Dialect::kQuery}) {
    std::optional<Claim> original, claim;
    std::string first = checked(good, dialect, original);
    ASSERT_EQ(first, dialect == Dialect::kS3 ? "accepted" : "SignatureDoesNotMatch");
    for_each_mutation({{good.query}, kClaimPieces}, 6000, [&](const std::string& query, Mutator&) {
      http::RequestHead head = good;
      head.query = query;
      if (checked(head, dialect, claim) != "accepted") return;
      EXPECT_EQ(claim->signature, original->signature) << query;
      EXPECT_EQ(claim->time, original->time) << query;
      EXPECT_EQ(claim->expires_s, 60) << query;
      EXPECT_EQ(claim->scope(), original->scope()) << query;
      EXPECT_EQ(claim->access_key, original->access_key) << query;
    });
  }
}

}  // namespace
}  // namespace millrace::aws

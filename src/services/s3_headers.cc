#include "services/s3_headers.h"

#include <algorithm>
#include <array>

#include "base/hash.h"
#include "base/strings.h"
#include "base/time.h"
#include "base/url.h"
#include "services/s3_errors.h"
#include "services/s3_tags.h"

namespace millrace::services {
namespace {

constexpr size_t kUserMetadataBytesMax = 2048;
constexpr std::string_view kStored[] = {"content-type",
                                        "cache-control",
                                        "content-disposition",
                                        "content-language",
                                        "expires",
                                        "x-amz-tagging",
                                        "x-amz-website-redirect-location",
                                        "x-amz-storage-class",
                                        "x-amz-server-side-encryption",
                                        "x-amz-server-side-encryption-aws-kms-key-id",
                                        "x-amz-server-side-encryption-bucket-key-enabled"};

// Those of ordinary buckets.
constexpr std::string_view kStorageClasses[] = {"STANDARD",   "REDUCED_REDUNDANCY",  "STANDARD_IA",
                                                "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER",
                                                "GLACIER_IR", "DEEP_ARCHIVE"};

// "gzip, aws-chunked" without the transport's own part.
std::string without_aws_chunked(std::string_view value) {
  std::string out;
  for (std::string_view part : base::split(value, ',')) {
    part = base::trim(part);
    if (part.empty() || base::equals_ignore_case(part, "aws-chunked")) continue;
    if (!out.empty()) out += ",";
    out += part;
  }
  return out;
}

bool lists_etag(std::string_view header, const std::string& etag) {
  for (std::string_view part : base::split(header, ',')) {
    part = base::trim(part);
    if (part.starts_with("W/")) part.remove_prefix(2);
    if (part == "*" || without_quotes(part) == etag) return true;
  }
  return false;
}

}  // namespace

std::string without_quotes(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

objects::StoredHeaders stored_headers(const http::RequestHead& head) {
  if (head.headers.has("x-amz-server-side-encryption-customer-algorithm"))
    throw not_implemented("x-amz-server-side-encryption-customer-algorithm");
  std::string_view storage_class = head.headers.get("x-amz-storage-class");
  if (!storage_class.empty() && std::find(std::begin(kStorageClasses), std::end(kStorageClasses),
                                          storage_class) == std::end(kStorageClasses))
    throw s3_error("InvalidStorageClass", "The storage class you specified is not valid");
  check_acl_headers(head);
  if (head.headers.has("x-amz-object-lock-mode") || head.headers.has("x-amz-object-lock-legal-hold"))
    throw s3_error("InvalidRequest", "Bucket is missing Object Lock Configuration");
  check_tags(base::parse_query(head.headers.get("x-amz-tagging"), true), kObjectTagsMax);
  objects::StoredHeaders stored;
  for (std::string_view name : kStored)
    if (std::string_view value = head.headers.get(name); !value.empty()) stored.emplace_back(name, value);
  if (std::string encoding = without_aws_chunked(head.headers.get("content-encoding")); !encoding.empty())
    stored.emplace_back("content-encoding", encoding);
  size_t metadata_bytes = 0;
  for (const auto& [name, value] : head.headers) {
    std::string lower = base::to_lower(name);
    if (!lower.starts_with("x-amz-meta-")) continue;
    metadata_bytes += lower.size() - 11 + value.size();
    stored.emplace_back(std::move(lower), value);
  }
  if (metadata_bytes > kUserMetadataBytesMax)
    throw s3_error("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size");
  return stored;
}

void check_acl_headers(const http::RequestHead& head) {
  std::string_view acl = head.headers.get("x-amz-acl");
  bool grants = !acl.empty() && acl != "private" && acl != "bucket-owner-full-control";
  for (const auto& [name, value] : head.headers)
    grants |= base::to_lower(std::string_view(name).substr(0, 12)) == "x-amz-grant-";
  if (grants) throw s3_error("AccessControlListNotSupported", "The bucket does not allow ACLs");
}

objects::Integrity integrity_of(const http::RequestHead& head) {
  objects::Integrity integrity;
  if (head.headers.has("content-md5")) {
    std::optional<std::string> md5 = base::unbase64(head.headers.get("content-md5"));
    if (!md5 || md5->size() != 16)
      throw s3_error("InvalidDigest", "The Content-MD5 you specified was invalid.");
    integrity.md5 = *md5;
  }
  auto named = [&](std::string_view name) {
    std::optional<objects::ChecksumAlgorithm> algorithm = objects::parse_checksum_name(name);
    if (!algorithm)
      throw s3_error(
          "InvalidRequest",
          "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
          "[CRC32, CRC32C, CRC64NVME, SHA1, SHA256]");
    return algorithm;
  };
  // What the client sends beats what it announces.
  if (std::string_view name = head.headers.get("x-amz-sdk-checksum-algorithm"); !name.empty())
    integrity.algorithm = named(name);
  for (std::string_view trailer : base::split(head.headers.get("x-amz-trailer"), ',')) {
    std::string name = base::to_lower(base::trim(trailer));
    if (name.starts_with("x-amz-checksum-")) integrity.algorithm = named(std::string_view(name).substr(15));
  }
  int given = 0;
  for (objects::ChecksumAlgorithm algorithm : objects::kChecksumAlgorithms) {
    std::string name = objects::checksum_header(algorithm);
    if (!head.headers.has(name)) continue;
    std::optional<std::string> raw = base::unbase64(head.headers.get(name));
    if (!raw || raw->size() != objects::checksum_size(algorithm))
      throw s3_error("InvalidRequest", "Value for " + name + " header is invalid.");
    if (++given > 1)
      throw s3_error("InvalidRequest",
                     "Expecting a single x-amz-checksum- header. Multiple checksum Types are not "
                     "allowed.");
    integrity.algorithm = algorithm;
    integrity.checksum = *raw;
  }
  return integrity;
}

objects::WriteConditions write_conditions(const http::RequestHead& head) {
  objects::WriteConditions conditions;
  if (head.headers.has("if-none-match")) {
    if (base::trim(head.headers.get("if-none-match")) != "*") throw not_implemented("If-None-Match");
    conditions.if_none_match = true;
  }
  conditions.if_match = without_quotes(base::trim(head.headers.get("if-match")));
  return conditions;
}

ReadCondition read_condition(const http::RequestHead& head, const std::string& prefix,
                             const objects::ObjectRecord& record) {
  auto time_of = [&](const char* name) {
    return base::parse_http_date(base::trim(head.headers.get(prefix + name)));
  };
  if (head.headers.has(prefix + "if-match")) {
    if (!lists_etag(head.headers.get(prefix + "if-match"), record.etag)) return ReadCondition::kFailed;
  } else if (auto since = time_of("if-unmodified-since"); since && record.modified > *since) {
    return ReadCondition::kFailed;
  }
  if (head.headers.has(prefix + "if-none-match")) {
    if (lists_etag(head.headers.get(prefix + "if-none-match"), record.etag))
      return ReadCondition::kNotModified;
  } else if (auto since = time_of("if-modified-since"); since && record.modified <= *since) {
    return ReadCondition::kNotModified;
  }
  return ReadCondition::kProceed;
}

std::optional<ByteRange> byte_range(std::string_view header, uint64_t size) {
  header = base::trim(header);
  if (!header.starts_with("bytes=")) return std::nullopt;
  header.remove_prefix(6);
  size_t dash = header.find('-');
  if (dash == std::string_view::npos || header.find(',') != std::string_view::npos) return std::nullopt;
  std::string_view first = base::trim(header.substr(0, dash)), last = base::trim(header.substr(dash + 1));
  auto outside = [&] {
    aws::ApiError error = s3_error("InvalidRange", "The requested range is not satisfiable");
    error.details = {{"RangeRequested", "bytes=" + std::string(header)},
                     {"ActualObjectSize", std::to_string(size)}};
    return error;
  };
  if (first.empty()) {
    std::optional<uint64_t> count = base::parse_number<uint64_t>(last);
    if (!count) return std::nullopt;
    if (*count == 0 || size == 0) throw outside();
    uint64_t length = std::min(*count, size);
    return ByteRange{size - length, length};
  }
  std::optional<uint64_t> from = base::parse_number<uint64_t>(first);
  std::optional<uint64_t> to =
      last.empty() ? std::optional<uint64_t>(UINT64_MAX) : base::parse_number<uint64_t>(last);
  if (!from || !to || *to < *from) return std::nullopt;
  if (*from >= size) throw outside();
  return ByteRange{*from, std::min(*to, size - 1) - *from + 1};
}

CopySource copy_source(const http::RequestHead& head) {
  auto bad = [] {
    return s3_error("InvalidArgument",
                    "Copy Source must mention the source bucket and key: sourcebucket/sourcekey");
  };
  std::string_view raw = head.headers.get("x-amz-copy-source");
  std::string version_id;
  size_t version = raw.find("?versionId=");
  if (version != std::string_view::npos) {
    version_id = base::percent_decode(raw.substr(version + 11));
    if (version_id.empty()) throw s3_error("InvalidArgument", "Version id cannot be the empty string");
    raw = raw.substr(0, version);
  }
  // Some clients encode the slash behind the bucket too; a bucket has nothing to encode, so decode first.
  std::string decoded = base::percent_decode(raw);
  std::string_view source = decoded;
  if (source.starts_with('/')) source.remove_prefix(1);
  size_t slash = source.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == source.size()) throw bad();
  return {std::string(source.substr(0, slash)), std::string(source.substr(slash + 1)), version_id};
}

}  // namespace millrace::services

// What S3 reads from request headers: stored headers, checksums, conditions, ranges, copy sources.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"
#include "objects/directory_store.h"

namespace millrace::services {

// The headers that an object keeps. Throws MetadataTooLarge above 2 KB of user metadata, NotImplemented for
// encryption with customer keys.
objects::StoredHeaders stored_headers(const http::RequestHead& head);

// Buckets have an owner and no lists: throws AccessControlListNotSupported for a header that would grant
// anything to anybody else, as S3 does for buckets with its default ownership controls.
void check_acl_headers(const http::RequestHead& head);

// Content-MD5, x-amz-checksum-*, x-amz-sdk-checksum-algorithm and x-amz-trailer. Throws InvalidDigest,
// InvalidRequest.
objects::Integrity integrity_of(const http::RequestHead& head);

// If-Match and If-None-Match of a write. Throws NotImplemented for an If-None-Match other than "*".
objects::WriteConditions write_conditions(const http::RequestHead& head);

std::string without_quotes(std::string_view etag);

// How a read goes on after its conditions (RFC 9110 section 13.2.2). Header names are `prefix` + "if-match"
// and so on.
enum class ReadCondition { kProceed, kNotModified, kFailed };
ReadCondition read_condition(const http::RequestHead& head, const std::string& prefix,
                             const objects::ObjectRecord& record);

struct ByteRange {
  uint64_t offset = 0, length = 0;
};
// The range of "bytes=a-b", "bytes=a-", "bytes=-n" in an object of `size` bytes; nothing when the header is
// to be ignored (no range, several, not understood). Throws InvalidRange when it lies outside.
std::optional<ByteRange> byte_range(std::string_view header, uint64_t size);

struct CopySource {
  std::string bucket, key, version;  // version: empty for the current object
};
// x-amz-copy-source: "bucket/key" or "/bucket/key", percent-encoded once, and "?versionId=…". Throws
// InvalidArgument.
CopySource copy_source(const http::RequestHead& head);

}  // namespace millrace::services

// Copies inside the server: whole objects, and ranges of objects as parts.
#include <cerrno>

#include "objects/store_errors.h"
#include "services/s3_call.h"
#include "services/s3_headers.h"

namespace millrace::services {

namespace json = base::json;
using objects::ObjectRecord;

namespace {

constexpr uint64_t kCopyBytesMax = 5'368'709'120;

aws::ApiError source_too_large() {
  return s3_error(
      "InvalidRequest",
      "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120");
}

// Throws unless the source may be copied as the request says.
void check_source(const http::RequestHead& head, const CopySource& source, const ObjectRecord& record) {
  if (record.delete_marker)
    throw s3_error(
        "InvalidRequest",
        "The source of a copy request may not specifically refer to a delete marker by version id.");
  if (!source.version.empty() && source.version != record.version_id()) throw objects::no_such_version();
  if (read_condition(head, "x-amz-copy-source-", record) != ReadCondition::kProceed)
    throw objects::precondition_failed();
}

// What S3 keeps with the copy alone, never from the source: who encrypts it, and how it is stored.
bool is_of_target(const std::string& name) {
  return name == "x-amz-storage-class" || name.starts_with("x-amz-server-side-encryption") ||
         name == "x-amz-website-redirect-location";
}

}  // namespace

http::Response S3Service::copy_object(Call& call) {
  CopySource source = copy_source(call.head);
  ObjectRecord record = store_.head(source.bucket, source.key, source.version);
  check_source(call.head, source, record);
  if (record.size > kCopyBytesMax) throw source_too_large();
  bool replace = call.text("MetadataDirective") == "REPLACE";
  objects::StoredHeaders given = stored_headers(call.head);
  objects::PutSpec target{call.bucket(), call.key(), {}, {}, write_conditions(call.head), call.requester()};
  bool changes_class = call.head.headers.has("x-amz-storage-class");
  bool replaces_tags = call.text("TaggingDirective") == "REPLACE";
  if (source.bucket == target.bucket && source.key == target.key && source.version.empty() && !replace &&
      !changes_class && !call.head.headers.has("x-amz-website-redirect-location") &&
      !call.head.headers.has("x-amz-server-side-encryption") &&
      !call.head.headers.has("x-amz-checksum-algorithm"))
    throw s3_error(
        "InvalidRequest",
        "This copy request is illegal because it is trying to copy an object to itself without changing "
        "the object's metadata, storage class, website redirect location or encryption attributes.");
  // Metadata comes from one side, tags by their own directive, and some things only with the request.
  for (const auto& header : replace ? given : record.headers)
    if (header.first != "x-amz-tagging" && !is_of_target(header.first)) target.headers.push_back(header);
  for (const auto& header : given)
    if (is_of_target(header.first)) target.headers.push_back(header);
  for (const auto& header : replaces_tags ? given : record.headers)
    if (header.first == "x-amz-tagging") target.headers.push_back(header);
  std::optional<objects::ChecksumAlgorithm> algorithm;
  if (std::string name = call.text("ChecksumAlgorithm"); !name.empty())
    algorithm = objects::parse_checksum_name(name);
  objects::PutResult result =
      store_.copy(source.bucket, source.key, record.etag, std::move(target), algorithm, true, source.version);
  json::object copy{{"ETag", quoted(result.etag)}, {"LastModified", result.modified}};
  add_checksum(copy, result.checksum);
  json::object output{{"CopyObjectResult", std::move(copy)}};
  add_version(output, result.version_id);
  if (record.versioned) output["CopySourceVersionId"] = record.version_id();
  return call.answer(std::move(output));
}

http::Response S3Service::upload_part_copy(Call& call) {
  CopySource source = copy_source(call.head);
  check_source(call.head, source, store_.head(source.bucket, source.key, source.version));
  objects::OpenObject object = store_.open(source.bucket, source.key, source.version);
  check_source(call.head, source, object.record);
  ByteRange range{0, object.record.size};
  if (call.head.headers.has("x-amz-copy-source-range")) {
    std::string_view header = call.head.headers.get("x-amz-copy-source-range");
    size_t dash = header.find('-');
    std::optional<uint64_t> end;
    if (dash != std::string_view::npos)
      end = base::parse_number<uint64_t>(base::trim(header.substr(dash + 1)));
    std::optional<ByteRange> wanted;
    try {
      wanted = byte_range(header, object.record.size);
    } catch (const aws::ApiError&) {
      end = UINT64_MAX;  // begins behind the end: the same error as one that ends there
      wanted = range;
    }
    if (!wanted || !end)
      throw s3_error(
          "InvalidArgument",
          "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are "
          "the zero-based offsets of the first and last bytes to copy");
    if (*end >= object.record.size)
      throw s3_error("InvalidArgument", "Range specified is not valid for source object of size: " +
                                            std::to_string(object.record.size));
    range = *wanted;
  }
  if (range.length > kCopyBytesMax) throw source_too_large();
  auto writer = store_.put_part({call.bucket(),
                                 call.key(),
                                 call.text("UploadId"),
                                 static_cast<int>(base::find_int(call.input, "PartNumber").value_or(0)),
                                 {}});
  if (object.file) {
    std::string buffer(1 << 20, '\0');
    for (uint64_t done = 0; done < range.length;) {
      size_t wanted = static_cast<size_t>(std::min<uint64_t>(buffer.size(), range.length - done));
      ssize_t n = pread(object.file.get(), buffer.data(), wanted, static_cast<off_t>(range.offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0)
        throw base::TransientError("read an object: the content file is too short or cannot be read");
      writer->write({buffer.data(), static_cast<size_t>(n)});
      done += static_cast<uint64_t>(n);
    }
  } else {
    writer->write(std::string_view(object.data).substr(range.offset, range.length));
  }
  objects::PutResult result = writer->finish();
  json::object copy{{"ETag", quoted(result.etag)}, {"LastModified", result.modified}};
  add_checksum(copy, result.checksum, false);
  json::object output{{"CopyPartResult", std::move(copy)}};
  if (object.record.versioned) output["CopySourceVersionId"] = object.record.version_id();
  return call.answer(std::move(output));
}

}  // namespace millrace::services

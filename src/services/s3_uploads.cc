// Multipart uploads, but for UploadPart (s3_put.cc) and UploadPartCopy (s3_copies.cc).
#include <set>

#include "base/url.h"
#include "services/s3_call.h"
#include "services/s3_headers.h"

namespace millrace::services {

namespace json = base::json;

http::Response S3Service::create_multipart_upload(Call& call) {
  std::optional<objects::ChecksumAlgorithm> algorithm =
      objects::parse_checksum_name(call.text("ChecksumAlgorithm"));
  if (!algorithm && !call.text("ChecksumAlgorithm").empty()) integrity_of(call.head);
  std::string type = call.text("ChecksumType");
  bool is_crc64 = algorithm == objects::ChecksumAlgorithm::kCrc64nvme;
  bool is_sha =
      algorithm == objects::ChecksumAlgorithm::kSha1 || algorithm == objects::ChecksumAlgorithm::kSha256;
  if ((is_crc64 && type == "COMPOSITE") || (is_sha && type == "FULL_OBJECT"))
    throw s3_error("InvalidRequest", "The " + type + " checksum type cannot be used with the " +
                                         base::to_lower(objects::checksum_name(*algorithm)) +
                                         " checksum algorithm.");
  // What S3 does for those who do not say.
  if (!algorithm) {
    algorithm = objects::ChecksumAlgorithm::kCrc64nvme;
    is_crc64 = true;
  }
  bool full_object = is_crc64 || type == "FULL_OBJECT";
  std::string id =
      store_.create_upload(call.bucket(), call.key(), stored_headers(call.head), algorithm, full_object);
  json::object output{{"Bucket", call.bucket()}, {"Key", call.key()}, {"UploadId", id}};
  output["ChecksumAlgorithm"] = json::string(objects::checksum_name(*algorithm));
  output["ChecksumType"] = full_object ? "FULL_OBJECT" : "COMPOSITE";
  return call.answer(std::move(output));
}

http::Response S3Service::complete_multipart_upload(Call& call) {
  const json::object* request = base::find_object(call.input, "MultipartUpload");
  const json::array* items = request ? base::find_array(*request, "Parts") : nullptr;
  if (!items || items->empty()) throw malformed_xml();
  std::vector<objects::CompletedPart> parts;
  for (const json::value& item : *items) {
    const json::object* part = item.if_object();
    if (!part) throw malformed_xml();
    auto number = base::find_int(*part, "PartNumber");
    auto etag = base::find_string(*part, "ETag");
    if (!number || !etag) throw malformed_xml();
    parts.push_back({static_cast<int>(*number), without_quotes(*etag), checksum_in(*part)});
  }
  if (auto told = base::find_int(call.input, "MpuObjectSize")) {
    uint64_t sum = 0;
    std::set<int> wanted;
    for (const objects::CompletedPart& part : parts) wanted.insert(part.number);
    for (const objects::PartRecord& part :
         store_.parts(call.bucket(), call.key(), call.text("UploadId"), 0, 10'000))
      if (wanted.contains(part.number)) sum += part.size;
    if (*told < 0 || sum != static_cast<uint64_t>(*told))
      throw s3_error("InvalidRequest", "The provided 'x-amz-mp-object-size' header value " +
                                           std::to_string(*told) +
                                           " does not match what was computed: " + std::to_string(sum));
  }
  std::optional<objects::Checksum> whole = checksum_in(call.input);
  objects::PutResult result =
      store_.complete_upload(call.bucket(), call.key(), call.text("UploadId"), parts,
                             whole ? whole->value : "", write_conditions(call.head), call.requester());
  json::object output{{"Location", "/" + call.bucket() + "/" + base::percent_encode(call.key(), true)},
                      {"Bucket", call.bucket()},
                      {"Key", call.key()},
                      {"ETag", quoted(result.etag)}};
  add_checksum(output, result.checksum);
  add_version(output, result.version_id);
  return call.answer(std::move(output));
}

http::Response S3Service::abort_multipart_upload(Call& call) {
  store_.abort_upload(call.bucket(), call.key(), call.text("UploadId"));
  return call.answer();
}

http::Response S3Service::list_parts(Call& call) {
  size_t limit = call.count("MaxParts", 1000);
  int after = 0;
  // The marker is a string in the model and a number in the protocol.
  if (auto number = base::parse_number<int>(call.text("PartNumberMarker"))) after = *number;
  objects::UploadRecord upload = store_.upload(call.bucket(), call.key(), call.text("UploadId"));
  std::vector<objects::PartRecord> parts =
      store_.parts(call.bucket(), call.key(), call.text("UploadId"), after, limit + 1);
  bool truncated = parts.size() > limit;
  if (truncated) parts.pop_back();
  json::array items;
  for (const objects::PartRecord& part : parts) {
    json::object item{{"PartNumber", part.number},
                      {"LastModified", part.modified},
                      {"ETag", quoted(part.etag)},
                      {"Size", part.size}};
    add_checksum(item, part.checksum, false);
    items.push_back(std::move(item));
  }
  json::object output{{"Bucket", call.bucket()},
                      {"Key", call.key()},
                      {"UploadId", upload.upload_id},
                      {"PartNumberMarker", std::to_string(after)},
                      {"NextPartNumberMarker", std::to_string(parts.empty() ? 0 : parts.back().number)},
                      {"MaxParts", limit},
                      {"IsTruncated", truncated},
                      {"Parts", std::move(items)},
                      {"Initiator", owner()},
                      {"Owner", owner()},
                      {"StorageClass", "STANDARD"}};
  if (upload.algorithm) {
    output["ChecksumAlgorithm"] = json::string(objects::checksum_name(*upload.algorithm));
    output["ChecksumType"] = upload.full_object ? "FULL_OBJECT" : "COMPOSITE";
  }
  return call.answer(std::move(output));
}

http::Response S3Service::list_multipart_uploads(Call& call) {
  size_t limit = call.count("MaxUploads", 1000);
  std::string prefix = call.text("Prefix"), delimiter = call.text("Delimiter"),
              after_key = call.text("KeyMarker"), after_id = call.text("UploadIdMarker");
  objects::UploadPage page = store_.uploads(call.bucket(), prefix, delimiter, after_key, after_id, limit);
  bool url = call.text("EncodingType") == "url";
  auto encoded = [&](const std::string& name) { return url ? base::percent_encode(name, true) : name; };
  json::array uploads, prefixes;
  for (const objects::UploadRecord& upload : page.uploads) {
    json::object item{{"Key", encoded(upload.key)},
                      {"UploadId", upload.upload_id},
                      {"Initiated", upload.initiated},
                      {"StorageClass", "STANDARD"},
                      {"Owner", owner()},
                      {"Initiator", owner()}};
    if (upload.algorithm) item["ChecksumAlgorithm"] = json::string(objects::checksum_name(*upload.algorithm));
    uploads.push_back(std::move(item));
  }
  for (const std::string& common : page.common_prefixes)
    prefixes.push_back(json::object{{"Prefix", encoded(common)}});
  json::object output{{"Bucket", call.bucket()},       {"KeyMarker", encoded(after_key)},
                      {"UploadIdMarker", after_id},    {"Prefix", encoded(prefix)},
                      {"MaxUploads", limit},           {"IsTruncated", page.truncated},
                      {"Uploads", std::move(uploads)}, {"CommonPrefixes", std::move(prefixes)}};
  if (!delimiter.empty()) output["Delimiter"] = encoded(delimiter);
  if (url) output["EncodingType"] = "url";
  if (page.truncated) {
    // The page ends with whichever came last in the order of keys.
    bool ends_with_upload = page.common_prefixes.empty() ||
                            (!page.uploads.empty() && page.uploads.back().key > page.common_prefixes.back());
    output["NextKeyMarker"] =
        encoded(ends_with_upload ? page.uploads.back().key : page.common_prefixes.back());
    output["NextUploadIdMarker"] = ends_with_upload ? page.uploads.back().upload_id : "";
  }
  return call.answer(std::move(output));
}

}  // namespace millrace::services

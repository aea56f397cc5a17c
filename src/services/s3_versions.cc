// Versioning of buckets, and the listing of versions.
#include "base/url.h"
#include "services/s3_call.h"

namespace millrace::services {

namespace json = base::json;

http::Response S3Service::get_bucket_versioning(Call& call) {
  switch (store_.bucket(call.bucket()).versioning) {
    case objects::Versioning::kNever:
      return call.answer();
    case objects::Versioning::kEnabled:
      return call.answer({{"Status", "Enabled"}});
    case objects::Versioning::kSuspended:
      break;
  }
  return call.answer({{"Status", "Suspended"}});
}

http::Response S3Service::put_bucket_versioning(Call& call) {
  call.check_body();
  const json::object* configuration = base::find_object(call.input, "VersioningConfiguration");
  auto status = configuration ? base::find_string(*configuration, "Status") : std::nullopt;
  if (configuration && base::find_string(*configuration, "MFADelete") == "Enabled") throw not_implemented();
  if (status != "Enabled" && status != "Suspended")
    throw s3_error("IllegalVersioningConfigurationException", "The Versioning element must be specified");
  store_.set_versioning(
      call.bucket(), status == "Enabled" ? objects::Versioning::kEnabled : objects::Versioning::kSuspended);
  return call.answer();
}

http::Response S3Service::list_object_versions(Call& call) {
  objects::ListVersionsSpec spec{call.text("Prefix"), call.text("Delimiter"), call.text("KeyMarker"),
                                 call.text("VersionIdMarker"), call.count("MaxKeys", 1000)};
  if (!spec.version_marker.empty() && spec.key_marker.empty())
    throw s3_error("InvalidArgument", "A version-id marker cannot be specified without a key marker.");
  objects::VersionPage page = store_.list_versions(call.bucket(), spec);
  bool url = call.text("EncodingType") == "url";
  auto encoded = [&](const std::string& name) { return url ? base::percent_encode(name, true) : name; };
  json::object owner = this->owner();
  json::array versions, markers, prefixes;
  for (const objects::ListedVersion& version : page.versions) {
    json::object item{{"Key", encoded(version.object.key)},
                      {"VersionId", version.version_id},
                      {"IsLatest", version.is_latest},
                      {"LastModified", version.object.modified},
                      {"Owner", owner}};
    if (version.delete_marker) {
      markers.push_back(std::move(item));
      continue;
    }
    item["ETag"] = quoted(version.object.etag);
    item["Size"] = version.object.size;
    item["StorageClass"] = storage_class(version.object);
    if (const auto& checksum = version.object.checksum) {
      item["ChecksumAlgorithm"] = json::array{json::string(objects::checksum_name(checksum->algorithm))};
      item["ChecksumType"] = checksum->composite ? "COMPOSITE" : "FULL_OBJECT";
    }
    versions.push_back(std::move(item));
  }
  for (const std::string& prefix : page.common_prefixes)
    prefixes.push_back(json::object{{"Prefix", encoded(prefix)}});
  json::object output{{"Name", call.bucket()},
                      {"Prefix", encoded(spec.prefix)},
                      {"KeyMarker", encoded(spec.key_marker)},
                      {"VersionIdMarker", spec.version_marker},
                      {"MaxKeys", spec.entries_max},
                      {"IsTruncated", page.truncated},
                      {"Versions", std::move(versions)},
                      {"DeleteMarkers", std::move(markers)},
                      {"CommonPrefixes", std::move(prefixes)}};
  if (!spec.delimiter.empty()) output["Delimiter"] = encoded(spec.delimiter);
  if (url) output["EncodingType"] = "url";
  if (page.truncated) {
    output["NextKeyMarker"] = encoded(page.next_key_marker);
    if (!page.next_version_marker.empty()) output["NextVersionIdMarker"] = page.next_version_marker;
  }
  return call.answer(std::move(output));
}

}  // namespace millrace::services

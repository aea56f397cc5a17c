// ListObjects, in both versions.
#include "base/hash.h"
#include "base/url.h"
#include "services/s3_call.h"

namespace millrace::services {
namespace {

namespace json = base::json;

// Where a listing begins that has shown everything up to `marker`: behind it, or, when it is a common prefix
// that was shown, behind all keys in it. Nothing: there is nothing behind.
std::optional<std::string> begin_after(const std::string& marker, const std::string& prefix,
                                       const std::string& delimiter) {
  if (marker.empty()) return std::string();
  if (!delimiter.empty() && marker.size() > prefix.size() && marker.starts_with(prefix)) {
    size_t at = marker.find(delimiter, prefix.size());
    if (at != std::string::npos && at + delimiter.size() == marker.size())
      return objects::after_prefix(marker);
  }
  return objects::after_key(marker);
}

// Names as they go into the document: XML cannot carry every byte, so clients ask for percent-encoding.
struct Encoding {
  bool url;
  std::string operator()(const std::string& name) const {
    return url ? base::percent_encode(name, true) : name;
  }
};

json::array contents_of(const objects::ListPage& page, const Encoding& encoded, const json::object* owner) {
  json::array contents;
  contents.reserve(page.objects.size());
  for (const objects::ListedObject& object : page.objects) {
    json::object item{{"Key", encoded(object.key)},
                      {"LastModified", object.modified},
                      {"ETag", quoted(object.etag)},
                      {"Size", object.size},
                      {"StorageClass", storage_class(object)}};
    if (object.checksum) {
      item["ChecksumAlgorithm"] =
          json::array{json::string(objects::checksum_name(object.checksum->algorithm))};
      item["ChecksumType"] = object.checksum->composite ? "COMPOSITE" : "FULL_OBJECT";
    }
    if (owner) item["Owner"] = *owner;
    contents.push_back(std::move(item));
  }
  return contents;
}

json::array prefixes_of(const objects::ListPage& page, const Encoding& encoded) {
  json::array prefixes;
  for (const std::string& prefix : page.common_prefixes)
    prefixes.push_back(json::object{{"Prefix", encoded(prefix)}});
  return prefixes;
}

constexpr std::string_view kTokenTag = "1";  // what a token of another kind would not begin with

}  // namespace

http::Response S3Service::list_objects_v2(Call& call) {
  objects::ListSpec spec{call.text("Prefix"), call.text("Delimiter"), "", call.count("MaxKeys", 1000)};
  std::string token = call.text("ContinuationToken"), start_after = call.text("StartAfter");
  std::optional<std::string> from;
  if (base::find_string(call.input, "ContinuationToken")) {
    std::optional<std::string> decoded = base::unbase64(token);
    if (!decoded || !decoded->starts_with(kTokenTag))
      throw s3_error("InvalidArgument", "The continuation token provided is incorrect");
    from = decoded->substr(kTokenTag.size());
  } else {
    from = begin_after(start_after, spec.prefix, spec.delimiter);
  }
  objects::ListPage page;
  if (from) {
    spec.from = *from;
    page = store_.list(call.bucket(), spec);
  } else {
    store_.bucket(call.bucket());
  }
  Encoding encoded{call.text("EncodingType") == "url"};
  json::object owner = this->owner();
  bool with_owner = base::find_bool(call.input, "FetchOwner").value_or(false);
  json::object output{{"Name", call.bucket()},
                      {"Prefix", encoded(spec.prefix)},
                      {"MaxKeys", spec.entries_max},
                      {"KeyCount", page.objects.size() + page.common_prefixes.size()},
                      {"IsTruncated", page.truncated},
                      {"Contents", contents_of(page, encoded, with_owner ? &owner : nullptr)},
                      {"CommonPrefixes", prefixes_of(page, encoded)}};
  if (!spec.delimiter.empty()) output["Delimiter"] = encoded(spec.delimiter);
  if (encoded.url) output["EncodingType"] = "url";
  if (!token.empty()) output["ContinuationToken"] = token;
  if (!start_after.empty()) output["StartAfter"] = encoded(start_after);
  if (page.truncated) output["NextContinuationToken"] = base::base64(std::string(kTokenTag) + page.next_from);
  return call.answer(std::move(output));
}

http::Response S3Service::list_objects(Call& call) {
  objects::ListSpec spec{call.text("Prefix"), call.text("Delimiter"), "", call.count("MaxKeys", 1000)};
  std::string marker = call.text("Marker");
  objects::ListPage page;
  if (std::optional<std::string> from = begin_after(marker, spec.prefix, spec.delimiter)) {
    spec.from = *from;
    page = store_.list(call.bucket(), spec);
  } else {
    store_.bucket(call.bucket());
  }
  Encoding encoded{call.text("EncodingType") == "url"};
  json::object owner = this->owner();
  json::object output{{"Name", call.bucket()},
                      {"Prefix", encoded(spec.prefix)},
                      {"Marker", encoded(marker)},
                      {"MaxKeys", spec.entries_max},
                      {"IsTruncated", page.truncated},
                      {"Contents", contents_of(page, encoded, &owner)},
                      {"CommonPrefixes", prefixes_of(page, encoded)}};
  if (!spec.delimiter.empty()) output["Delimiter"] = encoded(spec.delimiter);
  if (encoded.url) output["EncodingType"] = "url";
  // Without a delimiter the last key is the marker, and S3 leaves it out.
  if (page.truncated && !spec.delimiter.empty()) output["NextMarker"] = encoded(page.last);
  return call.answer(std::move(output));
}

}  // namespace millrace::services

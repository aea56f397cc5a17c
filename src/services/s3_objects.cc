// Reading objects: GetObject, HeadObject, GetObjectAttributes.
#include <set>

#include "objects/store_errors.h"
#include "services/s3_call.h"
#include "services/s3_headers.h"
#include "services/s3_tags.h"

namespace millrace::services {
namespace {

namespace json = base::json;
using objects::ObjectRecord;

// Query parameters of GetObject that replace headers of the answer.
constexpr std::pair<std::string_view, std::string_view> kOverrides[] = {
    {"ResponseContentType", "content-type"},         {"ResponseCacheControl", "cache-control"},
    {"ResponseContentEncoding", "content-encoding"}, {"ResponseContentDisposition", "content-disposition"},
    {"ResponseContentLanguage", "content-language"}, {"ResponseExpires", "expires"}};

void add_stored_headers(http::Response& response, const ObjectRecord& record, const json::object& input) {
  response.headers.set("Content-Type", "binary/octet-stream");
  for (const auto& [name, value] : record.headers) {
    if (name == "x-amz-tagging") {
      response.headers.set("x-amz-tagging-count", std::to_string(parse_tags(value).size()));
    } else if (name != "x-amz-storage-class" || value != "STANDARD") {
      response.headers.set(name, value);
    }
  }
  for (const auto& [member, header] : kOverrides)
    if (auto value = base::find_string(input, member)) response.headers.set(header, std::string(*value));
  response.headers.set("Accept-Ranges", "bytes");
}

// Which bytes are asked for: a Range, a part, or all of it.
struct Selection {
  ByteRange range;
  bool partial = false;
  std::optional<size_t> parts_count;
};

Selection select(const http::RequestHead& head, const json::object& input, const ObjectRecord& record) {
  Selection selection{{0, record.size}, false, {}};
  std::optional<int64_t> part = base::find_int(input, "PartNumber");
  if (!part) {
    if (std::optional<ByteRange> range = byte_range(head.headers.get("range"), record.size))
      selection = {*range, true, {}};
    return selection;
  }
  if (head.headers.has("range"))
    throw s3_error("InvalidRequest", "Cannot specify both Range header and partNumber query parameter");
  size_t count = record.part_sizes.empty() ? 1 : record.part_sizes.size();
  if (*part < 1 || static_cast<size_t>(*part) > count)
    throw s3_error("InvalidPartNumber", "The requested partnumber is not satisfiable");
  if (record.part_sizes.empty()) return {{0, record.size}, record.size > 0, {}};
  ByteRange range{0, record.part_sizes[static_cast<size_t>(*part) - 1]};
  for (size_t i = 0; i + 1 < static_cast<size_t>(*part); ++i) range.offset += record.part_sizes[i];
  return {range, true, count};
}

// GetObject and HeadObject agree in everything but the body.
void check_read(const http::RequestHead& head, const ObjectRecord& record, bool& not_modified) {
  ReadCondition condition = read_condition(head, "", record);
  if (condition == ReadCondition::kFailed) throw objects::precondition_failed();
  not_modified = condition == ReadCondition::kNotModified;
}

http::Response not_modified_answer(const ObjectRecord& record, const std::string& request_id) {
  http::Response response;
  response.status = 304;
  response.headers.add("ETag", quoted(record.etag));
  response.headers.add("Last-Modified", base::http_date(record.modified));
  if (record.versioned) response.headers.add("x-amz-version-id", record.version_id());
  response.headers.add("x-amz-request-id", request_id);
  return response;
}

json::object read_output(const ObjectRecord& record, const Selection& selection, bool with_checksum) {
  json::object output{{"ETag", quoted(record.etag)}, {"LastModified", record.modified}};
  add_version(output, record);
  if (selection.partial)
    output["ContentRange"] = "bytes " + std::to_string(selection.range.offset) + "-" +
                             std::to_string(selection.range.offset + selection.range.length - 1) + "/" +
                             std::to_string(record.size);
  if (selection.parts_count) output["PartsCount"] = *selection.parts_count;
  // A checksum of the whole says nothing about a part of it.
  if (with_checksum && selection.range.length == record.size) add_checksum(output, record.checksum);
  return output;
}

}  // namespace

http::Response S3Service::get_object(Call& call) {
  objects::OpenObject object = store_.open(call.bucket(), call.key(), call.version());
  bool not_modified = false;
  check_read(call.head, object.record, not_modified);
  if (not_modified) return not_modified_answer(object.record, call.context.request_id);
  Selection selection = select(call.head, call.input, object.record);
  http::Response response =
      call.answer(read_output(object.record, selection, call.text("ChecksumMode") == "ENABLED"));
  add_stored_headers(response, object.record, call.input);
  response.status = selection.partial ? 206 : 200;
  if (object.file) {
    response.file = std::make_unique<http::FileRegion>();
    response.file->fd = std::move(object.file);
    response.file->offset = selection.range.offset;
    response.file->length = selection.range.length;
  } else {
    response.body = object.data.substr(selection.range.offset, selection.range.length);
  }
  return response;
}

http::Response S3Service::head_object(Call& call) {
  ObjectRecord record = store_.head(call.bucket(), call.key(), call.version());
  if (record.delete_marker) throw objects::DeleteMarkerError(record.version_id());
  bool not_modified = false;
  check_read(call.head, record, not_modified);
  if (not_modified) return not_modified_answer(record, call.context.request_id);
  Selection selection = select(call.head, call.input, record);
  http::Response response =
      call.answer(read_output(record, selection, call.text("ChecksumMode") == "ENABLED"));
  add_stored_headers(response, record, call.input);
  response.status = selection.partial ? 206 : 200;
  response.body.clear();
  response.content_length_of_head = static_cast<int64_t>(selection.range.length);
  return response;
}

http::Response S3Service::get_object_attributes(Call& call) {
  ObjectRecord record = store_.head(call.bucket(), call.key(), call.version());
  if (record.delete_marker) throw objects::DeleteMarkerError(record.version_id());
  std::set<std::string_view> wanted;
  if (const json::array* names = base::find_array(call.input, "ObjectAttributes"))
    for (const json::value& name : *names)
      if (const json::string* text = name.if_string()) wanted.insert(std::string_view(*text));
  json::object output{{"LastModified", record.modified}};
  add_version(output, record);
  if (wanted.contains("ETag")) output["ETag"] = record.etag;  // the one place where it stands without quotes
  if (wanted.contains("ObjectSize")) output["ObjectSize"] = record.size;
  if (wanted.contains("StorageClass")) {
    output["StorageClass"] = "STANDARD";
    for (const auto& [name, value] : record.headers)
      if (name == "x-amz-storage-class") output["StorageClass"] = value;
  }
  if (wanted.contains("Checksum") && record.checksum) {
    json::object checksum;
    add_checksum(checksum, record.checksum);
    output["Checksum"] = std::move(checksum);
  }
  if (wanted.contains("ObjectParts") && !record.part_sizes.empty()) {
    size_t limit = call.count("MaxParts", 1000);
    auto after = base::parse_number<size_t>(call.text("PartNumberMarker")).value_or(0);
    json::array parts;
    size_t number = after;
    for (; number < record.part_sizes.size() && parts.size() < limit; ++number)
      parts.push_back(json::object{{"PartNumber", number + 1}, {"Size", record.part_sizes[number]}});
    output["ObjectParts"] = json::object{
        {"TotalPartsCount", record.part_sizes.size()},      {"PartNumberMarker", std::to_string(after)},
        {"NextPartNumberMarker", std::to_string(number)},   {"MaxParts", limit},
        {"IsTruncated", number < record.part_sizes.size()}, {"Parts", std::move(parts)}};
  }
  return call.answer(std::move(output));
}

}  // namespace millrace::services

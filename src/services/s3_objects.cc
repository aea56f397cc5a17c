// Operations on single objects, and the deletion of many.
#include "base/url.h"
#include "services/s3_call.h"
#include "services/s3_headers.h"

namespace millrace::services {
namespace {

namespace json = base::json;
using objects::ObjectRecord;

// Query parameters of GetObject that replace headers of the answer.
constexpr std::pair<std::string_view, std::string_view> kOverrides[] = {
    {"ResponseContentType", "content-type"},         {"ResponseCacheControl", "cache-control"},
    {"ResponseContentEncoding", "content-encoding"}, {"ResponseContentDisposition", "content-disposition"},
    {"ResponseContentLanguage", "content-language"}, {"ResponseExpires", "expires"}};

size_t tag_count(std::string_view tagging) {
  return tagging.empty() ? 0 : base::parse_query(tagging, true).size();
}

void add_stored_headers(http::Response& response, const ObjectRecord& record, const json::object& input) {
  response.headers.set("Content-Type", "binary/octet-stream");
  for (const auto& [name, value] : record.headers) {
    if (name == "x-amz-tagging") {
      response.headers.set("x-amz-tagging-count", std::to_string(tag_count(value)));
    } else if (name != "x-amz-storage-class" || value != "STANDARD") {
      response.headers.set(name, value);
    }
  }
  for (const auto& [member, header] : kOverrides)
    if (auto value = base::find_string(input, member)) response.headers.set(header, std::string(*value));
  response.headers.set("Accept-Ranges", "bytes");
}

aws::ApiError failed_condition() {
  aws::ApiError error =
      s3_error("PreconditionFailed", "At least one of the pre-conditions you specified did not hold");
  return error;
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
  if (condition == ReadCondition::kFailed) throw failed_condition();
  not_modified = condition == ReadCondition::kNotModified;
}

http::Response not_modified_answer(const ObjectRecord& record, const std::string& request_id) {
  http::Response response;
  response.status = 304;
  response.headers.add("ETag", quoted(record.etag));
  response.headers.add("Last-Modified", base::http_date(record.modified));
  response.headers.add("x-amz-request-id", request_id);
  return response;
}

json::object read_output(const ObjectRecord& record, const Selection& selection, bool with_checksum) {
  json::object output{{"ETag", quoted(record.etag)}, {"LastModified", record.modified}};
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
  objects::OpenObject object = store_.open(call.bucket(), call.key());
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
  ObjectRecord record = store_.head(call.bucket(), call.key());
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

http::Response S3Service::delete_object(Call& call) {
  objects::WriteConditions conditions;
  conditions.if_match = without_quotes(base::trim(call.head.headers.get("if-match")));
  store_.remove(call.bucket(), call.key(), conditions, call.requester());
  return call.answer();
}

http::Response S3Service::delete_objects(Call& call) {
  objects::Integrity integrity = integrity_of(call.head);
  if (integrity.md5.empty() && integrity.checksum.empty())
    throw s3_error("InvalidRequest",
                   "Missing required header for this request: Content-MD5 OR x-amz-checksum-*");
  if (!integrity.md5.empty() && integrity.md5 != base::md5(call.body))
    throw s3_error("BadDigest", "The Content-MD5 you specified did not match what we received.");
  if (!integrity.checksum.empty() &&
      integrity.checksum != objects::checksum_of(*integrity.algorithm, call.body))
    throw s3_error("BadDigest", "The " + std::string(objects::checksum_name(*integrity.algorithm)) +
                                    " you specified did not match the calculated checksum.");
  constexpr size_t kKeysMax = 1000;
  const json::object* request = base::find_object(call.input, "Delete");
  const json::array* items = request ? base::find_array(*request, "Objects") : nullptr;
  if (!items || items->empty() || items->size() > kKeysMax) throw malformed_xml();
  bool quiet = base::find_bool(*request, "Quiet").value_or(false);
  std::vector<std::string> keys;
  json::array deleted, errors;
  for (const json::value& item : *items) {
    const json::object* object = item.if_object();
    if (!object) throw malformed_xml();
    std::string key(base::find_string(*object, "Key").value_or(""));
    std::string version(base::find_string(*object, "VersionId").value_or("null"));
    if (version != "null") {
      errors.push_back(json::object{{"Key", key},
                                    {"VersionId", version},
                                    {"Code", "NoSuchVersion"},
                                    {"Message", "The specified version does not exist."}});
      continue;
    }
    keys.push_back(std::move(key));
  }
  std::vector<std::exception_ptr> results = store_.remove_all(call.bucket(), keys, call.requester());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (results[i]) {
      aws::ApiError error = to_s3_error(results[i]);
      errors.push_back(json::object{{"Key", keys[i]}, {"Code", error.code()}, {"Message", error.what()}});
    } else if (!quiet) {
      deleted.push_back(json::object{{"Key", keys[i]}});
    }
  }
  return call.answer({{"Deleted", std::move(deleted)}, {"Errors", std::move(errors)}});
}

http::Response S3Service::copy_object(Call& call) {
  constexpr uint64_t kCopyBytesMax = 5'368'709'120;
  CopySource source = copy_source(call.head);
  ObjectRecord record = store_.head(source.bucket, source.key);
  if (read_condition(call.head, "x-amz-copy-source-", record) != ReadCondition::kProceed)
    throw failed_condition();
  if (record.size > kCopyBytesMax)
    throw s3_error(
        "InvalidRequest",
        "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120");
  bool replace = call.text("MetadataDirective") == "REPLACE";
  objects::StoredHeaders given = stored_headers(call.head);
  objects::PutSpec target{call.bucket(), call.key(), {}, {}, write_conditions(call.head), call.requester()};
  auto is_named = [](const char* name) {
    return [name](const std::pair<std::string, std::string>& header) { return header.first == name; };
  };
  bool changes_class = call.head.headers.has("x-amz-storage-class");
  bool replaces_tags = call.text("TaggingDirective") == "REPLACE";
  if (source.bucket == target.bucket && source.key == target.key && !replace && !changes_class &&
      !call.head.headers.has("x-amz-website-redirect-location") &&
      !call.head.headers.has("x-amz-server-side-encryption") &&
      !call.head.headers.has("x-amz-checksum-algorithm"))
    throw s3_error(
        "InvalidRequest",
        "This copy request is illegal because it is trying to copy an object to itself without changing "
        "the object's metadata, storage class, website redirect location or encryption attributes.");
  // Metadata comes from one side; the storage class always, and tags by their own directive.
  target.headers = replace ? given : record.headers;
  std::erase_if(target.headers, is_named("x-amz-storage-class"));
  if (changes_class)
    target.headers.emplace_back("x-amz-storage-class", call.head.headers.get("x-amz-storage-class"));
  std::erase_if(target.headers, is_named("x-amz-tagging"));
  for (const auto& header : replaces_tags ? given : record.headers)
    if (header.first == "x-amz-tagging") target.headers.push_back(header);
  objects::PutResult result = store_.copy(source.bucket, source.key, record.etag, std::move(target),
                                          objects::parse_checksum_name(call.text("ChecksumAlgorithm")), true);
  json::object copy{{"ETag", quoted(result.etag)}, {"LastModified", result.modified}};
  add_checksum(copy, result.checksum);
  return call.answer({{"CopyObjectResult", std::move(copy)}});
}

http::Response S3Service::get_object_tagging(Call& call) {
  ObjectRecord record = store_.head(call.bucket(), call.key());
  json::array tags;
  for (const auto& [name, value] : record.headers)
    if (name == "x-amz-tagging")
      for (auto& [key, text] : base::parse_query(value, true))
        tags.push_back(json::object{{"Key", key}, {"Value", text}});
  return call.answer({{"TagSet", std::move(tags)}});
}

}  // namespace millrace::services

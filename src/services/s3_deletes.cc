// Deletion of one object, and of many.
#include "services/s3_call.h"
#include "services/s3_headers.h"

namespace millrace::services {

namespace json = base::json;

bool S3Service::Call::check_body() const {
  objects::Integrity integrity = integrity_of(head);
  if (!integrity.md5.empty() && integrity.md5 != base::md5(body)) throw objects::bad_md5();
  if (!integrity.checksum.empty() && integrity.checksum != objects::checksum_of(*integrity.algorithm, body))
    throw objects::bad_checksum(objects::checksum_name(*integrity.algorithm));
  return !integrity.md5.empty() || !integrity.checksum.empty();
}

http::Response S3Service::delete_object(Call& call) {
  objects::WriteConditions conditions;
  conditions.if_match = without_quotes(base::trim(call.head.headers.get("if-match")));
  objects::RemoveResult result =
      store_.remove(call.bucket(), call.key(), conditions, call.requester(), call.version());
  json::object output;
  add_version(output, result.version_id);
  if (result.delete_marker) output["DeleteMarker"] = true;
  return call.answer(std::move(output));
}

http::Response S3Service::delete_objects(Call& call) {
  constexpr size_t kKeysMax = 1000;
  if (!call.check_body())
    throw s3_error("InvalidRequest",
                   "Missing required header for this request: Content-MD5 OR x-amz-checksum-*");
  const json::object* request = base::find_object(call.input, "Delete");
  const json::array* items = request ? base::find_array(*request, "Objects") : nullptr;
  if (!items || items->empty() || items->size() > kKeysMax) throw malformed_xml();
  bool quiet = base::find_bool(*request, "Quiet").value_or(false);
  std::vector<objects::RemoveTarget> targets;
  json::array deleted, errors;
  auto failed_entry = [&](const objects::RemoveTarget& target, const aws::ApiError& error) {
    json::object entry{{"Key", target.key}, {"Code", error.code()}, {"Message", error.what()}};
    if (!target.version.empty()) entry["VersionId"] = target.version;
    errors.push_back(std::move(entry));
  };
  for (const json::value& item : *items) {
    const json::object* object = item.if_object();
    if (!object) throw malformed_xml();
    objects::RemoveTarget target;
    target.key = base::find_string(*object, "Key").value_or("");
    target.version = base::find_string(*object, "VersionId").value_or("");
    target.conditions.if_match = without_quotes(base::find_string(*object, "ETag").value_or(""));
    try {
      if (call.context.require)
        call.context.require(target.version.empty() ? "DeleteObject" : "DeleteObjectVersion", call.bucket(),
                             target.key);
      targets.push_back(std::move(target));
    } catch (const aws::ApiError& denied) {
      failed_entry(target, denied);
    }
  }
  std::vector<objects::RemoveOutcome> outcomes = store_.remove_all(call.bucket(), targets, call.requester());
  for (size_t i = 0; i < targets.size(); ++i) {
    if (outcomes[i].error) {
      failed_entry(targets[i], to_s3_error(outcomes[i].error));
    } else if (!quiet) {
      json::object entry{{"Key", targets[i].key}};
      if (!targets[i].version.empty()) entry["VersionId"] = targets[i].version;
      if (outcomes[i].result.delete_marker) {
        entry["DeleteMarker"] = true;
        entry["DeleteMarkerVersionId"] = outcomes[i].result.version_id;
      }
      deleted.push_back(std::move(entry));
    }
  }
  return call.answer({{"Deleted", std::move(deleted)}, {"Errors", std::move(errors)}});
}

}  // namespace millrace::services

// Access control lists, which say of every bucket and object that its owner may do everything, and the parts
// of Object Lock that tools read.
#include "objects/store_errors.h"
#include "services/s3_call.h"
#include "services/s3_headers.h"

namespace millrace::services {
namespace {

std::string acl_document(const base::json::object& owner) {
  std::string id(base::find_string(owner, "ID").value_or(""));
  std::string name(base::find_string(owner, "DisplayName").value_or(""));
  std::string who = "<ID>" + id + "</ID><DisplayName>" + name + "</DisplayName>";
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<AccessControlPolicy xmlns=\"" +
         std::string(kXmlNamespace) + "\"><Owner>" + who +
         "</Owner><AccessControlList><Grant><Grantee "
         "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\">" +
         who +
         "</Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>";
}

// Throws unless the request grants nothing beyond what the owner has anyway.
void check_acl(const http::RequestHead& head, const base::json::object& input, bool has_body,
               const base::json::object& owner) {
  check_acl_headers(head);
  if (!has_body) return;
  const base::json::object* policy = base::find_object(input, "AccessControlPolicy");
  const base::json::array* grants = policy ? base::find_array(*policy, "Grants") : nullptr;
  if (!grants) throw malformed_xml();
  for (const base::json::value& item : *grants) {
    const base::json::object* grant = item.if_object();
    const base::json::object* grantee = grant ? base::find_object(*grant, "Grantee") : nullptr;
    if (!grantee || base::find_string(*grantee, "ID") != base::find_string(owner, "ID") ||
        base::find_string(*grant, "Permission") != "FULL_CONTROL")
      throw s3_error("AccessControlListNotSupported", "The bucket does not allow ACLs");
  }
}

}  // namespace

http::Response S3Service::get_bucket_acl(Call& call) {
  store_.bucket(call.bucket());
  return call.answer_document(acl_document(owner()));
}

http::Response S3Service::get_object_acl(Call& call) {
  objects::ObjectRecord record = store_.head(call.bucket(), call.key(), call.version());
  if (record.delete_marker) throw objects::DeleteMarkerError(record.version_id());
  return call.answer_document(acl_document(owner()));
}

http::Response S3Service::put_bucket_acl(Call& call) {
  store_.bucket(call.bucket());
  check_acl(call.head, call.input, !call.body.empty(), owner());
  return call.answer();
}

http::Response S3Service::put_object_acl(Call& call) {
  store_.head(call.bucket(), call.key(), call.version());
  check_acl(call.head, call.input, !call.body.empty(), owner());
  return call.answer();
}

http::Response S3Service::no_object_lock(Call& call) {
  store_.bucket(call.bucket());
  throw s3_error("InvalidRequest", "Bucket is missing Object Lock Configuration");
}

}  // namespace millrace::services

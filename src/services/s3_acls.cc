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
  check_acl_headers(call.head);
  if (!call.body.empty()) throw s3_error("AccessControlListNotSupported", "The bucket does not allow ACLs");
  return call.answer();
}

http::Response S3Service::put_object_acl(Call& call) {
  store_.head(call.bucket(), call.key(), call.version());
  check_acl_headers(call.head);
  if (!call.body.empty()) throw s3_error("AccessControlListNotSupported", "The bucket does not allow ACLs");
  return call.answer();
}

http::Response S3Service::no_object_lock(Call& call) {
  store_.bucket(call.bucket());
  throw s3_error("InvalidRequest", "Bucket is missing Object Lock Configuration");
}

}  // namespace millrace::services

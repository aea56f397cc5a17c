// The S3 endpoint: decoded operations on the directory store. Authentication and routing happen above.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "aws/chunked.h"
#include "aws/model.h"
#include "aws/sigv4.h"
#include "base/json.h"
#include "base/worker_pool.h"
#include "http/message.h"
#include "http/server.h"
#include "objects/directory_store.h"
#include "services/multipart_form.h"

namespace millrace::services {

// What authentication found out about a request.
struct SigningContext {
  // Default-constructed (payload_hash empty) for unsigned requests of `--auth none`.
  aws::Claim claim;
  // For the signatures of chunks; nothing: they are not checked.
  std::optional<aws::SigningKey> key;
  std::string principal;   // for events
  std::string request_id;  // of the answer
  // Throws AccessDenied unless the caller may do that ("DeleteObject") to an object, or a bucket when `key`
  // is empty: for what the request's head does not tell. Nothing: everything is allowed.
  std::function<void(std::string_view action, std::string_view bucket, std::string_view key)> require = {};
};

struct S3Options {
  std::string region = "us-east-1";
  std::string account = "123456789012";  // shown as owner
  unsigned workers = 4;                  // threads for work that waits for the disk
};

// Thread-safe. `store` must outlive it.
class S3Service {
 public:
  S3Service(objects::DirectoryStore& store, S3Options options);
  ~S3Service();

  // True for the operations whose body is taken as a stream: call open() for them, handle() for the others.
  static bool is_streamed(const aws::Operation& operation);
  static bool is_implemented(const aws::Operation& operation);

  // Takes the body of PutObject or UploadPart; `head` was authenticated, all but the body's digest, which the
  // sink checks. Throws to refuse before the body: pass it to failed().
  std::unique_ptr<http::BodySink> open(const aws::Operation& operation, const http::RequestHead& head,
                                       const SigningContext& context);

  // Finds out who signed a form: its fields are policy, x-amz-algorithm, x-amz-credential, x-amz-date,
  // x-amz-signature and x-amz-security-token. Throws ApiError to refuse it.
  using AuthenticateForm = std::function<SigningContext(const FormFields& fields)>;
  // Takes a POST Object form, whose authentication is in its body; null when `head` begins none. `clock`
  // outlives the sink.
  std::unique_ptr<http::BodySink> open_form(const http::RequestHead& head, const base::Clock& clock,
                                            AuthenticateForm authenticate);

  // Everything else, with its whole and authenticated body. Answers from a worker thread, errors too.
  void handle(const aws::Operation& operation, http::Request request, const SigningContext& context,
              http::Respond respond);

  // Whether the bucket's public access block keeps those out who sign nothing, whatever its policy says.
  static bool restricts_public_access(objects::DirectoryStore& store, const std::string& bucket);

  // The answer to a request for which open(), its sink, or authentication threw.
  static http::Response failed(const http::RequestHead& head, std::exception_ptr error,
                               const std::string& request_id);

 private:
  struct Call;  // one request with its decoded input
  using Handler = http::Response (S3Service::*)(Call&);
  static Handler handler_of(std::string_view operation);
  class Upload;
  class PostUpload;

  // s3_buckets.cc
  http::Response list_buckets(Call& call);
  http::Response create_bucket(Call& call);
  http::Response head_bucket(Call& call);
  http::Response delete_bucket(Call& call);
  http::Response get_bucket_location(Call& call);
  // s3_settings.cc
  http::Response get_setting(Call& call);
  http::Response put_setting(Call& call);
  http::Response delete_setting(Call& call);
  http::Response list_nothing(Call& call);
  http::Response no_such_configuration(Call& call);
  http::Response get_bucket_policy_status(Call& call);
  // s3_acls.cc
  http::Response get_bucket_acl(Call& call);
  http::Response get_object_acl(Call& call);
  http::Response put_bucket_acl(Call& call);
  http::Response put_object_acl(Call& call);
  http::Response no_object_lock(Call& call);
  // s3_versions.cc
  http::Response get_bucket_versioning(Call& call);
  http::Response put_bucket_versioning(Call& call);
  http::Response list_object_versions(Call& call);
  // s3_lists.cc
  http::Response list_objects(Call& call);
  http::Response list_objects_v2(Call& call);
  // s3_objects.cc
  http::Response get_object(Call& call);
  http::Response head_object(Call& call);
  http::Response get_object_attributes(Call& call);
  // s3_deletes.cc
  http::Response delete_object(Call& call);
  http::Response delete_objects(Call& call);
  // s3_copies.cc
  http::Response copy_object(Call& call);
  http::Response upload_part_copy(Call& call);
  // s3_tags.cc
  http::Response get_object_tagging(Call& call);
  http::Response put_object_tagging(Call& call);
  http::Response delete_object_tagging(Call& call);
  // s3_uploads.cc
  http::Response create_multipart_upload(Call& call);
  http::Response complete_multipart_upload(Call& call);
  http::Response abort_multipart_upload(Call& call);
  http::Response list_parts(Call& call);
  http::Response list_multipart_uploads(Call& call);

  // Throws AccessDenied when the request expects another owner of its buckets.
  void check_owner(const http::RequestHead& head) const;
  base::json::object owner() const;

  objects::DirectoryStore& store_;
  S3Options options_;
  base::WorkerPool workers_;
};

}  // namespace millrace::services

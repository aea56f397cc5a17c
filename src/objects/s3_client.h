// An S3 bucket over the network: what jobs read from, upload to and copy between.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/credentials.h"
#include "base/time.h"
#include "http/client.h"
#include "objects/checksum.h"
#include "objects/s3_traffic.h"
#include "objects/store.h"

namespace millrace::objects {

struct S3ClientOptions {
  std::string bucket;
  std::string endpoint;  // "http://127.0.0.1:4600"; empty: AWS's own for the region
  std::string region = "us-east-1";
  std::shared_ptr<aws::CredentialsProvider> credentials;
  std::shared_ptr<http::Client> client;
  std::shared_ptr<S3Traffic> traffic = {};  // shared with other clients of the job; none: one of its own
  std::shared_ptr<RequestGate> gate = {};   // none: no limit but the threads that call
  int attempts_max = 5;
  std::chrono::milliseconds retry_pause{500};  // times 2^n, at most 20 s, times a random share of one
  uint64_t part_bytes = 8ull * 1024 * 1024;    // of uploads and downloads; grown for files above 10,000 parts
  uint64_t copy_part_bytes = 128ull * 1024 * 1024;
  uint64_t copy_single_bytes_max = 1ull << 30;  // copied by one request; at most 5 GiB
  unsigned parallel = 4;                        // parts of one object in flight
  std::string ca_file;                          // instead of the system's CAs
};

// An object with all that is stored beside its bytes.
struct ObjectDetails {
  ObjectInfo info;
  // content-type, cache-control, content-disposition, content-encoding, content-language, expires,
  // x-amz-website-redirect-location, x-amz-storage-class, x-amz-meta-*: as they would be sent to store it.
  http::Headers headers;
  std::string version_id;            // empty in a bucket that never kept versions
  std::optional<Checksum> checksum;  // of the whole object or of its parts
  size_t tag_count = 0;
  http::Headers encryption;  // x-amz-server-side-encryption and its key, as they would be sent
};

// How an upload in parts can be found again by another run.
struct PartsOptions {
  // Called before one is created (it may throw to prevent that), and told its id when it is. With `begun` set
  // a failed upload is kept, else it is aborted.
  std::function<void()> beginning;
  std::function<void(const std::string& upload_id)> begun;
  // Goes on with that one: parts that are there are not sent again. Of files those whose bytes are the
  // file's; else the caller knows that the source is the same. One that is gone begins anew.
  std::string resume;
};

struct UploadOptions : PartsOptions {
  http::Headers headers;  // Content-Type, x-amz-meta-*, x-amz-tagging, x-amz-storage-class, …
  // Conditions on what is there: an ETag without quotes; or nothing at all. ConflictError when they fail.
  std::string if_match;
  bool if_none_match = false;
  // Bytes sent since the last call; one call at a time, from any thread; may throw to stop.
  std::function<void(uint64_t bytes)> progress;
};

struct CopyOptions : PartsOptions {
  bool tags = true;       // on copies in parts, where S3 does not do it
  http::Headers headers;  // replace those of the source when `replace_headers`; x-amz-storage-class and
  bool replace_headers = false;  // x-amz-server-side-encryption* and x-amz-acl count in any case
  bool keep_encryption = false;  // copies in parts: as the source's, where it says so
  std::function<void(uint64_t bytes)> progress;
};

struct CopyResult {
  std::string etag;                  // without quotes
  std::string version_id;            // empty in a bucket that never kept versions
  std::optional<Checksum> checksum;  // where the server says it
};

struct ListRequest {
  std::string_view prefix, delimiter, start_after;
  std::string_view token;    // of the page before
  unsigned keys_max = 1000;  // at most 1000
};

struct ListedPage {
  std::vector<ObjectInfo> objects;
  std::vector<std::string> common_prefixes;
  std::string next;  // token of the next page; empty: this was the last
};

struct DownloadResult {
  ObjectInfo info;
  bool verified = false;  // against a checksum or MD5 that the server keeps
};

struct ListedPart;  // s3_xml.h

struct RemoveFailure {
  std::string key, code, message;
};

// Thread-safe. Answers of 429 and 5xx, resets and time-outs are tried again with full jitter, as long as the
// quota lasts; then TransientError. Other errors: NotFoundError (404), DeniedError (401, 403), ConflictError
// (409, 412), CorruptError (bytes that do not match their checksum), else InternalError; code() is S3's.
class S3Client final : public ObjectReader {
 public:
  explicit S3Client(S3ClientOptions options);
  ~S3Client() override;

  // ---- reading ----
  void list(std::string_view prefix, const std::function<bool(const ObjectInfo&)>& visit) override;
  // From behind `start_after`; keys with `delimiter` behind the prefix come as common prefixes, once each.
  void list(std::string_view prefix, std::string_view delimiter, std::string_view start_after,
            const std::function<bool(const ObjectInfo&)>& visit,
            const std::function<bool(const std::string&)>& visit_common_prefix);
  // One page of such a listing. CorruptError for an answer that cannot be one.
  ListedPage list_page(const ListRequest& request);
  ObjectInfo head(std::string_view key) override;
  // `version_id`: of that version; empty: the newest.
  ObjectDetails details(std::string_view key, std::string_view version_id = {});
  size_t read(std::string_view key, uint64_t offset, char* out, size_t length,
              std::string_view etag) override;
  size_t read_version(std::string_view key, std::string_view version_id, uint64_t offset, char* out,
                      size_t length, std::string_view etag);
  // The whole object in order, in constant memory; goes on where a connection broke, if the object is still
  // the same. Checked at its end: CorruptError after the last byte was given out.
  DownloadResult get(std::string_view key, const std::function<void(std::string_view)>& sink);
  // Into a file that appears under its name when it is complete: parts in parallel, constant memory. With
  // `etag` the object must still have it (ConflictError).
  DownloadResult get_file(std::string_view key, const std::string& path, std::string_view etag = {},
                          const std::function<void(uint64_t bytes)>& progress = {});
  // The same into an open, empty file; what is in it after an error means nothing. `listed`: what the object
  // must still be (its key does not count); a small one then costs one request.
  DownloadResult get_into(std::string_view key, int file, const ObjectInfo* listed,
                          const std::function<void(uint64_t bytes)>& progress = {});
  std::string url() const override;
  http::Headers::Field tags_header(std::string_view key);  // {"x-amz-tagging", "a=1&b=2"}, empty value: none

  // ---- buckets ----
  // False when the bucket is not there. Throws DeniedError when that may not be asked.
  bool bucket_exists();
  // Fine when it is ours already.
  void create_bucket();
  void delete_bucket();

  // ---- writing; every result is the ETag without quotes ----
  using Metadata = std::vector<std::pair<std::string, std::string>>;  // names without "x-amz-meta-"
  // Verified by the server (SHA-256 and CRC-32).
  std::string put(std::string_view key, std::string_view body, std::string_view content_type = {},
                  const Metadata& metadata = {});
  std::string put(std::string_view key, std::string_view body, const UploadOptions& options);
  // Stores a file in constant memory, in parts and in parallel when it is larger than two of them.
  std::string put_file(std::string_view key, const std::string& path, std::string_view content_type = {},
                       const std::function<void(uint64_t bytes)>& progress = {});
  std::string put_file(std::string_view key, const std::string& path, const UploadOptions& options);
  // Stores `size` bytes that `read` gives range by range, from several threads at once when there is more
  // than one part. Parts in flight are held in memory: S3Traffic::buffers bounds those of the whole job.
  using ReadRange = std::function<void(uint64_t offset, char* out, size_t length)>;
  std::string put_from(std::string_view key, uint64_t size, const ReadRange& read,
                       const UploadOptions& options);
  // Copies inside the server from `source_bucket`, if the object still has its ETag (else ConflictError): in
  // one request, or in parts with headers and tags taken along.
  std::string copy_from(const std::string& source_bucket, const ObjectInfo& source, std::string_view key,
                        const CopyOptions& options = {}) {
    return copy(source_bucket, source, key, options).etag;
  }
  CopyResult copy(const std::string& source_bucket, const ObjectInfo& source, std::string_view key,
                  const CopyOptions& options = {});
  // The same without waiting and without a second attempt, for what one request can copy: `done` is called in
  // the HTTP client's thread and must not block; with an error, copy() is what finds out why. The caller has
  // entered the gate; the answer leaves it (not when this throws: there are no credentials).
  bool copied_by_one_request(uint64_t size) const { return size <= options_.copy_single_bytes_max; }
  void start_copy(const std::string& source_bucket, const ObjectInfo& source, std::string_view key,
                  const CopyOptions& options, std::function<void(CopyResult, std::exception_ptr)> done);
  // Uploads in parts of exactly this key that were begun at `since` (by the server's clock) or later.
  std::vector<std::string> uploads_of(std::string_view key, base::TimeMs since);
  // Fine when it is gone or was completed. Asks no gate: also a job that is being stopped tidies up.
  void abort_upload(std::string_view key, const std::string& upload_id);
  // As the server writes it, to be given to another object of the same owner.
  std::string acl(std::string_view key);
  void put_acl(std::string_view key, const std::string& document);
  void put_tags(std::string_view key, const std::string& tags);  // "a=1&b=2", percent-encoded; empty: none

  // Fine when there is no such object.
  void remove(std::string_view key);
  // 1000 keys a request. Returns those that are still there, with the reason.
  std::vector<RemoveFailure> remove_all(const std::vector<std::string>& keys);

  uint64_t requests() const { return options_.traffic->requests.load(); }
  const S3Traffic& traffic() const { return *options_.traffic; }
  const S3ClientOptions& options() const { return options_; }

 private:
  struct Call;
  http::ClientResponse send(Call& call);
  http::ClientResponse send(Call&& call) { return send(call); }
  http::ClientRequest signed_request(const Call& call, aws::Credentials& credentials) const;
  std::string url_of(std::string_view key, std::string_view query) const;
  std::string region() const;
  bool adopt_region(const http::ClientResponse& response, const std::string& told_in_body);

  struct Upload;  // one in parts
  std::string put_single(std::string_view key, int file, uint64_t size, const UploadOptions& options);
  std::string put_parts(std::string_view key, int file, uint64_t size, const UploadOptions& options);
  // What an earlier run has sent already and `is_right` says is what would be sent now. False: the upload is
  // gone.
  bool find_parts(Upload& upload, const std::function<bool(size_t i, const ListedPart& part)>& is_right);
  // Goes on with an upload or begins one.
  void open_upload(Upload& upload, const http::Headers& headers, const PartsOptions& options,
                   const std::function<bool(size_t i, const ListedPart& part)>& is_right);
  std::string create_upload(std::string_view key, const http::Headers& headers);
  // After an error, which is what the caller must hear.
  void abort_unless_kept(const Upload& upload, const PartsOptions& options);
  CopyResult complete(std::string_view key, const std::string& upload_id,
                      const std::vector<std::string>& etags, const std::string& crc32,
                      const UploadOptions& options);
  void ensure_tags(std::string_view key, const http::Headers& headers);
  static Call copy_call(const std::string& source_bucket, const ObjectInfo& source, std::string_view key,
                        const CopyOptions& options);
  CopyResult copy_parts(const std::string& source_bucket, const ObjectInfo& source, std::string_view key,
                        const CopyOptions& options);
  void download_parts(std::string_view key, int file, const ObjectDetails& object, DownloadResult& result,
                      const std::function<void(uint64_t)>& progress);

  S3ClientOptions options_;
  bool path_style_;
  mutable std::mutex mutex_;
  std::string region_;
  std::atomic<base::TimeMs> clock_offset_{0};
};

// Endpoint (AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL), region (AWS_REGION, AWS_DEFAULT_REGION), both also from
// the profile, CAs (AWS_CA_BUNDLE) and credentials from the environment and AWS's files. Sends nothing.
S3ClientOptions s3_options_from_environment(const std::string& bucket, const std::string& profile = "");
std::unique_ptr<S3Client> open_s3(const std::string& bucket);

}  // namespace millrace::objects

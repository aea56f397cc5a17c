// An S3 bucket over the network: what jobs read from and upload to.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/credentials.h"
#include "base/time.h"
#include "http/client.h"
#include "objects/store.h"

namespace millrace::objects {

struct S3ClientOptions {
  std::string bucket;
  std::string endpoint;  // "http://127.0.0.1:4600"; empty: AWS's own for the region
  std::string region = "us-east-1";
  std::shared_ptr<aws::CredentialsProvider> credentials;
  std::shared_ptr<http::Client> client;
  int attempts_max = 5;
  std::chrono::milliseconds retry_pause{500};  // times 2^n, at most 20 s, times a random share of one
  uint64_t part_bytes = 8ull * 1024 * 1024;    // of multipart uploads; grown for files above 10,000 parts
  std::string ca_file;                         // instead of the system's CAs
};

// Thread-safe. Answers of 429 and 5xx, resets and time-outs are tried again with full jitter; then
// TransientError. Other errors: NotFoundError (404), DeniedError (401, 403), ConflictError (409, 412), else
// InternalError; code() is S3's.
class S3Client final : public ObjectReader {
 public:
  explicit S3Client(S3ClientOptions options);
  ~S3Client() override;

  void list(std::string_view prefix, const std::function<bool(const ObjectInfo&)>& visit) override;
  ObjectInfo head(std::string_view key) override;
  size_t read(std::string_view key, uint64_t offset, char* out, size_t length,
              std::string_view etag) override;
  std::string url() const override;

  // False when the bucket is not there. Throws DeniedError when that may not be asked.
  bool bucket_exists();
  // Fine when it is ours already.
  void create_bucket();

  using Metadata = std::vector<std::pair<std::string, std::string>>;  // names without "x-amz-meta-"
  // Stores `body` and returns the ETag without quotes. Verified by the server (SHA-256 and CRC-32).
  std::string put(std::string_view key, std::string_view body, std::string_view content_type = {},
                  const Metadata& metadata = {});
  // Stores a file, in parts when it is larger than two of them. `progress` is told of bytes sent and may
  // throw to stop; an upload that fails is aborted.
  std::string put_file(std::string_view key, const std::string& path, std::string_view content_type = {},
                       const std::function<void(uint64_t bytes)>& progress = {});

  // Fine when there is no such object.
  void remove(std::string_view key);

  uint64_t requests() const { return requests_.load(); }

 private:
  struct Call;
  http::ClientResponse send(const Call& call);
  std::string url_of(std::string_view key, std::string_view query) const;
  std::string region() const;
  bool adopt_region(const http::ClientResponse& response);
  std::string put_parts(std::string_view key, int file, uint64_t size, std::string_view content_type,
                        const std::function<void(uint64_t)>& progress);
  std::string complete(std::string_view key, const std::string& upload, const std::vector<std::string>& etags,
                       const std::string& expected_etag);

  S3ClientOptions options_;
  bool path_style_;
  mutable std::mutex mutex_;
  std::string region_;
  std::atomic<base::TimeMs> clock_offset_{0};
  std::atomic<uint64_t> requests_{0};
};

// Endpoint (AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL), region (AWS_REGION, AWS_DEFAULT_REGION) and credentials
// from the environment and AWS's files. Sends nothing.
std::unique_ptr<S3Client> open_s3(const std::string& bucket);

}  // namespace millrace::objects

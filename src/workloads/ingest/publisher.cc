#include "workloads/ingest/publisher.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <random>
#include <thread>
#include <vector>

#include "base/durable_file.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "base/url.h"
#include "http/client.h"
#include "objects/local_writer.h"
#include "objects/s3_client.h"
#include "workloads/ingest/outcome.h"
#include "workloads/text.h"

namespace millrace::ingest {
namespace {

constexpr size_t kPiece = 256 * 1024;
constexpr size_t kRecordMax = 4u << 20;  // of what get() reads
constexpr int kAttempts = 5;

std::string checked_key(const std::string& key) {
  for (std::string_view part : base::split(key, '/'))
    if (part.empty() || part == "." || part == ".." || part.find('\0') != std::string_view::npos)
      throw base::UsageError("'" + workloads::printable(key) + "' is no name for a published file",
                             "UnsafeKey");
  return key;
}

base::UniqueFd open_file(const std::string& path) {
  base::UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) throw base::TransientError(base::system_message("open " + path, errno));
  return file;
}

size_t read_piece(int file, char* out, size_t size, const std::string& path) {
  while (true) {
    ssize_t n = ::read(file, out, size);
    if (n >= 0) return static_cast<size_t>(n);
    if (errno != EINTR) throw base::TransientError(base::system_message("read " + path, errno));
  }
}

std::string name_of(const std::string& key) { return key.substr(key.rfind('/') + 1); }

// As sha256sum writes it.
std::string sum_line(const std::string& digest, const std::string& key) {
  return digest + "  " + name_of(key) + "\n";
}

class FolderPublisher final : public Publisher {
 public:
  explicit FolderPublisher(std::string root) : root_(std::move(root)), writer_(root_) {}

  void put_file(const std::string& key, const std::string& path) override {
    base::UniqueFd source = open_file(path);
    objects::LocalWriter::NewFile file = writer_.create(checked_key(key));
    base::Digest digest(base::Digest::Algorithm::kSha256);
    std::string buffer(kPiece, '\0');
    for (size_t n; (n = read_piece(source.get(), buffer.data(), buffer.size(), path)) > 0;) {
      digest.update({buffer.data(), n});
      for (size_t at = 0; at < n;) {
        ssize_t written = ::write(file.fd(), buffer.data() + at, n - at);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0)
          throw base::TransientError(base::system_message("write " + uri(key), errno),
                                     errno == ENOSPC ? "disk" : "");
        at += static_cast<size_t>(written);
      }
    }
    file.publish(0);
    writer_.put(key + ".sha256", sum_line(base::hex(digest.finish()), key));
  }
  void put(const std::string& key, std::string_view bytes, std::string_view /*content_type*/) override {
    writer_.put(checked_key(key), bytes);
  }
  std::optional<std::string> get(const std::string& key) override {
    try {
      return base::read_small_file(root_ + "/" + checked_key(key), kRecordMax);
    } catch (const base::NotFoundError&) {
      return std::nullopt;
    }
  }
  void sync() override { writer_.sync(); }
  std::string uri(const std::string& key) const override { return key.empty() ? root_ : root_ + "/" + key; }

 private:
  const std::string root_;
  objects::LocalWriter writer_;
};

class BucketPublisher final : public Publisher {
 public:
  BucketPublisher(const std::string& bucket, std::string prefix)
      : prefix_(std::move(prefix)), client_(objects::open_s3(bucket)) {
    if (!prefix_.empty() && !prefix_.ends_with('/')) prefix_ += '/';
  }

  void put_file(const std::string& key, const std::string& path) override {
    client_->put_file(prefix_ + checked_key(key), path);
    base::UniqueFd source = open_file(path);
    base::Digest digest(base::Digest::Algorithm::kSha256);
    std::string buffer(kPiece, '\0');
    for (size_t n; (n = read_piece(source.get(), buffer.data(), buffer.size(), path)) > 0;)
      digest.update({buffer.data(), n});
    client_->put(prefix_ + key + ".sha256", sum_line(base::hex(digest.finish()), key), "text/plain");
  }
  void put(const std::string& key, std::string_view bytes, std::string_view content_type) override {
    client_->put(prefix_ + checked_key(key), bytes, content_type);
  }
  std::optional<std::string> get(const std::string& key) override {
    std::string bytes(64 * 1024, '\0');
    try {
      size_t n = client_->read(prefix_ + checked_key(key), 0, bytes.data(), bytes.size(), "");
      bytes.resize(n);
      return bytes;
    } catch (const base::NotFoundError& error) {
      if (error.code() == "NoSuchBucket") throw;
      return std::nullopt;
    }
  }
  std::string uri(const std::string& key) const override { return client_->url() + "/" + prefix_ + key; }
  bool is_s3() const override { return true; }

 private:
  std::string prefix_;
  std::unique_ptr<objects::S3Client> client_;
};

class HttpPublisher final : public Publisher {
 public:
  HttpPublisher(std::string url, const PublishLogin& login, std::shared_ptr<http::Client> client)
      : url_(std::move(url)), client_(std::move(client)) {
    while (url_.ends_with('/')) url_.pop_back();
    if (!login.token.empty())
      authorization_ = "Bearer " + login.token;
    else if (!login.user.empty() || !login.password.empty())
      authorization_ = "Basic " + base::base64(login.user + ":" + login.password);
    if (const char* bundle = std::getenv("AWS_CA_BUNDLE")) ca_file_ = bundle;
    if (const char* file = std::getenv("SSL_CERT_FILE")) ca_file_ = file;
  }

  void put_file(const std::string& key, const std::string& path) override {
    base::UniqueFd source = open_file(path);
    struct stat status;
    if (fstat(source.get(), &status) != 0)
      throw base::TransientError(base::system_message("stat " + path, errno));
    base::Digest sha256(base::Digest::Algorithm::kSha256), sha1(base::Digest::Algorithm::kSha1),
        md5(base::Digest::Algorithm::kMd5);
    std::string buffer(kPiece, '\0');
    for (size_t n; (n = read_piece(source.get(), buffer.data(), buffer.size(), path)) > 0;) {
      std::string_view bytes(buffer.data(), n);
      sha256.update(bytes);
      sha1.update(bytes);
      md5.update(bytes);
    }
    send(key, [&](http::ClientRequest& request) {
      lseek(source.get(), 0, SEEK_SET);
      request.headers.add("Content-Type", "application/octet-stream");
      request.upload = [&](char* out, size_t size) { return read_piece(source.get(), out, size, path); };
      request.rewind = [&] { lseek(source.get(), 0, SEEK_SET); };
      request.upload_size = static_cast<uint64_t>(status.st_size);
    });
    // The bare digest, as Maven reads it.
    put(key + ".sha1", base::hex(sha1.finish()), "text/plain");
    put(key + ".md5", base::hex(md5.finish()), "text/plain");
    put(key + ".sha256", base::hex(sha256.finish()), "text/plain");
  }
  void put(const std::string& key, std::string_view bytes, std::string_view content_type) override {
    send(key, [&](http::ClientRequest& request) {
      request.headers.add("Content-Type", std::string(content_type));
      request.body = bytes;
    });
  }
  std::optional<std::string> get(const std::string& /*key*/) override {
    throw base::UsageError(
        "what was published over HTTP is not read back: give --state a folder or a bucket");
  }
  std::string uri(const std::string& key) const override {
    return key.empty() ? url_ : url_ + "/" + base::percent_encode(key, true);
  }
  bool can_get() const override { return false; }

 private:
  template <typename Fill>
  void send(const std::string& key, const Fill& fill) {
    std::mt19937_64 random(std::random_device{}());
    for (int attempt = 1;; ++attempt) {
      http::ClientRequest request;
      request.method = "PUT";
      request.url = uri(checked_key(key));
      request.ca_file = ca_file_;
      if (!authorization_.empty()) request.headers.add("Authorization", authorization_);
      fill(request);
      std::string busy;
      int64_t pause_ms = 0;
      try {
        http::ClientResponse response = client_->send(std::move(request));
        if (response.status / 100 == 2) return;
        std::string said = workloads::printable(base::trim(std::string_view(response.body).substr(0, 300)));
        std::string message = uri(key) + ": the server answers " + std::to_string(response.status) +
                              (said.empty() ? "" : ": " + said);
        if (response.status == 401 || response.status == 403 || response.status == 407)
          throw base::DeniedError(message, "denied");
        if (response.status != 408 && response.status != 429 && response.status < 500)
          throw base::InternalError(message, "http-" + std::to_string(response.status));
        busy = message;
        auto after = base::parse_number<int64_t>(response.headers.get("Retry-After"));
        pause_ms = std::clamp<int64_t>(after.value_or(0), 0, 30) * 1000;
      } catch (const base::TransientError& error) {
        busy = error.what();
      }
      if (attempt == kAttempts) throw base::TransientError(busy, "network");
      int64_t longest_ms = std::min<int64_t>(10'000, 250LL << attempt);
      pause_ms += std::uniform_int_distribution<int64_t>(longest_ms / 2, longest_ms)(random);
      std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
    }
  }

  std::string url_, authorization_, ca_file_;
  std::shared_ptr<http::Client> client_;
};

}  // namespace

std::unique_ptr<Publisher> open_publisher(const std::string& url, const PublishLogin& login,
                                          std::shared_ptr<http::Client> client) {
  if (url.starts_with("http://") || url.starts_with("https://")) {
    if (without_credentials(url) != url)
      throw base::UsageError(
          "a login in a URL is seen by everybody: give it in PUBLISH_USER and PUBLISH_PASSWORD, "
          "PUBLISH_TOKEN, or --publish-secret");
    base::parse_url(url);
    return std::make_unique<HttpPublisher>(url, login, std::move(client));
  }
  objects::Location place = objects::parse_location(url);
  if (place.is_s3) return std::make_unique<BucketPublisher>(place.bucket, place.path);
  return std::make_unique<FolderPublisher>(std::filesystem::absolute(place.path).lexically_normal().string());
}

}  // namespace millrace::ingest

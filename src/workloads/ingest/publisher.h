// Where results go: a folder, a bucket, or a Maven repository over HTTP(S).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::http {
class Client;
}

namespace millrace::ingest {

struct PublishLogin {
  std::string user, password;  // HTTP Basic
  std::string token;           // instead: Bearer
};

// Thread-safe. A key is a relative path; its parts are neither empty nor "." nor "..". Errors: DeniedError,
// NotFoundError (no such bucket), TransientError after all attempts, UsageError for keys that no file can
// have, InternalError with the status ("http-400") and what the server said.
class Publisher {
 public:
  virtual ~Publisher() = default;
  // Replaces what is there, whole or not at all. Beside it goes its .sha256; over HTTP also .sha1 and .md5.
  virtual void put_file(const std::string& key, const std::string& path) = 0;
  // The same for a few bytes, without checksums beside.
  virtual void put(const std::string& key, std::string_view bytes, std::string_view content_type) = 0;
  // What put() stored there; nothing when there is nothing. Throws UsageError where nothing can be read back.
  virtual std::optional<std::string> get(const std::string& key) = 0;
  // What was put so far survives a power cut.
  virtual void sync() {}
  // "s3://bucket/prefix/key"
  virtual std::string uri(const std::string& key) const = 0;
  virtual bool is_s3() const { return false; }
  virtual bool can_get() const { return true; }
};

// "s3://BUCKET[/PREFIX]", "http(s)://…", a folder or file:///…; a folder is made when it is not there.
// Nothing is sent. Throws UsageError for a URL with a login in it, or for another scheme.
std::unique_ptr<Publisher> open_publisher(const std::string& url, const PublishLogin& login,
                                          std::shared_ptr<http::Client> client);

}  // namespace millrace::ingest

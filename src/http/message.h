// HTTP/1.1 messages as the server and the client exchange them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/unique_fd.h"

namespace millrace::http {

// Header fields in the order they came; names compare without regard to case (RFC 9110 section 5.1).
class Headers {
 public:
  using Field = std::pair<std::string, std::string>;
  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  // Replaces every field of that name.
  void set(std::string_view name, std::string value);
  // The first value of that name, or an empty view.
  std::string_view get(std::string_view name) const;
  bool has(std::string_view name) const;
  std::vector<Field>::const_iterator begin() const { return fields_.begin(); }
  std::vector<Field>::const_iterator end() const { return fields_.end(); }
  size_t size() const { return fields_.size(); }

 private:
  std::vector<Field> fields_;
};

struct RequestHead {
  std::string method;
  std::string path;   // as it stood on the wire: percent-encoded, never normalised, begins with '/'
  std::string query;  // as it stood on the wire, without '?'
  Headers headers;
  std::string peer;  // "127.0.0.1:51234"
};

struct Request {
  RequestHead head;
  std::string body;
};

// Gives the bytes of a response body piece by piece. Called by one thread at a time.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // Fills up to `size` bytes; 0 means the end. Throws to break the connection off.
  virtual size_t read(char* out, size_t size) = 0;
};

class LiveBody;

// A region of an open file, sent with sendfile() where the transport allows.
struct FileRegion {
  base::UniqueFd fd;
  uint64_t offset = 0;
  uint64_t length = 0;
};

struct Response {
  int status = 200;
  Headers headers;  // Content-Length, Date and Connection are the server's business
  std::string body;
  std::unique_ptr<FileRegion> file;     // instead of `body`
  std::unique_ptr<BodySource> source;   // instead of `body`: sent chunked
  std::shared_ptr<LiveBody> live;       // instead of `body`: sent chunked, as it comes
  int64_t content_length_of_head = -1;  // answer to HEAD: what Content-Length to state without a body
};

// Answers one request, from any thread, exactly once. Dropping it unanswered answers 500.
using Respond = std::function<void(Response)>;

}  // namespace millrace::http

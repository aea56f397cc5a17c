// The head of an HTTP/1.1 request, read strictly: whatever two programs could frame differently is refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/message.h"

namespace millrace::http {

struct ParsedHead {
  RequestHead head;  // without `peer`
  bool http_1_0 = false;
  bool keep_alive = true;
  bool chunked = false;         // Transfer-Encoding: chunked
  uint64_t content_length = 0;  // 0 when chunked or without a body
  bool expects_continue = false;
};

// A request that cannot be framed; the connection ends with this answer. Internal to the server.
struct BadRequest {
  int status;
  const char* why;
};

// The size of the first head in `bytes` with its empty line, or npos. `from`: where an earlier call stopped
// looking.
size_t find_head_end(std::string_view bytes, size_t from = 0);

// Parses one complete head, empty line included (RFC 9112 sections 2 to 6). Throws BadRequest: 400 (syntax,
// obs-fold, control characters, Content-Length beside Transfer-Encoding, two lengths, no or two Hosts), 417,
// 501, 505.
ParsedHead parse_head(std::string_view bytes);

}  // namespace millrace::http

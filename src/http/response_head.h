// The head of a response as bytes on the wire.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace millrace::http {

// How the body follows the head.
struct Framing {
  std::optional<uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = true;
  bool http_1_0 = false;
};

std::string_view reason_phrase(int status);  // "" for a status nobody named

// Appends status line, Date, the response's own fields, framing and the empty line to `out`. `date` is an
// IMF-fixdate. Fields that are the server's business (Content-Length, Date, Connection, Transfer-Encoding)
// are left out, and control characters in values become spaces: no value of a user can begin a header of its
// own.
void append_response_head(std::string& out, const Response& response, const Framing& framing,
                          std::string_view date);

// A short plain-text answer made by the server itself.
Response plain_response(int status, std::string_view why);

}  // namespace millrace::http

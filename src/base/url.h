// Percent-encoding and URLs (RFC 3986). Keys and paths are bytes here: nothing is normalised.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::base {

// Encodes every byte but A-Z a-z 0-9 - _ . ~ as %XX in upper case; '/' stays when `keep_slash`.
std::string percent_encode(std::string_view bytes, bool keep_slash = false);

// Decodes %XX; a '%' that is not followed by two hexadecimal digits stays as it is. '+' becomes a space when
// `plus_is_space` (form encoding).
std::string percent_decode(std::string_view text, bool plus_is_space = false);

// "a=1&b&c=x%20y" as decoded pairs, in order; a name without '=' has an empty value.
std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query,
                                                             bool plus_is_space = false);

// An http or https URL taken apart. `path` and `query` stay encoded; `path` begins with '/' .
struct Url {
  std::string scheme;  // "http" or "https"
  std::string host;    // without brackets for IPv6
  uint16_t port = 0;   // the scheme's default when not given
  std::string path = "/";
  std::string query;  // without '?'

  // "host" or "host:port", the port only when it is not the scheme's default; IPv6 in brackets.
  std::string authority() const;
  std::string origin() const { return scheme + "://" + authority(); }
};

// Throws UsageError when `text` is not an absolute http(s) URL.
Url parse_url(std::string_view text);

// True for what can only mean this machine: localhost and the names below it (RFC 6761), 127.0.0.0/8, ::1.
// `host` is without port and brackets.
bool is_loopback_host(std::string_view host);

}  // namespace millrace::base

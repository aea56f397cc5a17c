#include "aws/sigv4_canonical.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "base/url.h"

namespace millrace::aws {
namespace {

bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.' || c == '~';
}

// A '+' is a space, as it is to the operations that read the query: were it a plus here, the "%2B" of a
// signed request could become a space on the way.
std::string encode_again(std::string_view text) {
  if (std::all_of(text.begin(), text.end(), is_unreserved)) return std::string(text);
  return base::percent_encode(base::percent_decode(text, /*plus_is_space=*/true));
}

// RFC 3986 section 5.2.4, and empty segments go too.
std::string remove_dot_segments(std::string_view path) {
  std::vector<std::string_view> kept;
  for (std::string_view part : base::split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..")
      kept.push_back(part);
    else if (!kept.empty())
      kept.pop_back();
  }
  std::string out;
  for (std::string_view part : kept) {
    out += '/';
    out += part;
  }
  if (out.empty() || path.back() == '/') out += '/';
  return out;
}

// Leading and trailing blanks go, inner runs become one space.
void append_header_value(std::string& out, std::string_view value) {
  value = base::trim(value);
  bool blank = false;
  for (char c : value) {
    bool is_blank = c == ' ' || c == '\t';
    if (!is_blank) out += c;
    if (is_blank && !blank) out += ' ';
    blank = is_blank;
  }
}

}  // namespace

std::string canonical_path(std::string_view path, bool is_s3) {
  if (path.empty()) return "/";
  if (!is_s3) return base::percent_encode(remove_dot_segments(path), /*keep_slash=*/true);
  if (path.find('%') == std::string_view::npos) return base::percent_encode(path, true);
  // S3 signs the key, not its spelling: "%2F" and "/", "(" and "%28" come out alike.
  return base::percent_encode(base::percent_decode(path), true);
}

std::string canonical_query(std::string_view query) {
  if (query.empty()) return {};
  std::vector<std::pair<std::string, std::string>> pairs;
  for (std::string_view part : base::split(query, '&')) {
    if (part.empty()) continue;
    size_t at = part.find('=');
    std::string name = encode_again(part.substr(0, at));
    if (name == "X-Amz-Signature") continue;
    pairs.emplace_back(std::move(name),
                       at == std::string_view::npos ? std::string() : encode_again(part.substr(at + 1)));
  }
  std::sort(pairs.begin(), pairs.end());
  std::string out;
  out.reserve(query.size() + 16);
  for (const auto& [name, value] : pairs) {
    if (!out.empty()) out += '&';
    out += name;
    out += '=';
    out += value;
  }
  return out;
}

std::string canonical_request(const CanonicalInput& input) {
  std::string out;
  out.reserve(512 + input.path.size() + input.query.size());
  out += input.method;
  out += '\n';
  out += canonical_path(input.path, input.is_s3);
  out += '\n';
  out += canonical_query(input.query);
  out += '\n';
  for (const std::string& name : input.signed_headers) {
    out += name;
    out += ':';
    bool first = true;
    for (const auto& [field, value] : input.headers) {
      if (!base::equals_ignore_case(field, name)) continue;
      if (!first) out += ',';
      first = false;
      append_header_value(out, value);
    }
    out += '\n';
  }
  out += '\n';
  for (size_t i = 0; i < input.signed_headers.size(); ++i) {
    if (i) out += ';';
    out += input.signed_headers[i];
  }
  out += '\n';
  out += input.payload_hash;
  return out;
}

}  // namespace millrace::aws

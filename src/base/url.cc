#include "base/url.h"

#include <arpa/inet.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"

namespace millrace::base {

std::string percent_encode(std::string_view bytes, bool keep_slash) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(bytes.size());
  for (char c : bytes) {
    bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                 c == '_' || c == '.' || c == '~' || (c == '/' && keep_slash);
    if (plain) {
      out += c;
    } else {
      auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

std::string percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      if (auto byte = unhex(text.substr(i + 1, 2))) {
        out += *byte;
        i += 2;
        continue;
      }
    }
    out += text[i] == '+' && plus_is_space ? ' ' : text[i];
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query, bool plus_is_space) {
  std::vector<std::pair<std::string, std::string>> pairs;
  if (query.empty()) return pairs;
  for (std::string_view part : split(query, '&')) {
    if (part.empty()) continue;
    size_t at = part.find('=');
    std::string_view value = at == std::string_view::npos ? std::string_view() : part.substr(at + 1);
    pairs.emplace_back(percent_decode(part.substr(0, at), plus_is_space),
                       percent_decode(value, plus_is_space));
  }
  return pairs;
}

std::string Url::authority() const {
  std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  bool is_default = port == (scheme == "https" ? 443 : 80);
  return is_default ? name : name + ":" + std::to_string(port);
}

Url parse_url(std::string_view text) {
  auto bad = [&](const char* why) {
    // A login in it is nobody's to read in a message.
    std::string shown(text);
    size_t begin = shown.find("://"), at = shown.rfind('@');
    if (begin != std::string::npos && at != std::string::npos && at > begin)
      shown.erase(begin + 3, at - begin - 2);
    return UsageError("not a usable URL: '" + shown + "' (" + why +
                      "); expected http://HOST[:PORT][/PATH] or https://…");
  };
  Url url;
  size_t colon = text.find("://");
  if (colon == std::string_view::npos) throw bad("no scheme");
  url.scheme = to_lower(text.substr(0, colon));
  if (url.scheme != "http" && url.scheme != "https") throw bad("scheme is neither http nor https");
  url.port = url.scheme == "https" ? 443 : 80;
  std::string_view rest = text.substr(colon + 3);
  size_t end = rest.find_first_of("/?#");
  std::string_view authority = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end);
  rest = rest.substr(0, rest.find('#'));
  if (authority.find('@') != std::string_view::npos) throw bad("user and password in a URL are not accepted");
  size_t port_at = std::string_view::npos;
  if (!authority.empty() && authority.front() == '[') {
    size_t close = authority.find(']');
    if (close == std::string_view::npos) throw bad("no closing bracket");
    url.host = authority.substr(1, close - 1);
    if (close + 1 < authority.size()) port_at = close + 1;
  } else {
    port_at = authority.find(':');
    url.host = authority.substr(0, port_at);
  }
  if (url.host.empty()) throw bad("no host");
  if (port_at != std::string_view::npos) {
    auto port = parse_number<uint16_t>(authority.substr(port_at + 1));
    if (authority[port_at] != ':' || !port || *port == 0) throw bad("port is not 1..65535");
    url.port = *port;
  }
  size_t question = rest.find('?');
  url.path = rest.substr(0, question);
  if (url.path.empty()) url.path = "/";
  if (question != std::string_view::npos) url.query = rest.substr(question + 1);
  return url;
}

bool is_loopback_host(std::string_view host) {
  std::string name = to_lower(host);
  if (name == "localhost" || name.ends_with(".localhost") || name == "::1") return true;
  in_addr address;  // "127." alone would also be the beginning of a name
  return inet_pton(AF_INET, name.c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

}  // namespace millrace::base

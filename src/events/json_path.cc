#include "events/json_path.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "events/utf8.h"

namespace millrace::events {
namespace {

constexpr auto kNowhere = std::string_view::npos;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

size_t skip_space(std::string_view json, size_t at) {
  while (at < json.size() && is_space(json[at])) ++at;
  return at;
}

// Behind the string whose opening quote is at `at`.
size_t skip_string(std::string_view json, size_t at) {
  for (++at; at < json.size(); ++at) {
    if (json[at] == '\\') {
      ++at;
    } else if (json[at] == '"') {
      return at + 1;
    }
  }
  return kNowhere;
}

// Behind the value that begins at `at`.
size_t skip_value(std::string_view json, size_t at) {
  size_t depth = 0;
  while (at < json.size()) {
    const char c = json[at];
    if (c == '"') {
      at = skip_string(json, at);
      if (at == kNowhere) return kNowhere;
      if (depth == 0) return at;
      continue;
    }
    if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return at;
      if (--depth == 0) return at + 1;
    } else if (depth == 0 && (c == ',' || is_space(c))) {
      return at;
    }
    ++at;
  }
  return depth == 0 ? at : kNowhere;
}

// Goes through the members or elements of the container at `at`, calling each(index, name, value) with the
// places of the name's opening quote (or nowhere) and of the value. False when it is neither or is broken.
template <typename Each>
bool children(std::string_view json, size_t at, Each&& each) {
  if (at >= json.size() || (json[at] != '{' && json[at] != '[')) return false;
  const bool object = json[at] == '{';
  const char close = object ? '}' : ']';
  at = skip_space(json, at + 1);
  if (at < json.size() && json[at] == close) return true;
  for (size_t index = 0; at < json.size(); ++index) {
    size_t name = kNowhere;
    if (object) {
      if (json[at] != '"') return false;
      name = at;
      at = skip_string(json, at);
      if (at == kNowhere) return false;
      at = skip_space(json, at);
      if (at >= json.size() || json[at] != ':') return false;
      at = skip_space(json, at + 1);
    }
    const size_t end = skip_value(json, at);
    if (end == kNowhere) return false;
    each(index, name, at, end);
    at = skip_space(json, end);
    if (at >= json.size()) return false;
    if (json[at] == close) return true;
    if (json[at] != ',') return false;
    at = skip_space(json, at + 1);
  }
  return false;
}

int hex_unit(std::string_view text, size_t at) {
  if (text.size() < 4 || at > text.size() - 4) return -1;
  int unit = 0;
  for (size_t i = at; i < at + 4; ++i) {
    const char c = text[i];
    const int lower = c | 0x20;
    const int digit = c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
    if (digit < 0) return -1;
    unit = unit << 4 | digit;
  }
  return unit;
}

}  // namespace

JsonPath::JsonPath(std::string_view path) {
  if (path.empty() || path[0] != '$') return;
  size_t at = 1;
  while (at < path.size()) {
    if (path[at] == '.') {
      const size_t end = std::min(path.find_first_of(".[", at + 1), path.size());
      if (end == at + 1) return;
      steps_.emplace_back(std::string(path.substr(at + 1, end - at - 1)));
      at = end;
      continue;
    }
    const size_t end = path[at] == '[' ? path.find(']', at) : kNowhere;
    if (end == kNowhere) return;
    const std::string_view inner = path.substr(at + 1, end - at - 1);
    if (inner.size() >= 2 && (inner.front() == '\'' || inner.front() == '"') &&
        inner.back() == inner.front()) {
      steps_.emplace_back(std::string(inner.substr(1, inner.size() - 2)));
    } else if (const auto index = base::parse_number<size_t>(inner)) {
      steps_.emplace_back(*index);
    } else {
      return;
    }
    at = end + 1;
  }
  readable_ = true;
}

std::optional<std::string_view> JsonPath::find(std::string_view json) const {
  if (!readable_) return std::nullopt;
  size_t at = skip_space(json, 0);
  size_t end = skip_value(json, at);
  for (const Step& step : steps_) {
    if (end == kNowhere || at >= json.size()) return std::nullopt;
    const std::string* name = std::get_if<std::string>(&step);
    if (json[at] != (name ? '{' : '[')) return std::nullopt;
    size_t found = kNowhere, found_end = kNowhere;
    const bool whole = children(json, at, [&](size_t index, size_t key, size_t value, size_t value_end) {
      const bool is = name ? decode_json_string(json.substr(key, skip_string(json, key) - key)) == *name
                           : index == std::get<size_t>(step);
      if (!is) return;
      found = value;
      found_end = value_end;
    });
    if (!whole || found == kNowhere) return std::nullopt;
    at = found;
    end = found_end;
  }
  if (end == kNowhere || end == at) return std::nullopt;
  return json.substr(at, end - at);
}

std::string decode_json_string(std::string_view quoted) {
  std::string out;
  if (quoted.size() < 2) return out;
  const std::string_view text = quoted.substr(1, quoted.size() - 2);
  static constexpr std::string_view kFrom = "\"\\/bfnrt", kTo = "\"\\/\b\f\n\r\t";
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out.push_back(text[i]);
      continue;
    }
    const char c = text[++i];
    const int unit = c == 'u' ? hex_unit(text, i + 1) : -1;
    if (unit < 0) {
      const size_t known = kFrom.find(c);
      out.push_back(known == kNowhere ? c : kTo[known]);
      continue;
    }
    i += 4;
    auto code = static_cast<char32_t>(unit);
    if (code >= 0xD800 && code < 0xDC00 && text.substr(i + 1, 2) == "\\u") {
      const int low = hex_unit(text, i + 3);
      if (low >= 0xDC00 && low < 0xE000) {
        code = 0x10000 + ((code - 0xD800) << 10) + (static_cast<char32_t>(low) - 0xDC00);
        i += 6;
      }
    }
    append_utf8(&out, code >= 0xD800 && code < 0xE000 ? U'?' : code);
  }
  return out;
}

std::string encode_json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
          out.push_back(c);
        }
    }
  }
  return out + "\"";
}

std::string compact_json(std::string_view json) {
  std::string out;
  for (size_t at = 0; at < json.size();) {
    if (json[at] == '"') {
      const size_t end = std::min(skip_string(json, at), json.size());
      out.append(json, at, end - at);
      at = end;
    } else {
      if (!is_space(json[at])) out.push_back(json[at]);
      ++at;
    }
  }
  return out;
}

}  // namespace millrace::events

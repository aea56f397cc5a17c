#include "workloads/scan/xml_tags.h"

#include <algorithm>
#include <charconv>

namespace millrace::scan {
namespace {

constexpr size_t kValueMax = 4096;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

void append_utf8(std::string& out, uint32_t c) {
  if (c == 0 || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) c = 0xFFFD;
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

// XML 1.0 sections 4.1 and 4.6; entities of the document's own stay as they are.
std::string resolved(std::string_view raw) {
  raw = raw.substr(0, kValueMax);
  std::string out;
  for (size_t i = 0; i < raw.size();) {
    size_t semicolon = raw[i] == '&' ? raw.substr(i, 12).find(';') : std::string_view::npos;
    if (semicolon == std::string_view::npos) {
      out += raw[i++];
      continue;
    }
    std::string_view name = raw.substr(i + 1, semicolon - 1);
    static constexpr std::pair<std::string_view, char> kEntities[] = {
        {"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}};
    auto entity =
        std::find_if(std::begin(kEntities), std::end(kEntities), [&](auto& e) { return e.first == name; });
    if (entity != std::end(kEntities)) {
      out += entity->second;
    } else if (name.size() > 1 && name[0] == '#') {
      bool hex = name[1] == 'x';
      std::string_view digits = name.substr(hex ? 2 : 1);
      uint32_t code = 0;
      std::from_chars(digits.data(), digits.data() + digits.size(), code, hex ? 16 : 10);
      append_utf8(out, code);
    } else {
      out += raw.substr(i, semicolon + 1);
    }
    i += semicolon + 1;
  }
  return out;
}

}  // namespace

std::string_view XmlTags::local_name() const {
  size_t colon = name_.find(':');
  return colon == std::string_view::npos ? name_ : name_.substr(colon + 1);
}

bool XmlTags::next() {
  while ((at_ = text_.find('<', at_)) != std::string_view::npos) {
    std::string_view rest = text_.substr(at_);
    size_t end = std::string_view::npos;
    if (rest.starts_with("<!--")) {
      end = rest.find("-->", 4);
      if (end == std::string_view::npos) break;
      at_ += end + 3;
    } else if (rest.starts_with("<![CDATA[")) {
      end = rest.find("]]>", 9);
      if (end == std::string_view::npos) break;
      at_ += end + 3;
    } else if (rest.starts_with("<!")) {  // the document type, perhaps with declarations in brackets
      size_t bracket = rest.find_first_of("[>");
      if (bracket == std::string_view::npos) break;
      end = rest[bracket] == '>' ? bracket : rest.find("]", bracket);
      if (end == std::string_view::npos) break;
      at_ += end + 1;
    } else if (rest.starts_with("<?") || rest.starts_with("</")) {
      end = rest.find('>');
      if (end == std::string_view::npos) break;
      at_ += end + 1;
    } else {
      // A '>' may stand inside quotes.
      char quote = 0;
      size_t i = 1;
      for (; i < rest.size() && (quote || rest[i] != '>'); ++i) {
        if (quote ? rest[i] == quote : rest[i] == '"' || rest[i] == '\'') quote = quote ? 0 : rest[i];
      }
      if (i == rest.size()) break;
      at_ += i + 1;
      std::string_view tag = rest.substr(1, i - 1);
      if (!tag.empty() && tag.back() == '/') tag.remove_suffix(1);
      size_t name = 0;
      while (name < tag.size() && !is_blank(tag[name])) ++name;
      if (name == 0) continue;
      name_ = tag.substr(0, name);
      attributes_ = tag.substr(name);
      return true;
    }
  }
  at_ = text_.size();
  return false;
}

std::string XmlTags::attribute(std::string_view name) const {
  std::string_view rest = attributes_;
  while (true) {
    size_t start = 0;
    while (start < rest.size() && is_blank(rest[start])) ++start;
    size_t equals = rest.find('=', start);
    if (equals == std::string_view::npos) return {};
    std::string_view key = rest.substr(start, equals - start);
    while (!key.empty() && is_blank(key.back())) key.remove_suffix(1);
    size_t quote = equals + 1;
    while (quote < rest.size() && is_blank(rest[quote])) ++quote;
    if (quote == rest.size() || (rest[quote] != '"' && rest[quote] != '\'')) return {};
    size_t end = rest.find(rest[quote], quote + 1);
    if (end == std::string_view::npos) return {};
    if (key == name) return resolved(rest.substr(quote + 1, end - quote - 1));
    rest.remove_prefix(end + 1);
  }
}

std::string XmlTags::content() const { return resolved(text_.substr(at_, text_.find('<', at_) - at_)); }

}  // namespace millrace::scan

#include "workloads/stac/json_tokens.h"

#include <array>
#include <charconv>

#include "base/error.h"

namespace millrace::stac {
namespace {

constexpr size_t kSmallestCapacity = 32 << 10;

// Four hexadecimal digits at `at`, or nothing.
std::optional<uint32_t> code_unit(std::string_view raw, size_t at) {
  uint32_t value = 0;
  if (at + 4 > raw.size()) return std::nullopt;
  const auto [end, error] = std::from_chars(raw.data() + at, raw.data() + at + 4, value, 16);
  if (error != std::errc() || end != raw.data() + at + 4) return std::nullopt;
  return value;
}

void append_utf8(uint32_t code, std::string& out) {
  const auto byte = [&](uint32_t value) { out += static_cast<char>(value); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xc0 | (code >> 6)), byte(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    byte(0xe0 | (code >> 12)), byte(0x80 | ((code >> 6) & 0x3f)), byte(0x80 | (code & 0x3f));
  } else {
    byte(0xf0 | (code >> 18)), byte(0x80 | ((code >> 12) & 0x3f));
    byte(0x80 | ((code >> 6) & 0x3f)), byte(0x80 | (code & 0x3f));
  }
}

}  // namespace

void JsonTokens::open(std::string_view text) {
  if (!stage_ || stage_->capacity() < text.size()) {
    const size_t capacity = std::max(kSmallestCapacity, text.size() + text.size() / 2);
    if (simdjson::get_active_implementation()->create_dom_parser_implementation(
            capacity, simdjson::DEFAULT_MAX_DEPTH, stage_) != simdjson::SUCCESS)
      throw base::TransientError("no memory for a JSON text of " + std::to_string(text.size()) + " bytes");
  }
  const auto error = stage_->stage1(reinterpret_cast<const uint8_t*>(text.data()), text.size(),
                                    simdjson::stage1_mode::regular);
  if (error != simdjson::SUCCESS)
    throw base::CorruptError(std::string("not JSON: ") + simdjson::error_message(error), "BrokenJson");
  text_ = text.data();
  size_ = text.size();
  index_ = stage_->structural_indexes.get();
  count_ = stage_->n_structural_indexes;
  at_ = 0;
  first_ = false;
}

void JsonTokens::fail() const {
  throw base::CorruptError(
      "not JSON at byte " + std::to_string(at_ < count_ ? index_[at_] : static_cast<uint32_t>(size_)),
      "BrokenJson");
}

std::string_view JsonTokens::raw_value() {
  const char c = kind();
  if (c == '\0' || c == '}' || c == ']' || c == ':' || c == ',') fail();
  const size_t begin = index_[at_];
  size_t depth = 0;
  size_t last = at_;
  do {
    switch (kind()) {
      case '\0':
        fail();
      case '{':
      case '[':
        ++depth;
        break;
      case '}':
      case ']':
        --depth;
        break;
      default:
        break;
    }
    last = at_++;
  } while (depth > 0);
  return {text_ + begin, end_of_token(last) - begin};
}

bool append_unescaped(std::string_view raw, std::string& out) {
  for (size_t i = 0; i < raw.size();) {
    const size_t slash = std::min(raw.find('\\', i), raw.size());
    out.append(raw, i, slash - i);
    i = slash;
    if (i == raw.size()) break;
    const char escape = i + 1 < raw.size() ? raw[i + 1] : '\0';
    i += 2;
    switch (escape) {
      case '"':
      case '\\':
      case '/':
        out += escape;
        continue;
      case 'b':
        out += '\b';
        continue;
      case 'f':
        out += '\f';
        continue;
      case 'n':
        out += '\n';
        continue;
      case 'r':
        out += '\r';
        continue;
      case 't':
        out += '\t';
        continue;
      case 'u':
        break;
      default:
        throw base::CorruptError("not JSON: an unknown escape", "BrokenJson");
    }
    auto code = code_unit(raw, i);
    if (!code) throw base::CorruptError("not JSON: \\u without four digits", "BrokenJson");
    i += 4;
    if (*code >= 0xd800 && *code < 0xe000) {
      if (*code >= 0xdc00 || raw.substr(i, 2) != "\\u") return false;
      const auto low = code_unit(raw, i + 2);
      if (!low || *low < 0xdc00 || *low > 0xdfff) return false;
      code = 0x10000 + ((*code - 0xd800) << 10) + (*low - 0xdc00);
      i += 6;
    }
    append_utf8(*code, out);
  }
  return true;
}

void append_json_string(std::string_view text, std::string& out) {
  static constexpr char kDigits[] = "0123456789abcdef";
  out += '"';
  size_t plain = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    out += '\\';
    if (c == '"' || c == '\\')
      out += static_cast<char>(c);
    else if (c == '\n')
      out += 'n';
    else if (c == '\t')
      out += 't';
    else if (c == '\r')
      out += 'r';
    else
      (out += "u00") += {kDigits[c >> 4], kDigits[c & 15]};
  }
  out.append(text, plain, text.size() - plain);
  out += '"';
}

void append_json_number(double value, std::string& out) {
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  const std::string_view text(buffer.data(), static_cast<size_t>(end - buffer.data()));
  out += text;
  if (text.find_first_of(".en") == std::string_view::npos) out += ".0";
}

}  // namespace millrace::stac

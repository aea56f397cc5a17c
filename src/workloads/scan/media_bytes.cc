#include "workloads/scan/media_bytes.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "base/strings.h"
#include "workloads/scan/media_facts.h"

namespace millrace::scan {

std::string_view read_status_name(ReadStatus status) {
  switch (status) {
    case ReadStatus::kOk:
      return "ok";
    case ReadStatus::kPartial:
      return "partial";
    case ReadStatus::kBroken:
      return "broken";
    case ReadStatus::kUnsupported:
      return "unsupported";
  }
  return "broken";
}

Rational reduced(int64_t num, int64_t den) {
  if (den == 0) throw base::InternalError("a fraction with denominator 0");
  // Halving first keeps the one value whose magnitude does not fit out of gcd and negation.
  if (num == INT64_MIN || den == INT64_MIN) num /= 2, den /= 2;
  if (den == 0) den = 1;
  int64_t divisor = std::gcd(num, den);
  if (den < 0) divisor = -divisor;
  return {num / divisor, den / divisor};
}

std::string_view MediaBytes::fetch(uint64_t offset, size_t length, const char* what) {
  if (offset > size_ || length > size_ - offset)
    throw base::CorruptError("truncated: " + std::string(what) + " needs " + std::to_string(length) +
                             " bytes at offset " + std::to_string(offset) + ", the file has " +
                             std::to_string(size_));
  ++fetches_;
  window_ = {};
  begin_ = offset;
  window_ = source_.window(offset, length);
  if (window_.size() < length)
    throw base::CorruptError("truncated: " + std::string(what) + " at offset " + std::to_string(offset) +
                             ", the source ended early");
  return window_.substr(0, length);
}

std::string_view MediaBytes::tail(size_t length) {
  if (length > size_) length = static_cast<size_t>(size_);
  uint64_t offset = size_ - length;
  if (has(offset, length)) return at(offset, length, "end of file");
  ++fetches_;
  window_ = {};
  begin_ = offset;
  window_ = source_.read_some(offset, length);
  return window_;
}

void MediaBytes::too_many(const char* what) const {
  throw BudgetError(std::string(what) + ": more than a million");
}

void corrupt(const std::string& what, uint64_t offset) {
  throw base::CorruptError(what + " at offset " + std::to_string(offset));
}

void check_end(uint64_t end, uint64_t size, const char* what) {
  if (end > size)
    throw base::CorruptError("truncated: " + std::string(what) + " ends at offset " + std::to_string(end) +
                             ", the file at " + std::to_string(size));
}

std::string clean_text(std::string_view raw, size_t size_max) {
  raw = raw.substr(0, std::min(raw.find('\0'), size_max));
  std::string text;
  // A cut at size_max may have left half a character: drop up to three bytes before calling the text Latin-1.
  std::string_view utf8 = raw;
  for (int i = 0; i < 4 && !base::is_utf8(utf8) && !utf8.empty(); ++i) utf8.remove_suffix(1);
  if (base::is_utf8(utf8)) {
    text = utf8;
  } else {
    for (char c : raw) {
      unsigned char byte = static_cast<unsigned char>(c);
      if (byte < 0x80) {
        text += c;
      } else {
        text += static_cast<char>(0xC0 | byte >> 6);
        text += static_cast<char>(0x80 | (byte & 0x3F));
      }
    }
  }
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  std::string_view trimmed = base::trim(text);
  return trimmed.size() == text.size() ? text : std::string(trimmed);
}

std::string utf16be_text(std::string_view raw) {
  std::string text;
  for (size_t i = 0; i + 2 <= raw.size(); i += 2) {
    uint32_t c = be16(raw.data() + i);
    if (c == 0) break;
    if (c >= 0xD800 && c < 0xDC00 && i + 4 <= raw.size()) {
      uint32_t low = be16(raw.data() + i + 2);
      if (low < 0xDC00 || low > 0xDFFF) break;
      c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
      i += 2;
    } else if (c >= 0xD800 && c < 0xE000) {
      break;
    }
    if (c < 0x80) {
      text += static_cast<char>(c);
    } else if (c < 0x800) {
      text += static_cast<char>(0xC0 | c >> 6);
      text += static_cast<char>(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
      text += static_cast<char>(0xE0 | c >> 12);
      text += static_cast<char>(0x80 | (c >> 6 & 0x3F));
      text += static_cast<char>(0x80 | (c & 0x3F));
    } else {
      text += static_cast<char>(0xF0 | c >> 18);
      text += static_cast<char>(0x80 | (c >> 12 & 0x3F));
      text += static_cast<char>(0x80 | (c >> 6 & 0x3F));
      text += static_cast<char>(0x80 | (c & 0x3F));
    }
  }
  return text;
}

std::string timecode_text(unsigned hours, unsigned minutes, unsigned seconds, unsigned frames,
                          bool drop_frame) {
  char text[64];
  std::snprintf(text, sizeof text, "%02u:%02u:%02u%c%02u", hours, minutes, seconds, drop_frame ? ';' : ':',
                frames);
  return text;
}

void add_warning(std::string& warning, const std::string& text) {
  if (warning.size() > 500) return;
  if (!warning.empty()) warning += "; ";
  warning += text;
}

}  // namespace millrace::scan

#include "events/ip_address.h"

#include <array>
#include <vector>

#include "base/strings.h"
#include "events/pattern_error.h"

namespace millrace::events {
namespace {

using Bytes = std::vector<unsigned char>;  // 4 or 16

bool is_digit(char c) { return c >= '0' && c <= '9'; }
int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const int lower = c | 0x20;
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// [0-9]+.[0-9]+.[0-9]+.[0-9]+
bool looks_like_v4(std::string_view text) {
  int dots = 0;
  bool digit = false;
  for (const char c : text) {
    if (is_digit(c)) {
      digit = true;
    } else if (c == '.' && digit) {
      digit = false;
      ++dots;
    } else {
      return false;
    }
  }
  return dots == 3 && digit;
}

// [0-9a-fA-F:]*:[0-9a-fA-F:]*
bool looks_like_v6(std::string_view text) {
  bool colon = false;
  for (const char c : text) {
    colon = colon || c == ':';
    if (c != ':' && hex_value(c) < 0) return false;
  }
  return colon;
}

std::optional<Bytes> v4_bytes(std::string_view text) {
  if (text.size() > 15) return std::nullopt;
  Bytes bytes;
  for (const std::string_view part : base::split(text, '.')) {
    const auto value = base::parse_number<unsigned>(part);
    if (!value || *value > 255) return std::nullopt;
    bytes.push_back(static_cast<unsigned char>(*value));
  }
  return bytes;
}

std::optional<Bytes> v6_bytes(std::string_view text) {
  constexpr size_t kBytes = 16;
  if (text.size() < 2) return std::nullopt;
  Bytes bytes;
  std::optional<size_t> gap;
  size_t i = 0;
  if (text[0] == ':' && text[++i] != ':') return std::nullopt;
  bool digits = false;
  unsigned value = 0;
  const auto put = [&] {
    if (bytes.size() + 2 > kBytes) return false;
    bytes.push_back(static_cast<unsigned char>(value >> 8));
    bytes.push_back(static_cast<unsigned char>(value & 0xFF));
    return true;
  };
  while (i < text.size()) {
    const char c = text[i++];
    if (c != ':') {
      value = value << 4 | static_cast<unsigned>(hex_value(c));
      if (value > 0xFFFF) return std::nullopt;
      digits = true;
    } else if (!digits) {
      if (gap) return std::nullopt;
      gap = bytes.size();
    } else {
      if (i == text.size() || !put()) return std::nullopt;
      digits = false;
      value = 0;
    }
  }
  if (digits && !put()) return std::nullopt;
  if (gap) {
    if (bytes.size() == kBytes) return std::nullopt;
    bytes.insert(bytes.begin() + static_cast<ptrdiff_t>(*gap), kBytes - bytes.size(), 0);
  }
  if (bytes.size() != kBytes) return std::nullopt;
  bool mapped = bytes[10] == 0xFF && bytes[11] == 0xFF;
  for (size_t k = 0; k < 10; ++k) mapped = mapped && bytes[k] == 0;
  if (mapped) bytes.erase(bytes.begin(), bytes.begin() + 12);
  return bytes;
}

std::string digits_of(const Bytes& bytes) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const unsigned char b : bytes) {
    out.push_back(kDigits[b >> 4]);
    out.push_back(kDigits[b & 15]);
  }
  return out;
}

std::optional<Bytes> ip_bytes(std::string_view text) {
  if (looks_like_v4(text)) return v4_bytes(text);
  if (looks_like_v6(text)) return v6_bytes(text);
  return std::nullopt;
}

}  // namespace

bool IpRange::contains(std::string_view digits) const {
  const size_t n = std::min(low.size(), digits.size());
  const int above = digits.substr(0, n).compare(std::string_view(low).substr(0, n));
  const int below = digits.substr(0, n).compare(std::string_view(high).substr(0, n));
  if (above > 0 && below < 0) return true;
  return above >= 0 && below <= 0 && n == low.size();
}

std::optional<std::string> ip_digits(std::string_view text) {
  const auto bytes = ip_bytes(text);
  if (!bytes) return std::nullopt;
  return digits_of(*bytes);
}

IpRange parse_cidr(std::string_view text) {
  // As Java splits: empty parts at the end do not count.
  std::vector<std::string_view> parts = base::split(text, '/');
  while (parts.size() > 1 && parts.back().empty()) parts.pop_back();
  if (parts.size() != 2) throw InvalidPatternError("Malformed CIDR, one '/' required");
  std::string_view mask_text = parts[1];
  if (mask_text.size() > 1 && mask_text[0] == '+' && is_digit(mask_text[1])) mask_text.remove_prefix(1);
  const auto mask = base::parse_number<int>(mask_text);
  if (!mask) throw InvalidPatternError("Malformed CIDR, mask bits must be an integer");
  if (*mask < 0) throw InvalidPatternError("Malformed CIDR, mask bits must not be negative");
  const std::string ip(parts[0]);
  if (!looks_like_v4(ip) && !looks_like_v6(ip)) throw InvalidPatternError("Nonstandard IP address: " + ip);
  auto bytes = ip_bytes(ip);
  if (!bytes) throw InvalidPatternError("Invalid IP address: " + ip);
  if (bytes->size() == 4 && *mask > 31) throw InvalidPatternError("IPv4 mask bits must be < 32");
  if (bytes->size() == 16 && *mask > 127) throw InvalidPatternError("IPv6 mask bits must be < 128");
  Bytes low = *bytes, high = *bytes;
  for (size_t i = 0; i < low.size(); ++i) {
    const int fixed = *mask - static_cast<int>(i) * 8;
    const unsigned host = fixed >= 8 ? 0 : fixed <= 0 ? 0xFF : 0xFFU >> fixed;
    low[i] = static_cast<unsigned char>(low[i] & ~host);
    high[i] = static_cast<unsigned char>(high[i] | host);
  }
  return {digits_of(low), digits_of(high)};
}

}  // namespace millrace::events

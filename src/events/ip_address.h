// IP addresses and ranges as event patterns compare them: as strings of hexadecimal digits.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace millrace::events {

// An inclusive range of addresses. Both ends are 8 (IPv4) or 32 (IPv6) upper-case hexadecimal digits.
struct IpRange {
  std::string low, high;

  // `digits` as ip_digits() gives them. Ranges are compared digit by digit and a decision ends the
  // comparison, so that "::/0" also holds IPv4 addresses and "0.0.0.0/0" also IPv6 ones, as at AWS.
  bool contains(std::string_view digits) const;
  bool operator==(const IpRange&) const = default;
};

// The digits of a literal IPv4 or IPv6 address (leading zeros allowed, IPv4-mapped ones in hexadecimal are
// IPv4); nothing when `text` is none.
std::optional<std::string> ip_digits(std::string_view text);

// Reads "10.0.0.0/8". Throws InvalidPatternError with AWS's words; they carry no place.
IpRange parse_cidr(std::string_view text);

}  // namespace millrace::events

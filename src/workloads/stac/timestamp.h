// RFC 3339 times as STAC items carry them, to the microsecond.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::stac {

// Microseconds since the epoch. "2024-06-01T00:06:19.072460Z", with an offset such as +01:00 instead of Z,
// with 't' and ' ' for 'T', any number of fractional digits (beyond six: cut off); also without offset, which
// is taken as UTC as many catalogues mean it. Nothing when it is not such a time.
std::optional<int64_t> parse_time_us(std::string_view text);

// "2024-06-01T00:06:19.072460Z"; no fraction where there is none, else three or six digits.
std::string time_text(int64_t time_us);

}  // namespace millrace::stac

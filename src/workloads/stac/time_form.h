// How a time was written, so that it can be written the same way again: a column of times keeps microseconds,
// and the file's metadata their form where all of a column have the same.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::stac {

// A code below kTimeForms: number of fractional digits (0 to 6) and zone ("Z", "+00:00" or none). Nothing for
// texts that microseconds in UTC cannot give back: another offset, more digits, a leap second, no time at
// all.
inline constexpr uint8_t kTimeForms = 24;
std::optional<uint8_t> time_form(std::string_view text);

// "6Z", "3+00:00", "0": as the file's metadata says it; and back, nothing for other texts.
std::string time_form_name(uint8_t form);
std::optional<uint8_t> time_form_of(std::string_view name);

// As the form says; without one as time_text() does (timestamp.h).
void append_time(int64_t time_us, std::optional<uint8_t> form, std::string& out);

}  // namespace millrace::stac

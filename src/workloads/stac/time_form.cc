#include "workloads/stac/time_form.h"

#include <array>

#include "base/time.h"
#include "workloads/stac/timestamp.h"

namespace millrace::stac {
namespace {

constexpr std::array<std::string_view, 3> kZones = {"Z", "+00:00", ""};
constexpr size_t kSecondsEnd = 19;  // of "2024-06-01T00:06:19"
constexpr int64_t kSecond = 1'000'000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::optional<uint8_t> time_form(std::string_view text) {
  if (text.size() < kSecondsEnd || text[10] != 'T' || text[17] == '6') return std::nullopt;
  size_t at = kSecondsEnd;
  size_t digits = 0;
  if (at < text.size() && text[at] == '.') {
    ++at;
    while (at + digits < text.size() && is_digit(text[at + digits])) ++digits;
    if (digits == 0 || digits > 6) return std::nullopt;
  }
  const std::string_view zone = text.substr(at + digits);
  for (size_t i = 0; i < kZones.size(); ++i)
    if (zone == kZones[i]) return static_cast<uint8_t>(i * 8 + digits);
  return std::nullopt;
}

std::string time_form_name(uint8_t form) {
  return static_cast<char>('0' + form % 8) + std::string(kZones[form / 8]);
}

std::optional<uint8_t> time_form_of(std::string_view name) {
  for (uint8_t form = 0; form < kTimeForms; ++form)
    if (form % 8 < 7 && time_form_name(form) == name) return form;
  return std::nullopt;
}

void append_time(int64_t time_us, std::optional<uint8_t> form, std::string& out) {
  if (!form) {
    out += time_text(time_us);
    return;
  }
  int64_t fraction = (time_us % kSecond + kSecond) % kSecond;
  const std::string seconds = base::iso8601((time_us - fraction) / 1000);
  out.append(seconds, 0, seconds.size() - 1);
  const size_t digits = *form % 8;
  if (digits > 0) {
    std::array<char, 6> all;
    for (size_t i = all.size(); i-- > 0; fraction /= 10) all[i] = static_cast<char>('0' + fraction % 10);
    (out += '.').append(all.data(), digits);
  }
  out += kZones[*form / 8];
}

}  // namespace millrace::stac

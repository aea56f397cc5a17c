#include "cli/printable.h"

#include <fmt/format.h>

#include <cstdio>

namespace millrace::cli {

std::string printable(std::string_view text) {
  std::string out;
  for (char c : text) {
    auto u = static_cast<unsigned char>(c);
    if (u >= 0x20 && u != 0x7F && c != '\\') {
      out += c;
      continue;
    }
    char escaped[8];
    std::snprintf(escaped, sizeof escaped, c == '\\' ? "\\\\" : "\\x%02x", u);
    out += escaped;
  }
  return out;
}

void print_field(const char* label, const std::string& value) {
  if (!value.empty()) fmt::print("{:<12}{}\n", label, value);
}

}  // namespace millrace::cli

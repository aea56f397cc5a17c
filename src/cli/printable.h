// Text of others on a terminal.
#pragma once

#include <string>
#include <string_view>

namespace millrace::cli {

// What would move the cursor or end the line is shown as \xNN, and a backslash as two. Other bytes stay.
std::string printable(std::string_view text);

// "label       value" on standard output, the values below each other; nothing for an empty one.
void print_field(const char* label, const std::string& value);

}  // namespace millrace::cli

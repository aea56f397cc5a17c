// Bytes from the outside (file names, keys, texts in files) as text that a database, JSON and a terminal can
// take.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace millrace::workloads {

// UTF-8 without NUL for any bytes, reversibly: bytes that are no UTF-8, and NUL, become "\xNN" (lower-case
// hexadecimal), and a backslash that stands before "xNN" becomes "\x5c". Ordinary names, with backslashes
// too, stay as they are. Different bytes give different texts.
std::string storage_text(std::string_view bytes);
// True when storage_text() would change nothing: the common case, without a copy.
bool is_storage_text(std::string_view bytes);
// The bytes that gave `text`.
std::string storage_bytes(std::string_view text);

// For terminals and log lines: storage_text() with control characters (escape sequences, line breaks) as
// "\xNN" too.
std::string printable(std::string_view bytes);

// For text and quoted attributes of HTML: printable() with what means something there escaped.
std::string html_text(std::string_view bytes);

// The first `bytes_max` bytes at most, cut between characters, with "…" where something was cut off.
std::string shortened(std::string text, size_t bytes_max);

}  // namespace millrace::workloads

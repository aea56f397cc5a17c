// Sizes and times as people write them on a command line.
#pragma once

#include <chrono>
#include <string>

namespace millrace::cli {

// "500", "64K", "10M", "1.5GiB": bytes, in steps of 1024. Throws UsageError naming `what`.
double parse_bytes(const std::string& text, const char* what);

// "90" (seconds), "250ms", "30s", "45m", "12h", "7d". Throws UsageError naming `what`.
std::chrono::milliseconds parse_duration(const std::string& text, const char* what);

}  // namespace millrace::cli

// Unpredictable identifiers, from the operating system.
#pragma once

#include <cstddef>
#include <string>

namespace millrace::base {

std::string random_bytes(size_t count);
std::string random_hex(size_t digits);      // lower case; `digits` even
std::string random_alphanumeric(size_t n);  // A-Z a-z 0-9
std::string uuid4();                        // RFC 9562 version 4, lower case

}  // namespace millrace::base

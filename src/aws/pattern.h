// Whether a string matches the pattern of its shape.
#pragma once

#include <string>
#include <string_view>

#include "aws/model.h"

namespace millrace::aws {

// The patterns of the models are Java's; this is the nearest that RE2 takes: \uXXXX is spelt \x{XXXX}, and a
// repeat above RE2's limit of 1000 becomes unbounded (the shape's `max` bounds it).
std::string re2_pattern(std::string_view java);

// True when the whole of `text` matches shape.pattern, and when RE2 cannot express the pattern (look-around):
// the service decides then. Compiles a pattern once, on first use. Thread-safe; linear time.
bool matches_pattern(const Shape& shape, std::string_view text);

}  // namespace millrace::aws

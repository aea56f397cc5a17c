// The LZ4 block format, as USD's crate files use it for their tables.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace millrace::scan {

// Appends what the block `packed` says to `out`, which grows to at most `size_max` bytes in all. False when
// the block is damaged or says more; what came out until then stays.
bool unpack_lz4_block(std::string_view packed, size_t size_max, std::string& out);

}  // namespace millrace::scan

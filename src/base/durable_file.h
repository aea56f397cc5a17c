// Small files that must be whole and there after a power cut: keys, certificates.
#pragma once

#include <string>
#include <string_view>

namespace millrace::base {

// Replaces `path` by `bytes`, mode 0600, whole or not at all, and durable on return. Throws TransientError.
void write_durably(const std::string& path, std::string_view bytes);

// The whole file. Throws NotFoundError when there is none, DeniedError or TransientError when it cannot be
// read, CorruptError when it is longer than `bytes_max`.
std::string read_small_file(const std::string& path, size_t bytes_max);

}  // namespace millrace::base

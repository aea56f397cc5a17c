// Bytes in order: a file, an object, what is inside a compressed one, text in another encoding.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace millrace::load {

// One thread at a time.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Up to `size` (> 0) bytes into `out`; 0 only at the end. Throws CorruptError for bytes that are not what
  // they should be, and what reading throws.
  virtual size_t read(char* out, size_t size) = 0;
};

enum class Compression { kNone, kGzip, kZstd, kBzip2 };

// By the first bytes: names lie.
Compression compression_of(std::string_view first_bytes);
const char* compression_name(Compression compression);

// What is inside. Several members or frames one after the other are one stream (pigz, bgzip, cat a.gz b.gz).
// CorruptError for a stream that ends early or does not match its checksum.
std::unique_ptr<ByteStream> decompress(std::unique_ptr<ByteStream> stream, Compression compression);

// `encoding` (as iconv knows them: "latin1", "windows-1252", "utf-16") as UTF-8. Throws UsageError for one
// that is not known; CorruptError with the offset for bytes that are none.
std::unique_ptr<ByteStream> decode_text(std::unique_ptr<ByteStream> stream, const std::string& encoding);

// Reads ahead in a thread of its own: a few MiB.
std::unique_ptr<ByteStream> read_ahead(std::unique_ptr<ByteStream> stream);

// The first `bytes_max` bytes, fewer when there are no more.
std::string read_front(ByteStream& stream, size_t bytes_max);

}  // namespace millrace::load

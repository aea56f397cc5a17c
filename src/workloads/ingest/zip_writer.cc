#include "workloads/ingest/zip_writer.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "base/error.h"
#include "base/hash.h"

namespace millrace::ingest {
namespace {

constexpr size_t kEntriesMax = 65'535;
constexpr uint64_t kBytesMax = (4ull << 30) - (64ull << 20);  // leaves room for the directory at the end
constexpr uint16_t kVersion = 20, kUtf8 = 0x0800, kDeflated = 8;

void put16(std::string& out, uint16_t value) {
  out += static_cast<char>(value & 0xff);
  out += static_cast<char>(value >> 8);
}
void put32(std::string& out, uint32_t value) {
  put16(out, static_cast<uint16_t>(value & 0xffff));
  put16(out, static_cast<uint16_t>(value >> 16));
}

// Raw deflate, without zlib's head.
std::string deflated(std::string_view content) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw base::TransientError("zlib: no memory");
  std::string out(deflateBound(&stream, content.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  int end = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (end != Z_STREAM_END) throw base::InternalError("zlib: deflate did not end");
  return out;
}

}  // namespace

ZipWriter::ZipWriter(const std::string& path)
    : path_(path), file_(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {
  if (!file_) throw base::TransientError(base::system_message("open " + path, errno));
}

void ZipWriter::write(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(file_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw base::TransientError(base::system_message("write " + path_, errno));
    bytes.remove_prefix(static_cast<size_t>(n));
    offset_ += static_cast<uint64_t>(n);
  }
}

bool ZipWriter::add(const std::string& name, std::string_view content, base::TimeMs modified) {
  std::string packed = deflated(content);
  if (entries_.size() >= kEntriesMax || content.size() > kBytesMax || name.size() > 4096 ||
      offset_ + packed.size() > kBytesMax)
    return false;
  base::Civil civil = base::to_civil(modified);
  Entry entry;
  entry.name = name;
  entry.crc = base::crc32(content);
  entry.packed = static_cast<uint32_t>(packed.size());
  entry.size = static_cast<uint32_t>(content.size());
  entry.offset = static_cast<uint32_t>(offset_);
  entry.method = kDeflated;
  entry.time = static_cast<uint16_t>(civil.hour << 11 | civil.minute << 5 | civil.second / 2);
  auto years = static_cast<unsigned>(std::clamp<int64_t>(civil.year - 1980, 0, 127));
  entry.date = static_cast<uint16_t>(years << 9 | civil.month << 5 | civil.day);
  std::string head;
  put32(head, 0x04034b50);
  put16(head, kVersion);
  put16(head, kUtf8);
  put16(head, entry.method);
  put16(head, entry.time);
  put16(head, entry.date);
  put32(head, entry.crc);
  put32(head, entry.packed);
  put32(head, entry.size);
  put16(head, static_cast<uint16_t>(name.size()));
  put16(head, 0);
  write(head + name);
  write(packed);
  entries_.push_back(std::move(entry));
  return true;
}

void ZipWriter::finish() {
  auto directory_offset = static_cast<uint32_t>(offset_);
  for (const Entry& entry : entries_) {
    std::string head;
    put32(head, 0x02014b50);
    put16(head, 3 << 8 | kVersion);  // made on Unix
    put16(head, kVersion);
    put16(head, kUtf8);
    put16(head, entry.method);
    put16(head, entry.time);
    put16(head, entry.date);
    put32(head, entry.crc);
    put32(head, entry.packed);
    put32(head, entry.size);
    put16(head, static_cast<uint16_t>(entry.name.size()));
    put16(head, 0);  // extra field
    put16(head, 0);  // comment
    put16(head, 0);  // disk
    put16(head, 0);  // internal attributes
    put32(head, 0100644u << 16);
    put32(head, entry.offset);
    write(head + entry.name);
  }
  auto directory_bytes = static_cast<uint32_t>(offset_ - directory_offset);
  std::string end;
  put32(end, 0x06054b50);
  put16(end, 0);
  put16(end, 0);
  put16(end, static_cast<uint16_t>(entries_.size()));
  put16(end, static_cast<uint16_t>(entries_.size()));
  put32(end, directory_bytes);
  put32(end, directory_offset);
  put16(end, 0);
  write(end);
  file_.reset();
}

}  // namespace millrace::ingest

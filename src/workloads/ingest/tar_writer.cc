#include "workloads/ingest/tar_writer.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdio>
#include <cstring>

#include "base/error.h"

namespace millrace::ingest {
namespace {

constexpr size_t kBlock = 512;
constexpr size_t kNameMax = 100, kPrefixMax = 155;
constexpr uint64_t kOctalMax = 077777777777;  // of the fields for size and time, 11 digits

// "LENGTH KEY=VALUE\n", where LENGTH counts its own digits (POSIX.1-2001 pax, "pax Extended Header").
std::string pax_record(std::string_view key, std::string_view value) {
  const size_t rest = key.size() + value.size() + 3;
  size_t length = rest + 1;
  while (rest + std::to_string(length).size() != length) length = rest + std::to_string(length).size();
  return std::to_string(length) + ' ' + std::string(key) + '=' + std::string(value) + '\n';
}

// Where ustar can cut a long name into prefix and name; npos: nowhere.
size_t cut_of(std::string_view path) {
  const size_t last = std::min(path.size() - 1, kPrefixMax + 1);
  for (size_t slash = path.find('/'); slash != std::string_view::npos && slash < last;
       slash = path.find('/', slash + 1))
    if (slash > 0 && path.size() - slash - 1 <= kNameMax) return slash;
  return std::string_view::npos;
}

void check_name(std::string_view name) {
  if (name.empty() || name.find('\0') != std::string_view::npos)
    throw base::CorruptError("a name is empty or holds NUL: no archive can hold it");
}

}  // namespace

TarWriter::TarWriter(Out out, int64_t mtime_s)
    : out_(std::move(out)), mtime_s_(static_cast<uint64_t>(std::max<int64_t>(0, mtime_s))) {}

void TarWriter::put(std::string_view bytes) {
  bytes_ += bytes.size();
  out_(bytes);
}

void TarWriter::pad() {
  static constexpr std::array<char, kBlock> kZeros{};
  if (const size_t over = bytes_ % kBlock; over != 0) put({kZeros.data(), kBlock - over});
}

void TarWriter::header(std::string_view name, std::string_view prefix, uint64_t size, char type,
                       unsigned mode, std::string_view target) {
  std::array<char, kBlock> block{};
  auto text = [&](size_t at, size_t room, std::string_view value) {
    std::copy_n(value.begin(), std::min(room, value.size()), block.begin() + static_cast<std::ptrdiff_t>(at));
  };
  auto octal = [&](size_t at, size_t digits, uint64_t value) {
    for (size_t i = digits; i-- > 0; value >>= 3) block[at + i] = static_cast<char>('0' + (value & 7));
  };
  text(0, kNameMax, name);
  octal(100, 7, mode);
  octal(108, 7, 0);
  octal(116, 7, 0);
  octal(124, 11, std::min(size, kOctalMax));
  octal(136, 11, std::min(mtime_s_, kOctalMax));
  std::memset(&block[148], ' ', 8);
  block[156] = type;
  text(157, kNameMax, target);
  std::memcpy(&block[257],
              "ustar\0"
              "00",
              8);
  octal(329, 7, 0);
  octal(337, 7, 0);
  text(345, kPrefixMax, prefix);
  unsigned sum = 0;
  for (char c : block) sum += static_cast<unsigned char>(c);
  octal(148, 6, sum);
  block[154] = '\0';
  put({block.data(), block.size()});
}

void TarWriter::extended(char type, const std::string& records) {
  header(type == 'g' ? "pax_global_header" : "pax_header", "", records.size(), type, 0644, "");
  put(records);
  pad();
}

void TarWriter::comment(std::string_view text) { extended('g', pax_record("comment", text)); }

void TarWriter::entry(std::string_view path, uint64_t size, char type, unsigned mode, std::string_view target,
                      std::string_view note) {
  assert(content_left_ == 0);
  check_name(path);
  std::string records;
  std::string_view name = path, prefix;
  if (path.size() > kNameMax) {
    const size_t cut = cut_of(path);
    if (cut == std::string_view::npos) {
      records += pax_record("path", path);
    } else {
      prefix = path.substr(0, cut);
      name = path.substr(cut + 1);
    }
  }
  if (target.size() > kNameMax) records += pax_record("linkpath", target);
  if (size > kOctalMax) records += pax_record("size", std::to_string(size));
  if (mtime_s_ > kOctalMax) records += pax_record("mtime", std::to_string(mtime_s_));
  if (!note.empty()) records += pax_record("comment", note);
  if (!records.empty()) extended('x', records);
  header(name, prefix, size, type, mode, target);
}

void TarWriter::file(std::string_view path, uint64_t size, bool executable) {
  entry(path, size, '0', executable ? 0755 : 0644, "", "");
  content_left_ = size;
}

void TarWriter::content(std::string_view bytes) {
  assert(bytes.size() <= content_left_);
  content_left_ -= bytes.size();
  put(bytes);
  if (content_left_ == 0) pad();
}

void TarWriter::link(std::string_view path, std::string_view target) {
  check_name(target);
  entry(path, 0, '2', 0777, target, "");
}

void TarWriter::folder(std::string_view path, std::string_view note) {
  entry(std::string(path) + '/', 0, '5', 0755, "", note);
}

void TarWriter::finish() {
  assert(content_left_ == 0);
  static constexpr std::array<char, kBlock> kZeros{};
  put({kZeros.data(), kZeros.size()});
  put({kZeros.data(), kZeros.size()});
  while (bytes_ % (20 * kBlock) != 0) put({kZeros.data(), kZeros.size()});
}

}  // namespace millrace::ingest

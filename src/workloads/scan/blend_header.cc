#include "workloads/scan/blend_header.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"

namespace millrace::scan {
namespace {

std::string version_text(int number) {
  // 279 is 2.79 but 306 is 3.6: two digits were a number of their own until 2.9x, 2.0x keeps its zero.
  int major = number / 100, minor = number % 100;
  std::string text = std::to_string(minor);
  if (major < 3 && minor < 10) text = "0" + text;
  return std::to_string(major) + "." + text;
}

[[noreturn]] void fail(std::string_view first, const std::string& what) {
  throw base::CorruptError("not a .blend: " + what + " in header " +
                           base::hex(first.substr(0, BlendHeader::kSizeMax)));
}

}  // namespace

BlendHeader parse_blend_header(std::string_view first) {
  if (!first.starts_with("BLENDER")) fail(first, "no BLENDER");
  if (first.size() < 12) fail(first, "truncated: only " + std::to_string(first.size()) + " bytes");
  BlendHeader header;
  char pointers = first[7];
  if (pointers == '_' || pointers == '-') {
    char endian = first[8];
    std::optional<int> version = base::parse_number<int>(first.substr(9, 3));
    if ((endian != 'v' && endian != 'V') || !version || *version < 100)
      fail(first, "unknown byte order or version");
    header.version_number = *version;
    header.layout = {pointers == '_' ? 4 : 8, endian == 'V'};
  } else {
    // From 5.0: two digits size of the header, '-', two digits format, byte order, four digits version.
    std::optional<int> size = base::parse_number<int>(first.substr(7, 2));
    std::optional<int> format = base::parse_number<int>(first.substr(10, 2));
    if (!size || !format || first[9] != '-' || *size < 12) fail(first, "unknown layout");
    header.format = *format;
    header.size = static_cast<size_t>(*size);
    if (*format != 1 || *size != 17) {
      header.unsupported = true;
      if (first.size() < 17) return header;
    } else if (first.size() < 17) {
      fail(first, "truncated: only " + std::to_string(first.size()) + " bytes");
    }
    std::optional<int> version = base::parse_number<int>(first.substr(13, 4));
    if (first[12] != 'v' || !version || *version < 100) {
      if (header.unsupported) return header;
      fail(first, "unknown byte order or version");
    }
    header.version_number = *version;
    header.layout = {8, false};
  }
  header.version_text = version_text(header.version_number);
  return header;
}

size_t blend_block_head_size(const BlendHeader& header) {
  if (header.format == 1) return 32;
  return header.layout.pointer_size == 8 ? 24 : 20;
}

BlendBlock parse_blend_block(const BlendHeader& header, std::string_view head, uint64_t at) {
  const BlendLayout& layout = header.layout;
  BlendBlock block;
  // Two-letter codes are numbers: a big-endian file has its NULs before the letters.
  size_t letters = head[0] == '\0' && head[1] == '\0' ? 2 : 0;
  std::copy(head.begin() + letters, head.begin() + 4, block.code);
  if (header.format == 1) {
    block.sdna = static_cast<uint32_t>(layout.number(head, 4, 4));
    block.address = layout.number(head, 8, 8);
    block.length = layout.number(head, 16, 8);
  } else {
    size_t pointer_size = layout.pointer_size;
    block.length = layout.number(head, 4, 4);
    if (block.length > INT32_MAX) block.length = UINT64_MAX;  // negative
    block.address = layout.pointer(head, 8);
    block.sdna = static_cast<uint32_t>(layout.number(head, 8 + pointer_size, 4));
  }
  block.offset = at + head.size();
  auto letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  bool code_ok = letter(block.code[0]) && letter(block.code[1]) &&
                 ((letter(block.code[2]) && letter(block.code[3])) || (!block.code[2] && !block.code[3]));
  if (!code_ok || block.length > static_cast<uint64_t>(INT64_MAX) - block.offset)
    throw base::CorruptError("damaged block head at offset " + std::to_string(at) + ": " + base::hex(head));
  return block;
}

}  // namespace millrace::scan

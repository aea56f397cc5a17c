// The first bytes of a .blend, and the heads of its blocks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "workloads/scan/blend_dna.h"

namespace millrace::scan {

struct BlendHeader {
  static constexpr size_t kSizeMax = 17;

  int version_number = 0;    // 279, 306, 500
  std::string version_text;  // "2.79", "3.6", "5.0"
  int format = 0;
  size_t size = 12;
  BlendLayout layout;
  bool unsupported = false;  // newer than this reader; only the version (if any) is known
};

// `first` holds the first kSizeMax bytes of the content (fewer in a tiny file). Throws CorruptError when they
// are no header of any Blender.
BlendHeader parse_blend_header(std::string_view first);

struct BlendBlock {
  uint64_t offset = 0;  // of the content, in the uncompressed file
  uint64_t length = 0;
  uint64_t address = 0;  // where it lay in Blender's memory: pointers in the file equal this
  uint32_t sdna = 0;     // index of its structure in the catalogue
  uint32_t owner = 0;    // index of the ID block this DATA belongs to; its own for an ID
  char code[4] = {};     // padded with NUL, whatever the byte order: "OB", "DATA"

  std::string_view code_text() const { return {code, code[2] == '\0' ? size_t{2} : size_t{4}}; }
};

// 20, 24 or 32.
size_t blend_block_head_size(const BlendHeader& header);

// `head` holds blend_block_head_size bytes that stand at `at`. Throws CorruptError when they are none.
BlendBlock parse_blend_block(const BlendHeader& header, std::string_view head, uint64_t at);

}  // namespace millrace::scan

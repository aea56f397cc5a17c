// The box structure of ISO base media and QuickTime files (ISO 14496-12 section 4.2).
#pragma once

#include <string>

#include "workloads/scan/media_bytes.h"

namespace millrace::scan {

constexpr uint32_t fourcc(const char (&text)[5]) {
  uint32_t code = 0;
  for (int i = 0; i < 4; ++i) code = code << 8 | static_cast<unsigned char>(text[i]);
  return code;
}

struct Mp4Box {
  uint32_t type = 0;
  uint64_t start = 0;  // of the header
  uint64_t at = 0;     // of the content
  uint64_t end = 0;    // may lie beyond the file: check_end()
  uint64_t size() const { return end - at; }
};

// The box at `at` inside a container that ends at `limit`. Throws CorruptError when its header makes no
// sense.
inline Mp4Box read_box(MediaBytes& bytes, uint64_t at, uint64_t limit) {
  bytes.step("boxes");
  const char* p = bytes.at(at, 8, "box header").data();
  Mp4Box box;
  uint64_t size = be32(p);
  box.type = be32(p + 4);
  box.start = at;
  box.at = at + 8;
  if (size == 1) {
    size = bytes.read_be64(at + 8, "box header");
    box.at = at + 16;
  }
  if (size == 0) {
    box.end = limit;
    return box;
  }
  if (size < box.at - at || size > UINT64_MAX / 2) corrupt("box of " + std::to_string(size) + " bytes", at);
  box.end = at + size;
  return box;
}

// Calls f(box) for each box in [at, end). A box that runs over the end is a CorruptError; fewer than 8 bytes
// left over are padding.
template <typename Function>
void each_box(MediaBytes& bytes, uint64_t at, uint64_t end, Function&& f) {
  while (at < end && end - at >= 8) {
    Mp4Box box = read_box(bytes, at, end);
    if (box.end > end) {
      check_end(box.end, bytes.size(), "box");
      corrupt("box runs over the box around it", at);
    }
    f(static_cast<const Mp4Box&>(box));
    at = box.end;
  }
}

}  // namespace millrace::scan

// The files a .blend needs: libraries, textures, films, sounds, fonts, caches, volumes.
#pragma once

#include <vector>

#include "workloads/scan/blend_facts.h"
#include "workloads/scan/blend_file.h"

namespace millrace::scan {

struct BlendDependencies {
  std::vector<BlendDependency> list;
  int64_t packed_count = 0;  // datablocks whose content is inside the .blend
  int64_t packed_bytes = 0;
};

// In the order libraries, images, sounds, clips, fonts, caches, volumes, texts, sequencer strips, modifiers.
BlendDependencies read_blend_dependencies(BlendFile& file);

}  // namespace millrace::scan

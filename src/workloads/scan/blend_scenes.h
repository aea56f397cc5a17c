// Scenes of a .blend and their output settings.
#pragma once

#include <vector>

#include "workloads/scan/blend_facts.h"
#include "workloads/scan/blend_file.h"

namespace millrace::scan {

// All scenes in the order of the file, the active one marked. From the render blocks alone (name and frames)
// when the file has no catalogue left.
std::vector<BlendScene> read_blend_scenes(BlendFile& file);

// Block indices of all strips of a scene's sequencer, those inside meta strips too, each once.
std::vector<uint32_t> blend_strips(BlendFile& file, uint32_t scene_index);

}  // namespace millrace::scan

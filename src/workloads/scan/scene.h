// Reads what a scene description or cache of another program is and which files it needs.
#pragma once

#include <string>
#include <string_view>

#include "workloads/scan/media_type.h"
#include "workloads/scan/scene_facts.h"
#include "workloads/scan/source.h"

namespace millrace::scan {

// Bad bytes never throw: the facts read so far come back with `status` and `problem` (also when the source's
// budget ran out). A format without a reader gives kUnsupported. Errors of the store pass through.
SceneFacts read_scene(Source& source, const MediaType& type);

// Where `raw`, a path inside the scene file at `scene_path`, points: relative to its folder, with "." and
// ".." resolved, as resolve_blend_path() does it; URLs ("https://…") give nothing.
std::string resolve_scene_path(std::string_view raw, std::string_view scene_path);

}  // namespace millrace::scan

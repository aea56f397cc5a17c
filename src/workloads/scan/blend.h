// Reads .blend files of every version (2.2x to 5.x) without Blender: block headers, the structure catalogue
// (DNA) and the few structures that matter. Format facts: magic, 12- and 17-byte headers,
// BHead4/SmallBHead8/LargeBHead8, SDNA.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "workloads/scan/blend_facts.h"
#include "workloads/scan/source.h"

namespace millrace::scan {

// Bounds of one read. What goes over a bound ends the reading with BlendFacts::problem.
struct BlendLimits {
  uint64_t inflated_bytes_max = uint64_t{8} << 30;  // of a compressed file, in all
  uint64_t inflated_ratio_max = 256;                // besides 64 MiB that are always allowed
  uint64_t kept_bytes_max = uint64_t{64} << 20;     // of blocks remembered while streaming
  uint64_t blocks_max = 16'000'000;
  uint64_t indexed_blocks_max = 1'000'000;
  uint64_t list_items_max = 100'000;  // of one linked list in the file
  uint64_t dependencies_max = 100'000;
  std::chrono::milliseconds time_max{60'000};
  bool keep_thumbnail = false;  // its pixels, too
};

// True when the first bytes can be those of a .blend, compressed or not (gzip and zstd need the extension to
// be sure).
bool looks_like_blend(std::string_view first_bytes);

// The facts of one .blend. An uncompressed file is read by ranges, never whole; a zstd file with a seek table
// by its frames; gzip and other zstd are streamed from front to end, so `source` must allow as many bytes as
// the file has. Throws CorruptError when not even the header can be understood ("not a .blend: ..." with what
// was found); later damage, a truncation or an exhausted budget of `source` gives what could be read, with
// `problem` set. Other errors of `source` (not found, transient) pass through. Thread-safe for different
// sources.
BlendFacts read_blend(Source& source, const BlendLimits& limits = {});

// True for a path that does not depend on where the .blend lies: "/x", "C:\x", "C:/x", "\\server\share".
bool is_absolute_blend_path(std::string_view raw);

// Where `raw`, a path stored in the .blend at `blend_path`, points: "//tex/a.png" is relative to the folder
// of the .blend; backslashes become slashes; "." and ".." are resolved. Absolute paths (with drive letter, or
// "//server/..." for "\\server") come back normalised only. `blend_path` may be absolute, relative, an object
// key
// ("shows/a/x.blend") or a URL ("s3://bucket/shows/a/x.blend"); the answer has the same form. What climbs
// above the root of a key keeps its leading "../", so that it can never be taken for a file of the tree.
// Empty for an empty `raw`.
std::string resolve_blend_path(std::string_view raw, std::string_view blend_path);

// Stands in raw paths that Blender makes of the file's own name, without ".blend": "//blendcache_<blend>/…".
inline constexpr std::string_view kBlendNameMark = "<blend>";

}  // namespace millrace::scan

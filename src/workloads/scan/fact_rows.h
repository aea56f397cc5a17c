// Facts of the readers as rows of the catalogue's tables.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "workloads/scan/batch.h"
#include "workloads/scan/blend_facts.h"
#include "workloads/scan/image_facts.h"
#include "workloads/scan/scene_facts.h"
#include "workloads/scan/video_facts.h"

namespace millrace::scan {

// `file`: index into batch.outcomes. Values stand in the order of the tables' columns (schema.h).
void add_image_row(Batch& batch, int64_t file, std::string_view format, const ImageFacts& facts);
void add_video_row(Batch& batch, int64_t file, const VideoFacts& facts);
// Of a file that is sound and nothing else: its first stream, and the list of all.
void add_audio_row(Batch& batch, int64_t file, const VideoFacts& facts);
// With its scenes and dependencies. `path` is that of the .blend, as bytes.
void add_blend_rows(Batch& batch, int64_t file, std::string_view path, const BlendFacts& facts);
// The dependencies of a scene; it has no other rows. `path` is that of the scene, as bytes.
void add_scene_rows(Batch& batch, int64_t file, std::string_view path, const SceneFacts& facts);

// What has no column of its own, as JSON for files.metadata_json; empty when there is nothing.
std::string extra_json(const ImageFacts& facts);
std::string extra_json(const SceneFacts& facts);
std::string extra_json(const VideoFacts& facts);
// `extra` with one more text in it.
std::string with_remark(std::string_view extra, std::string_view name, std::string_view text);

}  // namespace millrace::scan

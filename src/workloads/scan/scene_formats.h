// The reader of each scene format. They fill `facts` as they go and throw CorruptError where the bytes stop
// making sense, so that what was read until then is kept; read_scene() turns the error into status and
// problem.
#pragma once

#include <optional>
#include <string_view>

#include "workloads/scan/media_bytes.h"
#include "workloads/scan/scene_facts.h"

namespace millrace::scan {

void read_gltf(MediaBytes& bytes, SceneFacts& facts);     // glTF 2.0 (ISO 12113) and 1.0
void read_glb(MediaBytes& bytes, SceneFacts& facts);      // its binary container
void read_obj(MediaBytes& bytes, SceneFacts& facts);      // Wavefront OBJ
void read_mtl(MediaBytes& bytes, SceneFacts& facts);      // Wavefront MTL
void read_usd(MediaBytes& bytes, SceneFacts& facts);      // usda, usdc, usdz: by their first bytes
void read_alembic(MediaBytes& bytes, SceneFacts& facts);  // Ogawa and HDF5
void read_vdb(MediaBytes& bytes, SceneFacts& facts);      // OpenVDB
void read_fbx(MediaBytes& bytes, SceneFacts& facts);      // binary and ASCII

// The layers of a USD file, at [offset, offset + length) of the file: `read_usda` for text, `read_usdc` for
// the crate format.
void read_usda(MediaBytes& bytes, uint64_t offset, uint64_t length, SceneFacts& facts);
void read_usdc(MediaBytes& bytes, uint64_t offset, uint64_t length, SceneFacts& facts);

// What a member of a USD layer's metadata says: names are those of the format ("upAxis", "metersPerUnit").
void set_usd_text(SceneFacts& facts, std::string_view name, std::string_view value);
void set_usd_number(SceneFacts& facts, std::string_view name, std::optional<double> value);
// The kind of dependency that a path is by the field it stands in.
std::string_view usd_kind(std::string_view field, std::string_view path);

// Adds a dependency unless the same kind and path is there already. Empty paths and those over 4 KiB are left
// out. Throws BudgetError when there are more than 10,000, or 8 MiB of names.
void add_scene_dependency(SceneFacts& facts, std::string_view kind, std::string_view path,
                          std::string_view owner_type, std::string_view owner = {}, bool packed = false);
// "texture" for the name of a picture, else "asset".
std::string_view asset_kind(std::string_view path);

}  // namespace millrace::scan

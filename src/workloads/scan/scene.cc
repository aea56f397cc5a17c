#include "workloads/scan/scene.h"

#include <algorithm>

#include "workloads/scan/blend.h"
#include "workloads/scan/scene_formats.h"

namespace millrace::scan {
namespace {

constexpr size_t kDependenciesMax = 10'000, kDependencyBytesMax = 8 << 20, kPathMax = 4096;

struct SceneReader {
  Format format;
  void (*read)(MediaBytes& bytes, SceneFacts& facts);
};
constexpr SceneReader kReaders[] = {
    {Format::kGltf, read_gltf}, {Format::kGlb, read_glb},         {Format::kUsd, read_usd},
    {Format::kFbx, read_fbx},   {Format::kObj, read_obj},         {Format::kMtl, read_mtl},
    {Format::kVdb, read_vdb},   {Format::kAlembic, read_alembic},
};

}  // namespace

SceneFacts read_scene(Source& source, const MediaType& type) {
  SceneFacts facts;
  try {
    MediaBytes bytes(source);
    if (bytes.size() == 0) throw base::CorruptError("truncated: the file is empty");
    const SceneReader* reader = std::find_if(std::begin(kReaders), std::end(kReaders),
                                             [&](const SceneReader& r) { return r.format == type.format; });
    if (reader == std::end(kReaders)) {
      facts.status = ReadStatus::kUnsupported;
      facts.problem = "no reader for this format";
    } else {
      reader->read(bytes, facts);
    }
  } catch (const base::Error& error) {
    if (error.kind() != base::ErrorKind::kCorrupt) throw;
    bool useful = !facts.version.empty() || !facts.dependencies.empty();
    facts.status = useful ? ReadStatus::kPartial : ReadStatus::kBroken;
    facts.problem = error.what();
  }
  return facts;
}

std::string resolve_scene_path(std::string_view raw, std::string_view scene_path) {
  size_t colon = raw.find("://");
  if (colon != std::string_view::npos && colon > 1 && raw.find('/') > colon) {
    if (!raw.starts_with("file://")) return "";
    raw.remove_prefix(7);
  }
  raw = raw.substr(0, raw.find(":SDF_FORMAT_ARGS:"));          // USD: arguments for the reader of the layer
  if (raw.ends_with(']')) raw = raw.substr(0, raw.find('['));  // USD: a file inside a package
  // Two slashes in front are Blender's mark of a relative path; here they are only an absolute one.
  while (raw.starts_with("//")) raw.remove_prefix(1);
  return resolve_blend_path(raw, scene_path);
}

void add_scene_dependency(SceneFacts& facts, std::string_view kind, std::string_view path,
                          std::string_view owner_type, std::string_view owner, bool packed) {
  if (path.empty() || path.size() > kPathMax) return;
  std::string key(kind);
  key.append(1, '\0').append(path);
  if (facts.dependency_keys.contains(key)) return;
  facts.dependency_bytes += path.size() + owner.size();
  if (facts.dependencies.size() >= kDependenciesMax || facts.dependency_bytes > kDependencyBytesMax)
    throw BudgetError("more than " + std::to_string(kDependenciesMax) + " files are needed");
  facts.dependency_keys.insert(std::move(key));
  BlendDependency& dependency = facts.dependencies.emplace_back();
  dependency.kind = kind;
  dependency.raw_path = path;
  dependency.packed = packed;
  dependency.absolute = is_absolute_blend_path(path) || path.find("://") != std::string_view::npos;
  dependency.owner_type = owner_type;
  dependency.owner = owner;
}

std::string_view asset_kind(std::string_view path) {
  return sniff({}, path).file_type == FileType::kImage ? "texture" : "asset";
}

}  // namespace millrace::scan

#include "workloads/scan/blend.h"

#include "workloads/scan/blend_dependencies.h"
#include "workloads/scan/blend_file.h"
#include "workloads/scan/blend_layer.h"
#include "workloads/scan/blend_scenes.h"

namespace millrace::scan {
namespace {

void read_header_facts(const BlendFile& file, BlendFacts* facts) {
  const BlendHeader& header = file.header();
  facts->blender_version = header.version_text;
  facts->version_number = header.version_number;
  facts->header_format = header.format;
  facts->unsupported = header.unsupported;
  if (header.unsupported) return;
  facts->pointer_size = header.layout.pointer_size;
  facts->endian = header.layout.big_endian ? "big" : "little";
  facts->thumbnail_width = file.thumbnail_width();
  facts->thumbnail_height = file.thumbnail_height();
  facts->thumbnail_rgba = file.thumbnail_rgba();
}

void read_counts(const BlendFile& file, BlendFacts* facts) {
  facts->total_objects = file.count("OB");
  facts->meshes = file.count("ME");
  facts->cameras = file.count("CA");
  facts->lights = file.count("LA");
  facts->materials = file.count("MA");
  facts->textures = file.count("TE");
  facts->images = file.count("IM");
  facts->collections = file.count("GR");
  facts->actions = file.count("AC");
  facts->armatures = file.count("AR");
  facts->node_trees = file.count("NT");
  facts->worlds = file.count("WO");
  facts->sounds = file.count("SO");
  facts->movie_clips = file.count("MC");
  facts->fonts = file.count("VF");
  facts->cache_files = file.count("CF");
  facts->volumes = file.count("VO");
  facts->texts = file.count("TX");
  facts->libraries_count = file.count("LI");
  facts->linked_datablocks = file.count("ID");
}

void read_global(BlendFile& file, BlendFacts* facts) {
  for (uint32_t index : file.of_code("GLOB")) {
    std::optional<BlendRecord> global = file.record(index);
    if (!global) continue;
    if (global->has("subversion")) facts->subversion = static_cast<int>(global->integer("subversion"));
    facts->file_saved_path = global->text("filename");
    facts->build_hash = global->text("build_hash");
    return;
  }
}

void read_scenes(BlendFile& file, BlendFacts* facts) {
  facts->scenes = read_blend_scenes(file);
  facts->num_scenes = static_cast<int64_t>(facts->scenes.size());
  if (facts->scenes.empty()) return;
  const BlendScene* active = &facts->scenes.front();
  for (const BlendScene& scene : facts->scenes)
    if (scene.active) active = &scene;
  facts->active_scene = active->name;
  facts->num_frames = active->num_frames;
  facts->render_engine = active->render_engine;
  if (active->fps > 0) facts->fps = active->fps;
  if (active->full_resolution_x <= 0) return;
  facts->resolution_x = active->resolution_x;
  facts->resolution_y = active->resolution_y;
}

void read_mesh_sizes(BlendFile& file, BlendFacts* facts) {
  if (!file.dna()) return;
  int64_t vertices = 0, faces = 0;
  for (uint32_t index : file.of_code("ME")) {
    std::optional<BlendRecord> mesh = file.record(index);
    if (!mesh) continue;
    vertices += std::max<int64_t>(mesh->integer("totvert"), 0);
    // Polygons from 2.62 on; what an older Blender left has triangles and quads only.
    int64_t polygons = mesh->integer("totpoly");
    faces += std::max<int64_t>(polygons > 0 ? polygons : mesh->integer("totface"), 0);
  }
  facts->vertices = vertices;
  facts->faces = faces;
}

void read_assets(BlendFile& file, BlendFacts* facts) {
  uint32_t id = file.dna() ? file.dna()->struct_index("ID") : BlendDna::kNoStruct;
  if (id == BlendDna::kNoStruct || !file.dna()->find(id, "asset_data")) return;  // before 2.92
  for (std::string_view code :
       {"OB", "GR", "MA", "NT", "ME", "AC", "WO", "BR", "SC", "CU", "LA", "CA", "AR",
        "IM", "CV", "PT", "VO", "MB", "LS", "PL", "GD", "GP", "SK", "LP", "TE", "LT"}) {
    for (uint32_t index : file.of_code(code)) {
      std::optional<BlendRecord> block = file.record_as(index, id);
      if (block && block->pointer("asset_data") != 0) ++facts->assets_count;
    }
  }
  facts->is_asset_library = facts->assets_count > 0;
}

void read_dependencies(BlendFile& file, BlendFacts* facts) {
  BlendDependencies found = read_blend_dependencies(file);
  facts->dependencies = std::move(found.list);
  facts->packed_count = found.packed_count;
  facts->packed_bytes = found.packed_bytes;
}

}  // namespace

BlendFacts read_blend(Source& source, const BlendLimits& limits) {
  BlendClock clock(limits.time_max);
  BlendLayer layer = open_blend_layer(source, limits, clock);
  BlendFile file(*layer.bytes, limits, clock);
  BlendFacts facts;
  facts.compression = layer.compression;
  read_header_facts(file, &facts);
  // Each step may meet damage of its own, or the end of the budget: the facts of the others stay.
  for (auto step : {read_global, read_scenes, read_dependencies, read_mesh_sizes, read_assets}) {
    if (file.header().unsupported) break;
    try {
      step(file, &facts);
    } catch (const base::Error& error) {
      if (error.kind() != base::ErrorKind::kCorrupt) throw;
      file.note(error.what());
    }
  }
  read_counts(file, &facts);
  facts.problem = file.problem();
  facts.complete = facts.problem.empty();
  return facts;
}

}  // namespace millrace::scan

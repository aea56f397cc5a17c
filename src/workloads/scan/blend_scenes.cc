#include "workloads/scan/blend_scenes.h"

#include <unordered_set>

namespace millrace::scan {
namespace {

constexpr size_t kViewLayersMax = 1000;

struct OutputFormat {
  int number;
  const char* name;
};
// Numbers in the file to the names Blender's Python uses.
constexpr OutputFormat kOutputFormats[] = {
    {0, "TARGA"},      {1, "IRIS"},      {4, "JPEG"},      {7, "IRIZ"},
    {14, "TARGA_RAW"}, {15, "AVI_RAW"},  {16, "AVI_JPEG"}, {17, "PNG"},
    {20, "BMP"},       {21, "HDR"},      {22, "TIFF"},     {23, "OPEN_EXR"},
    {24, "FFMPEG"},    {26, "CINEON"},   {27, "DPX"},      {28, "OPEN_EXR_MULTILAYER"},
    {29, "DDS"},       {30, "JPEG2000"}, {31, "H264"},     {32, "XVID"},
    {33, "THEORA"},    {34, "PSD"},      {35, "WEBP"},     {37, "AVIF"},
};

std::string output_format(int64_t number) {
  for (const OutputFormat& format : kOutputFormats)
    if (format.number == number) return format.name;
  return std::to_string(number);
}

std::string color_mode(int64_t planes) {
  return planes == 8 ? "BW" : planes == 24 ? "RGB" : planes == 32 ? "RGBA" : "";
}

// One bit of the field says it (R_IMF_CHAN_DEPTH_*).
std::string color_depth(int64_t bits) {
  static constexpr std::pair<int64_t, const char*> kDepths[] = {{1, "1"},   {2, "8"},   {4, "10"}, {8, "12"},
                                                                {16, "16"}, {32, "24"}, {64, "32"}};
  for (const auto& [bit, text] : kDepths)
    if (bits == bit) return text;
  return "";
}

std::string exr_codec(int64_t number) {
  static constexpr const char* kCodecs[] = {"NONE", "PXR24", "ZIP",  "PIZ",  "RLE",
                                            "ZIPS", "B44",   "B44A", "DWAA", "DWAB"};
  number &= 63;  // what stands above is for others
  return number >= 0 && number < static_cast<int64_t>(std::size(kCodecs)) ? kCodecs[number] : "";
}

std::string render_engine(const BlendRecord& scene) {
  std::string engine = scene.text("r.engine");
  if (!engine.empty()) return engine;
  // Before 2.50 a number: the internal renderer, or the YafRay exporter.
  if (!scene.has("r.renderer")) return "";
  return scene.integer("r.renderer") == 1 ? "YAFRAY" : "BLENDER_RENDER";
}

int64_t count_frames(int64_t start, int64_t end, int64_t step) {
  return end < start ? 0 : (end - start) / std::max<int64_t>(step, 1) + 1;
}

std::vector<std::string> view_layers(BlendFile& file, uint32_t index, const BlendRecord& scene) {
  std::vector<std::string> names;
  uint64_t first = scene.pointer(scene.has("view_layers.first") ? "view_layers.first" : "r.layers.first");
  for (uint32_t item : file.list(index, first)) {
    if (names.size() >= kViewLayersMax) break;
    if (std::optional<BlendRecord> layer = file.record(item)) names.push_back(layer->text("name"));
  }
  return names;
}

BlendScene read_scene(BlendFile& file, uint32_t index, const BlendRecord& record) {
  BlendScene scene;
  std::string name = record.text("id.name");
  scene.name = name.size() > 2 ? name.substr(2) : "";
  scene.frame_start = record.integer("r.sfra", 1);
  scene.frame_end = record.integer("r.efra", 1);
  scene.frame_current = record.integer("r.cfra", 1);
  scene.frame_step = std::max<int64_t>(record.integer("r.frame_step", 1), 1);
  scene.num_frames = count_frames(scene.frame_start, scene.frame_end, scene.frame_step);
  scene.fps_numerator = record.integer("r.frs_sec");
  scene.fps_base = record.number("r.frs_sec_base", 1.0);
  if (scene.fps_base <= 0) scene.fps_base = 1.0;
  scene.fps = static_cast<double>(scene.fps_numerator) / scene.fps_base;
  scene.render_engine = render_engine(record);
  scene.full_resolution_x = record.integer("r.xsch");
  scene.full_resolution_y = record.integer("r.ysch");
  scene.resolution_percentage = record.integer("r.size", 100);
  scene.resolution_x = scene.full_resolution_x * scene.resolution_percentage / 100;
  scene.resolution_y = scene.full_resolution_y * scene.resolution_percentage / 100;
  scene.pixel_aspect_x = record.number("r.xasp", 1.0);
  scene.pixel_aspect_y = record.number("r.yasp", 1.0);
  scene.output_path = record.text("r.pic");
  scene.output_format =
      output_format(record.integer(record.has("r.im_format.imtype") ? "r.im_format.imtype" : "r.imtype"));
  scene.view_transform = record.text("view_settings.view_transform");
  scene.display_device = record.text("display_settings.display_device");
  scene.look = record.text("view_settings.look");
  scene.exposure = record.number("view_settings.exposure", 0.0);
  scene.gamma = record.number("view_settings.gamma", 1.0);
  scene.sequencer_color_space = record.text("sequencer_colorspace_settings.name");
  if (record.has("r.im_format.imtype")) {
    scene.output_color_mode = color_mode(record.integer("r.im_format.planes"));
    scene.output_color_depth = color_depth(record.integer("r.im_format.depth"));
    scene.output_quality = record.integer("r.im_format.quality");
    if (scene.output_format.starts_with("OPEN_EXR"))
      scene.output_codec = exr_codec(record.integer("r.im_format.exr_codec"));
  }
  scene.compositing = record.integer("use_nodes") != 0 || record.pointer("compositing_node_group") != 0;
  static constexpr const char* kUnits[] = {"NONE", "METRIC", "IMPERIAL"};
  const int64_t units = record.integer("unit.system");
  if (record.has("unit.system") && units >= 0 && units < 3) scene.unit_system = kUnits[units];
  const int64_t remap_old = record.integer("r.framapto"), remap_new = record.integer("r.images");
  if (remap_old > 0 && remap_new > 0 && remap_old != remap_new)
    scene.time_remap = std::to_string(remap_old) + ":" + std::to_string(remap_new);
  scene.camera = file.id_name(record.pointer("camera"));
  scene.world = file.id_name(record.pointer("world"));
  scene.unit_scale = record.number("unit.scale_length", 1.0);
  scene.view_layers = view_layers(file, index, record);
  scene.num_strips = static_cast<int64_t>(blend_strips(file, index).size());
  return scene;
}

// The address of the scene that was open when the file was saved.
uint64_t active_scene_address(BlendFile& file) {
  for (uint32_t index : file.of_code("GLOB"))
    if (std::optional<BlendRecord> global = file.record(index)) return global->pointer("curscene");
  return 0;
}

}  // namespace

std::vector<uint32_t> blend_strips(BlendFile& file, uint32_t scene_index) {
  std::vector<uint32_t> strips;
  std::optional<BlendRecord> scene = file.record(scene_index);
  if (!scene) return strips;
  std::optional<uint32_t> editing = file.data_at(scene_index, scene->pointer("ed"));
  std::optional<BlendRecord> sequencer = editing ? file.record(*editing) : std::nullopt;
  if (!sequencer) return strips;
  std::unordered_set<uint32_t> seen;
  std::vector<uint64_t> lists = {sequencer->pointer("seqbase.first")};
  while (!lists.empty()) {
    uint64_t address = lists.back();
    lists.pop_back();
    while (std::optional<uint32_t> item = file.data_at(scene_index, address)) {
      // Lists that meet again are damage: each strip counts once, so that the walk ends.
      if (!seen.insert(*item).second) break;
      std::optional<BlendRecord> strip = file.record(*item);
      if (!strip) break;
      strips.push_back(*item);
      if (uint64_t inner = strip->pointer("seqbase.first")) lists.push_back(inner);
      address = strip->pointer("next");
    }
  }
  return strips;
}

std::vector<BlendScene> read_blend_scenes(BlendFile& file) {
  std::vector<BlendScene> scenes;
  if (file.dna()) {
    uint64_t active = active_scene_address(file);
    for (uint32_t index : file.of_code("SC")) {
      if (scenes.size() >= file.limits().list_items_max) break;
      std::optional<BlendRecord> record = file.record(index);
      if (!record) continue;
      scenes.push_back(read_scene(file, index, *record));
      scenes.back().active = active != 0 && file.block(index).address == active;
    }
  }
  if (!scenes.empty()) return scenes;
  for (const BlendRenderInfo& info : file.render_infos()) {
    BlendScene scene;
    scene.name = info.scene;
    scene.active = scenes.empty();  // written first
    scene.frame_start = info.frame_start;
    scene.frame_end = info.frame_end;
    scene.num_frames = count_frames(info.frame_start, info.frame_end, 1);
    scenes.push_back(std::move(scene));
  }
  return scenes;
}

}  // namespace millrace::scan

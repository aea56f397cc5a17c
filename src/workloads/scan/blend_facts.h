// What a .blend file says about itself: plain data, no behaviour. Filled by read_blend (blend.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace millrace::scan {

// One scene and its output settings. Texts are as stored; a value the file's version does not have keeps its
// default.
struct BlendScene {
  std::string name;  // without the "SC" prefix
  bool active = false;
  int64_t frame_start = 1;
  int64_t frame_end = 1;
  int64_t frame_current = 1;
  int64_t frame_step = 1;
  int64_t num_frames = 0;  // (end - start) / step + 1; 0 when the range is empty
  int64_t fps_numerator = 0;
  double fps_base = 1.0;
  double fps = 0.0;  // fps_numerator / fps_base
  std::string render_engine;
  int64_t full_resolution_x = 0;  // before the percentage
  int64_t full_resolution_y = 0;
  int64_t resolution_percentage = 100;
  int64_t resolution_x = 0;  // what is rendered
  int64_t resolution_y = 0;
  double pixel_aspect_x = 1.0;
  double pixel_aspect_y = 1.0;
  std::string output_path;    // raw, e.g. "//render/####"
  std::string output_format;  // "PNG", "OPEN_EXR", ...; the number as text when unknown
  std::string view_transform;
  std::string display_device;
  std::string look;
  double exposure = 0.0;
  double gamma = 1.0;
  std::string sequencer_color_space;
  std::string output_color_mode;   // "BW", "RGB", "RGBA"
  std::string output_color_depth;  // "8", "16", "32" bits of a channel
  std::string output_codec;        // of OpenEXR: "ZIP", "DWAA" ...
  int64_t output_quality = 0;      // of JPEG and the like, per cent
  bool compositing = false;        // a compositor's nodes are in use
  std::string unit_system;         // "NONE", "METRIC", "IMPERIAL"
  std::string time_remap;          // "100:200": so many old frames become so many; empty when they stay
  std::string camera;              // name of the camera object, empty when none
  std::string world;
  double unit_scale = 1.0;
  std::vector<std::string> view_layers;
  int64_t num_strips = 0;  // of the sequencer, those inside meta strips too
};

// A file that this .blend needs. Where it lies is the caller's question: see resolve_blend_path.
struct BlendDependency {
  // library, image, udim, sequence, movie, sound, font, cache, volume, text
  std::string kind;
  std::string raw_path;  // bytes as stored: may be no UTF-8, may hold `\`, "<UDIM>", "####"
  bool packed = false;   // the content is inside the .blend: a missing file loses nothing
  bool absolute = false;
  bool indirect = false;   // a library that only another library needs
  std::string owner_type;  // code of the datablock: "LI", "IM", "SO", "SC" (sequencer), "OB" (modifier) ...
  std::string owner;       // its name without that prefix
  int64_t frames = 0;      // files of a sequence when the .blend knows it, else 0
  std::vector<int> udim_tiles;  // tile numbers (1001 ...) of a "udim"
};

// One row of `blend_files`, with its scenes and dependencies. Counts are of local datablocks: linked ones are
// in linked_datablocks.
struct BlendFacts {
  std::string blender_version;  // "2.79", "3.6", "5.0": of the program that saved it
  int version_number = 0;       // 279, 306, 500
  std::optional<int> subversion;
  int header_format = 0;    // 0: 12 bytes (to 4.5), 1: 17 bytes (5.0 on)
  int pointer_size = 0;     // 4 or 8
  std::string endian;       // "little", "big"
  std::string compression;  // "none", "gzip", "zstd"
  std::string file_saved_path;
  std::string build_hash;

  std::vector<BlendScene> scenes;
  int64_t num_scenes = 0;
  // Of the active scene (the first when none is marked); nothing when the file is too broken to tell.
  std::string active_scene;
  std::optional<int64_t> num_frames;
  std::optional<double> fps;
  std::string render_engine;
  std::optional<int64_t> resolution_x;  // already times the percentage
  std::optional<int64_t> resolution_y;

  int64_t total_objects = 0;
  int64_t meshes = 0;
  int64_t cameras = 0;
  int64_t lights = 0;
  int64_t materials = 0;
  int64_t textures = 0;
  int64_t images = 0;
  int64_t collections = 0;
  int64_t actions = 0;
  int64_t armatures = 0;
  int64_t node_trees = 0;
  int64_t worlds = 0;
  int64_t sounds = 0;
  int64_t movie_clips = 0;
  int64_t fonts = 0;
  int64_t cache_files = 0;
  int64_t volumes = 0;
  int64_t texts = 0;
  int64_t linked_datablocks = 0;
  std::optional<int64_t> vertices;
  std::optional<int64_t> faces;

  bool is_asset_library = false;
  int64_t assets_count = 0;
  int64_t libraries_count = 0;
  int64_t packed_count = 0;
  int64_t packed_bytes = 0;
  int thumbnail_width = 0;  // 0 when there is none
  int thumbnail_height = 0;
  std::string thumbnail_rgba;  // rows from the bottom up; empty unless BlendLimits asked for it
  std::string
      thumbnail_path;  // of the small picture made of it, empty when none was asked for or could be made

  std::vector<BlendDependency> dependencies;

  // False when the end of the file (ENDB), its structure catalogue (DNA1) or part of its data could not be
  // read; `problem` then says what and where, and the facts are those that could be had.
  bool complete = false;
  std::string problem;
  // The file is of a format newer than this reader: only blender_version is known.
  bool unsupported = false;
};

}  // namespace millrace::scan

#include "workloads/scan/fact_rows.h"

#include "base/json.h"
#include "workloads/scan/blend.h"
#include "workloads/scan/extract.h"
#include "workloads/scan/scene.h"
#include "workloads/text.h"

namespace millrace::scan {
namespace {

namespace json = base::json;

json::string json_text(std::string_view bytes) { return json::string(workloads::storage_text(bytes)); }

void add_list(RowBuffer& row, const std::vector<std::string>& texts) {
  if (texts.empty()) return row.null();
  json::array array;
  for (const std::string& text : texts) array.emplace_back(json_text(text));
  row.add(std::string_view(json::serialize(array)));
}

void add_window(RowBuffer& row, const std::optional<PixelWindow>& window) {
  if (!window) {
    for (int i = 0; i < 4; ++i) row.null();
    return;
  }
  row.add(window->x);
  row.add(window->y);
  row.add(window->width);
  row.add(window->height);
}

std::optional<double> value_of(const std::optional<Rational>& fraction) {
  return fraction ? std::optional<double>(fraction->value()) : std::nullopt;
}

void add_aspect(RowBuffer& row, const std::optional<Rational>& aspect) {
  if (!aspect) return row.null();
  row.add(std::string_view(std::to_string(aspect->num) + ":" + std::to_string(aspect->den)));
}

json::array audio_streams(const VideoFacts& facts) {
  json::array streams;
  for (const AudioStream& stream : facts.audio_streams) {
    json::object& object = streams.emplace_back(json::object()).as_object();
    object["codec"] = json_text(stream.codec);
    if (!stream.language.empty()) object["language"] = json_text(stream.language);
    if (stream.channels) object["channels"] = *stream.channels;
    if (stream.sample_rate_hz) object["sample_rate"] = *stream.sample_rate_hz;
    if (stream.bit_depth) object["bit_depth"] = *stream.bit_depth;
    if (!stream.channel_layout.empty()) object["channel_layout"] = json_text(stream.channel_layout);
    if (stream.bit_rate) object["bit_rate"] = *stream.bit_rate;
    if (stream.duration_s) object["duration"] = *stream.duration_s;
  }
  return streams;
}

std::string serialized(const json::object& object) { return object.empty() ? "" : json::serialize(object); }

void add_scene(RowBuffer& row, int64_t file, int64_t position, const BlendScene& scene) {
  row.add(file);
  row.add(position);
  row.add(std::string_view(scene.name));
  row.add(scene.active);
  row.add(scene.frame_start);
  row.add(scene.frame_end);
  row.add(scene.frame_current);
  row.add(scene.frame_step);
  row.add(scene.num_frames);
  row.add(scene.fps);
  row.add(scene.fps_numerator);
  row.add(scene.fps_base);
  row.add_if(std::string_view(scene.render_engine));
  row.add(scene.resolution_x);
  row.add(scene.resolution_y);
  row.add(scene.full_resolution_x);
  row.add(scene.full_resolution_y);
  row.add(scene.resolution_percentage);
  row.add(scene.pixel_aspect_x);
  row.add(scene.pixel_aspect_y);
  row.add_if(std::string_view(scene.output_path));
  row.add_if(std::string_view(scene.output_format));
  row.add_if(std::string_view(scene.view_transform));
  row.add_if(std::string_view(scene.display_device));
  row.add_if(std::string_view(scene.camera));
  row.add_if(std::string_view(scene.world));
  row.add(scene.unit_scale);
  add_list(row, scene.view_layers);
  row.add(scene.num_strips);
  row.add_if(std::string_view(scene.look));
  row.add(scene.exposure);
  row.add(scene.gamma);
  row.add_if(std::string_view(scene.sequencer_color_space));
  row.add_if(std::string_view(scene.output_color_mode));
  row.add_if(std::string_view(scene.output_color_depth));
  row.add_if(std::string_view(scene.output_codec));
  row.add(scene.output_quality);
  row.add(scene.compositing);
  row.add_if(std::string_view(scene.unit_system));
  row.add_if(std::string_view(scene.time_remap));
}

void add_dependency(RowBuffer& row, int64_t file, int64_t position, const std::string& resolved_path,
                    const BlendDependency& dependency) {
  row.add(file);
  row.add(position);
  row.add(std::string_view(dependency.kind));
  row.add(std::string_view(dependency.raw_path));
  row.add_if(std::string_view(resolved_path));
  row.add(dependency.absolute);
  row.add(dependency.packed);
  row.add(dependency.indirect);
  row.add_if(std::string_view(dependency.owner_type));
  row.add_if(std::string_view(dependency.owner));
  row.add(dependency.frames);
  if (dependency.udim_tiles.empty()) return row.null();
  json::array tiles(dependency.udim_tiles.begin(), dependency.udim_tiles.end());
  row.add(std::string_view(json::serialize(tiles)));
}

}  // namespace

void add_image_row(Batch& batch, int64_t file, std::string_view format, const ImageFacts& facts) {
  RowBuffer& row = batch.images;
  row.add(file);
  row.add_if(facts.resolution_x);
  row.add_if(facts.resolution_y);
  row.add_if(format);
  row.add_if(std::string_view(facts.color_mode));
  add_window(row, facts.display_window);
  add_window(row, facts.data_window);
  row.add_if(facts.bit_depth);
  row.add_if(facts.channels);
  add_list(row, facts.channel_names);
  row.add_if(std::string_view(facts.pixel_type));
  row.add_if(std::string_view(facts.color_space));
  row.add_if(std::string_view(facts.compression));
  row.add_if(facts.parts);
  add_list(row, facts.views);
  row.add_if(facts.tiled);
  row.add_if(facts.mip_levels);
  row.add_if(facts.orientation);
  row.add_if(facts.dpi_x);
  row.add_if(facts.dpi_y);
  row.add_if(facts.pixel_aspect);
  row.add_if(std::string_view(facts.timecode));
  row.add_if(value_of(facts.frame_rate));
  row.add_if(facts.has_alpha);
  row.add_if(facts.animated);
  row.add_if(facts.frame_count);
  row.add_if(facts.embedded_thumbnail);
  row.add_if(facts.has_xmp);
  row.add_if(std::string_view(facts.camera_make));
  row.add_if(std::string_view(facts.camera_model));
  row.add_if(std::string_view(facts.lens_model));
  row.add_if(std::string_view(facts.capture_date));
  row.add_if(std::string_view(facts.software));
  row.add_if(std::string_view(facts.description));
  row.add_if(std::string_view(facts.thumbnail_path));
}

void add_video_row(Batch& batch, int64_t file, const VideoFacts& facts) {
  RowBuffer& row = batch.videos;
  row.add(file);
  row.add_if(facts.resolution_x);
  row.add_if(facts.resolution_y);
  row.add_if(facts.duration_s);
  row.add_if(value_of(facts.fps));
  facts.fps ? row.add(facts.fps->num) : row.null();
  facts.fps ? row.add(facts.fps->den) : row.null();
  row.add_if(facts.frame_count);
  row.add_if(std::string_view(facts.codec));
  row.add_if(std::string_view(facts.fourcc));
  row.add_if(std::string_view(facts.profile));
  row.add_if(facts.bit_rate);
  row.add_if(std::string_view(facts.pixel_format));
  row.add_if(facts.bit_depth);
  row.add_if(std::string_view(facts.chroma));
  row.add_if(std::string_view(facts.color_primaries));
  row.add_if(std::string_view(facts.color_transfer));
  row.add_if(std::string_view(facts.color_matrix));
  row.add_if(std::string_view(facts.color_range));
  row.add_if(std::string_view(facts.hdr));
  add_aspect(row, facts.sample_aspect);
  add_aspect(row, facts.display_aspect);
  row.add_if(facts.rotation);
  row.add_if(std::string_view(facts.timecode));
  row.add_if(std::string_view(facts.reel));
  row.add_if(std::string_view(facts.container));
  row.add_if(facts.faststart);
  row.add_if(facts.fragmented);
  facts.audio_streams.empty() ? row.null() : row.add(std::string_view(json::serialize(audio_streams(facts))));
  row.add(facts.video_streams);
  row.add(static_cast<uint64_t>(facts.audio_streams.size()));
  row.add(facts.subtitle_streams);
  row.add_if(
      std::string_view(facts.creation_time_ms ? database_time(*facts.creation_time_ms) : std::string()));
  row.add_if(std::string_view(facts.encoder));
  row.add_if(std::string_view(facts.thumbnail_path));
}

void add_audio_row(Batch& batch, int64_t file, const VideoFacts& facts) {
  static const AudioStream kNone;
  const AudioStream& stream = facts.audio_streams.empty() ? kNone : facts.audio_streams.front();
  const SoundFacts& sound = facts.sound;
  RowBuffer& row = batch.audio;
  row.add(file);
  row.add_if(facts.duration_s ? facts.duration_s : stream.duration_s);
  row.add_if(facts.bit_rate);
  row.add_if(stream.sample_rate_hz);
  row.add_if(stream.channels);
  row.add_if(std::string_view(stream.codec));
  row.add_if(stream.bit_depth);
  row.add_if(std::string_view(stream.channel_layout));
  row.add_if(sound.sample_count);
  row.add_if(std::string_view(facts.container));
  row.add_if(std::string_view(sound.timecode.empty() ? facts.timecode : sound.timecode));
  row.add_if(sound.time_reference);
  for (const std::string* text : {&sound.originator, &sound.description, &sound.scene, &sound.take,
                                  &sound.tape, &sound.title, &sound.artist, &sound.album}) {
    row.add_if(std::string_view(*text));
  }
  facts.audio_streams.empty() ? row.null() : row.add(std::string_view(json::serialize(audio_streams(facts))));
  row.add_if(
      std::string_view(facts.creation_time_ms ? database_time(*facts.creation_time_ms) : std::string()));
  row.add_if(std::string_view(facts.encoder));
}

void add_blend_rows(Batch& batch, int64_t file, std::string_view path, const BlendFacts& facts) {
  const BlendScene* active = facts.scenes.empty() ? nullptr : &facts.scenes.front();
  for (const BlendScene& scene : facts.scenes) {
    if (scene.active) active = &scene;
  }
  RowBuffer& row = batch.blend_files;
  row.add(file);
  row.add_if(std::string_view(facts.blender_version));
  row.add_if(facts.subversion);
  row.add(facts.header_format);
  row.add(facts.pointer_size);
  row.add_if(std::string_view(facts.endian));
  row.add_if(std::string_view(facts.compression));
  row.add_if(std::string_view(facts.file_saved_path));
  row.add_if(std::string_view(facts.build_hash));
  row.add(facts.num_scenes);
  row.add_if(std::string_view(facts.active_scene));
  active != nullptr ? row.add(active->frame_start) : row.null();
  active != nullptr ? row.add(active->frame_end) : row.null();
  row.add_if(facts.num_frames);
  row.add_if(facts.fps);
  row.add_if(std::string_view(facts.render_engine));
  row.add_if(facts.resolution_x);
  row.add_if(facts.resolution_y);
  for (int64_t count : {facts.total_objects, facts.meshes, facts.cameras, facts.lights, facts.materials,
                        facts.textures, facts.images, facts.collections, facts.actions, facts.armatures,
                        facts.node_trees, facts.worlds, facts.sounds, facts.movie_clips, facts.fonts,
                        facts.cache_files, facts.volumes, facts.texts, facts.linked_datablocks}) {
    row.add(count);
  }
  row.add_if(facts.vertices);
  row.add_if(facts.faces);
  row.add(facts.is_asset_library);
  row.add(facts.assets_count);
  row.add(facts.libraries_count);
  row.add(facts.packed_count);
  row.add(facts.packed_bytes);
  row.add(facts.thumbnail_width);
  row.add(facts.thumbnail_height);
  row.add_if(std::string_view(facts.thumbnail_path));

  int64_t position = 0;
  for (const BlendScene& scene : facts.scenes) add_scene(batch.blend_scenes, file, position++, scene);
  position = 0;
  for (const BlendDependency& dependency : facts.dependencies) {
    add_dependency(batch.dependencies, file, position++, resolve_blend_path(dependency.raw_path, path),
                   dependency);
  }
}

void add_scene_rows(Batch& batch, int64_t file, std::string_view path, const SceneFacts& facts) {
  int64_t position = 0;
  for (const BlendDependency& dependency : facts.dependencies) {
    std::string resolved = dependency.packed ? "" : resolve_scene_path(dependency.raw_path, path);
    add_dependency(batch.dependencies, file, position++, resolved, dependency);
  }
}

std::string extra_json(const ImageFacts& facts) {
  if (facts.warning.empty()) return "";
  return serialized({{"warning", json_text(facts.warning)}});
}

std::string extra_json(const SceneFacts& facts) {
  json::object object;
  auto text = [&](const char* name, const std::string& value) {
    if (!value.empty()) object[name] = json_text(value);
  };
  auto number = [&](const char* name, const std::optional<double>& value) {
    if (value) object[name] = *value;
  };
  auto list = [&](const char* name, const std::vector<std::string>& values) {
    if (values.empty()) return;
    json::array& array = object.emplace(name, json::array()).first->value().as_array();
    for (const std::string& value : values) array.emplace_back(json_text(value));
  };
  text("version", facts.version);
  text("encoding", facts.encoding);
  text("generator", facts.generator);
  text("title", facts.title);
  list("extensions", facts.extensions);
  list("grids", facts.grids);
  list("members", facts.members);
  text("default_prim", facts.default_prim);
  text("up_axis", facts.up_axis);
  number("meters_per_unit", facts.meters_per_unit);
  number("frame_start", facts.frame_start);
  number("frame_end", facts.frame_end);
  number("frame_rate", facts.frame_rate);
  text("warning", facts.warning);
  return serialized(object);
}

std::string extra_json(const VideoFacts& facts) {
  if (facts.warning.empty()) return "";
  return serialized({{"warning", json_text(facts.warning)}});
}

std::string with_remark(std::string_view extra, std::string_view name, std::string_view text) {
  json::object object;
  if (!extra.empty()) object = base::parse_json(extra).as_object();
  object[name] = json_text(text);
  return serialized(object);
}

}  // namespace millrace::scan

#include "workloads/scan/schema.h"

#include <vector>

#include "base/error.h"
#include "base/strings.h"

namespace millrace::scan {
namespace {

using sql::Dialect;

// Names are those of the original catalogue where it has them; its `width`, `height`, `mode` and `scene_name`
// are kept as generated columns beside the newer names. @ID, @TIME, @BOOL, @REAL, @BYTEWISE and @SAME are
// replaced by what the dialect calls them.
constexpr std::string_view kVersion1 = R"sql(
CREATE TABLE scans (
  id @ID,
  root TEXT NOT NULL,
  storage TEXT NOT NULL,
  bucket TEXT,
  status TEXT NOT NULL,
  started @TIME NOT NULL,
  finished @TIME,
  host TEXT,
  pid BIGINT,
  user_name TEXT,
  job_id TEXT,
  program_version TEXT,
  shard_index INTEGER NOT NULL,
  shard_count INTEGER NOT NULL,
  files_listed BIGINT NOT NULL DEFAULT 0,
  bytes_listed BIGINT NOT NULL DEFAULT 0,
  files_added BIGINT NOT NULL DEFAULT 0,
  files_changed BIGINT NOT NULL DEFAULT 0,
  files_unchanged BIGINT NOT NULL DEFAULT 0,
  files_missing BIGINT NOT NULL DEFAULT 0,
  images BIGINT NOT NULL DEFAULT 0,
  videos BIGINT NOT NULL DEFAULT 0,
  blend_files BIGINT NOT NULL DEFAULT 0,
  other_files BIGINT NOT NULL DEFAULT 0,
  errors BIGINT NOT NULL DEFAULT 0,
  bytes_read BIGINT NOT NULL DEFAULT 0,
  requests BIGINT NOT NULL DEFAULT 0,
  error TEXT
);
CREATE INDEX scans_root ON scans(root);

CREATE TABLE files (
  id @ID,
  file_path TEXT @BYTEWISE NOT NULL UNIQUE,
  file_name TEXT NOT NULL,
  directory TEXT NOT NULL,
  extension TEXT,
  storage TEXT NOT NULL,
  bucket TEXT,
  file_type TEXT NOT NULL,
  format TEXT,
  mime_type TEXT,
  mime TEXT GENERATED ALWAYS AS (mime_type) @SAME,
  file_size BIGINT NOT NULL,
  created_date @TIME,
  modified_date @TIME,
  mtime_ns BIGINT,
  etag TEXT,
  scan_date @TIME NOT NULL,
  scan_id BIGINT NOT NULL,
  status TEXT NOT NULL,
  error TEXT,
  bytes_read BIGINT,
  reader_version BIGINT NOT NULL,
  metadata_json JSON
);
CREATE INDEX files_name ON files(file_name);
CREATE INDEX files_type ON files(file_type);

CREATE TABLE images (
  file_id BIGINT PRIMARY KEY REFERENCES files(id) ON DELETE CASCADE,
  resolution_x BIGINT,
  resolution_y BIGINT,
  width BIGINT GENERATED ALWAYS AS (resolution_x) @SAME,
  height BIGINT GENERATED ALWAYS AS (resolution_y) @SAME,
  format TEXT,
  color_mode TEXT,
  mode TEXT GENERATED ALWAYS AS (color_mode) @SAME,
  display_window_x BIGINT, display_window_y BIGINT, display_window_w BIGINT, display_window_h BIGINT,
  data_window_x BIGINT, data_window_y BIGINT, data_window_w BIGINT, data_window_h BIGINT,
  bit_depth BIGINT,
  channels BIGINT,
  channel_names JSON,
  pixel_type TEXT,
  color_space TEXT,
  compression TEXT,
  parts BIGINT,
  views JSON,
  tiled @BOOL,
  mip_levels BIGINT,
  orientation BIGINT,
  dpi_x @REAL,
  dpi_y @REAL,
  pixel_aspect @REAL,
  timecode TEXT,
  frame_rate @REAL,
  has_alpha @BOOL,
  animated @BOOL,
  frame_count BIGINT,
  embedded_thumbnail @BOOL,
  has_xmp @BOOL,
  camera_make TEXT,
  camera_model TEXT,
  lens_model TEXT,
  capture_date TEXT,
  software TEXT,
  description TEXT
);

CREATE TABLE videos (
  file_id BIGINT PRIMARY KEY REFERENCES files(id) ON DELETE CASCADE,
  resolution_x BIGINT,
  resolution_y BIGINT,
  width BIGINT GENERATED ALWAYS AS (resolution_x) @SAME,
  height BIGINT GENERATED ALWAYS AS (resolution_y) @SAME,
  duration @REAL,
  fps @REAL,
  fps_num BIGINT,
  fps_den BIGINT,
  frame_count BIGINT,
  codec TEXT,
  fourcc TEXT,
  profile TEXT,
  bit_rate BIGINT,
  pixel_format TEXT,
  bit_depth BIGINT,
  chroma TEXT,
  color_primaries TEXT,
  color_transfer TEXT,
  color_matrix TEXT,
  color_range TEXT,
  hdr TEXT,
  sample_aspect TEXT,
  display_aspect TEXT,
  rotation BIGINT,
  timecode TEXT,
  reel TEXT,
  container TEXT,
  faststart @BOOL,
  fragmented @BOOL,
  audio_streams JSON,
  video_stream_count BIGINT,
  audio_stream_count BIGINT,
  subtitle_count BIGINT,
  creation_time @TIME,
  encoder TEXT
);

CREATE TABLE blend_files (
  file_id BIGINT PRIMARY KEY REFERENCES files(id) ON DELETE CASCADE,
  blender_version TEXT,
  subversion BIGINT,
  header_format BIGINT,
  pointer_size BIGINT,
  endian TEXT,
  compression TEXT,
  file_saved_path TEXT,
  build_hash TEXT,
  num_scenes BIGINT,
  active_scene TEXT,
  scene_name TEXT GENERATED ALWAYS AS (active_scene) @SAME,
  frame_start BIGINT,
  frame_end BIGINT,
  num_frames BIGINT,
  fps @REAL,
  render_engine TEXT,
  resolution_x BIGINT,
  resolution_y BIGINT,
  total_objects BIGINT,
  meshes BIGINT,
  cameras BIGINT,
  lights BIGINT,
  materials BIGINT,
  textures BIGINT,
  images BIGINT,
  collections BIGINT,
  actions BIGINT,
  armatures BIGINT,
  node_trees BIGINT,
  worlds BIGINT,
  sounds BIGINT,
  movie_clips BIGINT,
  fonts BIGINT,
  cache_files BIGINT,
  volumes BIGINT,
  texts BIGINT,
  linked_datablocks BIGINT,
  vertices BIGINT,
  faces BIGINT,
  is_asset_library @BOOL,
  assets_count BIGINT,
  libraries_count BIGINT,
  packed_count BIGINT,
  packed_bytes BIGINT,
  thumbnail_width BIGINT,
  thumbnail_height BIGINT,
  missing_count BIGINT
);

CREATE TABLE blend_scenes (
  file_id BIGINT NOT NULL REFERENCES files(id) ON DELETE CASCADE,
  position BIGINT NOT NULL,
  name TEXT,
  active @BOOL,
  frame_start BIGINT,
  frame_end BIGINT,
  frame_current BIGINT,
  frame_step BIGINT,
  num_frames BIGINT,
  fps @REAL,
  fps_numerator BIGINT,
  fps_base @REAL,
  render_engine TEXT,
  resolution_x BIGINT,
  resolution_y BIGINT,
  full_resolution_x BIGINT,
  full_resolution_y BIGINT,
  resolution_percentage BIGINT,
  pixel_aspect_x @REAL,
  pixel_aspect_y @REAL,
  output_path TEXT,
  output_format TEXT,
  view_transform TEXT,
  display_device TEXT,
  camera TEXT,
  world TEXT,
  unit_scale @REAL,
  view_layers JSON,
  num_strips BIGINT,
  PRIMARY KEY (file_id, position)
);

CREATE TABLE dependencies (
  id @ID,
  file_id BIGINT NOT NULL REFERENCES files(id) ON DELETE CASCADE,
  position BIGINT NOT NULL,
  kind TEXT NOT NULL,
  raw_path TEXT NOT NULL,
  resolved_path TEXT @BYTEWISE,
  resolved_file_id BIGINT REFERENCES files(id) ON DELETE SET NULL,
  "exists" @BOOL,
  absolute @BOOL NOT NULL,
  packed @BOOL NOT NULL,
  indirect @BOOL NOT NULL,
  owner_type TEXT,
  owner TEXT,
  frames BIGINT,
  udim_tiles JSON,
  UNIQUE (file_id, position)
);
CREATE INDEX dependencies_target ON dependencies(resolved_file_id);

CREATE VIEW missing_dependencies AS
  SELECT f.file_path, d.kind, d.raw_path, d.resolved_path, d.owner_type, d.owner
  FROM dependencies d JOIN files f ON f.id = d.file_id
  WHERE NOT d."exists" AND NOT d.packed AND f.status <> 'missing';
)sql";

// The original's names for sound, and what production sound recorders say; thumbnails.
constexpr std::string_view kVersion2 = R"sql(
CREATE TABLE audio (
  file_id BIGINT PRIMARY KEY REFERENCES files(id) ON DELETE CASCADE,
  duration @REAL,
  bitrate BIGINT,
  sample_rate BIGINT,
  channels BIGINT,
  codec TEXT,
  bit_depth BIGINT,
  channel_layout TEXT,
  sample_count BIGINT,
  container TEXT,
  timecode TEXT,
  time_reference BIGINT,
  originator TEXT,
  description TEXT,
  scene TEXT,
  take TEXT,
  tape TEXT,
  title TEXT,
  artist TEXT,
  album TEXT,
  audio_streams JSON,
  creation_time @TIME,
  encoder TEXT
);
ALTER TABLE images ADD COLUMN thumbnail_path TEXT;
ALTER TABLE videos ADD COLUMN thumbnail_path TEXT;
ALTER TABLE blend_files ADD COLUMN thumbnail_path TEXT;
)sql";

// One entry a version; never change an entry that was released, add one.
const std::vector<std::string_view>& migrations() {
  static const std::vector<std::string_view> all = {kVersion1, kVersion2};
  return all;
}

std::string in_dialect(std::string_view text, Dialect dialect) {
  struct Word {
    std::string_view name, sqlite, postgresql;
  };
  static constexpr Word kWords[] = {
      {"@ID", "INTEGER PRIMARY KEY AUTOINCREMENT", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"},
      {"@TIME", "DATETIME", "TIMESTAMP"},  // UTC
      {"@BOOL", "BOOLEAN", "BOOLEAN"},
      {"@REAL", "REAL", "DOUBLE PRECISION"},
      {"@BYTEWISE", "", "COLLATE \"C\""},
      {"@SAME", "VIRTUAL", "STORED"},
  };
  std::string sql(text);
  for (const Word& word : kWords) {
    sql = base::replace_all(std::move(sql), word.name,
                            dialect == Dialect::kSqlite ? word.sqlite : word.postgresql);
  }
  return sql;
}

bool has_table(sql::Connection& connection, std::string_view name) {
  auto query =
      connection.prepare(connection.dialect() == Dialect::kSqlite
                             ? "SELECT 1 FROM sqlite_schema WHERE type='table' AND name=$1"
                             : "SELECT 1 FROM pg_tables WHERE tablename=$1 AND schemaname=current_schema()");
  query->bind(1, name);
  return query->step();
}

int64_t version_of(sql::Connection& connection) {
  auto query = connection.prepare("SELECT max(version) FROM millrace_schema");
  return query->step() ? query->int64(0) : 0;
}

}  // namespace

const Table kFiles = {
    "files", "file_path", {"file_path",    "file_name",     "directory", "extension",  "storage",
                           "bucket",       "file_type",     "format",    "mime_type",  "file_size",
                           "created_date", "modified_date", "mtime_ns",  "etag",       "scan_date",
                           "scan_id",      "status",        "error",     "bytes_read", "reader_version",
                           "metadata_json"}};
const Table kImages = {"images",
                       "file_id",
                       {"file_id",
                        "resolution_x",
                        "resolution_y",
                        "format",
                        "color_mode",
                        "display_window_x",
                        "display_window_y",
                        "display_window_w",
                        "display_window_h",
                        "data_window_x",
                        "data_window_y",
                        "data_window_w",
                        "data_window_h",
                        "bit_depth",
                        "channels",
                        "channel_names",
                        "pixel_type",
                        "color_space",
                        "compression",
                        "parts",
                        "views",
                        "tiled",
                        "mip_levels",
                        "orientation",
                        "dpi_x",
                        "dpi_y",
                        "pixel_aspect",
                        "timecode",
                        "frame_rate",
                        "has_alpha",
                        "animated",
                        "frame_count",
                        "embedded_thumbnail",
                        "has_xmp",
                        "camera_make",
                        "camera_model",
                        "lens_model",
                        "capture_date",
                        "software",
                        "description",
                        "thumbnail_path"}};
const Table kVideos = {"videos",
                       "file_id",
                       {"file_id",
                        "resolution_x",
                        "resolution_y",
                        "duration",
                        "fps",
                        "fps_num",
                        "fps_den",
                        "frame_count",
                        "codec",
                        "fourcc",
                        "profile",
                        "bit_rate",
                        "pixel_format",
                        "bit_depth",
                        "chroma",
                        "color_primaries",
                        "color_transfer",
                        "color_matrix",
                        "color_range",
                        "hdr",
                        "sample_aspect",
                        "display_aspect",
                        "rotation",
                        "timecode",
                        "reel",
                        "container",
                        "faststart",
                        "fragmented",
                        "audio_streams",
                        "video_stream_count",
                        "audio_stream_count",
                        "subtitle_count",
                        "creation_time",
                        "encoder",
                        "thumbnail_path"}};
const Table kAudio = {
    "audio", "file_id", {"file_id",       "duration",       "bitrate",        "sample_rate",  "channels",
                         "codec",         "bit_depth",      "channel_layout", "sample_count", "container",
                         "timecode",      "time_reference", "originator",     "description",  "scene",
                         "take",          "tape",           "title",          "artist",       "album",
                         "audio_streams", "creation_time",  "encoder"}};
const Table kBlendFiles = {"blend_files",
                           "file_id",
                           {"file_id",
                            "blender_version",
                            "subversion",
                            "header_format",
                            "pointer_size",
                            "endian",
                            "compression",
                            "file_saved_path",
                            "build_hash",
                            "num_scenes",
                            "active_scene",
                            "frame_start",
                            "frame_end",
                            "num_frames",
                            "fps",
                            "render_engine",
                            "resolution_x",
                            "resolution_y",
                            "total_objects",
                            "meshes",
                            "cameras",
                            "lights",
                            "materials",
                            "textures",
                            "images",
                            "collections",
                            "actions",
                            "armatures",
                            "node_trees",
                            "worlds",
                            "sounds",
                            "movie_clips",
                            "fonts",
                            "cache_files",
                            "volumes",
                            "texts",
                            "linked_datablocks",
                            "vertices",
                            "faces",
                            "is_asset_library",
                            "assets_count",
                            "libraries_count",
                            "packed_count",
                            "packed_bytes",
                            "thumbnail_width",
                            "thumbnail_height",
                            "thumbnail_path"}};
const Table kBlendScenes = {"blend_scenes",
                            "file_id, position",
                            {"file_id",
                             "position",
                             "name",
                             "active",
                             "frame_start",
                             "frame_end",
                             "frame_current",
                             "frame_step",
                             "num_frames",
                             "fps",
                             "fps_numerator",
                             "fps_base",
                             "render_engine",
                             "resolution_x",
                             "resolution_y",
                             "full_resolution_x",
                             "full_resolution_y",
                             "resolution_percentage",
                             "pixel_aspect_x",
                             "pixel_aspect_y",
                             "output_path",
                             "output_format",
                             "view_transform",
                             "display_device",
                             "camera",
                             "world",
                             "unit_scale",
                             "view_layers",
                             "num_strips"}};
const Table kDependencies = {"dependencies",
                             "file_id, position",
                             {"file_id", "position", "kind", "raw_path", "resolved_path", "absolute",
                              "packed", "indirect", "owner_type", "owner", "frames", "udim_tiles"}};

void migrate_schema(sql::Connection& connection) {
  sql::Transaction transaction(connection);
  if (connection.dialect() == Dialect::kPostgresql) {
    // Two scanners that start together would otherwise both create the tables. The number is this program's
    // own.
    connection.execute("SELECT pg_advisory_xact_lock(7263549001)");
  }
  if (!has_table(connection, "millrace_schema")) {
    for (std::string_view name : {"files", "images", "videos", "blend_files", "scans", "dependencies"}) {
      if (!has_table(connection, name)) continue;
      throw base::ConflictError("the database has a table '" + std::string(name) +
                                "' that Millrace did not make; give the catalogue a database of its own");
    }
    connection.execute("CREATE TABLE millrace_schema(version INTEGER NOT NULL)");
  }
  int64_t version = version_of(connection);
  if (version > kSchemaVersion) {
    throw base::ConflictError("the catalogue has version " + std::to_string(version) +
                              ", this Millrace knows up to " + std::to_string(kSchemaVersion) +
                              "; use the newer one");
  }
  if (version == kSchemaVersion) return;
  for (; version < kSchemaVersion; ++version) {
    connection.execute(in_dialect(migrations()[static_cast<size_t>(version)], connection.dialect()));
  }
  auto note = connection.prepare("INSERT INTO millrace_schema(version) VALUES ($1)");
  note->bind(1, version).run();
  transaction.commit();
}

}  // namespace millrace::scan

// The SQL of each version of the catalogue, and its views. Only schema.cc includes this.
#pragma once

#include <string_view>

namespace millrace::scan {

// Names are those of the original catalogue where it has them; its `width`, `height`, `mode` and `scene_name`
// are kept as generated columns beside the newer names. @ID, @TIME, @BOOL, @REAL, @BYTEWISE and @SAME are
// replaced by what the dialect calls them.
inline constexpr std::string_view kVersion1 = R"sql(
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

// Sequences, shards that end together, what could not be catalogued; columns that no reader writes.
inline constexpr std::string_view kVersion2 = R"sql(
CREATE TABLE sequences (
  id @ID,
  storage TEXT NOT NULL,
  bucket TEXT,
  directory TEXT @BYTEWISE NOT NULL,
  head TEXT @BYTEWISE NOT NULL,
  tail TEXT @BYTEWISE NOT NULL,
  padding INTEGER NOT NULL,
  pattern TEXT NOT NULL,
  extension TEXT,
  file_type TEXT,
  format TEXT,
  status TEXT NOT NULL,
  first_frame BIGINT NOT NULL,
  last_frame BIGINT NOT NULL,
  step BIGINT NOT NULL,
  frame_count BIGINT NOT NULL,
  missing_count BIGINT NOT NULL,
  missing_frames TEXT,
  total_bytes BIGINT NOT NULL,
  min_bytes BIGINT NOT NULL,
  max_bytes BIGINT NOT NULL,
  representative_file_id BIGINT,
  resolution_x BIGINT,
  resolution_y BIGINT,
  consistent @BOOL NOT NULL,
  differences TEXT,
  is_udim @BOOL NOT NULL,
  modified_date @TIME,
  scan_id BIGINT NOT NULL,
  UNIQUE (directory, head, tail, padding)
);
CREATE INDEX sequences_representative ON sequences(representative_file_id);
ALTER TABLE files ADD COLUMN sequence_id BIGINT;
ALTER TABLE files ADD COLUMN frame BIGINT;
ALTER TABLE files ADD COLUMN previous_path TEXT;
ALTER TABLE files ADD COLUMN sha256 TEXT;
CREATE INDEX files_sequence ON files(sequence_id);
CREATE INDEX files_folder ON files(directory @BYTEWISE, file_name @BYTEWISE);
CREATE INDEX files_lower_name ON files(lower(file_name));
CREATE INDEX files_content ON files(sha256);
CREATE INDEX files_modified ON files(modified_date);
ALTER TABLE scans ADD COLUMN run_id TEXT;
ALTER TABLE scans ADD COLUMN kind TEXT;
ALTER TABLE scans ADD COLUMN files_renamed BIGINT;
ALTER TABLE scans ADD COLUMN sequences BIGINT;
ALTER TABLE scans ADD COLUMN rules TEXT;
CREATE TABLE scan_problems (
  scan_id BIGINT NOT NULL REFERENCES scans(id) ON DELETE CASCADE,
  item TEXT NOT NULL,
  code TEXT,
  error TEXT NOT NULL
);
CREATE INDEX scan_problems_scan ON scan_problems(scan_id);
ALTER TABLE dependencies ADD COLUMN suggestion TEXT;
)sql";

// Indexes on what most files do not have hold only those that have it; names are looked for in any case.
inline constexpr std::string_view kVersion3 = R"sql(
DROP INDEX IF EXISTS files_name;
DROP INDEX IF EXISTS files_sequence;
DROP INDEX IF EXISTS files_content;
CREATE INDEX files_sequence ON files(sequence_id) WHERE sequence_id IS NOT NULL;
CREATE INDEX files_content ON files(sha256) WHERE sha256 IS NOT NULL;
)sql";

// Made anew by every migration: they hold nothing.
inline constexpr std::string_view kViews = R"sql(
CREATE VIEW missing_dependencies AS
  SELECT f.file_path, d.kind, d.raw_path, d.resolved_path, d.owner_type, d.owner, d.suggestion, d.file_id
  FROM dependencies d JOIN files f ON f.id = d.file_id
  WHERE NOT d."exists" AND NOT d.packed AND f.status <> 'missing';

CREATE VIEW file_users AS
  SELECT t.file_path, f.file_path AS used_by, d.kind, d.raw_path, d.owner_type, d.owner, t.id AS file_id,
         t.sequence_id, d.file_id AS user_id
  FROM dependencies d JOIN files t ON t.id = d.resolved_file_id JOIN files f ON f.id = d.file_id
  WHERE f.status <> 'missing';

CREATE VIEW unused_files AS
  SELECT f.file_path, f.file_type, f.file_size, f.modified_date, f.id AS file_id
  FROM files f
  WHERE f.file_type IN ('image','video','audio','cache') AND f.status <> 'missing'
    AND f.id NOT IN (SELECT resolved_file_id FROM dependencies WHERE resolved_file_id IS NOT NULL)
    AND (f.sequence_id IS NULL OR f.sequence_id NOT IN
         (SELECT t.sequence_id FROM dependencies d JOIN files t ON t.id = d.resolved_file_id
          WHERE t.sequence_id IS NOT NULL));

CREATE VIEW file_contents AS
  SELECT id AS file_id, file_path, file_size,
         CASE WHEN sha256 IS NOT NULL THEN 'sha256:' || sha256 ELSE 'etag:' || etag END AS content
  FROM files WHERE status <> 'missing' AND file_size > 0 AND (sha256 IS NOT NULL OR etag IS NOT NULL);

CREATE VIEW duplicates AS
  SELECT content, file_size, count(*) AS copies, (count(*) - 1) * file_size AS wasted_bytes,
         min(file_path) AS first_path
  FROM file_contents GROUP BY content, file_size HAVING count(*) > 1;

CREATE VIEW duplicate_files AS
  SELECT c.file_path, c.file_size, c.content, d.copies, c.file_id
  FROM duplicates d JOIN file_contents c ON c.content = d.content AND c.file_size = d.file_size;

CREATE VIEW inconsistent_sequences AS
  SELECT * FROM sequences WHERE status = 'ok' AND ((missing_count > 0 AND NOT is_udim) OR NOT consistent);

CREATE VIEW unreadable_files AS
  SELECT file_path, file_type, format, file_size, status, error, id AS file_id
  FROM files WHERE status IN ('broken','partial');

CREATE VIEW items AS
  SELECT 'sequence' AS kind, directory || '/' || pattern AS path, file_type, frame_count AS files,
         total_bytes AS bytes, id AS sequence_id, representative_file_id AS file_id
  FROM sequences WHERE status = 'ok'
  UNION ALL
  SELECT 'file', file_path, file_type, 1, file_size, NULL, id
  FROM files WHERE sequence_id IS NULL AND status <> 'missing';
)sql";
inline constexpr std::string_view kViewNames[] = {
    "items",           "unreadable_files", "inconsistent_sequences",
    "duplicate_files", "duplicates",       "file_contents",
    "unused_files",    "file_users",       "missing_dependencies"};

}  // namespace millrace::scan

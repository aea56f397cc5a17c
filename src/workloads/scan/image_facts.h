// What is known about one image: the columns of the table `images`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "workloads/scan/media_facts.h"

namespace millrace::scan {

// A rectangle in pixels; the origin may be negative (OpenEXR).
struct PixelWindow {
  int64_t x = 0, y = 0, width = 0, height = 0;
  friend bool operator==(const PixelWindow&, const PixelWindow&) = default;
};

// Numbers are absent and texts empty when the file does not say.
struct ImageFacts {
  ReadStatus status = ReadStatus::kOk;
  std::string problem;  // set exactly when status is not kOk: what is wrong and at which offset
  std::string warning;  // damage in optional metadata (EXIF, ICC …) that leaves the status alone

  // Pixels as stored, before `orientation` is applied; for OpenEXR the size of the data window of the first
  // part.
  std::optional<uint32_t> resolution_x, resolution_y;
  std::optional<PixelWindow> display_window, data_window;  // OpenEXR; WebP and PNG animations have neither
  std::optional<uint32_t> bit_depth;                       // bits of one channel (the widest)
  std::optional<uint32_t> channels;                        // of the first part; a palette image has 1
  std::vector<std::string> channel_names;                  // OpenEXR, all parts: "R", "diffuse.R", "part:Z"
  std::string pixel_type;  // uint1…uint64, int16, half, float, double; "mixed"
  std::string
      color_mode;  // Pillow's words: 1 L LA P RGB RGBA CMYK LAB YCbCr; EXR: RGB, RGBA, L, LA, YC, "multi"
  std::string color_space;  // ICC profile name, "sRGB", "gamma 0.45455", "BT.2020 PQ", EXR chromaticities …
  std::string
      compression;  // "deflate", "JPEG", "JPEG progressive", "LZW", "ZIP", "PIZ", "DWAA", "RLE", "none" …
  std::optional<uint32_t> parts;   // OpenEXR parts, TIFF pages, MPO pictures, PSD layers + 1
  std::vector<std::string> views;  // stereo views: "left", "right"
  std::optional<bool> tiled;
  std::optional<uint32_t> mip_levels;   // 1 = no smaller copies
  std::optional<uint32_t> orientation;  // EXIF / TIFF 1…8
  std::optional<double> dpi_x, dpi_y;
  std::optional<double> pixel_aspect;  // width / height of one pixel
  std::string timecode;                // "01:00:00:00", ";" before the frames when drop-frame
  std::optional<Rational> frame_rate;  // OpenEXR framesPerSecond
  std::optional<bool> has_alpha;
  std::optional<bool> animated;
  std::optional<uint32_t> frame_count;  // of an animation; absent when counting would mean reading it all
  std::optional<bool> embedded_thumbnail;
  uint64_t preview_offset = 0, preview_length = 0;  // of the small JPEG that EXIF carries; length 0: none
  std::optional<bool> has_xmp;

  std::string camera_make, camera_model, lens_model;
  std::string
      capture_date;  // "2026-11-21T14:18:25", local time of the camera, with the offset where EXIF has it
  std::string software;
  std::string description;
  std::string
      thumbnail_path;  // of the small picture made of it, empty when none was asked for or could be made
};

}  // namespace millrace::scan

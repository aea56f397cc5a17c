// `scan --thumbnails DIR`: a small JPEG of every picture, video and .blend.
#pragma once

#include <string>
#include <string_view>

#include "objects/store.h"
#include "workloads/scan/blend_facts.h"
#include "workloads/scan/cached_source.h"
#include "workloads/scan/image_facts.h"
#include "workloads/scan/media_helper.h"
#include "workloads/scan/video_facts.h"

namespace millrace::scan {

// What making one thumbnail may cost: a picture has to be read as a whole.
inline constexpr ReadBudget kThumbnailBudget = {
    .bytes_max = uint64_t{512} << 20, .requests_max = 8192, .block_bytes = 64 << 10};
inline constexpr unsigned kThumbnailSide = 256;
// The code of the TransientError that says that the file cannot be written.
inline constexpr const char* kThumbnailWrite = "ThumbnailWrite";

// DIR/4f/4f…e1.jpg: named by what the content is known by (ETag, or path, size and time), so that the picture
// of an unchanged file is not made twice.
std::string thumbnail_path(const std::string& folder, const objects::ObjectInfo& object);

// Makes the file unless it is there, and returns its path. Preferred is a preview that the file carries: that
// of EXIF, the pixels of a .blend. Throws CorruptError and BudgetError that say why there is none,
// TransientError when it cannot be written or the helper not be started, and what reading `source` throws.
class Thumbnailer {
 public:
  Thumbnailer(std::string folder, MediaHelper& helper) : folder_(std::move(folder)), helper_(helper) {}

  std::string of_image(const objects::ObjectInfo& object, Source& source, const ImageFacts& facts);
  std::string of_video(const objects::ObjectInfo& object, Source& source, const VideoFacts& facts);
  std::string of_blend(const objects::ObjectInfo& object, const BlendFacts& facts);

 private:
  template <typename Make>
  std::string kept(const objects::ObjectInfo& object, Make&& make);

  std::string folder_;
  MediaHelper& helper_;
};

}  // namespace millrace::scan

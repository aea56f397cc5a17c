#include "workloads/scan/thumbnails.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/error.h"
#include "base/hash.h"
#include "base/unique_fd.h"

namespace millrace::scan {
namespace {

// Part of a file as a file of its own.
class Window final : public Source {
 public:
  Window(Source& source, uint64_t offset, uint64_t size) : source_(source), offset_(offset), size_(size) {}
  uint64_t size() const override { return size_; }
  std::string_view read(uint64_t offset, size_t length) override {
    if (offset > size_ || length > size_ - offset) throw base::CorruptError("truncated: the preview");
    return source_.read(offset_ + offset, length);
  }
  std::string_view read_some(uint64_t offset, size_t length) override {
    if (offset >= size_) return {};
    return source_.read_some(offset_ + offset,
                             static_cast<size_t>(std::min<uint64_t>(length, size_ - offset)));
  }

 private:
  Source& source_;
  uint64_t offset_, size_;
};

std::string_view name_of(const objects::ObjectInfo& object) {
  return std::string_view(object.key).substr(object.key.rfind('/') + 1);
}

// Whole or not at all; two scans may write the same one.
void write_file(const std::string& path, std::string_view bytes) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  std::string temporary = path + ".XXXXXX";
  base::UniqueFd fd(mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) throw base::TransientError(base::system_message("write " + path, errno), kThumbnailWrite);
  bool ok = fchmod(fd.get(), 0644) == 0;
  while (ok && !bytes.empty()) {
    ssize_t done = ::write(fd.get(), bytes.data(), bytes.size());
    ok = done > 0;
    if (ok) bytes.remove_prefix(static_cast<size_t>(done));
  }
  ok = ok && rename(temporary.c_str(), path.c_str()) == 0;
  if (ok) return;
  int failed = errno;
  unlink(temporary.c_str());
  throw base::TransientError(base::system_message("write " + path, failed), kThumbnailWrite);
}

// EXIF's eight ways to hold a camera; the mirrored ones are turned only.
unsigned degrees_of_orientation(unsigned orientation) {
  switch (orientation) {
    case 3:
    case 4:
      return 180;
    case 5:
    case 6:
      return 90;
    case 7:
    case 8:
      return 270;
    default:
      return 0;
  }
}

}  // namespace

std::string thumbnail_path(const std::string& folder, const objects::ObjectInfo& object) {
  std::string key = object.etag.empty() ? object.key + '\0' + std::to_string(object.mtime_ns) : object.etag;
  std::string name = base::sha256_hex(key + '\0' + std::to_string(object.size)).substr(0, 32);
  return folder + "/" + name.substr(0, 2) + "/" + name + ".jpg";
}

template <typename Make>
std::string Thumbnailer::kept(const objects::ObjectInfo& object, Make&& make) {
  std::string path = thumbnail_path(folder_, object);
  struct stat status{};
  if (stat(path.c_str(), &status) == 0 && status.st_size > 0) return path;
  write_file(path, make());
  return path;
}

std::string Thumbnailer::of_image(const objects::ObjectInfo& object, Source& source,
                                  const ImageFacts& facts) {
  return kept(object, [&] {
    unsigned degrees = degrees_of_orientation(facts.orientation.value_or(1));
    if (facts.preview_length > 0) {
      try {
        Window preview(source, facts.preview_offset, facts.preview_length);
        return helper_.thumbnail(preview, "preview.jpg", kThumbnailSide, degrees);
      } catch (const base::CorruptError&) {
        // A preview that is damaged or no JPEG: the picture itself may be whole.
      }
    }
    return helper_.thumbnail(source, name_of(object), kThumbnailSide, degrees);
  });
}

std::string Thumbnailer::of_video(const objects::ObjectInfo& object, Source& source,
                                  const VideoFacts& facts) {
  return kept(object, [&] {
    return helper_.thumbnail(source, name_of(object), kThumbnailSide,
                             static_cast<unsigned>(facts.rotation.value_or(0)));
  });
}

std::string Thumbnailer::of_blend(const objects::ObjectInfo& object, const BlendFacts& facts) {
  if (facts.thumbnail_rgba.empty()) throw base::CorruptError("the .blend carries no picture");
  return kept(object, [&] {
    return helper_.thumbnail_of_pixels(facts.thumbnail_rgba, static_cast<unsigned>(facts.thumbnail_width),
                                       static_cast<unsigned>(facts.thumbnail_height), kThumbnailSide);
  });
}

}  // namespace millrace::scan

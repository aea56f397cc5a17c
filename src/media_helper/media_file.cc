#include "media_helper/media_file.h"

#include <cstdio>

namespace millrace::media {
namespace {

int read_bytes(void* file, uint8_t* out, int length) {
  return static_cast<RemoteFile*>(file)->read(out, length);
}

int64_t seek_to(void* opaque, int64_t offset, int whence) {
  auto* file = static_cast<RemoteFile*>(opaque);
  int64_t target = offset;
  switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE:
      return static_cast<int64_t>(file->size);
    case SEEK_SET:
      break;
    case SEEK_CUR:
      target += static_cast<int64_t>(file->at);
      break;
    case SEEK_END:
      target += static_cast<int64_t>(file->size);
      break;
    default:
      return AVERROR(EINVAL);
  }
  if (target < 0) return AVERROR(EINVAL);
  file->at = static_cast<uint64_t>(target);
  return target;
}

// Playlists and the like name other files and servers: none of them is opened.
int refuse_to_open(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) {
  return AVERROR(EACCES);
}

}  // namespace

void fail(const std::string& what, int error) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(error, text, sizeof text);
  throw MediaError(what + ": " + text);
}

MediaFile::MediaFile(uint64_t size, const std::string& name, int buffer_bytes) {
  file_.size = size;
  auto* buffer = static_cast<unsigned char*>(av_malloc(static_cast<size_t>(buffer_bytes)));
  if (buffer) io_ = avio_alloc_context(buffer, buffer_bytes, 0, &file_, read_bytes, nullptr, seek_to);
  format_ = avformat_alloc_context();
  if (!io_ || !format_) throw MediaError("not enough memory");
  format_->pb = io_;
  format_->flags |= AVFMT_FLAG_CUSTOM_IO;
  format_->io_open = refuse_to_open;
  format_->probesize = 1 << 20;
  format_->max_analyze_duration = 2 * AV_TIME_BASE;
  format_->max_streams = 128;
  AVDictionary* options = nullptr;
  av_dict_set(&options, "protocol_whitelist", "none", 0);
  int error = avformat_open_input(&format_, name.c_str(), nullptr, &options);
  av_dict_free(&options);
  if (error < 0) {  // it has freed format_
    format_ = nullptr;
    fail("FFmpeg cannot open it", error);
  }
}

MediaFile::~MediaFile() {
  avformat_close_input(&format_);
  if (io_) av_freep(&io_->buffer);
  avio_context_free(&io_);
}

}  // namespace millrace::media

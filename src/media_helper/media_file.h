// A file opened by FFmpeg, whose bytes come from the scan and from nowhere else.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "media_helper/link.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

namespace millrace::media {

// What cannot be done with a file, for its row in the catalogue.
struct MediaError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// The error's text in FFmpeg's words behind `what`.
[[noreturn]] void fail(const std::string& what, int error);

class MediaFile {
 public:
  // `buffer_bytes`: of one request. `name` helps to tell formats apart that look alike. Throws MediaError.
  MediaFile(uint64_t size, const std::string& name, int buffer_bytes);
  ~MediaFile();
  MediaFile(const MediaFile&) = delete;
  MediaFile& operator=(const MediaFile&) = delete;

  AVFormatContext& format() { return *format_; }

 private:
  RemoteFile file_;
  AVIOContext* io_ = nullptr;
  AVFormatContext* format_ = nullptr;
};

struct FreeCodec {
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
};
struct FreeFrame {
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
};
struct FreePacket {
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
};
using CodecPointer = std::unique_ptr<AVCodecContext, FreeCodec>;
using FramePointer = std::unique_ptr<AVFrame, FreeFrame>;
using PacketPointer = std::unique_ptr<AVPacket, FreePacket>;

}  // namespace millrace::media

#include "media_helper/thumbnail.h"

#include <algorithm>
#include <vector>

#include "media_helper/media_file.h"

extern "C" {
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}

namespace millrace::media {
namespace {

constexpr int kThumbnailBuffer = 256 * 1024;
constexpr int kPacketsMax = 500;             // read until a frame comes out
constexpr int64_t kPixelsMax = 300'000'000;  // of a picture that is decoded at all
constexpr int kQuality = 4;                  // FFmpeg's scale: 2 is best, 31 worst
constexpr uint8_t kBackground = 0x80;        // behind what is transparent

struct FreeScaler {
  void operator()(SwsContext* context) const { sws_freeContext(context); }
};

FramePointer new_frame(AVPixelFormat format, int width, int height) {
  FramePointer frame(av_frame_alloc());
  if (!frame) throw MediaError("not enough memory");
  frame->format = format;
  frame->width = width;
  frame->height = height;
  if (av_frame_get_buffer(frame.get(), 0) < 0) throw MediaError("not enough memory");
  return frame;
}

FramePointer scaled(const AVFrame& from, AVPixelFormat format, int width, int height) {
  std::unique_ptr<SwsContext, FreeScaler> scaler(
      sws_getContext(from.width, from.height, static_cast<AVPixelFormat>(from.format), width, height, format,
                     SWS_AREA, nullptr, nullptr, nullptr));
  if (!scaler) throw MediaError("FFmpeg cannot convert its pixels");
  // Full-range YUV has to be named by its range, now that the formats of that name are going.
  int range = from.color_range == AVCOL_RANGE_JPEG ? 1 : 0;
  const int* table = sws_getCoefficients(from.colorspace == AVCOL_SPC_BT709 ? SWS_CS_ITU709 : SWS_CS_DEFAULT);
  sws_setColorspaceDetails(scaler.get(), table, range, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16,
                           1 << 16);
  FramePointer to = new_frame(format, width, height);
  if (sws_scale(scaler.get(), from.data, from.linesize, 0, from.height, to->data, to->linesize) <= 0)
    throw MediaError("FFmpeg cannot convert its pixels");
  return to;
}

void put_on_background(AVFrame& rgba) {
  for (int y = 0; y < rgba.height; ++y) {
    uint8_t* p = rgba.data[0] + static_cast<ptrdiff_t>(y) * rgba.linesize[0];
    for (int x = 0; x < rgba.width; ++x, p += 4) {
      unsigned alpha = p[3];
      for (int c = 0; c < 3; ++c)
        p[c] = static_cast<uint8_t>((p[c] * alpha + kBackground * (255 - alpha)) / 255);
      p[3] = 255;
    }
  }
}

FramePointer turned(const AVFrame& from, int degrees) {
  bool across = degrees == 90 || degrees == 270;
  FramePointer to =
      new_frame(AV_PIX_FMT_RGBA, across ? from.height : from.width, across ? from.width : from.height);
  for (int y = 0; y < to->height; ++y)
    for (int x = 0; x < to->width; ++x) {
      int u = x, v = y;
      if (degrees == 90) u = y, v = from.height - 1 - x;
      if (degrees == 180) u = from.width - 1 - x, v = from.height - 1 - y;
      if (degrees == 270) u = from.width - 1 - y, v = x;
      std::copy_n(from.data[0] + static_cast<ptrdiff_t>(v) * from.linesize[0] + u * 4, 4,
                  to->data[0] + static_cast<ptrdiff_t>(y) * to->linesize[0] + x * 4);
    }
  return to;
}

std::string encoded(const AVFrame& rgba) {
  const AVCodec* codec = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
  CodecPointer encoder(codec ? avcodec_alloc_context3(codec) : nullptr);
  if (!encoder) throw MediaError("this FFmpeg has no JPEG encoder");
  FramePointer yuv = scaled(rgba, AV_PIX_FMT_YUVJ420P, rgba.width, rgba.height);
  yuv->color_range = AVCOL_RANGE_JPEG;
  yuv->quality = kQuality * FF_QP2LAMBDA;
  encoder->width = rgba.width;
  encoder->height = rgba.height;
  encoder->pix_fmt = AV_PIX_FMT_YUVJ420P;
  encoder->color_range = AVCOL_RANGE_JPEG;
  encoder->time_base = {1, 25};
  encoder->thread_count = 1;
  encoder->flags |= AV_CODEC_FLAG_QSCALE;
  encoder->global_quality = kQuality * FF_QP2LAMBDA;
  int error = avcodec_open2(encoder.get(), codec, nullptr);
  if (error >= 0) error = avcodec_send_frame(encoder.get(), yuv.get());
  if (error >= 0) error = avcodec_send_frame(encoder.get(), nullptr);
  PacketPointer packet(av_packet_alloc());
  if (error >= 0 && packet) error = avcodec_receive_packet(encoder.get(), packet.get());
  if (error < 0 || !packet) fail("FFmpeg cannot write the JPEG", error);
  return {reinterpret_cast<const char*>(packet->data), static_cast<size_t>(packet->size)};
}

std::string small_picture(const AVFrame& frame, AVRational shape, int side, int degrees) {
  if (frame.width <= 0 || frame.height <= 0) throw MediaError("a picture without pixels");
  double width = frame.width, height = frame.height;
  if (shape.num > 0 && shape.den > 0) width *= av_q2d(shape);
  double factor = std::min(1.0, side / std::max(width, height));
  int w = std::clamp(static_cast<int>(width * factor + 0.5), 1, side);
  int h = std::clamp(static_cast<int>(height * factor + 0.5), 1, side);
  FramePointer rgba = scaled(frame, AV_PIX_FMT_RGBA, w, h);
  put_on_background(*rgba);
  if (degrees == 90 || degrees == 180 || degrees == 270) rgba = turned(*rgba, degrees);
  return encoded(*rgba);
}

// A picture attached to sound (a cover) is as good as a frame, a real frame is better.
int picture_stream(const AVFormatContext& format) {
  int found = -1;
  for (unsigned i = 0; i < format.nb_streams; ++i) {
    const AVStream& stream = *format.streams[i];
    if (stream.codecpar->codec_type != AVMEDIA_TYPE_VIDEO) continue;
    if (!(stream.disposition & AV_DISPOSITION_ATTACHED_PIC)) return static_cast<int>(i);
    if (found < 0) found = static_cast<int>(i);
  }
  return found;
}

CodecPointer open_decoder(const AVCodecParameters& parameters) {
  const AVCodec* codec = avcodec_find_decoder(parameters.codec_id);
  if (!codec)
    throw MediaError(std::string("this FFmpeg has no decoder for ") + avcodec_get_name(parameters.codec_id));
  CodecPointer decoder(avcodec_alloc_context3(codec));
  if (!decoder) throw MediaError("not enough memory");
  int error = avcodec_parameters_to_context(decoder.get(), &parameters);
  decoder->thread_count = 1;
  decoder->max_pixels = kPixelsMax;
  AVDictionary* options = nullptr;
  // Scene-linear light would look black.
  if (parameters.codec_id == AV_CODEC_ID_EXR) av_dict_set(&options, "apply_trc", "iec61966_2_1", 0);
  if (error >= 0) error = avcodec_open2(decoder.get(), codec, &options);
  av_dict_free(&options);
  if (error < 0) fail("FFmpeg cannot decode it", error);
  return decoder;
}

}  // namespace

std::string thumbnail(uint64_t size, const std::string& name, int side, int degrees) {
  MediaFile file(size, name, kThumbnailBuffer);
  AVFormatContext& format = file.format();
  int index = picture_stream(format);
  if (index < 0) {  // streams without headers show up as they are read
    int error = avformat_find_stream_info(&format, nullptr);
    if (error < 0) fail("FFmpeg cannot read its streams", error);
    index = picture_stream(format);
  }
  if (index < 0) throw MediaError("there is no picture in it");
  AVStream& stream = *format.streams[index];
  CodecPointer decoder = open_decoder(*stream.codecpar);
  PacketPointer packet(av_packet_alloc());
  FramePointer frame(av_frame_alloc());
  if (!packet || !frame) throw MediaError("not enough memory");
  int error = 0;
  bool flushed = false;
  for (int packets = 0; packets < kPacketsMax && !flushed; ++packets) {
    error = av_read_frame(&format, packet.get());
    if (error >= 0 && packet->stream_index != index) {
      av_packet_unref(packet.get());
      continue;
    }
    flushed = error < 0;
    int sent = avcodec_send_packet(decoder.get(), flushed ? nullptr : packet.get());
    av_packet_unref(packet.get());
    if (sent < 0 && sent != AVERROR(EAGAIN)) error = sent;
    if (avcodec_receive_frame(decoder.get(), frame.get()) >= 0) {
      AVRational shape = av_guess_sample_aspect_ratio(&format, &stream, frame.get());
      return small_picture(*frame, shape, side, degrees);
    }
  }
  if (error < 0 && error != AVERROR_EOF) fail("FFmpeg cannot decode it", error);
  throw MediaError("no picture could be decoded");
}

std::string thumbnail_of_pixels(std::string_view rgba, int width, int height, int side) {
  if (width <= 0 || height <= 0 || width > 8192 || height > 8192 ||
      rgba.size() != static_cast<size_t>(width) * static_cast<size_t>(height) * 4)
    throw MediaError("the pixels do not fit their size");
  FramePointer frame = new_frame(AV_PIX_FMT_RGBA, width, height);
  size_t row = static_cast<size_t>(width) * 4;
  for (int y = 0; y < height; ++y)
    std::copy_n(rgba.data() + row * static_cast<size_t>(height - 1 - y), row,
                reinterpret_cast<char*>(frame->data[0]) + static_cast<ptrdiff_t>(y) * frame->linesize[0]);
  return small_picture(*frame, {0, 1}, side, 0);
}

}  // namespace millrace::media

#include "media_helper/probe.h"

#include "base/json.h"
#include "base/strings.h"
#include "media_helper/media_file.h"

extern "C" {
#include <libavutil/channel_layout.h>
#include <libavutil/display.h>
#include <libavutil/pixdesc.h>
}

namespace millrace::media {
namespace {

namespace json = base::json;

constexpr int kProbeBuffer = 64 * 1024;

void put(json::object& object, const char* name, const char* text) {
  if (text && *text) object[name] = base::to_utf8(text);
}

void put_ratio(json::object& object, const char* name, AVRational ratio) {
  if (ratio.num > 0 && ratio.den > 0) object[name] = json::array{ratio.num, ratio.den};
}

const char* tag(const AVDictionary* tags, const char* name) {
  const AVDictionaryEntry* entry = av_dict_get(tags, name, nullptr, 0);
  return entry ? entry->value : nullptr;
}

int rotation_of(const AVStream& stream) {
  const uint8_t* matrix = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, nullptr);
  if (!matrix) return 0;
  double turn = -av_display_rotation_get(reinterpret_cast<const int32_t*>(matrix));  // clockwise
  int quarter = static_cast<int>(turn / 90 + (turn < 0 ? -0.5 : 0.5));
  return ((quarter % 4 + 4) % 4) * 90;
}

void describe_video(const AVStream& stream, json::object& out) {
  const AVCodecParameters& p = *stream.codecpar;
  out["type"] = "video";
  out["width"] = p.width;
  out["height"] = p.height;
  put_ratio(out, "fps", stream.avg_frame_rate.num ? stream.avg_frame_rate : stream.r_frame_rate);
  put_ratio(out, "sample_aspect", p.sample_aspect_ratio);
  if (stream.nb_frames > 0) out["frames"] = stream.nb_frames;
  auto pixels = static_cast<AVPixelFormat>(p.format);
  put(out, "pixel_format", av_get_pix_fmt_name(pixels));
  if (const AVPixFmtDescriptor* d = av_pix_fmt_desc_get(pixels)) {
    out["bit_depth"] = d->comp[0].depth;
    if (!(d->flags & AV_PIX_FMT_FLAG_RGB) && d->nb_components >= 3)
      out["chroma"] = d->log2_chroma_w == 0 ? "4:4:4" : d->log2_chroma_h == 0 ? "4:2:2" : "4:2:0";
  }
  auto known = [](const char* name) { return name && std::string_view(name) != "unknown" ? name : nullptr; };
  put(out, "primaries", known(av_color_primaries_name(p.color_primaries)));
  put(out, "transfer", known(av_color_transfer_name(p.color_trc)));
  put(out, "matrix", known(av_color_space_name(p.color_space)));
  put(out, "range", known(av_color_range_name(p.color_range)));
  if (int turn = rotation_of(stream)) out["rotation"] = turn;
  put(out, "timecode", tag(stream.metadata, "timecode"));
}

void describe_audio(const AVStream& stream, json::object& out) {
  const AVCodecParameters& p = *stream.codecpar;
  out["type"] = "audio";
  if (p.sample_rate > 0) out["sample_rate"] = p.sample_rate;
  if (p.ch_layout.nb_channels > 0) {
    out["channels"] = p.ch_layout.nb_channels;
    char text[128] = {};
    if (p.ch_layout.order != AV_CHANNEL_ORDER_UNSPEC &&
        av_channel_layout_describe(&p.ch_layout, text, sizeof text) > 0)
      put(out, "channel_layout", text);
  }
  int bits = p.bits_per_raw_sample ? p.bits_per_raw_sample : av_get_bits_per_sample(p.codec_id);
  if (bits > 0) out["bit_depth"] = bits;
  put(out, "language", tag(stream.metadata, "language"));
}

}  // namespace

std::string probe(uint64_t size, const std::string& name) {
  MediaFile file(size, name, kProbeBuffer);
  AVFormatContext& format = file.format();
  int error = avformat_find_stream_info(&format, nullptr);
  if (error < 0) fail("FFmpeg cannot read its streams", error);
  json::object out;
  put(out, "container", format.iformat ? format.iformat->name : nullptr);
  if (format.duration > 0) out["duration"] = static_cast<double>(format.duration) / AV_TIME_BASE;
  if (format.bit_rate > 0) out["bit_rate"] = format.bit_rate;
  put(out, "encoder", tag(format.metadata, "encoder"));
  put(out, "timecode", tag(format.metadata, "timecode"));
  json::array& streams = out["streams"].emplace_array();
  for (unsigned i = 0; i < format.nb_streams; ++i) {
    const AVStream& stream = *format.streams[i];
    const AVCodecParameters& p = *stream.codecpar;
    json::object one;
    if (p.codec_type == AVMEDIA_TYPE_VIDEO)
      describe_video(stream, one);
    else if (p.codec_type == AVMEDIA_TYPE_AUDIO)
      describe_audio(stream, one);
    else if (p.codec_type == AVMEDIA_TYPE_SUBTITLE)
      one["type"] = "subtitle";
    else
      continue;
    if (p.codec_id != AV_CODEC_ID_NONE) put(one, "codec", avcodec_get_name(p.codec_id));
    if (p.profile >= 0) put(one, "profile", avcodec_profile_name(p.codec_id, p.profile));
    if (stream.duration > 0)
      one["duration"] = static_cast<double>(stream.duration) * av_q2d(stream.time_base);
    if (p.bit_rate > 0) one["bit_rate"] = p.bit_rate;
    streams.push_back(std::move(one));
  }
  return json::serialize(out);
}

}  // namespace millrace::media

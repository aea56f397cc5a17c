// One small whole file of each format, built by hand from the formats' specifications.
#pragma once

#include <zlib.h>

#include <bit>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "tests/workloads/scan/media_bytes_builder.h"

namespace millrace::scan::testing {

using namespace std::string_literals;

inline std::string png_chunk(const std::string& name, const std::string& data) {
  std::string body = name + data;
  auto crc = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return be(data.size(), 4) + body + be(static_cast<uint32_t>(crc), 4);
}
inline std::string png_ihdr(uint32_t w, uint32_t h, int depth, int color) {
  return png_chunk("IHDR", be(w, 4) + be(h, 4) + be(depth, 1) + be(color, 1) + zeros(3));
}

// A TIFF structure, big-endian: one directory with the given entries, values beyond 4 bytes after it.
struct TiffTag {
  int tag, type;
  uint32_t count;
  std::string value;
};
inline std::string tiff_be(const std::vector<TiffTag>& tags, const std::string& tail = "") {
  std::string values;
  size_t values_at = 8 + 2 + 12 * tags.size() + 4;
  std::string directory = be(tags.size(), 2);
  for (const TiffTag& t : tags) {
    directory += be(t.tag, 2) + be(t.type, 2) + be(t.count, 4);
    if (t.value.size() <= 4) {
      directory += t.value + zeros(4 - t.value.size());
    } else {
      directory += be(values_at + values.size(), 4);
      values += t.value;
    }
  }
  return "MM\0\x2A"s + be(8, 4) + directory + zeros(4) + values + tail;
}

inline std::string exif_sample() {
  // The camera directory stands where the first one ends: its offset is what the first directory points to.
  std::string date = "2024:02:29 23:59:58\0"s, offset = "+09:00\0"s, lens = "Planar 50mm\0"s;
  std::vector<TiffTag> first = {{0x010F, 2, 6, "Makers"},
                                {0x0110, 2, 9, "Model One"},
                                {0x0112, 3, 1, be(6, 2)},
                                {0x011A, 5, 1, be(300, 4) + be(1, 4)},
                                {0x011B, 5, 1, be(300, 4) + be(1, 4)},
                                {0x0128, 3, 1, be(2, 2)},
                                {0x0131, 2, 8, "Pipeline"},
                                {0x8769, 4, 1, be(0, 4)}};
  size_t camera_at = tiff_be(first).size();
  first.back().value = be(camera_at, 4);
  std::string camera = be(3, 2);
  size_t values_at = camera_at + 2 + 36 + 4;
  camera += be(0x9003, 2) + be(2, 2) + be(date.size(), 4) + be(values_at, 4);
  camera += be(0x9011, 2) + be(2, 2) + be(offset.size(), 4) + be(values_at + date.size(), 4);
  camera += be(0xA434, 2) + be(2, 2) + be(lens.size(), 4) + be(values_at + date.size() + offset.size(), 4);
  return tiff_be(first, camera + zeros(4) + date + offset + lens);
}

inline std::string png_sample() {
  return "\x89PNG\r\n\x1A\n"s + png_ihdr(640, 480, 16, 6) + png_chunk("gAMA", be(45455, 4)) +
         png_chunk("pHYs", be(11811, 4) + be(11811, 4) + be(1, 1)) + png_chunk("tEXt", "Software\0Painter"s) +
         png_chunk("eXIf", exif_sample()) + png_chunk("IDAT", zeros(64)) + png_chunk("IEND", "");
}
inline std::string apng_sample() {
  return "\x89PNG\r\n\x1A\n"s + png_ihdr(8, 9, 8, 3) + png_chunk("acTL", be(12, 4) + be(0, 4)) +
         png_chunk("cICP", "\x09\x10\0\x01"s) + png_chunk("sRGB", "\0"s) + png_chunk("tRNS", "\0"s) +
         png_chunk("IDAT", zeros(4)) + png_chunk("IEND", "");
}

inline std::string jpeg_segment(int marker, const std::string& data) {
  return "\xFF"s + be(marker, 1) + be(data.size() + 2, 2) + data;
}
inline std::string icc_sample(const std::string& name) {
  std::string desc = "desc"s + zeros(4) + be(name.size() + 1, 4) + name + zeros(1);
  return zeros(36) + "acsp" + zeros(88) + be(1, 4) + "desc" + be(144, 4) + be(desc.size(), 4) + desc;
}
inline std::string jpeg_sample() {
  std::string frame = "\x08"s + be(3000, 2) + be(4000, 2) + "\x03\x01\x22\0\x02\x11\x01\x03\x11\x01"s;
  return "\xFF\xD8"s + jpeg_segment(0xE0, "JFIF\0\x01\x02\x01"s + be(72, 2) + be(72, 2) + zeros(2)) +
         jpeg_segment(0xE1, "Exif\0\0"s + exif_sample()) +
         jpeg_segment(0xE1, "http://ns.adobe.com/xap/1.0/\0<x/>"s) +
         jpeg_segment(0xE2, "ICC_PROFILE\0\x01\x01"s + icc_sample("Display P3")) + jpeg_segment(0xC2, frame) +
         jpeg_segment(0xDA, "\x01\x01\0\0\x3F\0"s) + "\x12\x34\xFF\0\x56"s + "\xFF\xD9"s;
}

inline std::string tiff_sample() {
  std::vector<TiffTag> tags = {{256, 4, 1, be(200, 4)},
                               {257, 3, 1, be(100, 2)},
                               {258, 3, 4, be(16, 2) + be(16, 2) + be(16, 2) + be(16, 2)},
                               {259, 3, 1, be(5, 2)},
                               {262, 3, 1, be(2, 2)},
                               {273, 4, 1, be(0, 4)},
                               {274, 3, 1, be(8, 2)},
                               {277, 3, 1, be(4, 2)},
                               {279, 4, 1, be(32, 4)},
                               {305, 2, 8, "Renderer"},
                               {338, 3, 1, be(1, 2)},
                               {339, 3, 1, be(1, 2)}};
  size_t data_at = tiff_be(tags).size();
  tags[5].value = be(data_at, 4);
  return tiff_be(tags, zeros(32));
}
inline std::string bigtiff_sample() {
  auto entry = [](int tag, int type, uint64_t count, uint64_t value, int bytes) {
    return le(tag, 2) + le(type, 2) + le(count, 8) + le(value, bytes) + zeros(8 - static_cast<size_t>(bytes));
  };
  return "II+\0\x08\0\0\0"s + le(16, 8) + le(7, 8) + entry(256, 4, 1, 70000, 4) + entry(257, 4, 1, 3, 4) +
         entry(258, 3, 1, 32, 2) + entry(259, 3, 1, 1, 2) + entry(262, 3, 1, 1, 2) + entry(322, 3, 1, 64, 2) +
         entry(339, 3, 1, 3, 2) + zeros(8);
}

inline std::string exr_attribute(const std::string& name, const std::string& type, const std::string& value) {
  return name + "\0"s + type + "\0"s + le(value.size(), 4) + value;
}
inline std::string exr_channels(const std::vector<std::string>& names, int type) {
  std::string list;
  for (const std::string& name : names) list += name + "\0"s + le(type, 4) + zeros(4) + le(1, 4) + le(1, 4);
  return list + "\0"s;
}
inline std::string le_float(float f) { return le(std::bit_cast<uint32_t>(f), 4); }
inline std::string exr_box(int x0, int y0, int x1, int y1) {
  return le(static_cast<uint32_t>(x0), 4) + le(static_cast<uint32_t>(y0), 4) +
         le(static_cast<uint32_t>(x1), 4) + le(static_cast<uint32_t>(y1), 4);
}
// 20 lines of ZIP: two chunks. Data window wider than the display window, as renders with overscan have.
inline std::string exr_sample(bool finished = true) {
  std::string primaries;
  for (float f : {0.713F, 0.293F, 0.165F, 0.830F, 0.128F, 0.044F, 0.32168F, 0.33767F})
    primaries += le_float(f);
  std::string header =
      "\x76\x2F\x31\x01"s + le(2, 4) +
      exr_attribute("channels", "chlist", exr_channels({"A", "B", "G", "R", "diffuse.R"}, 1)) +
      exr_attribute("chromaticities", "chromaticities", primaries) +
      exr_attribute("compression", "compression", "\x03"s) +
      exr_attribute("dataWindow", "box2i", exr_box(-2, -3, 33, 16)) +
      exr_attribute("displayWindow", "box2i", exr_box(0, 0, 31, 13)) +
      exr_attribute("framesPerSecond", "rational", le(48000, 4) + le(2002, 4)) +
      exr_attribute("lineOrder", "lineOrder", "\0"s) +
      exr_attribute("pixelAspectRatio", "float", le_float(2.0F)) +
      exr_attribute("timeCode", "timecode", le(0x01025970 | 0x10, 4) + zeros(4)) + "\0"s;
  uint64_t data_at = header.size() + 16;
  std::string chunk0 = le(static_cast<uint32_t>(-3), 4) + le(8, 4) + zeros(8),
              chunk1 = le(13, 4) + le(4, 4) + zeros(4);
  std::string table = finished ? le(data_at, 8) + le(data_at + chunk0.size(), 8) : le(data_at, 8) + zeros(8);
  return header + table + chunk0 + chunk1;
}
inline std::string exr_multipart_sample() {
  auto part = [](const std::string& name, const std::string& view, const std::vector<std::string>& channels,
                 int type) {
    return exr_attribute("channels", "chlist", exr_channels(channels, type)) +
           exr_attribute("chunkCount", "int", le(1, 4)) + exr_attribute("compression", "compression", "\0"s) +
           exr_attribute("dataWindow", "box2i", exr_box(0, 0, 3, 0)) +
           exr_attribute("displayWindow", "box2i", exr_box(0, 0, 3, 0)) +
           exr_attribute("name", "string", name) + exr_attribute("type", "string", "scanlineimage") +
           exr_attribute("view", "string", view) + "\0"s;
  };
  std::string header = "\x76\x2F\x31\x01"s + le(0x1002, 4) + part("beauty", "left", {"B", "G", "R"}, 2) +
                       part("depth", "right", {"Z"}, 2) + "\0"s;
  uint64_t at = header.size() + 16;
  std::string chunk0 = le(0, 4) + le(0, 4) + le(2, 4) + zeros(2),
              chunk1 = le(1, 4) + le(0, 4) + le(2, 4) + zeros(2);
  return header + le(at, 8) + le(at + chunk0.size(), 8) + chunk0 + chunk1;
}

inline std::string gif_sample() {
  std::string frame =
      "\x21\xF9\x04\x01\x0A\0\0\0"s + ","s + zeros(4) + le(5, 2) + le(4, 2) + "\0"s + "\x02\x02\x44\x01\0"s;
  return "GIF89a"s + le(5, 2) + le(4, 2) + "\x80\0\0"s + zeros(6) + "\x21\xFE\x02hi\0"s + frame + frame +
         frame + ";"s;
}
inline std::string bmp_sample() {  // 108-byte header, top-down, alpha
  return "BM"s + le(14 + 108 + 3 * 2 * 4, 4) + zeros(4) + le(122, 4) + le(108, 4) + le(3, 4) +
         le(static_cast<uint32_t>(-2), 4) + le(1, 2) + le(32, 2) + le(3, 4) + le(24, 4) + le(2835, 4) +
         le(2835, 4) + zeros(8) + le(0xFF0000, 4) + le(0xFF00, 4) + le(0xFF, 4) + le(0xFF000000, 4) + "BGRs" +
         zeros(48) + zeros(24);
}
inline std::string bmp_core_sample() {
  return "BM"s + le(30, 4) + zeros(4) + le(26, 4) + le(12, 4) + le(7, 2) + le(9, 2) + le(1, 2) + le(24, 2) +
         zeros(4);
}
inline std::string psd_sample() {
  std::string resolution = "8BIM"s + be(0x03ED, 2) + zeros(2) + be(16, 4) + be(300 << 16, 4) + be(1, 2) +
                           be(1, 2) + be(300 << 16, 4) + be(1, 2) + be(1, 2);
  std::string layers = be(4, 4) + be(static_cast<uint16_t>(-3), 2) + zeros(2);
  return "8BPS\0\x01"s + zeros(6) + be(4, 2) + be(2, 4) + be(3, 4) + be(8, 2) + be(3, 2) + be(0, 4) +
         be(resolution.size(), 4) + resolution + be(layers.size(), 4) + layers + be(0, 2) + zeros(4 * 2 * 3);
}
inline std::string webp_sample() {  // extended: alpha, animated, two frames, EXIF
  auto chunk = [](const std::string& name, const std::string& data) {
    return name + le(data.size(), 4) + data + zeros(data.size() & 1);
  };
  std::string frame = zeros(16) + chunk("VP8L", "\x2F"s + zeros(5));
  std::string body = "WEBP"s + chunk("VP8X", "\x12"s + zeros(3) + le(1279, 3) + le(719, 3)) +
                     chunk("ANMF", frame) + chunk("ANMF", frame) + chunk("EXIF", exif_sample());
  return "RIFF"s + le(body.size(), 4) + body;
}
inline std::string webp_lossless_sample() {
  std::string body =
      "WEBPVP8L"s + le(6, 4) + "\x2F"s + le(uint32_t{99} | uint32_t{49} << 14 | 1U << 28, 4) + "\0"s;
  return "RIFF"s + le(body.size(), 4) + body;
}

inline std::string box(const std::string& type, const std::string& content) {
  return be(content.size() + 8, 4) + type + content;
}
inline std::string matrix(int degrees) {
  uint32_t one = 0x10000, minus = 0xFFFF0000;
  uint32_t a = degrees == 0     ? one
               : degrees == 180 ? minus
                                : 0,
           b = degrees == 90    ? one
               : degrees == 270 ? minus
                                : 0;
  uint32_t c = degrees == 90 ? minus : degrees == 270 ? one : 0, d = a;
  return be(a, 4) + be(b, 4) + zeros(4) + be(c, 4) + be(d, 4) + zeros(12) + be(0x40000000, 4);
}
inline std::string mp4_track(int id, const std::string& handler, uint32_t timescale, uint32_t duration,
                             const std::string& entry, uint32_t samples, uint32_t delta, uint32_t chunk_at,
                             int rotation = 0) {
  std::string stts = samples ? be(1, 4) + be(samples, 4) + be(delta, 4) : be(0, 4);
  std::string stbl = box("stsd", zeros(4) + be(1, 4) + entry) + box("stts", zeros(4) + stts) +
                     box("stsz", zeros(4) + be(4, 4) + be(samples, 4)) +
                     (chunk_at ? box("stco", zeros(4) + be(1, 4) + be(chunk_at, 4)) : "");
  return box(
      "trak",
      box("tkhd",
          zeros(12) + be(id, 4) + zeros(24) + matrix(rotation) + be(1920 << 16, 4) + be(1080 << 16, 4)) +
          box("mdia", box("mdhd", zeros(12) + be(timescale, 4) + be(duration, 4) + be(0x15C7, 2) + zeros(2)) +
                          box("hdlr", zeros(8) + handler + zeros(13)) + box("minf", box("stbl", stbl))));
}
inline std::string video_entry(const std::string& type, const std::string& extensions) {
  return box(type, zeros(6) + be(1, 2) + zeros(16) + be(1920, 2) + be(1080, 2) + zeros(14) + zeros(32) +
                       be(24, 2) + be(0xFFFF, 2) + extensions);
}
inline std::string h264_config() {
  // High profile, 4:2:0, 8 bits; without a parameter set the record's own fields must do.
  return box("avcC", "\x01\x64\0\x28\xFF\xE1"s + be(8, 2) + "\x67\x64\0\x28\xAC\xD9\x40\x78"s + "\x01\0\0"s);
}
inline std::string aac_entry() {
  std::string esds =
      zeros(4) + "\x03\x19\0\0\0\x04\x11\x40\x15"s + zeros(11) + "\x05\x02\x11\xB0\x06\x01\x02"s;
  return box("mp4a", zeros(6) + be(1, 2) + zeros(8) + be(2, 2) + be(16, 2) + zeros(4) + be(44100u << 16, 4) +
                         box("esds", esds));
}
inline std::string tmcd_entry(bool drop) {
  return box("tmcd", zeros(6) + be(1, 2) + zeros(4) + be(drop ? 1 : 0, 4) + be(30000, 4) + be(1001, 4) +
                         be(30, 1) + zeros(1) + box("name", be(4, 2) + zeros(2) + "A001"));
}
inline std::string mvhd(uint32_t created, uint32_t timescale, uint32_t duration) {
  return box("mvhd", zeros(4) + be(created, 4) + zeros(4) + be(timescale, 4) + be(duration, 4) + zeros(80));
}
inline std::string mp4_movie(uint32_t timecode_at) {
  std::string colr = box("colr", "nclx"s + be(9, 2) + be(16, 2) + be(9, 2) + "\0"s);
  std::string tool =
      box("udta", box("meta", zeros(4) + box("hdlr", zeros(24)) +
                                  box("ilst", box("\xA9too", box("data", be(1, 4) + zeros(4) + "Lavf59")))));
  return box("moov",
             mvhd(3786912000u, 1000, 10010) +
                 mp4_track(1, "vide", 30000, 300300,
                           video_entry("avc1", h264_config() + colr + box("pasp", be(4, 4) + be(3, 4))), 300,
                           1001, 0, 90) +
                 mp4_track(2, "soun", 48000, 480480, aac_entry(), 470, 1024, 0) +
                 mp4_track(3, "tmcd", 30000, 300300, tmcd_entry(true), 1, 300300, timecode_at) + tool);
}
// 1800 is the first frame number of the second minute: 00:01:00;02 in drop-frame counting.
inline std::string mp4_sample(const std::string& brand = "isom") {
  std::string head = box("ftyp", brand + zeros(4) + brand);
  uint32_t moov_size = static_cast<uint32_t>(mp4_movie(1).size());
  return head + mp4_movie(static_cast<uint32_t>(head.size()) + moov_size + 8) +
         box("mdat", be(1800, 4) + zeros(60));
}
inline std::string mp4_fragmented_sample() {
  std::string moov =
      box("moov", mvhd(0, 1000, 0) + mp4_track(1, "vide", 24000, 0, video_entry("hvc1", ""), 0, 0, 0) +
                      box("mvex", box("trex", zeros(4) + be(1, 4) + be(1, 4) + be(1001, 4) + zeros(8))));
  std::string fragment =
      box("moof", box("mfhd", zeros(8)) + box("traf", box("tfhd", be(0x020000, 4) + be(1, 4)) +
                                                          box("trun", be(0, 4) + be(48, 4)))) +
      box("mdat", zeros(16));
  return box("ftyp", "iso5"s + zeros(4)) + moov + fragment + fragment;
}

inline std::string ebml(uint64_t id, const std::string& content) {
  int bytes = id > 0xFFFFFF ? 4 : id > 0xFFFF ? 3 : id > 0xFF ? 2 : 1;
  return be(id, bytes) + "\x08"s + be(content.size(), 4) + content;  // a size of five bytes, marker 0x08
}
inline std::string be_double(double d) { return be(std::bit_cast<uint64_t>(d), 8); }
inline std::string matroska_sample(const std::string& doc_type = "matroska", bool unknown_size = false) {
  std::string info = ebml(0x1549A966, ebml(0x2AD7B1, be(1000000, 3)) + ebml(0x4489, be_double(2502.5)) +
                                          ebml(0x4D80, "libtest") + ebml(0x4461, be(86400000000000, 8)));
  std::string colour =
      ebml(0x55B0, ebml(0x55B1, "\x09") + ebml(0x55BA, "\x12") + ebml(0x55BB, "\x09") + ebml(0x55B9, "\x01"));
  std::string video =
      ebml(0xAE, ebml(0x73C5, "\x07") + ebml(0x83, "\x01") + ebml(0x86, "V_VP9") +
                     ebml(0x23E383, be(41708333, 4)) + ebml(0x63A2, "\x01\x01\x02\x03\x01\x0A\x04\x01\x01"s) +
                     ebml(0xE0, ebml(0xB0, be(720, 2)) + ebml(0xBA, be(576, 2)) + ebml(0x54B0, be(1024, 2)) +
                                    ebml(0x54BA, be(576, 2)) + colour));
  std::string audio =
      ebml(0xAE, ebml(0x83, "\x02") + ebml(0x86, "A_PCM/INT/LIT") + ebml(0x22B59C, "jpn") +
                     ebml(0xE1, ebml(0xB5, be_double(48000)) + ebml(0x9F, "\x06") + ebml(0x6264, "\x18")));
  std::string subtitle = ebml(0xAE, ebml(0x83, "\x11") + ebml(0x86, "S_TEXT/UTF8"));
  std::string tracks = ebml(0x1654AE6B, video + audio + subtitle);
  std::string tags =
      ebml(0x1254C367, ebml(0x7373, ebml(0x63C0, ebml(0x63C5, "\x07")) +
                                        ebml(0x67C8, ebml(0x45A3, "NUMBER_OF_FRAMES") + ebml(0x4487, "60"))));
  std::string body = info + tracks + tags + ebml(0x1F43B675, zeros(20));
  std::string segment =
      unknown_size ? be(0x18538067, 4) + "\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF"s + body : ebml(0x18538067, body);
  return ebml(0x1A45DFA3, ebml(0x4282, doc_type)) + segment;
}

// Every sample with a name whose extension fits.
inline std::vector<std::pair<std::string, std::string>> all_samples() {
  return {{"a.png", png_sample()},
          {"b.png", apng_sample()},
          {"c.jpg", jpeg_sample()},
          {"d.tif", tiff_sample()},
          {"e.tif", bigtiff_sample()},
          {"f.exr", exr_sample()},
          {"g.exr", exr_multipart_sample()},
          {"h.gif", gif_sample()},
          {"i.bmp", bmp_sample()},
          {"j.bmp", bmp_core_sample()},
          {"k.psd", psd_sample()},
          {"l.webp", webp_sample()},
          {"m.webp", webp_lossless_sample()},
          {"n.mp4", mp4_sample()},
          {"o.mov", mp4_sample("qt  ")},
          {"p.mp4", mp4_fragmented_sample()},
          {"q.mkv", matroska_sample()},
          {"r.webm", matroska_sample("webm", true)}};
}

}  // namespace millrace::scan::testing

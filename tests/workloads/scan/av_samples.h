// One small whole file of each sound and video container beside MP4 and Matroska, built from the
// specifications.
#pragma once

#include <bit>
#include <string>
#include <utility>
#include <vector>

#include "tests/workloads/scan/media_samples.h"

namespace millrace::scan::testing {

inline std::string padded(std::string text, size_t size) {
  text.resize(size, '\0');
  return text;
}
// Numbers of any width, one behind the other.
inline std::string bit_string(const std::vector<std::pair<int, uint64_t>>& fields) {
  std::string bits, bytes;
  for (auto [width, value] : fields)
    for (int i = width - 1; i >= 0; --i) bits += value >> i & 1 ? '1' : '0';
  bits.resize((bits.size() + 7) / 8 * 8, '0');
  for (size_t i = 0; i < bits.size(); i += 8)
    bytes += static_cast<char>(std::stoi(bits.substr(i, 8), nullptr, 2));
  return bytes;
}

inline std::string riff_chunk(const std::string& id, const std::string& data) {
  return id + le(data.size(), 4) + data + zeros(data.size() % 2);
}
inline std::string riff(const std::string& type, const std::string& chunks) {
  return "RIFF" + le(chunks.size() + 4, 4) + type + chunks;
}
inline std::string riff_list(const std::string& type, const std::string& chunks) {
  return riff_chunk("LIST", type + chunks);
}

// 100 samples of 24-bit stereo, recorded at ten o'clock, 25 frames a second.
inline std::string wav_sample() {
  std::string format = le(1, 2) + le(2, 2) + le(48000, 4) + le(288000, 4) + le(6, 2) + le(24, 2);
  std::string bext = padded("Boom & lavalier", 256) + padded("Recorder", 32) + padded("", 32) + "2026-11-22" +
                     "10:00:05" + le(uint64_t{48000} * 3600 * 10 + 48000 / 25 * 3, 8) + le(1, 2) + zeros(254);
  std::string xml =
      "<BWFXML><SCENE>12A</SCENE><TAKE>3</TAKE><TAPE>D01&amp;2</TAPE><SPEED><TIMECODE_RATE>25/1</"
      "TIMECODE_RATE>"
      "<TIMECODE_FLAG>NDF</TIMECODE_FLAG></SPEED></BWFXML>";
  return riff("WAVE", riff_chunk("fmt ", format) + riff_chunk("bext", bext) + riff_chunk("iXML", xml) +
                          riff_list("INFO", riff_chunk("INAM", "Title")) + riff_chunk("data", zeros(600)));
}
// Sizes of 64 bits.
inline std::string rf64_sample() {
  std::string format = le(0xFFFE, 2) + le(6, 2) + le(48000, 4) + le(576000, 4) + le(12, 2) + le(16, 2) +
                       le(22, 2) + le(16, 2) + le(0x3F, 4) + le(1, 2) + zeros(14);
  std::string rest = riff_chunk("fmt ", format) + "data" + le(0xFFFFFFFF, 4) + zeros(120);
  std::string ds64 = riff_chunk("ds64", le(4 + 36 + rest.size(), 8) + le(120, 8) + le(10, 8) + zeros(4));
  return "RF64" + le(0xFFFFFFFF, 4) + "WAVE" + ds64 + rest;
}
inline std::string aiff_sample() {
  std::string common = be(1, 2) + be(50, 4) + be(16, 2) + "\x40\x0E\xAC\x44"s + zeros(6);
  std::string chunks = "COMM" + be(common.size(), 4) + common + "NAME" + be(5, 4) + "Title\0"s + "SSND" +
                       be(108, 4) + zeros(108);
  return "FORM" + be(chunks.size() + 4, 4) + "AIFF" + chunks;
}
inline std::string mp3_frame(const std::string& content = "") {
  return "\xFF\xFB\x90\0"s + padded(content, 413);  // 128 kbit/s, 44.1 kHz, stereo
}
inline std::string mp3_sample() {
  std::string title = "TIT2" + be(6, 4) + zeros(2) + "\0Title"s;
  std::string note = zeros(32) + "Info" + be(3, 4) + be(4, 4) + be(4 * 417, 4);
  return "ID3\x03\0\0"s + "\0\0\0"s + be(title.size(), 1) + title + mp3_frame(note) + mp3_frame() +
         mp3_frame() + mp3_frame();
}
inline std::string aac_sample() {
  std::string frame = bit_string({{12, 0xFFF},
                                  {1, 0},
                                  {2, 0},
                                  {1, 1},
                                  {2, 1},
                                  {4, 4},
                                  {1, 0},
                                  {3, 2},
                                  {4, 0},
                                  {13, 20},
                                  {11, 0x7FF},
                                  {2, 0}}) +
                      zeros(13);
  return frame + frame + frame;
}
inline std::string flac_info() {
  return be(4096, 2) + be(4096, 2) + zeros(6) + bit_string({{20, 48000}, {3, 1}, {5, 23}, {36, 96000}}) +
         zeros(16);
}
inline std::string vorbis_comments() { return le(7, 4) + "libtest" + le(1, 4) + le(11, 4) + "TITLE=Title"; }
inline std::string flac_sample() {
  std::string comments = vorbis_comments();
  return "fLaC" + be(34, 4) + flac_info() + "\x84"s + be(comments.size(), 3) + comments + "\xFF\xF8"s +
         zeros(60);
}

inline std::string ogg_page(int flags, uint64_t granule, uint32_t serial, const std::string& packet) {
  std::string laces;
  for (size_t left = packet.size();; left -= 255) {
    laces += static_cast<char>(std::min<size_t>(left, 255));
    if (left < 255) break;
  }
  return "OggS\0"s + be(static_cast<uint64_t>(flags), 1) + le(granule, 8) + le(serial, 4) + zeros(8) +
         be(laces.size(), 1) + laces + packet;
}
inline std::string ogg_vorbis_head() {
  return "\x01vorbis"s + zeros(4) + be(2, 1) + le(44100, 4) + zeros(4) + le(112000, 4) + zeros(4) +
         "\xB8\x01"s;
}
inline std::string ogg_sample() {
  return ogg_page(2, 0, 7, ogg_vorbis_head()) + ogg_page(0, 0, 7, "\x03vorbis" + vorbis_comments() + "\x01") +
         ogg_page(4, 88200, 7, zeros(300));
}
inline std::string opus_sample() {
  std::string head = "OpusHead\x01\x06"s + le(312, 2) + le(48000, 4) + zeros(2) + "\x01" + zeros(8);
  return ogg_page(2, 0, 9, head) + ogg_page(0, 0, 9, "OpusTags" + vorbis_comments()) +
         ogg_page(4, 48312, 9, zeros(20));
}
inline std::string ogv_sample() {
  std::string head = "\x80theora\x03\x02\x01"s + be(20, 2) + be(12, 2) + be(320, 3) + be(180, 3) + zeros(2) +
                     be(30000, 4) + be(1001, 4) + be(1, 3) + be(1, 3) +
                     bit_string({{8, 1}, {24, 0}, {6, 32}, {5, 6}, {2, 0}, {3, 0}});
  return ogg_page(2, 0, 5, head) + ogg_page(2, 0, 7, ogg_vorbis_head()) +
         ogg_page(0, 0, 5, "\x81theora" + vorbis_comments()) +
         ogg_page(0, 0, 7, "\x03vorbis" + vorbis_comments() + "\x01") + ogg_page(4, 88200, 7, zeros(50)) +
         ogg_page(4, 64 * 1 + 29, 5, zeros(50));
}

inline std::string amf_text(const std::string& text) { return be(text.size(), 2) + text; }
inline std::string amf_number(const std::string& name, double value) {
  return amf_text(name) + zeros(1) + be(std::bit_cast<uint64_t>(value), 8);
}
inline std::string flv_tag(int type, uint32_t time_ms, const std::string& data) {
  return be(static_cast<uint64_t>(type), 1) + be(data.size(), 3) + be(time_ms & 0xFFFFFF, 3) +
         be(time_ms >> 24, 1) + zeros(3) + data + be(data.size() + 11, 4);
}
inline std::string flv_sample() {
  std::string note = "\x02"s + amf_text("onMetaData") + "\x08"s + be(5, 4) + amf_number("duration", 2.002) +
                     amf_number("width", 640) + amf_number("height", 360) + amf_number("framerate", 29.97) +
                     amf_text("encoder") + "\x02"s + amf_text("Lavf59") + "\0\0\x09"s;
  std::string config = h264_config().substr(8);
  return "FLV\x01\x05"s + be(9, 4) + zeros(4) + flv_tag(18, 0, note) +
         flv_tag(9, 0, "\x17\0\0\0\0"s + config) + flv_tag(8, 0, "\xAF\0\x11\x90"s) +
         flv_tag(9, 1968, "\x27\x01\0\0\0"s + zeros(30));
}

inline std::string asf_object(const char* guid, const std::string& data) {
  return std::string(guid, 16) + le(data.size() + 24, 8) + data;
}
inline std::string asf_sample() {
  std::string file = zeros(16) + le(0, 8) + le(uint64_t{132537600000000000}, 8) + zeros(8) +
                     le(52'000'000, 8) + le(0, 8) + le(200, 8) + le(2, 4) + zeros(12);
  std::string wave =
      le(0x161, 2) + le(2, 2) + le(44100, 4) + le(16000, 4) + le(1487, 2) + le(16, 2) + le(0, 2);
  std::string bitmap = le(40, 4) + le(640, 4) + le(480, 4) + le(1, 2) + le(24, 2) + "WMV3" + zeros(20);
  std::string picture = le(640, 4) + le(480, 4) + "\x02"s + le(40, 2) + bitmap;
  auto stream = [](const char* guid, int number, const std::string& data) {
    return asf_object("\x91\x07\xDC\xB7\xB7\xA9\xCF\x11\x8E\xE6\x00\xC0\x0C\x20\x53\x65",
                      std::string(guid, 16) + zeros(24) + le(data.size(), 4) + zeros(4) +
                          le(static_cast<uint64_t>(number), 2) + zeros(4) + data);
  };
  std::string more = asf_object("\xCB\xA5\xE6\x14\x72\xC6\x32\x43\x83\x99\xA9\x69\x52\x06\x5B\x5A",
                                zeros(48) + le(2, 2) + zeros(2) + le(400'000, 8) + zeros(4));
  std::string extension = asf_object("\xB5\x03\xBF\x5F\x2E\xA9\xCF\x11\x8E\xE3\x00\xC0\x0C\x20\x53\x65",
                                     zeros(18) + le(more.size(), 4) + more);
  std::string header =
      asf_object("\xA1\xDC\xAB\x8C\x47\xA9\xCF\x11\x8E\xE4\x00\xC0\x0C\x20\x53\x65", file) +
      stream("\x40\x9E\x69\xF8\x4D\x5B\xCF\x11\xA8\xFD\x00\x80\x5F\x5C\x44\x2B", 1, wave) +
      stream("\xC0\xEF\x19\xBC\x4D\x5B\xCF\x11\xA8\xFD\x00\x80\x5F\x5C\x44\x2B", 2, picture) + extension;
  return asf_object("\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9\x00\xAA\x00\x62\xCE\x6C",
                    le(4, 4) + "\x01\x02"s + header) +
         asf_object("\x36\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9\x00\xAA\x00\x62\xCE\x6C", zeros(200));
}

inline std::string avi_stream(const std::string& type, const std::string& handler, uint32_t scale,
                              uint32_t rate, uint32_t length, const std::string& format) {
  return riff_list("strl",
                   riff_chunk("strh", type + handler + zeros(12) + le(scale, 4) + le(rate, 4) + zeros(4) +
                                          le(length, 4) + zeros(12) + le(0, 4) + zeros(8)) +
                       riff_chunk("strf", format));
}
// Two RIFF chunks, as files beyond a gigabyte have; the first one counts its own frames only.
inline std::string avi_sample() {
  std::string main = le(33367, 4) + zeros(12) + le(40, 4) + zeros(4) + le(2, 4) + zeros(4) + le(720, 4) +
                     le(480, 4) + zeros(16);
  std::string bitmap = le(40, 4) + le(720, 4) + le(480, 4) + le(1, 2) + le(24, 2) + "XVID" + zeros(20);
  std::string wave = le(0x55, 2) + le(2, 2) + le(48000, 4) + le(16000, 4) + le(1, 2) + le(0, 2) + le(0, 2);
  std::string header =
      riff_list("hdrl", riff_chunk("avih", main) + avi_stream("vids", "XVID", 1001, 30000, 40, bitmap) +
                            avi_stream("auds", zeros(4), 1, 16000, 40000, wave) +
                            riff_list("odml", riff_chunk("dmlh", le(75, 4))));
  std::string movie = riff_list("movi", riff_chunk("00dc", zeros(40)) + riff_chunk("01wb", zeros(20)));
  return riff("AVI ", header + riff_list("INFO", riff_chunk("ISFT", "Lavf59")) + movie +
                          riff_chunk("idx1", zeros(32))) +
         riff("AVIX", movie);
}

inline std::string ts_packet(unsigned pid, bool start, const std::string& payload) {
  size_t room = 184 - payload.size();
  std::string adaptation;
  if (room == 1) adaptation = zeros(1);
  if (room > 1) adaptation = be(room - 1, 1) + zeros(1) + std::string(room - 2, '\xFF');
  return "G" + be((start ? 0x4000u : 0u) | pid, 2) + (room > 0 ? "\x30" : "\x10") + adaptation + payload;
}
inline std::string ts_section(int table, const std::string& body) {
  return zeros(1) + be(static_cast<uint64_t>(table), 1) + be(0xB000 | (body.size() + 9), 2) + be(1, 2) +
         "\xC1\0\0"s + body + zeros(4);
}
inline std::string pes(int id, uint64_t pts, const std::string& data) {
  return "\0\0\x01"s + be(static_cast<uint64_t>(id), 1) + zeros(2) + "\x80\x80\x05" +
         be(0x21 | (pts >> 30 & 7) << 1, 1) + be((pts >> 15 & 0x7FFF) << 1 | 1, 2) +
         be((pts & 0x7FFF) << 1 | 1, 2) + data;
}
// MPEG-2 at 25 frames a second with sound of layer 2: ten frames from the first second on.
inline std::string ts_sample(size_t packet = 188) {
  std::string stamp = zeros(packet - 188);
  std::string sequence =
      "\0\0\x01\xB3"s + bit_string({{12, 720}, {12, 576}, {4, 3}, {4, 3}, {18, 1}, {1, 1}, {10, 1}, {3, 0}}) +
      "\0\0\x01\xB5"s +
      bit_string({{4, 1},
                  {8, 0x48},
                  {1, 1},
                  {2, 1},
                  {2, 0},
                  {2, 0},
                  {12, 0},
                  {1, 1},
                  {8, 0},
                  {1, 0},
                  {2, 0},
                  {5, 0}}) +
      "\0\0\x01\0\0\0"s;
  std::string file =
      stamp + ts_packet(0, true, ts_section(0, be(1, 2) + be(0xE100, 2))) + stamp +
      ts_packet(0x100, true,
                ts_section(2, be(0xE101, 2) + be(0xF000, 2) + "\x02" + be(0xE101, 2) + be(0xF000, 2) +
                                  "\x04" + be(0xE102, 2) + be(0xF006, 2) + "\x0A\x04"s + "deu\0"s));
  for (uint64_t i = 0; i < 10; ++i) {
    file +=
        stamp + ts_packet(0x101, true, pes(0xE0, 90000 + 3600 * i, i == 0 ? sequence : "\0\0\x01\0\0\0"s));
    // Layer 2, 48 kHz, 32 kbit/s, one channel: frames of 96 bytes and 24 ms.
    file += stamp + ts_packet(0x102, true, pes(0xC0, 90000 + 3600 * i, "\xFF\xFD\x14\xC0"s + zeros(92)));
  }
  return file;
}

inline std::string mxf_unit(const std::string& key, const std::string& value) {
  return key + "\x83"s + be(value.size(), 3) + value;
}
inline std::string mxf_property(int tag, const std::string& value) {
  return be(static_cast<uint64_t>(tag), 2) + be(value.size(), 2) + value;
}
inline std::string mxf_id(int number) { return zeros(15) + be(static_cast<uint64_t>(number), 1); }
inline std::string mxf_set(int kind, int id, const std::string& properties) {
  return mxf_unit("\x06\x0E\x2B\x34\x02\x53\x01\x01\x0D\x01\x01\x01\x01\x01"s +
                      be(static_cast<uint64_t>(kind), 1) + zeros(1),
                  mxf_property(0x3C0A, mxf_id(id)) + properties);
}
inline std::string mxf_batch(const std::vector<int>& ids) {
  std::string batch = be(ids.size(), 4) + be(16, 4);
  for (int id : ids) batch += mxf_id(id);
  return batch;
}
inline std::string mxf_partition(int kind, int status, uint64_t here, uint64_t footer) {
  return mxf_unit("\x06\x0E\x2B\x34\x02\x05\x01\x01\x0D\x01\x02\x01\x01"s +
                      be(static_cast<uint64_t>(kind), 1) + be(static_cast<uint64_t>(status), 1) + zeros(1),
                  be(1, 2) + be(2, 2) + be(1, 4) + be(here, 8) + zeros(8) + be(footer, 8) + zeros(56));
}
// ProRes with sound, starting at one o'clock.
inline std::string mxf_sample() {
  std::string label = "\x06\x0E\x2B\x34\x04\x01\x01\x0D"s;
  std::string rate = be(24000, 4) + be(1001, 4);
  auto track = [&](int id, int sequence, const std::string& edit_rate) {
    return mxf_set(0x3B, id, mxf_property(0x4B01, edit_rate) + mxf_property(0x4803, mxf_id(sequence)));
  };
  auto sequence = [&](int id, const std::string& definition, int part) {
    return mxf_set(0x0F, id,
                   mxf_property(0x0201, label + definition) + mxf_property(0x0202, be(48, 8)) +
                       mxf_property(0x1001, mxf_batch({part})));
  };
  std::string sets = mxf_set(0x36, 1, mxf_property(0x4403, mxf_batch({2, 3}))) + track(2, 4, rate) +
                     track(3, 5, rate) + sequence(4, "\x01\x03\x02\x02\x01\0\0\0"s, 9) +
                     sequence(5, "\x01\x03\x02\x01\x01\0\0\0"s, 6) +
                     mxf_set(0x14, 6,
                             mxf_property(0x1501, be(86400, 8)) + mxf_property(0x1502, be(24, 2)) +
                                 mxf_property(0x1503, "\0"s)) +
                     mxf_set(0x28, 7,
                             mxf_property(0x3203, be(1920, 4)) + mxf_property(0x3202, be(1088, 4)) +
                                 mxf_property(0x3209, be(1920, 4)) + mxf_property(0x3208, be(1080, 4)) +
                                 mxf_property(0x320C, "\0"s) + mxf_property(0x320E, be(16, 4) + be(9, 4)) +
                                 mxf_property(0x3201, label + "\x04\x01\x02\x02\x03\x06\x04\0"s) +
                                 mxf_property(0x3219, label + "\x04\x01\x01\x01\x03\x03\0\0"s) +
                                 mxf_property(0x3210, label + "\x04\x01\x01\x01\x01\x02\0\0"s) +
                                 mxf_property(0x321A, label + "\x04\x01\x01\x01\x02\x02\0\0"s) +
                                 mxf_property(0x3301, be(10, 4)) + mxf_property(0x3302, be(2, 4)) +
                                 mxf_property(0x3308, be(1, 4))) +
                     mxf_set(0x48, 8,
                             mxf_property(0x3D03, be(48000, 4) + be(1, 4)) + mxf_property(0x3D07, be(2, 4)) +
                                 mxf_property(0x3D01, be(24, 4)));
  std::string essence =
      mxf_unit("\x06\x0E\x2B\x34\x01\x02\x01\x01\x0D\x01\x03\x01\x15\x01\x17\x01"s, zeros(100));
  uint64_t footer = mxf_partition(2, 4, 0, 0).size() + sets.size() + essence.size();
  return mxf_partition(2, 4, 0, footer) + sets + essence + mxf_partition(4, 4, footer, footer);
}

inline std::vector<std::pair<std::string, std::string>> av_samples() {
  return {{"a.wav", wav_sample()}, {"b.wav", rf64_sample()},   {"c.aiff", aiff_sample()},
          {"d.mp3", mp3_sample()}, {"e.aac", aac_sample()},    {"f.flac", flac_sample()},
          {"g.ogg", ogg_sample()}, {"h.opus", opus_sample()},  {"i.ogv", ogv_sample()},
          {"j.flv", flv_sample()}, {"k.wmv", asf_sample()},    {"l.avi", avi_sample()},
          {"m.ts", ts_sample()},   {"n.m2ts", ts_sample(192)}, {"o.mxf", mxf_sample()}};
}

}  // namespace millrace::scan::testing

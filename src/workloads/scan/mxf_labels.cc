#include "workloads/scan/mxf_labels.h"

#include <iterator>

#include "workloads/scan/media_bytes.h"
#include "workloads/scan/video_codecs.h"

namespace millrace::scan {
namespace {

using namespace std::string_view_literals;

// Labels are compared from their ninth byte on: the eighth is the version of the register.
bool is(std::string_view label, std::string_view tail) {
  return label.size() == 16 && label.substr(8).starts_with(tail);
}

struct LabelRow {
  std::string_view tail, name;
};
constexpr LabelRow kPictureCodings[] = {
    {"\x04\x01\x02\x02\x01\x10"sv, "mpeg1video"}, {"\x04\x01\x02\x02\x01\x20"sv, "mpeg4"},
    {"\x04\x01\x02\x02\x01\x40"sv, "hevc"},       {"\x04\x01\x02\x02\x01"sv, "mpeg2video"},
    {"\x04\x01\x02\x02\x02"sv, "dvvideo"},        {"\x04\x01\x02\x02\x03\x01"sv, "jpeg2000"},
    {"\x04\x01\x02\x02\x03\x06"sv, "prores"},     {"\x04\x01\x02\x02\x03\x09"sv, "ffv1"},
    {"\x04\x01\x02\x02\x71"sv, "dnxhd"},          {"\x04\x01\x02\x02\x70"sv, "vc1"},
    {"\x04\x01\x02\x01\x01"sv, "rawvideo"},       {"\x04\x01\x02\x01\x7F"sv, "rawvideo"},
    {"\x0E\x04\x02\x01\x02\x04\x01"sv, "dnxhd"},
};
// Essence containers: 0D 01 03 01 02, then the mapping.
constexpr LabelRow kPictureContainers[] = {
    {"\x0D\x01\x03\x01\x02\x01"sv, "mpeg2video"}, {"\x0D\x01\x03\x01\x02\x02"sv, "dvvideo"},
    {"\x0D\x01\x03\x01\x02\x04"sv, "mpeg2video"}, {"\x0D\x01\x03\x01\x02\x05"sv, "rawvideo"},
    {"\x0D\x01\x03\x01\x02\x0C"sv, "jpeg2000"},   {"\x0D\x01\x03\x01\x02\x10"sv, "h264"},
    {"\x0D\x01\x03\x01\x02\x11"sv, "dnxhd"},      {"\x0D\x01\x03\x01\x02\x12"sv, "vc1"},
    {"\x0D\x01\x03\x01\x02\x13"sv, "vc1"},        {"\x0D\x01\x03\x01\x02\x1C"sv, "prores"},
    {"\x0D\x01\x03\x01\x02\x23"sv, "ffv1"},
};
constexpr LabelRow kSoundCodings[] = {
    {"\x04\x02\x02\x02\x03\x01"sv, "pcm_alaw"}, {"\x04\x02\x02\x02\x03\x02\x01"sv, "ac3"},
    {"\x04\x02\x02\x02\x03\x02\x05"sv, "mp2"},  {"\x04\x02\x02\x02\x03\x02\x1C"sv, "dolby_e"},
    {"\x04\x02\x02\x02\x03\x03"sv, "aac"},      {"\x04\x02\x02\x02\x03\x04"sv, "aac"},
};

template <size_t N>
std::string_view look_up(const LabelRow (&rows)[N], std::string_view label) {
  for (const LabelRow& row : rows)
    if (is(label, row.tail)) return row.name;
  return {};
}

unsigned last_byte(std::string_view label, std::string_view tail) {
  return is(label, tail) ? u8(label.data() + 13) : 0;
}

}  // namespace

MxfEssence mxf_essence(std::string_view label) {
  if (is(label, "\x01\x03\x02\x02\x01"sv)) return MxfEssence::kPicture;
  if (is(label, "\x01\x03\x02\x02\x02"sv)) return MxfEssence::kSound;
  if (is(label, "\x01\x03\x02\x02\x03"sv)) return MxfEssence::kData;
  if (is(label, "\x01\x03\x02\x01"sv)) return MxfEssence::kTimecode;
  return MxfEssence::kOther;
}

std::string mxf_picture_codec(std::string_view coding, std::string_view container) {
  // H.264 has all of 30 to 3F, which no prefix says.
  if (is(coding, "\x04\x01\x02\x02\x01"sv) && u8(coding.data() + 13) >> 4 == 3) return "h264";
  if (std::string_view name = look_up(kPictureCodings, coding); !name.empty()) return std::string(name);
  return std::string(look_up(kPictureContainers, container));
}

std::string mxf_picture_profile(std::string_view coding) {
  static constexpr std::string_view kProRes[] = {"", "Proxy", "LT", "Standard", "HQ", "4444", "XQ"};
  if (is(coding, "\x04\x01\x02\x02\x03\x06"sv) && u8(coding.data() + 14) < std::size(kProRes))
    return std::string(kProRes[u8(coding.data() + 14)]);
  return {};
}

std::string mxf_sound_codec(std::string_view coding, std::string_view container, unsigned bits) {
  if (std::string_view name = look_up(kSoundCodings, coding); !name.empty()) return std::string(name);
  if (is(container, "\x0D\x01\x03\x01\x02\x1D"sv)) return "";  // immersive sound: a bit stream of objects
  if (bits == 0) return "";
  unsigned width = (bits + 7) / 8 * 8;
  bool big = is(coding, "\x04\x02\x02\x01\x7E"sv);
  return width == 8 ? "pcm_u8" : pcm_name(width, false, big, true);
}

bool mxf_is_d10(std::string_view container) { return is(container, "\x0D\x01\x03\x01\x02\x01"sv); }

unsigned mxf_primaries(std::string_view label) {
  static constexpr unsigned kCodes[] = {2, 6, 5, 1, 9, 10, 12, 11};
  unsigned n = last_byte(label, "\x04\x01\x01\x01\x03"sv);
  return n < std::size(kCodes) ? kCodes[n] : 2;
}

unsigned mxf_transfer(std::string_view label) {
  static constexpr unsigned kCodes[] = {2, 4, 1, 7, 1, 12, 8, 17, 11, 14, 16, 18};
  unsigned n = last_byte(label, "\x04\x01\x01\x01\x01"sv);
  return n < std::size(kCodes) ? kCodes[n] : 2;
}

unsigned mxf_matrix(std::string_view label) {
  static constexpr unsigned kCodes[] = {2, 6, 1, 7, 8, 0, 9};
  unsigned n = last_byte(label, "\x04\x01\x01\x01\x02"sv);
  return n < std::size(kCodes) ? kCodes[n] : 2;
}

}  // namespace millrace::scan

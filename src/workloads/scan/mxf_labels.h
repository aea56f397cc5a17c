// What the universal labels of MXF mean (SMPTE RP 224 / ST 400 registers).
#pragma once

#include <string>
#include <string_view>

namespace millrace::scan {

enum class MxfEssence { kOther, kPicture, kSound, kData, kTimecode };

// Of a data definition.
MxfEssence mxf_essence(std::string_view label);

// As ffprobe names them; empty when unknown. By the label of the coding where there is one, else by that of
// the container it is wrapped as.
std::string mxf_picture_codec(std::string_view coding, std::string_view container);
std::string mxf_picture_profile(std::string_view coding);
std::string mxf_sound_codec(std::string_view coding, std::string_view container, unsigned bits);

bool mxf_is_d10(std::string_view container);  // IMX, SMPTE ST 386

// Code points of ITU-T H.273; 2 (unspecified) for unknown and absent ones.
unsigned mxf_primaries(std::string_view label);
unsigned mxf_transfer(std::string_view label);
unsigned mxf_matrix(std::string_view label);

}  // namespace millrace::scan

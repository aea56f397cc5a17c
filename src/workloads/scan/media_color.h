// Names for colour: code points of ITU-T H.273, chromaticities, ICC profiles.
#pragma once

#include <string>
#include <string_view>

#include "workloads/scan/media_bytes.h"

namespace millrace::scan {

// ITU-T H.273 tables 2, 3 and 4 in ffprobe's words; empty for unspecified and unknown.
std::string_view color_primaries_name(unsigned code);
std::string_view color_transfer_name(unsigned code);
std::string_view color_matrix_name(unsigned code);

// Red, green, blue, white as x,y pairs: "BT.709", "BT.2020", "ACEScg" … or "r(0.640,0.330) g(…) b(…) w(…)".
std::string chromaticities_name(const double (&xy)[8]);

// The description ("desc" tag) of an ICC profile, ICC.1:2022 sections 7.2, 7.3 and 10.15. `profile` may be
// cut short; empty when the description is not in it or damaged. Never throws.
std::string icc_profile_name(std::string_view profile);
// The same for a profile inside a file; `length` is that of the profile.
std::string icc_profile_name(MediaBytes& bytes, uint64_t offset, uint64_t length);

}  // namespace millrace::scan

// The packets of an ASF file: when its first frames are shown.
#pragma once

#include <cstdint>
#include <vector>

#include "workloads/scan/media_bytes.h"

namespace millrace::scan {

// Presentation times in milliseconds of the first frames of `stream`, in the order of the file; from at most
// 256 KiB of packets of `packet_bytes` each, which begin at `at` and end at `end`. Stops at what makes no
// sense.
std::vector<uint32_t> asf_frame_times(MediaBytes& bytes, uint64_t at, uint64_t end, uint32_t packet_bytes,
                                      unsigned stream);

}  // namespace millrace::scan

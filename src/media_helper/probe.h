// What a file is, as JSON for the scan.
#pragma once

#include <string>

namespace millrace::media {

// {"container","duration","bit_rate","encoder","timecode","streams":[{"type":"video"|"audio"|"subtitle",…}]};
// what FFmpeg does not know is left out. Throws MediaError.
std::string probe(uint64_t size, const std::string& name);

}  // namespace millrace::media

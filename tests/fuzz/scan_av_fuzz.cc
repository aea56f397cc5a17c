// libFuzzer entry: any bytes given to any reader of video or sound end in facts with a status that fits them,
// within bounded time and memory. The first byte chooses the reader.
#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/workloads/scan/media_bytes_builder.h"
#include "workloads/scan/video.h"

using namespace millrace::scan;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  constexpr Format kFormats[] = {Format::kMp4, Format::kMatroska, Format::kAvi, Format::kMxf, Format::kMpegTs,
                                 Format::kOgg, Format::kFlv,      Format::kAsf, Format::kWav, Format::kAiff,
                                 Format::kMp3, Format::kAac,      Format::kFlac};
  MediaType type;
  type.format = kFormats[data[0] % (sizeof kFormats / sizeof *kFormats)];
  testing::MemorySource source(std::string(reinterpret_cast<const char*>(data + 1), size - 1));
  VideoFacts facts = read_video(source, type);
  if ((facts.status == ReadStatus::kOk) != facts.problem.empty()) __builtin_trap();
  if (facts.fps && (facts.fps->num <= 0 || facts.fps->den <= 0)) __builtin_trap();
  if (facts.duration_s && !(*facts.duration_s >= 0)) __builtin_trap();
  return 0;
}

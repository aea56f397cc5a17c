// libFuzzer entry: any bytes given to any image reader end in facts with a status that fits them, within
// bounded time and memory. The first byte chooses the reader.
#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/workloads/scan/media_bytes_builder.h"
#include "workloads/scan/image.h"

using namespace millrace::scan;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  MediaType type;
  constexpr unsigned kFirst = static_cast<unsigned>(Format::kPng),
                     kLast = static_cast<unsigned>(Format::kIco);
  type.format = static_cast<Format>(kFirst + data[0] % (kLast - kFirst + 1));
  if (!has_image_reader(type.format)) __builtin_trap();
  testing::MemorySource source(std::string(reinterpret_cast<const char*>(data + 1), size - 1));
  ImageFacts facts = read_image(source, type);
  if ((facts.status == ReadStatus::kOk) != facts.problem.empty()) __builtin_trap();
  if (facts.status == ReadStatus::kUnsupported) __builtin_trap();
  if (facts.resolution_x.has_value() != facts.resolution_y.has_value()) __builtin_trap();
  if (facts.resolution_x && (*facts.resolution_x == 0 || *facts.resolution_y == 0)) __builtin_trap();
  if (facts.frame_rate && (facts.frame_rate->num <= 0 || facts.frame_rate->den <= 0)) __builtin_trap();
  if (facts.orientation && (*facts.orientation < 1 || *facts.orientation > 8)) __builtin_trap();
  return 0;
}

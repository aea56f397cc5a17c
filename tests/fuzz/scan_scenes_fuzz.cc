// libFuzzer entry: any bytes given to any reader of scenes and caches end in facts with a status that fits
// them, within bounded time and memory. The first byte chooses the reader.
#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/workloads/scan/media_bytes_builder.h"
#include "workloads/scan/media_type.h"
#include "workloads/scan/scene.h"

using namespace millrace::scan;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  MediaType type;
  constexpr unsigned kFirst = static_cast<unsigned>(Format::kGltf),
                     kLast = static_cast<unsigned>(Format::kVdb);
  type.format = static_cast<Format>(kFirst + data[0] % (kLast - kFirst + 1));
  if (!has_scene_reader(type.format)) __builtin_trap();
  testing::MemorySource source(std::string(reinterpret_cast<const char*>(data + 1), size - 1));
  SceneFacts facts = read_scene(source, type);
  if ((facts.status == ReadStatus::kOk) != facts.problem.empty()) __builtin_trap();
  if (facts.status == ReadStatus::kUnsupported) __builtin_trap();
  for (const BlendDependency& dependency : facts.dependencies) {
    if (dependency.raw_path.empty() || dependency.kind.empty()) __builtin_trap();
    resolve_scene_path(dependency.raw_path, "s3://bucket/shows/a/scene");
  }
  return 0;
}

// libFuzzer entry: any bytes given to the .blend reader end in facts or in a CorruptError, within bounded
// time and memory. clang++ -std=c++20 -fsanitize=fuzzer,address,undefined -Isrc -I. with this file,
// src/workloads/scan/blend*.cc, src/base.
#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/workloads/scan/blend_memory_source.h"
#include "workloads/scan/blend.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  millrace::scan::MemorySource source(std::string(reinterpret_cast<const char*>(data), size));
  millrace::scan::BlendLimits limits;
  limits.inflated_bytes_max = 16 << 20;
  try {
    millrace::scan::BlendFacts facts = millrace::scan::read_blend(source, limits);
    if (facts.complete != facts.problem.empty()) __builtin_trap();
  } catch (const millrace::scan::BudgetError&) {
  } catch (const millrace::base::CorruptError&) {
  }
  return 0;
}

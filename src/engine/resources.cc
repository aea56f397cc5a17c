#include "engine/resources.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string>

#include "base/strings.h"
#include "engine/reject.h"

namespace millrace::engine {
namespace {

// Fargate's pairs: memory from `low` to `high` MiB in steps of `step` (0.25 vCPU: 512, 1024, 2048 only).
struct FargateRow {
  int64_t vcpus_milli, low, high, step;
};
constexpr std::array<FargateRow, 7> kFargate = {{{250, 512, 2048, 512},
                                                 {500, 1024, 4096, 1024},
                                                 {1000, 2048, 8192, 1024},
                                                 {2000, 4096, 16384, 1024},
                                                 {4000, 8192, 30720, 1024},
                                                 {8000, 16384, 61440, 4096},
                                                 {16000, 32768, 122880, 8192}}};

constexpr int64_t kVcpusMax = 1'000'000;
constexpr int64_t kAmountMax = 1'000'000'000;

bool fargate_allows(const Resources& r) {
  for (const FargateRow& row : kFargate) {
    if (row.vcpus_milli != r.vcpus_milli) continue;
    if (row.vcpus_milli == 250 && r.memory_mib == 1536) return false;
    return r.memory_mib >= row.low && r.memory_mib <= row.high && (r.memory_mib - row.low) % row.step == 0;
  }
  return false;
}

// Whole numbers, but vCPUs may be fractions: on Fargate, and below 1 on EC2, where check_resources() has the
// better sentence.
bool is_amount(std::string_view type, double number, bool fargate) {
  if (!std::isfinite(number) || std::abs(number) > static_cast<double>(kAmountMax)) return false;
  if (type == "GPU" && number < 0) return false;
  if (number == std::floor(number)) return true;
  if (type != "VCPU" || (!fargate && number > 1)) return false;
  return std::abs(number * 1000 - std::round(number * 1000)) < 1e-6;
}

}  // namespace

void read_resources(const json::object& container, bool fargate, Resources& into) {
  if (!fargate) {
    if (auto vcpus = base::find_int(container, "vcpus"); vcpus && *vcpus != 0 && !into.vcpus_given) {
      into.vcpus_milli = std::clamp(*vcpus, -kAmountMax, kAmountMax) * 1000;
      into.vcpus_given = true;
    }
    if (auto memory = base::find_int(container, "memory"); memory && *memory != 0 && !into.memory_given) {
      into.memory_mib = *memory;
      into.memory_given = true;
    }
  }
  const json::array* requirements = base::find_array(container, "resourceRequirements");
  if (!requirements) return;
  std::set<std::string_view> seen;
  for (const json::value& entry : *requirements) {
    const json::object& requirement = entry.as_object();
    std::string_view type = base::find_string(requirement, "type").value_or("");
    std::string_view value = base::find_string(requirement, "value").value_or("");
    if (!seen.insert(type).second) throw Reject("Cannot provide duplicates in resourceRequirements.");
    auto number = base::parse_number<double>(value);
    if (!number || !is_amount(type, *number, fargate))
      throw Reject(
          fmt::format("Value {} for type {} in resourceRequirement is not valid. Please provide a numeric "
                      "value.",
                      value, type));
    if (type == "VCPU") {
      into.vcpus_milli = std::llround(*number * 1000);
      into.vcpus_given = true;
    } else if (type == "MEMORY") {
      into.memory_mib = static_cast<int64_t>(*number);
      into.memory_given = true;
    } else if (type == "GPU") {
      into.gpus = static_cast<int64_t>(*number);
    }
  }
}

void check_resources(const Resources& r, bool fargate) {
  if (!r.vcpus_given) throw Reject("vCPU is required.");
  if (!r.memory_given) throw Reject("Memory is required.");
  if (fargate) {
    if (r.gpus > 0) throw Reject("GPU is not applicable for Fargate.");
    if (!fargate_allows(r))
      throw Reject(fmt::format("Fargate resource requirements ({:.2f} vCPU, {} MiB) not valid.",
                               static_cast<double>(r.vcpus_milli) / 1000, r.memory_mib));
    return;
  }
  if (r.vcpus_milli < 1000)
    throw Reject(fmt::format("vCPU must be at least 1, got {}.", static_cast<double>(r.vcpus_milli) / 1000));
  // Jobs keep thousandths of a vCPU in 32 bits; no machine comes near.
  if (r.vcpus_milli > kVcpusMax * 1000)
    throw Reject(fmt::format("vCPU must be at most {}, got {}.", kVcpusMax, r.vcpus_milli / 1000));
  if (r.memory_mib < 4) throw Reject(fmt::format("Memory must be at least 4 Mib, got {} Mib.", r.memory_mib));
}

}  // namespace millrace::engine

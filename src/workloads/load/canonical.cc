#include "workloads/load/canonical.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "base/strings.h"
#include "base/time.h"

namespace millrace::load {

std::string canonical_text(Type type, const Value& value, std::string_view cell) {
  switch (type) {
    case Type::kBool:
      return value.integer ? "true" : "false";
    case Type::kInt16:
    case Type::kInt32:
    case Type::kInt64:
      return std::to_string(value.integer);
    case Type::kFloat:
    case Type::kDouble:
      return fmt::format("{}", value.real);
    case Type::kTimestamp:
    case Type::kTimestampTz: {
      int64_t seconds = value.integer / 1'000'000, micros = value.integer % 1'000'000;
      if (micros < 0) {
        micros += 1'000'000;
        --seconds;
      }
      const base::Civil civil = base::to_civil(seconds * 1000);
      return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}{}", civil.year, civil.month, civil.day,
                         civil.hour, civil.minute, civil.second, micros,
                         type == Type::kTimestampTz ? "+00" : "");
    }
    case Type::kBytes:
      return "\\x" + base::hex(value.text);
    case Type::kDate:
    case Type::kUuid:
      return base::to_lower(base::trim(cell));
    case Type::kNumeric:
    case Type::kJson:
    case Type::kJsonb:
    case Type::kText:
    case Type::kOther:
      break;
  }
  return std::string(value.text);
}

}  // namespace millrace::load

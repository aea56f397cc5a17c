#include "engine/instance_types.h"

namespace millrace::engine {
namespace {
bool is_digit(char c) { return c >= '0' && c <= '9'; }
}  // namespace

bool is_instance_bundle(std::string_view type) {
  return type == "optimal" || type.substr(0, 8) == "default_";
}

bool is_arm_instance(std::string_view type) {
  if (type == "default_arm64") return true;
  std::string_view family = type.substr(0, type.find('.'));
  if (family == "a1") return true;
  // Series, generation, then the letters of the processor: "c" "7" "gn". The processor's is the first.
  size_t at = 0;
  while (at < family.size() && !is_digit(family[at])) ++at;
  if (at == 0) return false;
  size_t digits = at;
  while (at < family.size() && is_digit(family[at])) ++at;
  return at > digits && at < family.size() && family[at] == 'g';
}

}  // namespace millrace::engine

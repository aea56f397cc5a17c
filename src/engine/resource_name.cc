#include "engine/resource_name.h"

#include "base/strings.h"
#include "engine/reject.h"

namespace millrace::engine {
namespace {

[[noreturn]] void refuse(std::string_view given) {
  throw Reject("Provided name " + std::string(given) + " is not supported pattern[a-zA-Z_0-9-]{1,128}");
}

}  // namespace

std::string_view resource_name(std::string_view name_or_arn, std::string_view kind) {
  std::string_view name = name_or_arn;
  if (name.substr(0, 4) == "arn:") {
    size_t slash = name.find('/');
    size_t colon = slash == std::string_view::npos ? slash : name.rfind(':', slash);
    if (colon == std::string_view::npos || name.substr(colon + 1, slash - colon - 1) != kind)
      refuse(name_or_arn);
    name.remove_prefix(slash + 1);
  }
  size_t revision = kind == "job-definition" ? name.find(':') : std::string_view::npos;
  if (!is_resource_name(name.substr(0, revision))) refuse(name_or_arn);
  return name;
}

std::pair<std::string_view, int64_t> definition_revision(std::string_view name_or_arn) {
  std::string_view name = resource_name(name_or_arn, "job-definition");
  size_t colon = name.find(':');
  if (colon == std::string_view::npos) refuse(name_or_arn);
  auto revision = base::parse_number<int64_t>(name.substr(colon + 1));
  if (!revision || *revision < 1) refuse(name_or_arn);
  return {name.substr(0, colon), *revision};
}

}  // namespace millrace::engine

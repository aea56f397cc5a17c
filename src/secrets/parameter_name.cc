#include "secrets/parameter_name.h"

#include <algorithm>
#include <cctype>

#include "aws/api_error.h"
#include "base/strings.h"

namespace millrace::secrets {
namespace {

constexpr size_t kLevelsMax = 15;
constexpr size_t kSizeMax = 1011;  // with what its ARN begins with

[[noreturn]] void refuse(const char* code, const std::string& message) {
  throw aws::ApiError(400, code, message);
}

}  // namespace

void check_parameter_name(std::string_view name, std::string_view arn_prefix) {
  const bool path = name.find('/') != std::string_view::npos;
  if (path && !name.starts_with('/'))
    refuse("ValidationException", "Parameter name must be a fully qualified name.");
  std::string_view first = name.substr(path ? 1 : 0);
  first = first.substr(0, first.find('/'));
  const std::string start = base::to_lower(first);
  if (start.starts_with("aws"))
    refuse("AccessDeniedException", "No access to reserved parameter name: " + std::string(name) + ".");
  const bool good = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '.' || c == '-' || c == '/';
  });
  if (start.starts_with("ssm") || !good || name.ends_with('/') || name.find("//") != std::string_view::npos)
    refuse("ValidationException",
           path
               ? "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it "
                 "can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of "
                 "letters, numbers and the following 3 symbols .-_"
               : "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). Only a mix of letters, "
                 "numbers and the following 3 symbols .-_ are allowed.");
  if (path && static_cast<size_t>(std::count(name.begin(), name.end(), '/')) > kLevelsMax)
    refuse("HierarchyLevelLimitExceededException", "The hierarchy can have a maximum of 15 levels.");
  if (arn_prefix.size() + name.size() > kSizeMax)
    refuse("ValidationException", "Parameter name is too long: with its ARN it may have " +
                                      std::to_string(kSizeMax) + " characters.");
}

}  // namespace millrace::secrets

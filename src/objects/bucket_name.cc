#include "objects/bucket_name.h"

#include <algorithm>
#include <array>

#include "base/strings.h"

namespace millrace::objects {
namespace {

constexpr std::array<std::string_view, 4> kReservedPrefixes = {"xn--", "sthree-", "amzn-s3-demo-",
                                                               "sthree-configurator"};
constexpr std::array<std::string_view, 5> kReservedSuffixes = {"-s3alias", "--ol-s3", ".mrap", "--x-s3",
                                                               "--table-s3"};

bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool looks_like_ipv4(std::string_view name) {
  auto parts = base::split(name, '.');
  return parts.size() == 4 && std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
           return !part.empty() && part.size() <= 3 &&
                  part.find_first_not_of("0123456789") == std::string_view::npos;
         });
}

}  // namespace

bool is_valid_bucket_name(std::string_view name) {
  if (name.size() < 3 || name.size() > 63) return false;
  if (!is_alphanumeric(name.front()) || !is_alphanumeric(name.back())) return false;
  for (char c : name)
    if (!is_alphanumeric(c) && c != '.' && c != '-') return false;
  if (name.find("..") != std::string_view::npos || looks_like_ipv4(name)) return false;
  for (std::string_view prefix : kReservedPrefixes)
    if (name.starts_with(prefix)) return false;
  for (std::string_view suffix : kReservedSuffixes)
    if (name.ends_with(suffix)) return false;
  return true;
}

}  // namespace millrace::objects

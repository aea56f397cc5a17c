#include "workloads/scan/file_names.h"

#include <cctype>

#include "base/json.h"
#include "base/strings.h"

namespace millrace::scan {
namespace {

constexpr size_t kVersionDigitsMax = 9;

struct Tag {
  std::string_view word, tag;
};
// Words as texture artists write them, in lower case.
constexpr Tag kTags[] = {
    {"normal", "normal"},
    {"normals", "normal"},
    {"nrm", "normal"},
    {"nor", "normal"},
    {"diffuse", "diffuse"},
    {"diff", "diffuse"},
    {"albedo", "diffuse"},
    {"basecolor", "diffuse"},
    {"color", "diffuse"},
    {"col", "diffuse"},
    {"specular", "specular"},
    {"spec", "specular"},
    {"roughness", "roughness"},
    {"rough", "roughness"},
    {"rgh", "roughness"},
    {"metallic", "metallic"},
    {"metalness", "metallic"},
    {"metal", "metallic"},
    {"ao", "ao"},
    {"occlusion", "ao"},
    {"displacement", "displacement"},
    {"disp", "displacement"},
    {"height", "displacement"},
    {"bump", "bump"},
    {"emission", "emission"},
    {"emissive", "emission"},
    {"opacity", "opacity"},
    {"alpha", "opacity"},
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }

}  // namespace

std::string show_of(std::string_view path) {
  std::string lower = base::to_lower(path);
  size_t start = lower.find("/shows/");
  if (start == std::string::npos) return "";
  start += 7;
  size_t end = lower.find('/', start);
  return end == std::string::npos ? "" : lower.substr(start, end - start);
}

std::optional<int64_t> version_of_name(std::string_view name) {
  for (size_t at = name.size(); at-- > 0;) {
    if (name[at] != 'v' && name[at] != 'V') continue;
    if (at > 0 && is_letter(name[at - 1])) continue;
    size_t digits = at + 1;
    if (digits < name.size() && (name[digits] == '_' || name[digits] == '-')) ++digits;
    size_t end = digits;
    while (end < name.size() && is_digit(name[end])) ++end;
    if (end == digits || end - digits > kVersionDigitsMax) continue;
    return base::parse_number<int64_t>(name.substr(digits, end - digits));
  }
  return std::nullopt;
}

std::vector<std::string_view> texture_tags(std::string_view name) {
  std::vector<std::string_view> tags;
  std::string lower = base::to_lower(name.substr(0, name.rfind('.')));
  for (size_t at = 0; at < lower.size();) {
    if (!is_letter(lower[at])) {
      ++at;
      continue;
    }
    size_t end = at;
    while (end < lower.size() && is_letter(lower[end])) ++end;
    std::string_view word = std::string_view(lower).substr(at, end - at);
    at = end;
    for (const Tag& tag : kTags) {
      if (tag.word != word) continue;
      bool known = false;
      for (std::string_view have : tags) known |= have == tag.tag;
      if (!known) tags.push_back(tag.tag);
      break;
    }
  }
  return tags;
}

void add_name_facts(RowBuffer& row, std::string_view path, FileType type) {
  std::string_view name = path.substr(path.rfind('/') + 1);
  row.add_if(std::string_view(show_of(path)));
  row.add_if(version_of_name(name));
  std::vector<std::string_view> tags;
  if (type == FileType::kImage) tags = texture_tags(name);
  if (tags.empty()) return row.null();
  base::json::array array;
  for (std::string_view tag : tags) array.emplace_back(tag);
  row.add(std::string_view(base::json::serialize(array)));
}

}  // namespace millrace::scan

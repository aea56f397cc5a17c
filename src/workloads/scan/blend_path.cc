#include <vector>

#include "base/strings.h"
#include "workloads/scan/blend.h"

namespace millrace::scan {
namespace {

bool has_drive_letter(std::string_view path) {
  return path.size() >= 2 && path[1] == ':' &&
         ((path[0] >= 'A' && path[0] <= 'Z') || (path[0] >= 'a' && path[0] <= 'z'));
}

// How much of `path` is a root that ".." must not eat: "/", "C:/", "//server/", "s3://bucket/" or nothing.
size_t root_length(std::string_view path) {
  if (has_drive_letter(path)) return path.size() > 2 && path[2] == '/' ? 3 : 2;
  size_t scheme = path.find("://");
  size_t host = scheme != std::string_view::npos && path.find('/') == scheme + 1 ? scheme + 3
                : path.starts_with("//")                                         ? 2
                                                                                 : std::string_view::npos;
  if (host == std::string_view::npos) return path.starts_with('/') ? 1 : 0;
  size_t end = path.find('/', host);
  return end == std::string_view::npos ? path.size() : end + 1;
}

// Resolves "." and "..", drops empty parts. A file system's root has no parent; above a key or a bucket ".."
// stays.
std::string normalise(const std::string& path) {
  size_t root = root_length(path);
  bool parent_of_root_is_root = root > 0 && path.find("://") == std::string::npos;
  std::vector<std::string_view> parts;
  std::string_view rest = std::string_view(path).substr(root);
  while (!rest.empty()) {
    size_t slash = std::min(rest.find('/'), rest.size());
    std::string_view part = rest.substr(0, slash);
    rest.remove_prefix(std::min(slash + 1, rest.size()));
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty() && parts.back() != "..") {
      parts.pop_back();
    } else if (!parent_of_root_is_root) {
      parts.push_back(part);
    }
  }
  std::string out = path.substr(0, root);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += '/';
    out += parts[i];
  }
  return out;
}

}  // namespace

bool is_absolute_blend_path(std::string_view raw) {
  if (raw.starts_with("//")) return false;  // Blender's own mark of a relative path
  return raw.starts_with('/') || raw.starts_with('\\') || has_drive_letter(raw);
}

std::string resolve_blend_path(std::string_view raw, std::string_view blend_path) {
  if (raw.empty()) return "";
  bool absolute = is_absolute_blend_path(raw);
  std::string path = base::replace_all(std::string(raw), "\\", "/");
  if (absolute) return normalise(path);
  size_t skip = path.starts_with("//") ? 2 : 0;
  size_t folder = blend_path.rfind('/');
  if (size_t at = path.find(kBlendNameMark); at != std::string::npos) {
    std::string_view name = blend_path.substr(folder == std::string_view::npos ? 0 : folder + 1);
    path.replace(at, kBlendNameMark.size(), name.substr(0, name.rfind('.')));
  }
  std::string start = folder == std::string_view::npos ? "" : std::string(blend_path.substr(0, folder + 1));
  return normalise(start + path.substr(skip));
}

}  // namespace millrace::scan

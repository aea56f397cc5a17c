#include "workloads/scan/report_text.h"

#include <algorithm>

#include "base/strings.h"
#include "workloads/text.h"

namespace millrace::scan {

using workloads::html_text;

std::string grouped(int64_t number) {
  std::string text = std::to_string(number);
  for (int64_t at = static_cast<int64_t>(text.size()) - 3; at > (number < 0 ? 1 : 0); at -= 3)
    text.insert(static_cast<size_t>(at), 1, ',');
  return text;
}

std::string bytes(int64_t count) {
  return base::human_bytes(static_cast<uint64_t>(std::max<int64_t>(count, 0)));
}

std::string path_cell(std::string_view whole, std::string_view root) {
  std::string_view path = whole;
  if (!root.empty() && path.starts_with(root) && path.size() > root.size()) path.remove_prefix(root.size());
  size_t slash = path.rfind('/');
  size_t name = slash == std::string_view::npos ? 0 : slash + 1;
  return "<span class=path title=\"" + html_text(whole) + "\"><span class=dir>" +
         html_text(path.substr(0, name)) + "</span>" + html_text(path.substr(name)) + "</span>";
}

std::string_view color_of(std::string_view type) {
  for (std::string_view known :
       {"image", "video", "audio", "blend", "scene", "cache", "document", "spreadsheet", "code"})
    if (type == known) return known;
  return "other";
}

}  // namespace millrace::scan

#include "aws/path_template.h"

namespace millrace::aws {

namespace {

template <typename Found>
bool match(const Operation& operation, std::string_view path, Found found) {
  std::string_view rest = path;
  if (!rest.starts_with('/')) return false;
  rest.remove_prefix(1);
  for (size_t i = 0; i < operation.path.size(); ++i) {
    const Segment& segment = operation.path[i];
    if (i) {  // what is left begins at the slash before this segment
      if (rest.empty() || rest[0] != '/') return false;
      rest.remove_prefix(1);
    }
    const Member* member = segment.label >= 0 ? &operation.input->members[segment.label] : nullptr;
    size_t length = member && member->label_greedy ? rest.size() : rest.find('/');
    std::string_view text = rest.substr(0, length);
    if (member ? text.empty() : text != segment.text) return false;
    if (member) found(*member, text);
    rest.remove_prefix(text.size());
  }
  return rest.empty() ||
         (rest == "/" && !operation.path.empty() && operation.service->protocol == Protocol::kRestXml);
}

}  // namespace

bool path_matches(const Operation& operation, std::string_view path) {
  return match(operation, path, [](const Member&, std::string_view) {});
}

bool match_path(const Operation& operation, std::string_view path, const LabelFound& found) {
  return match(operation, path, found);
}

}  // namespace millrace::aws

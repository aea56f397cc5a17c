#include "events/capitalised.h"

#include "base/strings.h"

namespace millrace::events {

namespace json = base::json;

json::value uncapitalised(const json::value& value, const aws::Shape& shape,
                          std::vector<std::string>* unknown, const std::string& path) {
  if (shape.type == aws::ShapeType::kStructure && value.is_object()) {
    json::object out;
    for (const auto& [key, member_value] : value.get_object()) {
      std::string name(key);
      const aws::Member* member = aws::find_member(shape, name);
      if (!member && !name.empty() && name[0] >= 'A' && name[0] <= 'Z') {
        name[0] = static_cast<char>(name[0] - 'A' + 'a');
        member = aws::find_member(shape, name);
      }
      const std::string here = (path.empty() ? "" : path + ".") + std::string(key);
      if (member) {
        out[name] = uncapitalised(member_value, *member->shape, unknown, here);
      } else {
        unknown->push_back(here);
      }
    }
    return out;
  }
  if (shape.type == aws::ShapeType::kList && value.is_array()) {
    json::array out;
    for (const json::value& element : value.get_array())
      out.push_back(uncapitalised(element, *shape.members[0].shape, unknown, path));
    return out;
  }
  if (shape.type == aws::ShapeType::kMap && value.is_object()) {
    json::object out;
    for (const auto& [key, element] : value.get_object())
      out[key] = uncapitalised(element, *shape.members[1].shape, unknown, path);
    return out;
  }
  return value;
}

}  // namespace millrace::events

#include "aws/query_reader.h"

#include <algorithm>
#include <string>
#include <vector>

#include "aws/error_wording.h"
#include "aws/scalar.h"
#include "base/url.h"

namespace millrace::aws {

namespace json = base::json;

namespace {

constexpr int kDepthMax = 32;

json::string_view boost_view(std::string_view text) { return {text.data(), text.size()}; }

class QueryReader {
 public:
  QueryReader(const ServiceModel& service, std::string_view form)
      : service_(service), fields_(base::parse_query(form, true)) {
    std::stable_sort(fields_.begin(), fields_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
  }

  json::object structure(const Shape& shape, const std::string& prefix, int depth) const {
    if (depth > kDepthMax) throw syntax_error(service_, "Parameters are nested too deeply");
    json::object object;
    for (const Member& member : shape.members) {
      std::string name = prefix + std::string(member.wire);
      if (present(name)) object[boost_view(member.name)] = value(member, name, depth + 1);
    }
    return object;
  }

 private:
  // The first field with that very name; null when there is none.
  const std::string* exact(std::string_view name) const {
    auto it =
        std::lower_bound(fields_.begin(), fields_.end(), name,
                         [](const auto& field, std::string_view wanted) { return field.first < wanted; });
    return it != fields_.end() && it->first == name ? &it->second : nullptr;
  }

  bool has_below(const std::string& name) const {
    std::string prefix = name + ".";
    auto it =
        std::lower_bound(fields_.begin(), fields_.end(), prefix,
                         [](const auto& field, const std::string& wanted) { return field.first < wanted; });
    return it != fields_.end() && it->first.starts_with(prefix);
  }

  bool present(const std::string& name) const { return exact(name) || has_below(name); }

  json::value value(const Member& member, const std::string& name, int depth) const {
    const Shape& shape = *member.shape;
    switch (shape.type) {
      case ShapeType::kStructure:
        return structure(shape, name + ".", depth);
      case ShapeType::kList: {
        std::string prefix = name + (member.flattened ? "." : "." + std::string(shape.members[0].wire) + ".");
        json::array array;
        for (size_t i = 1; i <= fields_.size(); ++i) {
          std::string element = prefix + std::to_string(i);
          if (!present(element)) break;
          array.push_back(value(shape.members[0], element, depth + 1));
        }
        return array;
      }
      case ShapeType::kMap: {
        std::string prefix = name + (member.flattened ? "." : ".entry.");
        json::object object;
        for (size_t i = 1; i <= fields_.size(); ++i) {
          std::string entry = prefix + std::to_string(i) + ".";
          const std::string* key = exact(entry + std::string(shape.members[0].wire));
          if (!key) break;
          object[*key] = value(shape.members[1], entry + std::string(shape.members[1].wire), depth + 1);
        }
        return object;
      }
      default: {
        const std::string* text = exact(name);
        auto read = text ? scalar_from_text(member, *text) : std::nullopt;
        if (!read) throw parameter_error(service_, member, text ? *text : "");
        return std::move(*read);
      }
    }
  }

  const ServiceModel& service_;
  std::vector<std::pair<std::string, std::string>> fields_;
};

}  // namespace

json::object read_query(const ServiceModel& service, const Shape& structure, std::string_view form) {
  return QueryReader(service, form).structure(structure, "", 0);
}

}  // namespace millrace::aws

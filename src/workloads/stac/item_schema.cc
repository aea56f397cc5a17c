#include "workloads/stac/item_schema.h"

#include <algorithm>
#include <array>

namespace millrace::stac {
namespace {

using base::json::array;
using base::json::object;
using base::json::string;

constexpr std::array<std::string_view, 9> kCore = {
    "type", "stac_version", "stac_extensions", "id", "geometry", "bbox", "links", "assets", "collection"};
constexpr std::array<std::string_view, 8> kTimes = {"datetime",  "start_datetime", "end_datetime",
                                                    "created",   "updated",        "expires",
                                                    "published", "unpublished"};

bool has(const auto& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

size_t leaves_of(const Column& column) {
  if (column.type == ColumnType::kBox) return 4;
  if (column.children.empty()) return 1;
  size_t sum = 0;
  for (const auto& child : column.children) sum += leaves_of(child);
  return sum;
}

// Lists of JSON texts and of names that differ, each with its path of column names; 0 stands for the elements
// of a list.
void describe(const Column& column, const array& above, array& json, array& names) {
  array path = above;
  path.emplace_back(column.column);
  if (column.name != column.column) names.push_back(array{path, string(column.name)});
  const Column* inner = &column;
  while (inner->type == ColumnType::kList) {
    path.emplace_back(0);
    inner = inner->children.data();
  }
  if (inner->type == ColumnType::kJson) json.push_back(path);
  for (const auto& child : inner->children) describe(child, path, json, names);
}

}  // namespace

bool is_core_member(std::string_view name) { return has(kCore, name); }
bool is_time_property(std::string_view name) { return has(kTimes, name); }
std::vector<std::string_view> core_members() { return {kCore.begin(), kCore.end()}; }
std::vector<std::string_view> time_properties() { return {kTimes.begin(), kTimes.end()}; }

const Column* Column::child(std::string_view child_name) const {
  const auto found = std::find_if(children.begin(), children.end(),
                                  [&](const Column& column) { return column.name == child_name; });
  return found == children.end() ? nullptr : &*found;
}

void Column::index() {
  by_name_.clear();
  if (type == ColumnType::kStruct) {
    for (uint32_t i = 0; i < children.size(); ++i) by_name_.emplace(children[i].name, i);
  }
  for (auto& child : children) child.index();
}

std::vector<const Column*> ItemSchema::columns() const {
  std::vector<const Column*> out;
  for (const auto& column : root.children)
    if (column.name != kPropertiesMember) out.push_back(&column);
  for (const auto& column : properties().children) out.push_back(&column);
  return out;
}

const Column& ItemSchema::properties() const { return *root.child(kPropertiesMember); }

size_t ItemSchema::leaves() const { return leaves_of(root); }

object ItemSchema::mapping(const std::vector<std::pair<std::string, std::string>>& times) const {
  array json, names, own;
  for (const auto* column : columns()) describe(*column, {}, json, names);
  for (const auto& column : root.children)
    if (column.name != kPropertiesMember && !is_core_member(column.name)) own.emplace_back(column.column);
  object out{{"version", 1}};
  if (!json.empty()) out["json"] = std::move(json);
  if (!names.empty()) out["names"] = std::move(names);
  if (!own.empty()) out["members"] = std::move(own);
  if (has_rest) out["rest"] = kRestColumn;
  if (!times.empty()) {
    object forms;
    for (const auto& [column, form] : times) forms[column] = form;
    out["times"] = std::move(forms);
  }
  return out;
}

}  // namespace millrace::stac

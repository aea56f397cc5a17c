// What the columns of a stac-geoparquet file are, and how they hold items: a tree in the shape of an item.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"

namespace millrace::stac {

enum class ColumnType : uint8_t {
  kBool,
  kInt,       // 64 bits
  kDouble,    // 64 bits
  kText,      //
  kJson,      // text that is JSON: values whose types have nothing in common
  kTime,      // microseconds, UTC
  kGeometry,  // WKB
  kBox,       // struct of xmin, ymin, (zmin,) xmax, ymax (, zmax)
  kList,      // one child
  kStruct,    // a child for each name
};

struct Column {
  std::string name;    // in the item
  std::string column;  // in the file: differs where DuckDB cannot tell it from another (it ignores case)
  ColumnType type = ColumnType::kText;
  std::vector<Column> children;

  const Column* child(std::string_view child_name) const;
  // Position of the child, or -1. Only after index().
  int find(std::string_view child_name) const {
    const auto found = by_name_.find(child_name);
    return found == by_name_.end() ? -1 : static_cast<int>(found->second);
  }
  // Makes find() work, here and below, as long as nothing is moved or changed any more.
  void index();

 private:
  std::unordered_map<std::string_view, uint32_t> by_name_;
};

// Members of an item that have a column of their own, in the order of the file; all other columns are
// properties, unless the mapping says that they are members too.
std::vector<std::string_view> core_members();
bool is_core_member(std::string_view name);
// Properties that are times (STAC common metadata, the extensions timestamps and version), in the same way.
std::vector<std::string_view> time_properties();
bool is_time_property(std::string_view name);

inline constexpr std::string_view kPropertiesMember = "properties";
// A column with what the typed columns cannot say: part of an item as JSON, which goes over the rest.
inline constexpr std::string_view kRestColumn = "millrace:rest";
// Key of the file's metadata that tells how to read columns back.
inline constexpr std::string_view kMappingKey = "millrace";

struct ItemSchema {
  // A struct in the shape of an item: core members, further members of items, and `properties`, whose
  // children are columns of the file as well.
  Column root;
  bool has_rest = false;
  bool box_has_z = false;

  // In the order of the file, without the rest.
  std::vector<const Column*> columns() const;
  const Column& properties() const;
  size_t leaves() const;

  // What the file's metadata must say so that the columns can be read back; `times` are the names of time
  // columns with their form (time_form.h).
  base::json::object mapping(const std::vector<std::pair<std::string, std::string>>& times) const;
};

}  // namespace millrace::stac

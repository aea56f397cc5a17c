#include "workloads/stac/row_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/error.h"
#include "sql/duckdb.h"
#include "workloads/stac/item_schema.h"
#include "workloads/stac/time_form.h"
#include "workloads/stac/wkb.h"

namespace millrace::stac {
namespace {

using base::json::array;

std::string key_of(const array& path) { return base::json::serialize(path); }

bool is_time(duckdb_type type) {
  return type == DUCKDB_TYPE_TIMESTAMP || type == DUCKDB_TYPE_TIMESTAMP_TZ ||
         type == DUCKDB_TYPE_TIMESTAMP_S || type == DUCKDB_TYPE_TIMESTAMP_MS ||
         type == DUCKDB_TYPE_TIMESTAMP_NS;
}

int64_t microseconds(duckdb_type type, int64_t value) {
  switch (type) {
    case DUCKDB_TYPE_TIMESTAMP_S:
      return value * 1'000'000;
    case DUCKDB_TYPE_TIMESTAMP_MS:
      return value * 1'000;
    case DUCKDB_TYPE_TIMESTAMP_NS:
      return value >= 0 ? value / 1'000 : (value - 999) / 1'000;
    default:
      return value;
  }
}

bool is_plain(duckdb_type type) {
  static constexpr std::array kTypes = {DUCKDB_TYPE_BOOLEAN,   DUCKDB_TYPE_TINYINT,  DUCKDB_TYPE_SMALLINT,
                                        DUCKDB_TYPE_INTEGER,   DUCKDB_TYPE_BIGINT,   DUCKDB_TYPE_UTINYINT,
                                        DUCKDB_TYPE_USMALLINT, DUCKDB_TYPE_UINTEGER, DUCKDB_TYPE_UBIGINT,
                                        DUCKDB_TYPE_FLOAT,     DUCKDB_TYPE_DOUBLE,   DUCKDB_TYPE_VARCHAR,
                                        DUCKDB_TYPE_SQLNULL};
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end() || is_time(type);
}

template <typename Number>
void append_integer(const void* data, size_t row, std::string& out) {
  std::array<char, 24> buffer;
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), static_cast<const Number*>(data)[row]).ptr;
  out.append(buffer.data(), end);
}

}  // namespace

struct RowText::Field {
  std::string name;  // in the item
  duckdb_type type = DUCKDB_TYPE_INVALID;
  bool is_json = false, is_member = false, is_box = false, is_rest = false;
  std::optional<uint8_t> form;  // of times
  std::vector<Field> children;
  const void* data = nullptr;
  const uint64_t* valid = nullptr;

  bool has(size_t row) const { return !valid || (valid[row / 64] >> (row % 64) & 1); }
  std::string_view bytes(size_t row) const {
    return sql::duckdb_bytes(static_cast<const duckdb_string_t*>(data)[row]);
  }
};

// What the rest of a row says, by name; views of its text.
struct RowText::Rest {
  std::vector<std::pair<std::string_view, std::string_view>> members, properties;
};

RowText::~RowText() = default;

RowText::RowText(const std::vector<std::string>& names, const std::vector<duckdb_logical_type>& types,
                 const base::json::object* mapping)
    : api_(sql::duckdb_api()) {
  std::string_view rest_name;
  if (mapping) {
    if (const auto* paths = base::find_array(*mapping, "json"))
      for (const auto& path : *paths) json_.insert(base::json::serialize(path));
    if (const auto* pairs = base::find_array(*mapping, "names")) {
      for (const auto& pair : *pairs) {
        if (!pair.is_array() || pair.get_array().size() != 2 || !pair.get_array()[1].is_string())
          throw base::CorruptError("the names of columns are no pairs of a path and a name");
        names_[base::json::serialize(pair.get_array()[0])] = base::view(pair.get_array()[1].get_string());
      }
    }
    if (const auto* members = base::find_array(*mapping, "members"))
      for (const auto& member : *members)
        if (member.is_string()) members_.emplace(base::view(member.get_string()));
    if (const auto* times = base::find_object(*mapping, "times"))
      for (const auto& time : *times)
        if (time.value().is_string()) times_[std::string(time.key())] = base::view(time.value().get_string());
    rest_name = base::find_string(*mapping, "rest").value_or("");
  }
  for (size_t i = 0; i < names.size(); ++i) {
    auto& field = fields_.emplace_back(field_of(base::json::string(names[i]), types[i], {}));
    const bool own_name = field.name == names[i];
    field.is_member = (own_name && is_core_member(names[i])) || members_.contains(names[i]);
    field.is_box = field.is_member && field.name == "bbox";
    field.is_rest = field.type == DUCKDB_TYPE_VARCHAR && !rest_name.empty() && names[i] == rest_name;
    if (const auto form = times_.find(names[i]); form != times_.end())
      field.form = time_form_of(form->second);
  }
  for (const auto* required : {"id", "geometry"})
    if (std::none_of(fields_.begin(), fields_.end(),
                     [&](const Field& f) { return f.is_member && f.name == required; }))
      throw base::CorruptError(std::string("no stac-geoparquet: it has no column '") + required + "'");
}

RowText::Field RowText::field_of(const base::json::value& step, duckdb_logical_type type, array path) {
  path.push_back(step);
  Field field;
  if (step.is_string()) field.name = base::view(step.get_string());
  if (const auto renamed = names_.find(key_of(path)); renamed != names_.end()) field.name = renamed->second;
  field.type = api_.get_type_id(type);
  field.is_json = json_.contains(key_of(path));
  if (field.type == DUCKDB_TYPE_LIST) {
    // Elements are at the path of the list with a 0 behind it.
    auto inner = api_.list_type_child_type(type);
    field.children.push_back(field_of(0, inner, path));
    api_.destroy_logical_type(&inner);
  } else if (field.type == DUCKDB_TYPE_STRUCT) {
    for (idx_t i = 0; i < api_.struct_type_child_count(type); ++i) {
      char* child_name = api_.struct_type_child_name(type, i);
      auto child = api_.struct_type_child_type(type, i);
      field.children.push_back(field_of(base::json::string(child_name), child, path));
      api_.destroy_logical_type(&child);
      api_.free(child_name);
    }
  } else if (!is_plain(field.type) && !(field.type == DUCKDB_TYPE_BLOB && path.size() == 1)) {
    throw base::CorruptError("column " + key_of(path) + " has a type that STAC items do not have");
  }
  return field;
}

void RowText::bind(Field& field, duckdb_vector vector) {
  field.data = api_.vector_get_data(vector);
  field.valid = api_.vector_get_validity(vector);
  if (field.type == DUCKDB_TYPE_LIST) {
    bind(field.children[0], api_.list_vector_get_child(vector));
  } else if (field.type == DUCKDB_TYPE_STRUCT) {
    for (size_t i = 0; i < field.children.size(); ++i)
      bind(field.children[i], api_.struct_vector_get_child(vector, i));
  }
}

void RowText::begin(duckdb_data_chunk chunk) {
  for (size_t i = 0; i < fields_.size(); ++i) bind(fields_[i], api_.data_chunk_get_vector(chunk, i));
}

void RowText::append_box(const Field& field, size_t row) {
  out_ += '[';
  bool first = true;
  for (const auto& corner : field.children) {
    if (!corner.has(row)) continue;  // zmin and zmax of a flat box
    if (!std::exchange(first, false)) out_ += ',';
    append_value(corner, row);
  }
  out_ += ']';
}

void RowText::append_value(const Field& field, size_t row) {
  switch (field.type) {
    case DUCKDB_TYPE_BOOLEAN:
      out_ += static_cast<const bool*>(field.data)[row] ? "true" : "false";
      return;
    case DUCKDB_TYPE_TINYINT:
      return append_integer<int8_t>(field.data, row, out_);
    case DUCKDB_TYPE_SMALLINT:
      return append_integer<int16_t>(field.data, row, out_);
    case DUCKDB_TYPE_INTEGER:
      return append_integer<int32_t>(field.data, row, out_);
    case DUCKDB_TYPE_BIGINT:
      return append_integer<int64_t>(field.data, row, out_);
    case DUCKDB_TYPE_UTINYINT:
      return append_integer<uint8_t>(field.data, row, out_);
    case DUCKDB_TYPE_USMALLINT:
      return append_integer<uint16_t>(field.data, row, out_);
    case DUCKDB_TYPE_UINTEGER:
      return append_integer<uint32_t>(field.data, row, out_);
    case DUCKDB_TYPE_UBIGINT:
      return append_integer<uint64_t>(field.data, row, out_);
    case DUCKDB_TYPE_FLOAT:
      return append_json_number(static_cast<double>(static_cast<const float*>(field.data)[row]), out_);
    case DUCKDB_TYPE_DOUBLE:
      return append_json_number(static_cast<const double*>(field.data)[row], out_);
    case DUCKDB_TYPE_VARCHAR:
      if (field.is_json)
        out_ += field.bytes(row);
      else
        append_json_string(field.bytes(row), out_);
      return;
    case DUCKDB_TYPE_BLOB:
      return append_geojson(field.bytes(row), out_);
    case DUCKDB_TYPE_LIST: {
      const auto& entry = static_cast<const duckdb_list_entry*>(field.data)[row];
      out_ += '[';
      for (idx_t i = 0; i < entry.length; ++i) {
        if (i > 0) out_ += ',';
        if (field.children[0].has(entry.offset + i))
          append_value(field.children[0], entry.offset + i);
        else
          out_ += "null";
      }
      out_ += ']';
      return;
    }
    case DUCKDB_TYPE_STRUCT: {
      bool first = true;
      out_ += '{';
      for (const auto& child : field.children) {
        if (!child.has(row)) continue;
        if (!std::exchange(first, false)) out_ += ',';
        append_json_string(child.name, out_);
        out_ += ':';
        append_value(child, row);
      }
      out_ += '}';
      return;
    }
    default:
      out_ += '"';
      append_time(microseconds(field.type, static_cast<const int64_t*>(field.data)[row]), field.form, out_);
      out_ += '"';
  }
}

void RowText::append_members(bool of_properties, size_t row, const Rest& rest) {
  const auto& over = of_properties ? rest.properties : rest.members;
  bool first = out_.back() == '{';
  const auto begin_member = [&] {
    if (!std::exchange(first, false)) out_ += ',';
  };
  for (const auto& field : fields_) {
    if (field.is_member == of_properties || field.is_rest) continue;
    const bool is_required = field.name == (of_properties ? "datetime" : "geometry");
    const bool is_over = std::any_of(over.begin(), over.end(), [&](const auto& one) {
      if (!has_escape(one.first)) return one.first == field.name;
      std::string name;
      return append_unescaped(one.first, name) && name == field.name;
    });
    if (is_over || (!field.has(row) && !is_required)) continue;
    begin_member();
    append_json_string(field.name, out_);
    out_ += ':';
    if (!field.has(row))
      out_ += "null";
    else if (field.is_box)
      append_box(field, row);
    else
      append_value(field, row);
  }
  for (const auto& [name, value] : over) {
    begin_member();
    ((((out_ += '"') += name) += "\":") += value);
  }
}

std::string_view RowText::item(size_t row) {
  Rest rest;
  for (const auto& field : fields_) {
    if (!field.is_rest || !field.has(row)) continue;
    rest_text_ = field.bytes(row);
    rest_text_.reserve(rest_text_.size() + simdjson::SIMDJSON_PADDING);
    tokens_.open(rest_text_);
    std::string_view name, property;
    tokens_.begin_object();
    while (tokens_.next_member(name)) {
      if (name != kPropertiesMember) {
        rest.members.emplace_back(name, tokens_.raw_value());
        continue;
      }
      tokens_.begin_object();
      while (tokens_.next_member(property)) rest.properties.emplace_back(property, tokens_.raw_value());
    }
  }
  out_ = "{";
  append_members(false, row, rest);
  out_ += ",\"properties\":{";
  append_members(true, row, rest);
  out_ += "}}";
  return out_;
}

}  // namespace millrace::stac

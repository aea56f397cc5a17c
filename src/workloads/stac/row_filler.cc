#include "workloads/stac/row_filler.h"

#include <charconv>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "workloads/stac/item_shape.h"
#include "workloads/stac/time_form.h"
#include "workloads/stac/timestamp.h"
#include "workloads/stac/wkb.h"

namespace millrace::stac {
namespace {

constexpr int64_t kWide = int64_t{1} << 53;

size_t words(idx_t rows) { return (rows + 63) / 64; }

// Names are short: a call of memcmp() for each costs more than the comparison.
bool is_same(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  const auto differ = [&]<typename Word>(size_t at, Word left) {
    Word right;
    std::memcpy(&left, a.data() + at, sizeof left);
    std::memcpy(&right, b.data() + at, sizeof right);
    return left != right;
  };
  const size_t size = a.size();
  if (size >= sizeof(uint64_t)) {
    for (size_t at = 0; at + sizeof(uint64_t) < size; at += sizeof(uint64_t))
      if (differ(at, uint64_t{})) return false;
    return !differ(size - sizeof(uint64_t), uint64_t{});
  }
  if (size >= sizeof(uint32_t)) return !differ(0, uint32_t{}) && !differ(size - sizeof(uint32_t), uint32_t{});
  for (size_t at = 0; at < size; ++at)
    if (a[at] != b[at]) return false;
  return true;
}

void set_valid(uint64_t* valid, idx_t row) { valid[row / 64] |= uint64_t{1} << (row % 64); }

}  // namespace

std::string_view ByteArena::keep(std::string_view bytes) {
  while (block_ < blocks_.size() && blocks_[block_].second - used_ < bytes.size()) ++block_, used_ = 0;
  if (block_ == blocks_.size()) {
    const size_t size = std::max(kBlock, bytes.size());
    blocks_.emplace_back(std::make_unique_for_overwrite<char[]>(size), size);
  }
  char* to = blocks_[block_].first.get() + used_;
  std::memcpy(to, bytes.data(), bytes.size());
  used_ += bytes.size();
  return {to, bytes.size()};
}

RowFiller::Slot RowFiller::slot_of(const Column& column, bool box_has_z) {
  Slot slot;
  slot.type = column.type;
  slot.column = &column;
  if (!has_escape(column.name)) slot.plain_name = column.name;
  for (const auto& child : column.children) slot.children.push_back(slot_of(child, box_has_z));
  for (uint32_t i = 0; i < slot.children.size(); ++i) slot.followers.push_back(i + 1);
  if (column.type == ColumnType::kBox) {
    slot.children.resize(box_has_z ? 6 : 4);
    for (auto& child : slot.children) child.type = ColumnType::kDouble;
  }
  return slot;
}

RowFiller::RowFiller(const ItemSchema& schema, const ItemStore& items, size_t rows_max)
    : api_(sql::duckdb_api()),
      schema_(schema),
      items_(items),
      root_(slot_of(schema.root, schema.box_has_z)),
      lines_(rows_max) {
  Slot* properties = nullptr;
  for (auto& slot : root_.children) {
    if (slot.column->name == kPropertiesMember)
      properties = &slot;
    else
      slots_.push_back(&slot);
    if (slot.type == ColumnType::kBox) box_ = &slot;
  }
  for (auto& slot : properties->children) slots_.push_back(&slot);
  if (schema.has_rest) slots_.push_back(&rest_);
  facts_.collections.resize(items.collections().size());
}

void RowFiller::bind(Slot& slot, duckdb_vector vector, idx_t rows_before, idx_t rows, bool fresh) {
  slot.vector = vector;
  slot.data = api_.vector_get_data(vector);
  api_.vector_ensure_validity_writable(vector);
  slot.valid = api_.vector_get_validity(vector);
  // Nothing is there until it is filled.
  std::memset(slot.valid + words(rows_before), 0, (words(rows) - words(rows_before)) * sizeof(uint64_t));
  if (slot.type == ColumnType::kStruct || slot.type == ColumnType::kBox) {
    for (size_t i = 0; i < slot.children.size(); ++i)
      bind(slot.children[i], api_.struct_vector_get_child(vector, i), rows_before, rows, fresh);
  } else if (slot.type == ColumnType::kList && fresh) {
    slot.size = 0;
    slot.room = std::max<idx_t>(slot.room, 2 * words(rows) * 64);
    api_.list_vector_reserve(vector, slot.room);
    bind(slot.children[0], api_.list_vector_get_child(vector), 0, slot.room, true);
  }
}

void RowFiller::grow(Slot& list) {
  const idx_t before = list.room;
  list.room *= 2;
  api_.list_vector_reserve(list.vector, list.room);
  bind(list.children[0], api_.list_vector_get_child(list.vector), before, list.room, false);
}

void RowFiller::begin(duckdb_data_chunk chunk) {
  chunk_ = chunk;
  row_ = 0;
  arena_.clear();
  for (size_t i = 0; i < slots_.size(); ++i)
    bind(*slots_[i], api_.data_chunk_get_vector(chunk, i), 0, lines_.size(), true);
}

void RowFiller::set_sizes(Slot& slot) {
  if (slot.type == ColumnType::kList) api_.list_vector_set_size(slot.vector, slot.size);
  for (auto& child : slot.children) set_sizes(child);
}

void RowFiller::end() {
  for (auto* slot : slots_) set_sizes(*slot);
  api_.data_chunk_set_size(chunk_, row_);
}

void RowFiller::misfit(const Slot& slot, std::string_view found) const {
  throw Misfit("'" + (slot.column ? slot.column->name : std::string()) + "' holds " +
               std::string(found.substr(0, 80)));
}

void RowFiller::put_text(Slot& slot, idx_t row, std::string_view text) {
  auto& cell = static_cast<duckdb_string_t*>(slot.data)[row];
  cell.value.inlined.length = static_cast<uint32_t>(text.size());
  if (text.size() <= sizeof cell.value.inlined.inlined) {
    std::memset(cell.value.inlined.inlined, 0, sizeof cell.value.inlined.inlined);
    std::memcpy(cell.value.inlined.inlined, text.data(), text.size());
  } else {
    std::memcpy(cell.value.pointer.prefix, text.data(), sizeof cell.value.pointer.prefix);
    cell.value.pointer.ptr = const_cast<char*>(text.data());
  }
  set_valid(slot.valid, row);
}

RowFiller::Slot* RowFiller::child_after(Slot& parent, uint32_t*& last, std::string_view raw_name) {
  if (*last < parent.children.size()) {
    Slot& guess = parent.children[*last];
    // Equal texts are equal names where there is no escape: a name with a backslash is looked up.
    if (!guess.plain_name.empty() && is_same(guess.plain_name, raw_name)) {
      last = &parent.followers[*last];
      return &guess;
    }
  }
  int found = -1;
  if (has_escape(raw_name)) {
    scratch_.clear();
    found = append_unescaped(raw_name, scratch_) ? parent.column->find(scratch_) : -1;
  } else {
    found = parent.column->find(raw_name);
  }
  if (found < 0) return nullptr;
  *last = static_cast<uint32_t>(found);
  last = &parent.followers[static_cast<size_t>(found)];
  return &parent.children[static_cast<size_t>(found)];
}

void RowFiller::fill_struct(Slot& slot, idx_t row) {
  if (tokens_.kind() != '{') misfit(slot, tokens_.raw_value());
  set_valid(slot.valid, row);
  uint32_t* last = &slot.first;
  std::string_view name;
  tokens_.begin_object();
  while (tokens_.next_member(name)) {
    if (Slot* child = child_after(slot, last, name))
      fill(*child, row);
    else if (tokens_.raw_value() != "null")
      misfit(slot, name);
  }
}

void RowFiller::fill_list(Slot& slot, idx_t row) {
  if (tokens_.kind() != '[') misfit(slot, tokens_.raw_value());
  set_valid(slot.valid, row);
  const idx_t offset = slot.size;
  tokens_.begin_array();
  while (tokens_.next_element()) {
    if (slot.size == slot.room) grow(slot);
    fill(slot.children[0], slot.size++);
  }
  static_cast<duckdb_list_entry*>(slot.data)[row] = {offset, slot.size - offset};
}

void RowFiller::fill_int(Slot& slot, idx_t row) {
  const auto text = tokens_.raw_value();
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) misfit(slot, text);
  static_cast<int64_t*>(slot.data)[row] = value;
  set_valid(slot.valid, row);
}

void RowFiller::fill_double(Slot& slot, idx_t row) {
  const auto text = tokens_.raw_value();
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) misfit(slot, text);
  if (text.size() > 15 && std::fabs(value) > static_cast<double>(kWide) &&
      text.find_first_of(".eE") == std::string_view::npos)
    misfit(slot, text);  // an integer that a double cannot hold
  static_cast<double*>(slot.data)[row] = value;
  set_valid(slot.valid, row);
}

void RowFiller::fill(Slot& slot, idx_t row) {
  const char kind = tokens_.kind();
  if (kind == 'n' && slot.type != ColumnType::kJson) {
    tokens_.scalar();
    return;
  }
  switch (slot.type) {
    case ColumnType::kText: {
      if (kind != '"') misfit(slot, tokens_.raw_value());
      auto text = tokens_.raw_string();
      if (has_escape(text)) {
        scratch_.clear();
        if (!append_unescaped(text, scratch_)) misfit(slot, "a text that is no Unicode");
        text = arena_.keep(scratch_);
      }
      put_text(slot, row, text);
      return;
    }
    case ColumnType::kJson: {
      const auto text = tokens_.raw_value();
      if (text != "null") put_text(slot, row, text);
      return;
    }
    case ColumnType::kBool:
      if (kind != 't' && kind != 'f') misfit(slot, tokens_.raw_value());
      static_cast<bool*>(slot.data)[row] = kind == 't';
      set_valid(slot.valid, row);
      tokens_.scalar();
      return;
    case ColumnType::kInt:
      fill_int(slot, row);
      return;
    case ColumnType::kDouble:
      fill_double(slot, row);
      return;
    case ColumnType::kList:
      fill_list(slot, row);
      return;
    case ColumnType::kStruct:
      fill_struct(slot, row);
      return;
    case ColumnType::kTime:
    case ColumnType::kGeometry:
    case ColumnType::kBox:
      break;
  }
  throw base::InternalError("a column below the top is special");
}

void RowFiller::put_rest(std::string& rest, std::string_view raw_name, std::string_view raw_value) {
  if (!schema_.has_rest)
    throw Misfit("'" + std::string(raw_name) + "' needs the column " + std::string(kRestColumn));
  if (!rest.empty()) rest += ',';
  ((((rest += '"') += raw_name) += "\":") += raw_value);
}

void RowFiller::fill_time(Slot& slot, std::string_view raw_name) {
  if (tokens_.kind() == 'n') {
    tokens_.scalar();
    return;
  }
  if (tokens_.kind() != '"') return put_rest(rest_properties_, raw_name, tokens_.raw_value());
  const auto text = tokens_.raw_string();
  const auto time = parse_time_us(text);
  if (time) {
    static_cast<int64_t*>(slot.data)[row_] = *time;
    set_valid(slot.valid, row_);
  }
  if (const auto form = time_form(text); time && form)
    slot.seen |= 1u << *form;
  else
    put_rest(rest_properties_, raw_name, std::string_view(text.data() - 1, text.size() + 2));
}

void RowFiller::fill_geometry(Slot& slot, std::string_view raw_name, std::string& rest, bool is_primary) {
  if (tokens_.kind() == 'n') {
    tokens_.scalar();
    return;
  }
  const size_t here = tokens_.position();
  scratch_.clear();
  const auto facts = append_wkb(tokens_, scratch_);
  if (facts.valid) {
    put_text(slot, row_, arena_.keep(scratch_));
    slot.seen |= 1u << (facts.type + (facts.has_z ? 8 : 0));
    if (is_primary) {
      geometry_extent_ = {};
      if (facts.west <= facts.east) geometry_extent_.add(facts.west, facts.south, facts.east, facts.north);
    }
  }
  if (!facts.valid || !facts.exact) {
    tokens_.go_back(here);
    put_rest(rest, raw_name, tokens_.raw_value());
  }
}

void RowFiller::put_box(Slot& slot, const double* numbers, size_t count) {
  set_valid(slot.valid, row_);
  const size_t half = count / 2, fields = slot.children.size() / 2;
  for (size_t i = 0; i < count; ++i) {
    auto& field = slot.children[i < half ? i : fields + (i - half)];
    static_cast<double*>(field.data)[row_] = numbers[i];
    set_valid(field.valid, row_);
  }
}

void RowFiller::fill_box(Slot& slot, std::string_view raw_name) {
  if (tokens_.kind() == 'n') {
    tokens_.scalar();
    return;
  }
  const size_t here = tokens_.position();
  size_t count = 0;
  if (!read_box(tokens_, numbers_, count)) {
    tokens_.go_back(here);
    put_rest(rest_members_, raw_name, tokens_.raw_value());
    return;
  }
  if (count > slot.children.size()) misfit(slot, "six numbers");
  put_box(slot, numbers_.data(), count);
  numbers_count_ = count;
}

void RowFiller::fill_properties(Slot& slot) {
  uint32_t* last = &slot.first;
  std::string_view name;
  tokens_.begin_object();
  while (tokens_.next_member(name)) {
    Slot* child = child_after(slot, last, name);
    if (!child) {
      const auto value = tokens_.raw_value();
      if (value == "null") continue;
      if (!schema_.has_rest) misfit(slot, name);
      put_rest(rest_properties_, name, value);
    } else if (child->type == ColumnType::kTime) {
      fill_time(*child, name);
    } else if (child->type == ColumnType::kGeometry) {
      fill_geometry(*child, name, rest_properties_, false);
    } else {
      fill(*child, row_);
    }
  }
}

void RowFiller::fill_item() {
  uint32_t* last = &root_.first;
  std::string_view name;
  tokens_.begin_object();
  while (tokens_.next_member(name)) {
    Slot* child = child_after(root_, last, name);
    if (!child) {
      const auto value = tokens_.raw_value();
      if (value == "null") continue;
      if (!schema_.has_rest) misfit(root_, name);
      put_rest(rest_members_, name, value);
    } else if (child->type == ColumnType::kGeometry) {
      fill_geometry(*child, name, rest_members_, true);
    } else if (child->type == ColumnType::kBox) {
      fill_box(*child, name);
    } else if (child->column->name == kPropertiesMember && child->type == ColumnType::kStruct) {
      fill_properties(*child);
    } else {
      fill(*child, row_);
    }
  }
}

void RowFiller::add(const ItemRecord& record) {
  std::string& line = lines_[row_];
  items_.read(record, line, simdjson::SIMDJSON_PADDING);
  tokens_.open(line);
  rest_members_.clear();
  rest_properties_.clear();
  numbers_count_ = 0;
  geometry_extent_ = {};
  fill_item();

  auto& collection = facts_.collections[record.collection];
  ++collection.rows;
  collection.first_us = std::min(collection.first_us, record.datetime_us);
  collection.last_us = std::max(collection.last_us, record.datetime_us);
  const Extent& of = geometry_extent_;
  if (numbers_count_ > 0) {
    const size_t half = numbers_count_ / 2;
    collection.extent.add(numbers_[0], numbers_[1], numbers_[half], numbers_[half + 1]);
  } else if (!of.empty()) {
    const std::array<double, 4> box = {of.west, of.south, of.east, of.north};
    put_box(*box_, box.data(), box.size());
    collection.extent.add(of);
  }
  if (!rest_members_.empty() || !rest_properties_.empty()) {
    std::string rest = "{" + rest_members_;
    if (!rest_properties_.empty())
      rest += (rest_members_.empty() ? "\"properties\":{" : ",\"properties\":{") + rest_properties_ + "}";
    put_text(rest_, row_, arena_.keep(rest + "}"));
  }
  ++row_;
}

const RowFacts& RowFiller::facts() {
  for (const auto* slot : slots_) {
    if (slot->type == ColumnType::kTime) facts_.time_forms[slot->column->column] = slot->seen;
    if (slot->type == ColumnType::kGeometry) facts_.geometry_types[slot->column->column] = slot->seen;
  }
  return facts_;
}

}  // namespace millrace::stac

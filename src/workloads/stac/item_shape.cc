#include "workloads/stac/item_shape.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <unordered_set>

#include "base/error.h"
#include "base/strings.h"
#include "workloads/stac/time_form.h"
#include "workloads/stac/timestamp.h"
#include "workloads/stac/wkb.h"

namespace millrace::stac {
namespace {

constexpr int kDepthMax = 16;            // deeper values are JSON
constexpr size_t kMembersMax = 2000;     // of one struct
constexpr size_t kMembersKept = 10'000;  // of one place, until all items were seen
constexpr size_t kLeavesMax = 20'000;    // of a file
constexpr int64_t kWide = int64_t{1} << 53;

constexpr std::string_view kGeometry = "geometry", kBox = "bbox", kProjGeometry = "proj:geometry";

// Each its own name in the file as far as case-insensitive readers can tell them apart; the first of those
// that they cannot keeps it, the others get a number.
void name_columns(const std::vector<Column*>& columns) {
  std::unordered_set<std::string> taken = {base::to_lower(kRestColumn)};
  std::vector<Column*> colliding;
  for (auto* column : columns) {
    const bool sayable = !column->name.empty() && column->name.find('\0') == std::string::npos;
    if (sayable && taken.insert(base::to_lower(column->name)).second)
      column->column = column->name;
    else
      colliding.push_back(column);
  }
  for (auto* column : colliding) {
    std::string stem = column->name.substr(0, column->name.find('\0'));
    if (stem.empty()) stem = "_";
    for (int i = 2;; ++i) {
      column->column = stem + "_" + std::to_string(i);
      if (taken.insert(base::to_lower(column->column)).second) break;
    }
  }
}

void name_children(Column& column) {
  std::vector<Column*> children;
  for (auto& child : column.children) children.push_back(&child);
  name_columns(children);
}

}  // namespace

bool read_box(JsonTokens& tokens, std::array<double, 6>& numbers, size_t& count) {
  const size_t here = tokens.position();
  count = 0;
  bool good = tokens.kind() == '[';
  if (good) {
    tokens.begin_array();
    while (tokens.next_element()) {
      const char c = tokens.kind();
      good &= count < 6 && (c == '-' || (c >= '0' && c <= '9'));
      const auto text = tokens.raw_value();
      if (good) {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), numbers[count]);
        good = error == std::errc() && end == text.data() + text.size();
      }
      ++count;
    }
    good &= count == 4 || count == 6;
  }
  if (good) return true;
  tokens.go_back(here);
  tokens.raw_value();
  return false;
}

void Shape::add_number(std::string_view text) {
  if (text.find_first_of(".eE") == std::string_view::npos) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) {
      seen_ |= kInt;
      if (value > kWide || value < -kWide) seen_ |= kWideInt;
      return;
    }
  } else {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && std::isfinite(value)) {
      seen_ |= kFloat;
      return;
    }
  }
  seen_ |= kOther;
}

Shape& Shape::member(std::string_view name) {
  if (const auto found = by_name_.find(name); found != by_name_.end()) return *members_[found->second].shape;
  auto& added = members_.emplace_back(Member{std::string(name), std::make_unique<Shape>(), 0});
  by_name_.emplace(added.name, static_cast<uint32_t>(members_.size() - 1));
  return *added.shape;
}

Shape* Shape::member_after(uint32_t*& last, std::string_view raw_name) {
  if (*last < members_.size() && members_[*last].name == raw_name && !has_escape(raw_name)) {
    auto& found = members_[*last];
    last = &found.follower;
    return found.shape.get();
  }
  std::string name;
  if (!append_unescaped(raw_name, name))
    throw base::CorruptError("the name '" + std::string(raw_name) + "' is no Unicode text", "BrokenJson");
  if (members_.size() >= kMembersKept && !by_name_.contains(name)) {
    crowded_ = true;
    return nullptr;
  }
  member(name);
  *last = by_name_.find(name)->second;
  auto& found = members_[*last];
  last = &found.follower;
  return found.shape.get();
}

void Shape::add(JsonTokens& tokens, int depth) {
  switch (tokens.kind()) {
    case '{': {
      seen_ |= kObject;
      if (depth >= kDepthMax) {
        seen_ |= kOther;
        tokens.raw_value();
        return;
      }
      uint32_t* last = &first_;
      std::string_view name;
      tokens.begin_object();
      while (tokens.next_member(name)) {
        if (auto* shape = member_after(last, name))
          shape->add(tokens, depth + 1);
        else
          tokens.raw_value();
      }
      return;
    }
    case '[':
      seen_ |= kArray;
      if (depth >= kDepthMax) {
        seen_ |= kOther;
        tokens.raw_value();
        return;
      }
      tokens.begin_array();
      while (tokens.next_element()) {
        if (!element_) element_ = std::make_unique<Shape>();
        element_->add(tokens, depth + 1);
      }
      return;
    case '"': {
      const auto raw = tokens.raw_string();
      std::string text;
      seen_ |= has_escape(raw) && !append_unescaped(raw, text) ? kOther : kText;
      return;
    }
    case 't':
    case 'f':
      tokens.scalar();
      seen_ |= kBool;
      return;
    case 'n':
      tokens.scalar();
      return;
    default:
      add_number(tokens.scalar());
  }
}

void Shape::add_all_of(const Shape& other) {
  seen_ |= other.seen_;
  crowded_ |= other.crowded_;
  for (const auto& theirs : other.members_) {
    if (members_.size() >= kMembersKept && !by_name_.contains(theirs.name))
      crowded_ = true;
    else
      member(theirs.name).add_all_of(*theirs.shape);
  }
  if (other.element_) {
    if (!element_) element_ = std::make_unique<Shape>();
    element_->add_all_of(*other.element_);
  }
}

Column Shape::column(std::string name, size_t members_max) const {
  Column out;
  out.name = out.column = std::move(name);
  const int kinds = ((seen_ & kBool) != 0) + ((seen_ & (kInt | kFloat)) != 0) + ((seen_ & kText) != 0) +
                    ((seen_ & kArray) != 0) + ((seen_ & kObject) != 0);
  if (kinds > 1 || (seen_ & kOther) || crowded_ || ((seen_ & kFloat) && (seen_ & kWideInt)) ||
      ((seen_ & kObject) && (members_.empty() || members_.size() > members_max))) {
    out.type = ColumnType::kJson;
  } else if (seen_ & kBool) {
    out.type = ColumnType::kBool;
  } else if (seen_ & kFloat) {
    out.type = ColumnType::kDouble;
  } else if (seen_ & kInt) {
    out.type = ColumnType::kInt;
  } else if (seen_ & kArray) {
    out.type = ColumnType::kList;
    out.children.push_back(element_ ? element_->column("", members_max) : Shape().column("", members_max));
  } else if (seen_ & kObject) {
    out.type = ColumnType::kStruct;
    for (const auto* member : sorted_members()) {
      out.children.push_back(member->shape->column(member->name, members_max));
    }
    name_children(out);
  }
  return out;
}

std::vector<const Shape::Member*> Shape::sorted_members() const {
  std::vector<const Member*> out;
  for (const auto& member : members_) out.push_back(&member);
  std::sort(out.begin(), out.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
  return out;
}

ItemShape::ItemShape() {
  static constexpr std::string_view kLeast =
      R"({"type":"","stac_version":"","stac_extensions":[""],"id":"","collection":"","assets":{},)"
      R"("links":[{"href":"","rel":"","title":"","type":""}]})";
  add_example(kLeast);
  for (const auto name : {kGeometry, kBox}) top_.member(name);
  properties_.member("datetime");
}

void ItemShape::add_example(std::string_view item) {
  std::string text(item);
  text.reserve(text.size() + simdjson::SIMDJSON_PADDING);
  JsonTokens tokens;
  tokens.open(text);
  add(tokens);
}

void ItemShape::add(JsonTokens& tokens) {
  uint32_t* last = &top_.first_;
  std::string_view name;
  tokens.begin_object();
  while (tokens.next_member(name)) {
    if (name == kPropertiesMember) {
      add_properties(tokens);
    } else if (name == kGeometry) {
      add_geometry(tokens);
    } else if (name == kBox) {
      std::array<double, 6> numbers;
      size_t count = 0;
      if (tokens.kind() == 'n')
        tokens.scalar();
      else if (!read_box(tokens, numbers, count))
        rest_ = true;
      else if (count == 6)
        box_z_ = true;
    } else if (auto* shape = top_.member_after(last, name)) {
      shape->add(tokens, 1);
    } else {
      tokens.raw_value();
    }
  }
}

void ItemShape::add_geometry(JsonTokens& tokens) {
  if (tokens.kind() == 'n') {
    tokens.scalar();
    return;
  }
  scratch_.clear();
  const auto facts = append_wkb(tokens, scratch_);
  if (!facts.valid || !facts.exact) rest_ = true;
}

void ItemShape::add_properties(JsonTokens& tokens) {
  uint32_t* last = &properties_.first_;
  std::string_view name;
  tokens.begin_object();
  while (tokens.next_member(name)) {
    auto* shape = properties_.member_after(last, name);
    if (!shape) {
      tokens.raw_value();
    } else if (is_time_property(name)) {
      if (tokens.kind() == '"') {
        const auto text = tokens.raw_string();
        if (!time_form(text) || !parse_time_us(text)) rest_ = true;
      } else if (tokens.raw_value() != "null") {
        rest_ = true;
      }
    } else if (name == kProjGeometry) {
      add_geometry(tokens);
    } else {
      shape->add(tokens, 2);
    }
  }
}

void ItemShape::add_all_of(const ItemShape& other) {
  top_.add_all_of(other.top_);
  properties_.add_all_of(other.properties_);
  rest_ |= other.rest_;
  box_z_ |= other.box_z_;
}

ItemSchema ItemShape::schema() const {
  size_t members_max = kMembersMax;
  ItemSchema out = schema(members_max);
  while (out.leaves() > kLeavesMax && members_max > 1) out = schema(members_max /= 2);
  return out;
}

ItemSchema ItemShape::schema(size_t members_max) const {
  ItemSchema out;
  out.has_rest = rest_ || top_.crowded_ || properties_.crowded_;
  out.box_has_z = box_z_;
  out.root.type = ColumnType::kStruct;
  const auto members_of = [&](const Shape& shape, const std::vector<std::string_view>& first, Column& to) {
    for (const auto name : first)
      if (const auto found = shape.by_name_.find(name); found != shape.by_name_.end())
        to.children.push_back(shape.members_[found->second].shape->column(std::string(name), members_max));
    size_t room = kMembersMax;
    for (const auto* member : shape.sorted_members()) {
      if (std::find(first.begin(), first.end(), member->name) != first.end()) continue;
      if (room == 0) {
        out.has_rest = true;
        break;
      }
      --room;
      to.children.push_back(member->shape->column(member->name, members_max));
    }
  };
  members_of(top_, core_members(), out.root);
  const auto& assets = *top_.members_[top_.by_name_.at("assets")].shape;
  for (auto& column : out.root.children) {
    if (column.name == kGeometry) column.type = ColumnType::kGeometry;
    if (column.name == kBox) column.type = ColumnType::kBox;
    // A struct without a child is not possible in Parquet: one that never has a value.
    if (column.name == "assets" && assets.members_.empty()) {
      column.type = ColumnType::kStruct;
      Column none, href;
      none.name = none.column = "none";
      none.type = ColumnType::kStruct;
      href.name = href.column = "href";
      none.children.push_back(std::move(href));
      column.children.push_back(std::move(none));
    }
  }
  Column properties;
  properties.name = kPropertiesMember;
  properties.type = ColumnType::kStruct;
  members_of(properties_, time_properties(), properties);
  for (auto& column : properties.children) {
    if (is_time_property(column.name)) column.type = ColumnType::kTime;
    if (column.name == kProjGeometry) column.type = ColumnType::kGeometry;
  }
  std::vector<Column*> in_file;
  for (auto& column : out.root.children)
    if (is_core_member(column.name)) in_file.push_back(&column);
  for (auto& column : properties.children) in_file.push_back(&column);
  for (auto& column : out.root.children)
    if (!is_core_member(column.name)) in_file.push_back(&column);
  name_columns(in_file);
  out.root.children.push_back(std::move(properties));
  return out;
}

}  // namespace millrace::stac

#include "workloads/scan/blend_dna.h"

#include <bit>
#include <cmath>

#include "base/error.h"
#include "base/strings.h"

namespace millrace::scan {
namespace {

// No structure of any Blender comes near; it keeps sums of hostile sizes inside 32 bits.
constexpr uint64_t kStructBytesMax = uint64_t{1} << 30;

// The number types of a .blend by name, with their size. `long` is 4 bytes in every file.
struct Primitive {
  std::string_view name;
  BlendType type;
};
constexpr Primitive kPrimitives[] = {
    {"char", BlendType::kChar},     {"uchar", BlendType::kUchar},     {"short", BlendType::kShort},
    {"ushort", BlendType::kUshort}, {"int", BlendType::kInt},         {"long", BlendType::kInt},
    {"ulong", BlendType::kUint},    {"float", BlendType::kFloat},     {"double", BlendType::kDouble},
    {"int64_t", BlendType::kInt64}, {"uint64_t", BlendType::kUint64}, {"int8_t", BlendType::kInt8},
    {"uint8_t", BlendType::kUchar}, {"int16_t", BlendType::kShort},   {"uint16_t", BlendType::kUshort},
    {"int32_t", BlendType::kInt},   {"uint32_t", BlendType::kUint},
};

// Walks the catalogue, checking every step against its end.
class Cursor {
 public:
  Cursor(std::string_view bytes, const BlendLayout& layout) : bytes_(bytes), layout_(layout) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw base::CorruptError("structure catalogue (DNA1), byte " + std::to_string(at_) + ": " + what);
  }
  void tag(std::string_view name) {
    at_ = (at_ + 3) & ~size_t{3};
    if (bytes_.size() < at_ + 4 || bytes_.substr(at_, 4) != name) fail("no " + std::string(name));
    at_ += 4;
  }
  uint32_t number(size_t size) {
    if (bytes_.size() - at_ < size) fail("ends inside a number");
    uint32_t value = static_cast<uint32_t>(layout_.number(bytes_, at_, size));
    at_ += size;
    return value;
  }
  // A count of things that take at least `bytes_each` of what follows.
  uint32_t count(size_t bytes_each) {
    uint32_t count = number(4);
    if (count > (bytes_.size() - at_) / bytes_each)
      fail("counts " + std::to_string(count) + " items, too many");
    return count;
  }
  std::string_view string() {
    size_t end = bytes_.find('\0', at_);
    if (end == std::string_view::npos) fail("name without an end");
    std::string_view text = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return text;
  }

 private:
  std::string_view bytes_;
  const BlendLayout& layout_;
  size_t at_ = 0;
};

// "*p", "**p", "(*f)()", "a[3][4]": the bare name, whether it is a pointer, and how many elements.
bool parse_name(std::string_view text, BlendField* field) {
  if (text.starts_with("(*")) {
    size_t end = text.find(')');
    if (end == std::string_view::npos) return false;
    field->name = text.substr(2, end - 2);
    field->pointer = true;
    return true;
  }
  while (text.starts_with('*')) {
    field->pointer = true;
    text.remove_prefix(1);
  }
  size_t bracket = text.find('[');
  field->name = text.substr(0, bracket);
  uint64_t count = 1;
  while (bracket != std::string_view::npos) {
    size_t close = text.find(']', bracket);
    if (close == std::string_view::npos) return false;
    std::optional<uint32_t> n = base::parse_number<uint32_t>(text.substr(bracket + 1, close - bracket - 1));
    if (!n) return false;
    count *= *n;
    if (count > kStructBytesMax) return false;
    bracket = text.find('[', close);
  }
  field->count = static_cast<uint32_t>(count);
  return true;
}

}  // namespace

uint64_t BlendLayout::number(std::string_view bytes, size_t at, size_t size) const {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) {
    size_t from = big_endian ? at + i : at + size - 1 - i;
    value = value << 8 | static_cast<unsigned char>(bytes[from]);
  }
  return value;
}

BlendDna::BlendDna(std::string block, BlendLayout layout) : block_(std::move(block)), layout_(layout) {
  Cursor cursor(block_, layout_);
  cursor.tag("SDNA");
  cursor.tag("NAME");
  std::vector<std::string_view> names(cursor.count(1));
  for (std::string_view& name : names) name = cursor.string();
  cursor.tag("TYPE");
  std::vector<std::string_view> types(cursor.count(1));
  for (std::string_view& type : types) type = cursor.string();
  cursor.tag("TLEN");
  std::vector<uint32_t> sizes(types.size());
  for (uint32_t& size : sizes) size = cursor.number(2);
  cursor.tag("STRC");

  std::vector<uint32_t> struct_of_type(types.size(), kNoStruct);
  std::vector<std::vector<uint32_t>> type_of_field;
  uint32_t struct_count = cursor.count(4);
  structs_.reserve(struct_count);
  type_of_field.reserve(struct_count);
  for (uint32_t i = 0; i < struct_count; ++i) {
    uint32_t type = cursor.number(2), field_count = cursor.number(2);
    if (type >= types.size()) cursor.fail("structure of an unknown type");
    struct_of_type[type] = i;
    by_name_.emplace(types[type], i);
    Struct& made = structs_.emplace_back(Struct{types[type], sizes[type], {}});
    std::vector<uint32_t>& field_types = type_of_field.emplace_back();
    uint64_t offset = 0;
    for (uint32_t f = 0; f < field_count; ++f) {
      uint32_t field_type = cursor.number(2), name = cursor.number(2);
      if (field_type >= types.size() || name >= names.size()) cursor.fail("field of an unknown type or name");
      BlendField field;
      if (!parse_name(names[name], &field)) cursor.fail("field name that makes no sense");
      uint64_t size = (field.pointer ? layout_.pointer_size : sizes[field_type]) * uint64_t{field.count};
      if (offset + size > kStructBytesMax) cursor.fail("structure too large");
      field.offset = static_cast<uint32_t>(offset);
      field.size = static_cast<uint32_t>(size);
      offset += size;
      made.fields.push_back(field);
      field_types.push_back(field_type);
    }
  }
  for (uint32_t i = 0; i < struct_count; ++i) {
    for (size_t f = 0; f < structs_[i].fields.size(); ++f) {
      BlendField& field = structs_[i].fields[f];
      uint32_t type = type_of_field[i][f];
      field.struct_index = struct_of_type[type];
      for (const Primitive& primitive : kPrimitives)
        if (primitive.name == types[type]) field.type = primitive.type;
    }
  }
}

uint32_t BlendDna::struct_index(std::string_view name) const {
  auto it = by_name_.find(name);
  return it == by_name_.end() ? kNoStruct : it->second;
}

std::optional<BlendField> BlendDna::resolve(uint32_t index, std::string_view path) const {
  uint64_t offset = 0;
  while (index != kNoStruct) {
    size_t dot = path.find('.');
    std::string_view name = path.substr(0, dot);
    const BlendField* found = nullptr;
    for (const BlendField& field : structs_[index].fields) {
      if (field.name != name) continue;
      found = &field;
      break;
    }
    if (!found) return std::nullopt;
    offset += found->offset;
    if (offset > kStructBytesMax) return std::nullopt;
    if (dot == std::string_view::npos) {
      BlendField field = *found;
      field.offset = static_cast<uint32_t>(offset);
      return field;
    }
    if (found->pointer) return std::nullopt;
    index = found->struct_index;
    path.remove_prefix(dot + 1);
  }
  return std::nullopt;
}

const BlendField* BlendDna::find(uint32_t index, std::string_view path) const {
  auto [it, added] = found_.try_emplace(Key{index, path});
  if (added) it->second = resolve(index, path);
  return it->second ? &*it->second : nullptr;
}

const BlendField* BlendRecord::field(std::string_view path) const {
  const BlendField* found = dna_->find(struct_index_, path);
  if (!found || uint64_t{found->offset} + found->size > bytes_.size()) return nullptr;
  return found;
}

int64_t BlendRecord::integer(std::string_view path, int64_t fallback) const {
  const BlendField* found = field(path);
  if (!found || found->pointer || found->count == 0) return fallback;
  auto raw = [&](size_t size) -> std::optional<uint64_t> {
    if (found->size / found->count < size)
      return std::nullopt;  // a type name with a size that is not its own
    return dna_->layout().number(bytes_, found->offset, size);
  };
  auto as = [&]<typename T>(T) -> int64_t {
    std::optional<uint64_t> value = raw(sizeof(T));
    return value ? static_cast<int64_t>(static_cast<T>(*value)) : fallback;
  };
  switch (found->type) {
    case BlendType::kChar:
    case BlendType::kInt8:
      return as(int8_t{});
    case BlendType::kUchar:
      return as(uint8_t{});
    case BlendType::kShort:
      return as(int16_t{});
    case BlendType::kUshort:
      return as(uint16_t{});
    case BlendType::kInt:
      return as(int32_t{});
    case BlendType::kUint:
      return as(uint32_t{});
    case BlendType::kInt64:
    case BlendType::kUint64:
      return as(int64_t{});
    default:
      return fallback;
  }
}

double BlendRecord::number(std::string_view path, double fallback) const {
  const BlendField* found = field(path);
  if (!found || found->pointer || found->count == 0) return fallback;
  size_t size = found->size / found->count;
  double value = fallback;
  if (found->type == BlendType::kFloat && size == 4) {
    value = std::bit_cast<float>(static_cast<uint32_t>(dna_->layout().number(bytes_, found->offset, 4)));
  } else if (found->type == BlendType::kDouble && size == 8) {
    value = std::bit_cast<double>(dna_->layout().number(bytes_, found->offset, 8));
  } else if (found->type != BlendType::kFloat && found->type != BlendType::kDouble && has(path)) {
    value = static_cast<double>(integer(path, static_cast<int64_t>(fallback)));
  }
  return std::isfinite(value) ? value : fallback;
}

std::string BlendRecord::text(std::string_view path) const {
  const BlendField* found = field(path);
  if (!found || found->pointer || found->type != BlendType::kChar) return "";
  std::string_view bytes = std::string_view(bytes_).substr(found->offset, found->size);
  return std::string(bytes.substr(0, bytes.find('\0')));
}

uint64_t BlendRecord::pointer(std::string_view path) const {
  const BlendField* found = field(path);
  if (!found || !found->pointer || found->count == 0) return 0;
  return dna_->layout().pointer(bytes_, found->offset);
}

}  // namespace millrace::scan

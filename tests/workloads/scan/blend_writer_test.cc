// The writer that the .blend tests share; named *_test.cc because only those are built into the test program.
#include "tests/workloads/scan/blend_writer.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace millrace::scan {
namespace {

const std::map<std::string, size_t> kPrimitiveSizes = {
    {"char", 1},  {"uchar", 1}, {"short", 2},  {"ushort", 2},  {"int", 4},      {"long", 4},
    {"ulong", 4}, {"float", 4}, {"double", 8}, {"int64_t", 8}, {"uint64_t", 8}, {"void", 0}};

}  // namespace

BlendWriter::BlendWriter(BlendForm form) : form_(form) {}

void BlendWriter::define(const std::string& name, const Fields& fields) {
  Struct made;
  made.index = static_cast<uint32_t>(order_.size());
  for (const auto& [type, declared] : fields) {
    Field field{type, declared, declared, made.size, 0, declared.find('*') != std::string::npos};
    size_t element = field.pointer                 ? form_.pointer_size
                     : kPrimitiveSizes.count(type) ? kPrimitiveSizes.at(type)
                                                   : structs_.at(type).size;
    for (size_t open = declared.find('['); open != std::string::npos; open = declared.find('[', open + 1))
      element *= std::stoul(declared.substr(open + 1));
    field.name = declared.substr(0, declared.find('['));
    field.name.erase(0, field.name.find_first_not_of("(*"));
    field.name.erase(std::min(field.name.find(')'), field.name.size()));
    field.size = element;
    made.size += element;
    made.fields.push_back(field);
  }
  structs_[name] = made;
  order_.push_back(name);
}

uint32_t BlendWriter::sdna(const std::string& type) const { return structs_.at(type).index; }

BlendWriter::Field BlendWriter::locate(const std::string& type, const std::string& path) const {
  std::string name = path.substr(0, path.find('.'));
  for (const Field& field : structs_.at(type).fields) {
    if (field.name != name) continue;
    if (name == path) return field;
    Field inner = locate(field.type, path.substr(name.size() + 1));
    inner.offset += field.offset;
    return inner;
  }
  throw std::logic_error("no field " + path + " in " + type);
}

std::string BlendWriter::number(uint64_t value, int size) const {
  std::string bytes;
  for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> 8 * i);
  if (form_.big_endian) std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

BlendWriter::Instance BlendWriter::make(const std::string& type) const {
  Instance made;
  made.writer_ = this;
  made.type_ = type;
  made.bytes_.assign(structs_.at(type).size, '\0');
  return made;
}

BlendWriter::Instance& BlendWriter::Instance::integer(const std::string& path, int64_t value) {
  Field field = writer_->locate(type_, path);
  bytes_.replace(field.offset, field.size, writer_->number(value, static_cast<int>(field.size)));
  return *this;
}
BlendWriter::Instance& BlendWriter::Instance::real(const std::string& path, double value) {
  Field field = writer_->locate(type_, path);
  uint64_t bits =
      field.size == 4 ? std::bit_cast<uint32_t>(static_cast<float>(value)) : std::bit_cast<uint64_t>(value);
  bytes_.replace(field.offset, field.size, writer_->number(bits, static_cast<int>(field.size)));
  return *this;
}
BlendWriter::Instance& BlendWriter::Instance::text(const std::string& path, std::string_view value) {
  Field field = writer_->locate(type_, path);
  if (value.size() > field.size) throw std::logic_error("text too long for " + path);
  bytes_.replace(field.offset, value.size(), value);
  return *this;
}
BlendWriter::Instance& BlendWriter::Instance::pointer(const std::string& path, uint64_t address) {
  return integer(path, static_cast<int64_t>(address));
}

std::string BlendWriter::head(std::string_view code, uint64_t length, uint64_t address, uint32_t sdna,
                              int64_t count) const {
  std::string padding(4 - code.size(), '\0');
  std::string out = form_.big_endian ? padding + std::string(code) : std::string(code) + padding;
  if (form_.header_format == 1)
    return out + number(sdna, 4) + number(address, 8) + number(length, 8) + number(count, 8);
  return out + number(length, 4) + number(address, form_.pointer_size) + number(sdna, 4) + number(count, 4);
}

void BlendWriter::add(std::string_view code, uint64_t address, const Instance& instance) {
  add_bytes(code, address, instance.bytes(), sdna(instance.type()));
}
void BlendWriter::add_bytes(std::string_view code, uint64_t address, std::string_view bytes, uint32_t sdna,
                            int64_t count) {
  blocks_ += head(code, bytes.size(), address, sdna, count);
  blocks_ += bytes;
}

std::string BlendWriter::catalogue() const {
  std::vector<std::string> names, types;
  auto index = [](std::vector<std::string>& list, const std::string& item) {
    auto it = std::find(list.begin(), list.end(), item);
    if (it == list.end()) it = list.insert(list.end(), item);
    return static_cast<uint64_t>(it - list.begin());
  };
  for (const auto& [name, size] : kPrimitiveSizes) types.push_back(name);
  std::string structs;
  for (const std::string& name : order_) {
    const Struct& made = structs_.at(name);
    structs += number(index(types, name), 2) + number(made.fields.size(), 2);
    for (const Field& field : made.fields)
      structs += number(index(types, field.type), 2) + number(index(names, field.declared), 2);
  }
  std::string out = "SDNANAME" + number(names.size(), 4);
  auto pad = [&] { out.resize((out.size() + 3) / 4 * 4); };
  for (const std::string& name : names) out += name + '\0';
  pad();
  out += "TYPE" + number(types.size(), 4);
  for (const std::string& type : types) out += type + '\0';
  pad();
  out += "TLEN";
  for (const std::string& type : types) {
    auto primitive = kPrimitiveSizes.find(type);
    auto known = structs_.find(type);
    out += number(primitive != kPrimitiveSizes.end() ? primitive->second
                  : known != structs_.end()          ? known->second.size
                                                     : 0,
                  2);
  }
  pad();
  return out + "STRC" + number(order_.size(), 4) + structs;
}

std::string BlendWriter::finish() const {
  std::string version = std::to_string(form_.version);
  std::string header = form_.header_format == 1
                           ? "BLENDER17-01v0" + version
                           : std::string("BLENDER") + (form_.pointer_size == 4 ? '_' : '-') +
                                 (form_.big_endian ? 'V' : 'v') + version;
  std::string dna = catalogue();
  return header + blocks_ + head("DNA1", dna.size(), 0, 0, 1) + dna + head("ENDB", 0, 0, 0, 0);
}

std::string gzip(std::string_view bytes) {
  z_stream z{};
  if (deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
  std::string out(deflateBound(&z, bytes.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

std::string zstd(std::string_view bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3));
  return out;
}

std::string zstd_seekable(std::string_view bytes, size_t frame_bytes, bool checksums) {
  BlendWriter little({});
  std::string out, table;
  uint32_t frames = 0;
  for (size_t at = 0; at < bytes.size(); at += frame_bytes, ++frames) {
    std::string_view part = bytes.substr(at, frame_bytes);
    std::string frame = zstd(part);
    table += little.number(frame.size(), 4) + little.number(part.size(), 4);
    if (checksums) table += little.number(0x12345678, 4);
    out += frame;
  }
  table += little.number(frames, 4) + static_cast<char>(checksums ? 0x80 : 0) + little.number(0x8F92EAB1, 4);
  return out + little.number(0x184D2A5E, 4) + little.number(table.size(), 4) + table;
}

}  // namespace millrace::scan

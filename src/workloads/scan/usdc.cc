// USD's crate format (.usdc), versions 0.0.1 to 0.12: its tables of tokens and fields stand at the end of the
// file, packed. Of the fields those are followed that name other layers and files.
#include <algorithm>
#include <bit>
#include <vector>

#include "workloads/scan/lz4_block.h"
#include "workloads/scan/scene_formats.h"

namespace millrace::scan {
namespace {

constexpr uint64_t kHead = 88;
constexpr uint64_t kPackedMax = 6 << 20;     // bytes of one packed table
constexpr uint64_t kUnpackedMax = 12 << 20;  // and of what is in it
constexpr uint64_t kEntriesMax = 600'000;    // tokens, fields
constexpr size_t kTasksMax = 100'000;        // values that are followed
constexpr uint64_t kListMax = 100'000;       // items of one list
constexpr uint64_t kDictionaryMax = 1000;

// Types of values that matter here.
enum : unsigned {
  kDouble = 9,
  kToken = 11,
  kAssetPath = 12,
  kReferenceList = 35,
  kPayload = 47,
  kStringVector = 50,
  kPayloadList = 55,
};

// What a field's value is and where it stands.
struct ValueRep {
  uint64_t bits = 0;
  bool array() const { return bits >> 63 & 1; }
  bool inlined() const { return bits >> 62 & 1; }
  unsigned type() const { return static_cast<unsigned>(bits >> 48 & 0xFF); }
  uint64_t payload() const { return bits & 0xFFFF'FFFF'FFFF; }
};

struct Section {
  uint64_t at = 0, size = 0;
};

// A value that stands elsewhere in the file.
struct Task {
  uint64_t offset = 0;
  unsigned type = 0;
  bool array = false;
  uint32_t name = 0;  // token
};

class CrateReader {
 public:
  CrateReader(MediaBytes& bytes, uint64_t base, uint64_t length, SceneFacts& facts)
      : bytes_(bytes), base_(base), length_(length), facts_(facts) {}

  void read() {
    std::string head(bytes_.at(base_, kHead, "USD crate header"));
    if (!head.starts_with("PXR-USDC")) corrupt("not a USD crate signature", base_);
    version_ = u8(head.data() + 8) << 16 | u8(head.data() + 9) << 8 | u8(head.data() + 10);
    facts_.encoding = "crate";
    facts_.version = std::to_string(version_ >> 16) + "." + std::to_string(version_ >> 8 & 255) + "." +
                     std::to_string(version_ & 255);
    if (version_ >> 16 != 0) corrupt("unknown version of the USD crate", base_ + 8);
    read_contents(le64(head.data() + 16));
    if (!read_tokens() || !read_fields()) {
      add_warning(facts_.warning, "the tables of the USD crate are too large: its layers are not listed");
      return;
    }
    sort_fields();
    follow();
  }

 private:
  bool since(unsigned minor) const { return version_ >= minor << 8; }

  // Bytes at an offset of the crate, which may stand inside a package.
  std::string_view at(uint64_t offset, uint64_t size, const char* what) {
    if (offset > length_ || size > length_ - offset)
      throw base::CorruptError("truncated: " + std::string(what) + " at offset " + std::to_string(offset) +
                               ", the USD crate has " + std::to_string(length_));
    return bytes_.at(base_ + offset, static_cast<size_t>(size), what);
  }
  uint64_t n64(uint64_t offset, const char* what) { return le64(at(offset, 8, what).data()); }
  uint32_t n32(uint64_t offset, const char* what) { return le32(at(offset, 4, what).data()); }

  void read_contents(uint64_t offset) {
    uint64_t count = n64(offset, "USD crate contents");
    if (count > 64) corrupt("USD crate of " + std::to_string(count) + " sections", base_ + offset);
    std::string table(at(offset + 8, count * 32, "USD crate contents"));
    for (uint64_t i = 0; i < count; ++i) {
      std::string_view row = std::string_view(table).substr(i * 32, 32);
      std::string_view name = row.substr(0, std::min<size_t>(row.find('\0'), 16));
      Section section{le64(row.data() + 16), le64(row.data() + 24)};
      if (section.at > length_ || section.size > length_ - section.at)
        throw base::CorruptError("truncated: section " + clean_text(name, 16) +
                                 " of the USD crate ends behind its end");
      if (name == "TOKENS") tokens_section_ = section;
      if (name == "STRINGS") strings_section_ = section;
      if (name == "FIELDS") fields_section_ = section;
    }
  }

  // USD's wrapping of LZ4: a number of chunks, zero for a single block without its size before it.
  std::string unpack(uint64_t offset, uint64_t packed, uint64_t size) {
    std::string_view data = at(offset, packed, "USD crate table");
    std::string out;
    out.reserve(size);
    if (data.empty()) return out;
    unsigned chunks = u8(data.data());
    data.remove_prefix(1);
    bool good = true;
    if (chunks == 0) good = unpack_lz4_block(data, size, out);
    for (unsigned i = 0; i < chunks && good; ++i) {
      if (data.size() < 4) break;
      uint32_t chunk = le32(data.data());
      data.remove_prefix(4);
      good = chunk <= data.size() && unpack_lz4_block(data.substr(0, chunk), size, out);
      data.remove_prefix(std::min<size_t>(chunk, data.size()));
    }
    if (!good || out.size() != size) corrupt("damaged table of the USD crate", base_ + offset);
    return out;
  }

  // False when the table is too large to read.
  bool read_tokens() {
    if (tokens_section_.size == 0) return true;
    uint64_t offset = tokens_section_.at;
    uint64_t count = n64(offset, "tokens"), size = n64(offset + 8, "tokens");
    if (count > kEntriesMax || size > kUnpackedMax) return false;
    if (since(4)) {
      uint64_t packed = n64(offset + 16, "tokens");
      if (packed > kPackedMax) return false;
      token_text_ = unpack(offset + 24, packed, size);
    } else {
      if (size > kPackedMax) return false;
      token_text_ = at(offset + 16, size, "tokens");
    }
    token_starts_.reserve(count);
    for (size_t start = 0; start < token_text_.size() && token_starts_.size() < count;) {
      token_starts_.push_back(static_cast<uint32_t>(start));
      start = std::min(token_text_.find('\0', start), token_text_.size() - 1) + 1;
    }
    return true;
  }

  std::string_view token(uint64_t index) const {
    if (index >= token_starts_.size()) return {};
    std::string_view rest = std::string_view(token_text_).substr(token_starts_[index]);
    return rest.substr(0, rest.find('\0'));
  }
  // Strings are tokens by another number.
  std::string_view string(uint64_t index) {
    if (index >= strings_section_.size / 4) return {};
    return token(n32(strings_section_.at + 8 + 4 * index, "strings"));
  }

  bool read_fields() {
    if (fields_section_.size == 0) return true;
    uint64_t offset = fields_section_.at;
    uint64_t count = n64(offset, "fields");
    if (count > kEntriesMax) return false;
    offset += 8;
    if (!since(4)) {  // pairs of a token, after four bytes that say nothing, and a value
      if (count * 16 > kPackedMax) return false;
      std::string_view table = at(offset, count * 16, "fields");
      for (uint64_t i = 0; i < count; ++i) {
        field_names_.push_back(le32(table.data() + 16 * i + 4));
        field_values_.push_back({le64(table.data() + 16 * i + 8)});
      }
      return true;
    }
    uint64_t packed = n64(offset, "fields");
    if (packed > kPackedMax) return false;
    field_names_ = read_integers(offset + 8, packed, count);
    offset += 8 + packed;
    packed = n64(offset, "fields");
    if (packed > kPackedMax) return false;
    std::string values = unpack(offset + 8, packed, count * 8);
    for (uint64_t i = 0; i < count; ++i) field_values_.push_back({le64(values.data() + 8 * i)});
    return true;
  }

  // Whole numbers as differences: the most frequent one, two bits for each, then those that are not that one
  // in one, two or four bytes.
  std::vector<uint32_t> read_integers(uint64_t offset, uint64_t packed, uint64_t count) {
    std::vector<uint32_t> numbers;
    if (count == 0) return numbers;
    std::string coded = unpack_integers(offset, packed, count);
    size_t codes = 4, at = 4 + (count * 2 + 7) / 8;
    if (coded.size() < at) corrupt("damaged numbers of the USD crate", base_ + offset);
    uint32_t common = le32(coded.data()), value = 0;
    numbers.reserve(count);
    for (uint64_t i = 0; i < count; ++i) {
      unsigned code = u8(coded.data() + codes + i / 4) >> (i % 4 * 2) & 3U;
      size_t size = code == 3 ? 4 : code;
      if (size > coded.size() - at) corrupt("damaged numbers of the USD crate", base_ + offset);
      const char* p = coded.data() + at;
      value += code == 0   ? common
               : code == 1 ? static_cast<uint32_t>(static_cast<int8_t>(u8(p)))
               : code == 2 ? static_cast<uint32_t>(static_cast<int16_t>(le16(p)))
                           : le32(p);
      at += size;
      numbers.push_back(value);
    }
    return numbers;
  }

  // The size of the coded numbers is not told, only the most it can be.
  std::string unpack_integers(uint64_t offset, uint64_t packed, uint64_t count) {
    std::string_view data = at(offset, packed, "USD crate numbers");
    std::string out;
    if (data.empty()) return out;
    uint64_t most = 4 + (count * 2 + 7) / 8 + count * 4;
    unsigned chunks = u8(data.data());
    data.remove_prefix(1);
    if (chunks == 0) {
      if (!unpack_lz4_block(data, most, out)) corrupt("damaged table of the USD crate", base_ + offset);
      return out;
    }
    for (unsigned i = 0; i < chunks && data.size() >= 4; ++i) {
      uint32_t chunk = le32(data.data());
      data.remove_prefix(4);
      if (chunk > data.size() || !unpack_lz4_block(data.substr(0, chunk), most, out))
        corrupt("damaged table of the USD crate", base_ + offset);
      data.remove_prefix(chunk);
    }
    return out;
  }

  // Values that stand in the field itself are taken, those elsewhere noted.
  void sort_fields() {
    size_t count = std::min(field_names_.size(), field_values_.size());
    for (size_t i = 0; i < count; ++i) {
      bytes_.step("fields");
      if (tasks_.size() >= kTasksMax) {
        add_warning(facts_.warning, "only the first " + std::to_string(i) + " of " + std::to_string(count) +
                                        " fields were read");
        return;
      }
      ValueRep value = field_values_[i];
      std::string_view name = token(field_names_[i]);
      switch (value.type()) {
        case kAssetPath:
          if (value.array())
            tasks_.push_back({value.payload(), value.type(), true, field_names_[i]});
          else
            add(name, token(value.payload()));
          break;
        case kToken:
          if (!value.array()) set_usd_text(facts_, name, token(value.payload()));
          break;
        case kDouble:
          if (value.array()) break;
          if (value.inlined())
            set_usd_number(facts_, name, std::bit_cast<float>(static_cast<uint32_t>(value.payload())));
          else if (name == "metersPerUnit" || name.ends_with("TimeCode") || name.ends_with("PerSecond"))
            tasks_.push_back({value.payload(), value.type(), false, field_names_[i]});
          break;
        case kStringVector:
          if (name == "subLayers") tasks_.push_back({value.payload(), value.type(), false, field_names_[i]});
          break;
        case kReferenceList:
        case kPayloadList:
        case kPayload:
          tasks_.push_back({value.payload(), value.type(), false, field_names_[i]});
          break;
        default:
          break;
      }
    }
  }

  void add(std::string_view field, std::string_view path) {
    if (!path.empty()) add_scene_dependency(facts_, usd_kind(field, path), path, field);
  }

  // In the order in which they stand in the file: one window serves many.
  void follow() {
    std::stable_sort(tasks_.begin(), tasks_.end(),
                     [](const Task& a, const Task& b) { return a.offset < b.offset; });
    for (size_t i = 0; i < tasks_.size(); ++i) {
      try {
        follow(tasks_[i]);
      } catch (const BudgetError& error) {
        add_warning(facts_.warning, "only " + std::to_string(i) + " of " + std::to_string(tasks_.size()) +
                                        " lists of files were read: " + error.what());
        return;
      }
    }
  }

  void follow(const Task& task) {
    std::string name(token(task.name));
    uint64_t offset = task.offset;
    switch (task.type) {
      case kDouble:
        set_usd_number(facts_, name, std::bit_cast<double>(n64(offset, "value")));
        break;
      case kAssetPath: {
        if (!since(5)) offset += 4;  // a rank that is always 1
        uint64_t count = since(7) ? n64(offset, "asset paths") : n32(offset, "asset paths");
        read_strings(offset + (since(7) ? 8 : 4), count, name);
        break;
      }
      case kStringVector:
        read_strings(offset + 8, n64(offset, "layers"), name);
        break;
      case kPayload:
        read_item(offset, false, name);
        break;
      default:
        read_list(offset, task.type == kReferenceList, name);
    }
  }

  void read_strings(uint64_t offset, uint64_t count, const std::string& name) {
    check_count(count, offset);
    std::string list(at(offset, count * 4, "asset paths"));
    for (uint64_t i = 0; i < count; ++i) {
      bytes_.step("asset paths");
      add(name, std::string(string(le32(list.data() + 4 * i))));
    }
  }

  void check_count(uint64_t count, uint64_t offset) const {
    if (count > kListMax) corrupt("USD list of " + std::to_string(count) + " items", base_ + offset);
  }

  // Edits of a list: which parts there are, then each. What is deleted is not needed.
  void read_list(uint64_t offset, bool references, const std::string& name) {
    unsigned parts = u8(at(offset++, 1, "USD list").data());
    for (unsigned part : {1U << 1, 1U << 2, 1U << 5, 1U << 6, 1U << 3, 1U << 4}) {
      if (!(parts & part)) continue;
      uint64_t count = n64(offset, "USD list");
      check_count(count, offset);
      offset += 8;
      for (uint64_t i = 0; i < count; ++i) {
        bytes_.step("USD list");
        offset = read_item(offset, references, part == 1U << 3 ? "" : name);
      }
    }
  }

  // A reference or payload; returns the offset after it. An empty `name` only passes over it.
  uint64_t read_item(uint64_t offset, bool reference, const std::string& name) {
    uint32_t path = n32(offset, "USD reference");
    if (!name.empty()) add(name, std::string(string(path)));
    offset += 8;                              // the path and that of the prim in it
    if (reference || since(8)) offset += 16;  // the offset in time
    if (!reference) return offset;
    uint64_t entries = n64(offset, "USD reference");
    offset += 8;
    if (entries > kDictionaryMax)
      corrupt("USD dictionary of " + std::to_string(entries) + " entries", base_ + offset);
    for (uint64_t i = 0; i < entries; ++i) {  // a key, and how far away the value's description stands
      uint64_t away = n64(offset + 4, "USD dictionary");
      if (away > length_) corrupt("USD dictionary that points outside", base_ + offset);
      offset += 4 + away + 8;
    }
    return offset;
  }

  MediaBytes& bytes_;
  uint64_t base_, length_;
  SceneFacts& facts_;
  unsigned version_ = 0;
  Section tokens_section_, strings_section_, fields_section_;
  std::string token_text_;
  std::vector<uint32_t> token_starts_, field_names_;
  std::vector<ValueRep> field_values_;
  std::vector<Task> tasks_;
};

}  // namespace

void read_usdc(MediaBytes& bytes, uint64_t offset, uint64_t length, SceneFacts& facts) {
  CrateReader(bytes, offset, length, facts).read();
}

}  // namespace millrace::scan

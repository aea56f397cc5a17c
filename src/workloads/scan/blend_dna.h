// The structure catalogue (SDNA) at the end of every .blend: which structures the file holds and how they are
// laid out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace millrace::scan {

// How numbers and pointers stand in one file.
struct BlendLayout {
  int pointer_size = 8;
  bool big_endian = false;

  // The unsigned number of `size` (1, 2, 4, 8) bytes at `at`; the caller has checked that they are there.
  uint64_t number(std::string_view bytes, size_t at, size_t size) const;
  uint64_t pointer(std::string_view bytes, size_t at) const { return number(bytes, at, pointer_size); }
};

enum class BlendType : uint8_t {
  kChar,
  kInt8,
  kUchar,
  kShort,
  kUshort,
  kInt,
  kUint,
  kInt64,
  kUint64,
  kFloat,
  kDouble,
  kStruct
};

struct BlendField {
  std::string_view name;  // without "*" and "[3]"
  uint32_t offset = 0;    // from the start of the structure that was asked
  uint32_t size = 0;      // of all elements
  uint32_t count = 1;     // elements of the array, 1 when it is none
  bool pointer = false;
  BlendType type = BlendType::kStruct;
  uint32_t struct_index = 0;  // of the nested structure, kNoStruct when the type is none
};

class BlendDna {
 public:
  static constexpr uint32_t kNoStruct = UINT32_MAX;

  // Throws CorruptError, saying at which byte of the block, when `block` (content of DNA1) is no catalogue.
  BlendDna(std::string block, BlendLayout layout);
  BlendDna(const BlendDna&) = delete;  // the names point into the block
  BlendDna& operator=(const BlendDna&) = delete;

  const BlendLayout& layout() const { return layout_; }
  size_t struct_count() const { return structs_.size(); }
  std::string_view struct_name(uint32_t index) const { return structs_[index].name; }
  uint32_t struct_size(uint32_t index) const { return structs_[index].size; }
  // kNoStruct when the file has none of that name.
  uint32_t struct_index(std::string_view name) const;

  // The field at a path of names through nested structures ("r.im_format.imtype"), null when the file's
  // version has none. `path` must be a literal: it is remembered.
  const BlendField* find(uint32_t struct_index, std::string_view path) const;

 private:
  struct Struct {
    std::string_view name;
    uint32_t size;
    std::vector<BlendField> fields;
  };
  struct Key {
    uint32_t index;
    std::string_view path;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const {
      return std::hash<std::string_view>()(key.path) * 31 + key.index;
    }
  };

  std::optional<BlendField> resolve(uint32_t struct_index, std::string_view path) const;

  const std::string block_;
  const BlendLayout layout_;
  std::vector<Struct> structs_;
  std::unordered_map<std::string_view, uint32_t> by_name_;
  mutable std::unordered_map<Key, std::optional<BlendField>, KeyHash> found_;
};

// One structure of the file: a copy of its bytes, read by field names. A field that the version lacks, or
// that lies behind the end of a block cut short, gives the fallback.
class BlendRecord {
 public:
  BlendRecord(const BlendDna& dna, uint32_t struct_index, std::string bytes)
      : dna_(&dna), struct_index_(struct_index), bytes_(std::move(bytes)) {}

  uint32_t struct_index() const { return struct_index_; }
  bool has(std::string_view path) const { return field(path) != nullptr; }
  int64_t integer(std::string_view path, int64_t fallback = 0) const;
  double number(std::string_view path, double fallback = 0) const;  // integers too; never NaN or infinite
  std::string text(std::string_view path) const;                    // a char array, to its first NUL
  uint64_t pointer(std::string_view path) const;                    // 0 when null or missing

 private:
  const BlendField* field(std::string_view path) const;

  const BlendDna* dna_;
  uint32_t struct_index_;
  std::string bytes_;
};

}  // namespace millrace::scan

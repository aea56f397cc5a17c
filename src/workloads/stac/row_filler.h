// Items as rows of DuckDB's vectors: each value goes straight from the text of the item to its place.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "sql/duckdb_api.h"
#include "workloads/stac/item_schema.h"
#include "workloads/stac/item_store.h"
#include "workloads/stac/json_tokens.h"
#include "workloads/stac/row_facts.h"

namespace millrace::stac {

// An item has what the schema has not: the schema must be made of all items.
struct Misfit : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Bytes that stay where they are until clear().
class ByteArena {
 public:
  std::string_view keep(std::string_view bytes);
  void clear() { block_ = used_ = 0; }

 private:
  static constexpr size_t kBlock = 256 << 10;
  std::vector<std::pair<std::unique_ptr<char[]>, size_t>> blocks_;
  size_t block_ = 0, used_ = 0;
};

// One thread at a time. The texts in the vectors are views of this object's buffers: they live until the next
// begin(), so whoever takes the chunk must have copied them by then (DuckDB's Parquet writer does).
class RowFiller {
 public:
  // `schema`: indexed (Column::index()).
  RowFiller(const ItemSchema& schema, const ItemStore& items, size_t rows_max);

  // The chunk's columns are those of schema.columns(), and the rest if there is one.
  void begin(duckdb_data_chunk chunk);
  // Throws CorruptError, TransientError and Misfit.
  void add(const ItemRecord& record);
  // Tells the chunk its size.
  void end();

  size_t rows() const { return row_; }
  const RowFacts& facts();

 private:
  struct Slot {
    ColumnType type = ColumnType::kText;
    const Column* column = nullptr;
    std::string_view plain_name;  // of a struct's member, where it has no backslash; else empty
    std::vector<Slot> children;
    std::vector<uint32_t> followers;  // struct: the child that came behind each the last time
    uint32_t first = 0;
    duckdb_vector vector = nullptr;
    void* data = nullptr;
    uint64_t* valid = nullptr;
    idx_t size = 0, room = 0;  // list: elements
    uint32_t seen = 0;         // forms of times, types of geometries
  };

  static Slot slot_of(const Column& column, bool box_has_z);
  void bind(Slot& slot, duckdb_vector vector, idx_t rows_before, idx_t rows, bool fresh);
  void set_sizes(Slot& slot);
  void grow(Slot& list);

  // The child that `raw_name` names, or null.
  Slot* child_after(Slot& parent, uint32_t*& last, std::string_view raw_name);
  void fill(Slot& slot, idx_t row);
  void fill_struct(Slot& slot, idx_t row);
  void fill_list(Slot& slot, idx_t row);
  void fill_int(Slot& slot, idx_t row);
  void fill_double(Slot& slot, idx_t row);
  void fill_item();
  void fill_properties(Slot& slot);
  void fill_time(Slot& slot, std::string_view raw_name);
  void fill_geometry(Slot& slot, std::string_view raw_name, std::string& rest, bool is_primary);
  void fill_box(Slot& slot, std::string_view raw_name);
  void put_box(Slot& slot, const double* numbers, size_t count);
  static void put_text(Slot& slot, idx_t row, std::string_view text);
  void put_rest(std::string& rest, std::string_view raw_name, std::string_view raw_value);
  [[noreturn]] void misfit(const Slot& slot, std::string_view found) const;

  const sql::DuckDbApi& api_;
  const ItemSchema& schema_;
  const ItemStore& items_;
  JsonTokens tokens_;
  Slot root_, rest_;
  Slot* box_ = nullptr;
  std::vector<Slot*> slots_;  // of the columns
  std::vector<std::string> lines_;
  ByteArena arena_;
  duckdb_data_chunk chunk_ = nullptr;
  size_t row_ = 0;
  std::string scratch_, rest_members_, rest_properties_;
  std::array<double, 6> numbers_{};
  size_t numbers_count_ = 0;  // of the item's box; 0: it has none
  Extent geometry_extent_;
  RowFacts facts_;
};

}  // namespace millrace::stac

// Checked STAC items on disk, between the sources that bring them and the writer that sorts them: lines of
// JSON in chunk files (one a day, or one a file of the source), with an index of records of one size. Memory
// is bounded: 5 million items of 8 kB are 40 GB of lines and 400 MB of index, both in files.
//
//   spool/2024-06-01.ndjson   one item a line: compact JSON as it came, `collection` added where it lacked
//   spool/2024-06-01.index    ItemRecord of each line, in the order of the lines
//   spool/collections         names of collections, one a line; a record names them by number
//
// A chunk that is still written ends in ".part"; whoever begins it again finds what of it was kept.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/unique_fd.h"

namespace millrace::stac {

inline constexpr int64_t kNoTime = std::numeric_limits<int64_t>::min();

// As on disk, in this machine's byte order.
struct ItemRecord {
  uint64_t offset = 0;            // of the line in its chunk
  uint32_t length = 0;            // bytes of the line, without its line break
  uint32_t chunk = 0;             // number of the chunk file in its store; 0 in a chunk's own index
  int64_t datetime_us = kNoTime;  // properties.datetime, else start_datetime: microseconds since the epoch
  int64_t updated_us = kNoTime;   // properties.updated; kNoTime when there is none
  uint64_t identity = 0;          // XXH3 of collection, NUL, id
  uint64_t source = 0;            // XXH3 of the link it was fetched from, or of its file; 0: neither
  int64_t revision_us = kNoTime;  // when its catalogue last took it, as the list said by which it was fetched
  float centre_x = 0;       // of the bbox, degrees of longitude in [-180, 180], also across the antimeridian
  float centre_y = 0;       // degrees of latitude
  uint32_t id_offset = 0;   // of the id's first byte in the line: JSON text without its quotes
  uint16_t id_length = 0;   // bytes of that text
  uint16_t collection = 0;  // line number in `collections`
  uint32_t month = 0;       // YYYYMM of the file it belongs to, as its source says
  uint32_t check = 0;       // low half of the XXH3 of the line
};
static_assert(sizeof(ItemRecord) == 80);

// ItemRecord::source of a link.
uint64_t source_of(std::string_view link);

// What `check` must be.
uint32_t check_of(ItemRecord record, std::string_view line);

// What check_item() (item.h) found out of one item: a line and what its record needs.
struct CheckedItem {
  std::string line;        // compact enough to be one line; no line break in it
  std::string collection;  // never empty
  std::string id;          // unescaped
  // West, south, east, north in degrees, of `bbox` or else of the geometry; west > east across the
  // antimeridian.
  double west = 0, south = 0, east = 0, north = 0;
  ItemRecord record;  // all but offset, chunk, collection, source, revision, month, check
};

// Items of one file to be: read-only, each (collection, id) once. Thread-safe.
class ItemStore {
 public:
  ItemStore(ItemStore&&) noexcept;
  ItemStore& operator=(ItemStore&&) noexcept;
  ~ItemStore();

  // In the order of chunks and of lines in them; mapped from a file, so it is no anonymous memory.
  std::span<const ItemRecord> records() const { return {records_, size_}; }
  size_t size() const { return size_; }
  uint64_t bytes() const { return bytes_; }  // of all lines
  const std::vector<std::string>& collections() const { return collections_; }
  const std::string& collection_of(const ItemRecord& record) const { return collections_[record.collection]; }

  // The line into `out`, whose capacity is kept; at least `padding` bytes of capacity stay behind it (what
  // simdjson wants to read beyond its end). Throws CorruptError when the line is not what was written, and
  // TransientError.
  void read(const ItemRecord& record, std::string& out, size_t padding = 64) const;
  // To read otherwise: pread, mmap.
  int chunk_file(uint32_t chunk) const { return chunks_[chunk].get(); }

 private:
  friend class ItemSpool;
  ItemStore() = default;
  const ItemRecord* records_ = nullptr;
  size_t size_ = 0, mapped_bytes_ = 0;
  uint64_t bytes_ = 0;
  std::vector<base::UniqueFd> chunks_;
  std::vector<std::string> chunk_names_;
  std::vector<std::string> collections_;
};

class ItemSpool;

// Appends to one chunk. One thread at a time; several chunks may be written at the same time.
class ItemChunk {
 public:
  ItemChunk(ItemChunk&&) noexcept;
  ~ItemChunk();
  // What an earlier run had written of this chunk and is whole; may be asked before the first add().
  const std::vector<ItemRecord>& kept() const { return kept_; }
  // Leaves out those of kept() that are not wanted (any more); says how many. Before the first add(). Throws
  // TransientError.
  size_t keep_only(const std::function<bool(const ItemRecord&)>& wanted);
  // `source`, `revision_us`: as of the record. Throws TransientError (disk full).
  void add(const CheckedItem& item, uint32_t month, uint64_t source = 0, int64_t revision_us = kNoTime);
  // What was added is on the disk from now on, and found again by whoever begins the chunk anew.
  void sync();
  // The chunk is complete and durable under its name.
  void finish();

 private:
  friend class ItemSpool;
  ItemChunk(ItemSpool& spool, std::string name);
  void recover();
  void append(const ItemRecord& record, const std::string& line);
  void flush();

  ItemSpool* spool_;
  std::string name_;
  base::UniqueFd lines_, index_;
  std::string line_buffer_, index_buffer_;
  uint64_t offset_ = 0;  // of the next line
  std::vector<ItemRecord> kept_;
};

// What became of the items when a spool was sealed.
struct SealReport {
  uint64_t items = 0;       // in all chunks
  uint64_t duplicates = 0;  // left out: the same collection and id, another of which has a newer `updated`
                            // (or the same, and came later)
};

// A folder of chunks. Thread-safe.
class ItemSpool {
 public:
  // Makes the folder when it is not there. Throws DeniedError, TransientError.
  explicit ItemSpool(std::string folder);
  const std::string& folder() const { return folder_; }
  // True when the chunk was finished, by this run or an earlier one.
  bool has(const std::string& chunk) const;
  // Also when it was only begun.
  bool has_any(const std::string& chunk) const;
  // Records of a finished chunk. Throws CorruptError when its files do not fit together.
  std::vector<ItemRecord> records_of(const std::string& chunk) const;
  // Begins a chunk, or goes on with one that was not finished. `name`: letters, digits, '-', '_', '.'.
  ItemChunk begin(const std::string& name);
  void remove(const std::string& chunk);

  // What one file is made of: a month, and with `by_collection` one collection of it.
  struct Part {
    uint32_t month = 0;
    std::string collection;  // empty: all
    ItemStore items;
  };
  // The items of `chunks` (all finished), duplicates left out, taken apart by month (and collection): in
  // ascending order. Memory: 24 bytes an item while it runs. Throws CorruptError, TransientError.
  std::vector<Part> seal(const std::vector<std::string>& chunks, bool by_collection,
                         SealReport& report) const;

 private:
  friend class ItemChunk;
  uint16_t collection_number(const std::string& name);

  std::string folder_;
  mutable std::mutex mutex_;
  std::vector<std::string> collections_;
  std::unordered_map<std::string, uint16_t> numbers_;
};

}  // namespace millrace::stac

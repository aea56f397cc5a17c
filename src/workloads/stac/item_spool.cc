#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <utility>

#include "base/durable_file.h"
#include "base/error.h"
#include "base/strings.h"
#include "workloads/stac/item_store.h"
#include "workloads/stac/spool_files.h"

namespace millrace::stac {
namespace {

constexpr size_t kCollectionsMax = 65'535;
constexpr size_t kNamesBytesMax = 16u << 20;
constexpr size_t kPartBuffer = 512;  // records

// What tells duplicates apart: sorted so that the one to keep comes first.
struct Sighting {
  uint64_t identity;
  int64_t updated_us;
  uint32_t chunk, at;
  bool operator<(const Sighting& other) const {
    if (identity != other.identity) return identity < other.identity;
    if (updated_us != other.updated_us) return updated_us > other.updated_us;
    return chunk != other.chunk ? chunk > other.chunk : at > other.at;
  }
};

// The chunks that are sealed: their records stay in their files.
struct SealedChunk {
  base::UniqueFd lines;
  const ItemRecord* records = nullptr;
  size_t size = 0;
  std::string name;

  SealedChunk(const std::string& folder, const std::string& chunk) : name(lines_path(folder, chunk)) {
    lines = open_file(name, O_RDONLY);
    base::UniqueFd index = open_file(index_path(folder, chunk), O_RDONLY);
    struct stat of_lines{}, of_index{};
    if (fstat(lines.get(), &of_lines) != 0 || fstat(index.get(), &of_index) != 0)
      raise_errno("read " + name, errno);
    size = static_cast<size_t>(of_index.st_size) / sizeof(ItemRecord);
    if (size == 0) return;
    void* mapped = mmap(nullptr, size * sizeof(ItemRecord), PROT_READ, MAP_SHARED, index.get(), 0);
    if (mapped == MAP_FAILED) raise_errno("map the index of " + name, errno);
    records = static_cast<const ItemRecord*>(mapped);
    const ItemRecord& last = records[size - 1];
    if (last.offset + last.length + 1 != static_cast<uint64_t>(of_lines.st_size))
      throw base::CorruptError(name + " and its index do not fit together");
  }
  SealedChunk(SealedChunk&& other) noexcept
      : lines(std::move(other.lines)),
        records(std::exchange(other.records, nullptr)),
        size(other.size),
        name(std::move(other.name)) {}
  SealedChunk& operator=(SealedChunk&&) = delete;
  ~SealedChunk() {
    if (records) munmap(const_cast<ItemRecord*>(records), size * sizeof(ItemRecord));
  }

  std::string id_of(const ItemRecord& record) const {
    std::string id(record.id_length, '\0');
    if (!read_at(lines.get(), record.offset + record.id_offset, id.data(), id.size()))
      throw base::CorruptError(name + " became shorter");
    return id;
  }
};

// Marks what duplicates leave out, by chunk.
std::vector<std::vector<bool>> find_duplicates(const std::vector<SealedChunk>& chunks, SealReport& report) {
  std::vector<Sighting> sightings;
  std::vector<std::vector<bool>> out(chunks.size());
  size_t items = 0;
  for (const SealedChunk& chunk : chunks) items += chunk.size;
  sightings.reserve(items);
  for (uint32_t c = 0; c < chunks.size(); ++c) {
    out[c].assign(chunks[c].size, false);
    for (uint32_t at = 0; at < chunks[c].size; ++at)
      sightings.push_back({chunks[c].records[at].identity, chunks[c].records[at].updated_us, c, at});
  }
  report.items = items;
  std::sort(sightings.begin(), sightings.end());
  for (size_t first = 0; first < sightings.size();) {
    size_t end = first + 1;
    while (end < sightings.size() && sightings[end].identity == sightings[first].identity) ++end;
    // Nearly always one. Different items of one hash are told apart by their names.
    std::vector<std::pair<uint16_t, std::string>> seen;
    for (size_t i = first; end - first > 1 && i < end; ++i) {
      const Sighting& s = sightings[i];
      const ItemRecord& record = chunks[s.chunk].records[s.at];
      std::pair<uint16_t, std::string> name(record.collection, chunks[s.chunk].id_of(record));
      if (std::find(seen.begin(), seen.end(), name) == seen.end()) {
        seen.push_back(std::move(name));
      } else {
        out[s.chunk][s.at] = true;
        ++report.duplicates;
      }
    }
    first = end;
  }
  return out;
}

// The records of one part on their way into its index.
struct PartIndex {
  std::string path, buffer;
  size_t size = 0;
  uint64_t bytes = 0;

  void add(const ItemRecord& record) {
    buffer.append(reinterpret_cast<const char*>(&record), sizeof record);
    ++size;
    bytes += record.length;
    if (buffer.size() >= kPartBuffer * sizeof(ItemRecord)) flush();
  }
  void flush() {
    // Opened each time: there may be more parts than a process may have files.
    base::UniqueFd file = open_file(path, O_WRONLY | O_CREAT | O_APPEND);
    write_all(file.get(), buffer, path);
    buffer.clear();
  }
};

}  // namespace

ItemSpool::ItemSpool(std::string folder) : folder_(std::move(folder)) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) raise_errno("make " + folder_, error.value());
  try {
    std::string names = base::read_small_file(folder_ + "/collections", kNamesBytesMax);
    for (std::string_view name : base::split(names, '\n'))
      if (!name.empty()) {
        numbers_.emplace(name, static_cast<uint16_t>(collections_.size()));
        collections_.emplace_back(name);
      }
  } catch (const base::NotFoundError&) {
  }
}

uint16_t ItemSpool::collection_number(const std::string& name) {
  std::lock_guard lock(mutex_);
  if (auto found = numbers_.find(name); found != numbers_.end()) return found->second;
  // No word about the item, which would be named and left out: there is no end to such a catalogue.
  if (collections_.size() >= kCollectionsMax)
    throw base::InternalError("more than 65,535 collections in one job");
  // Durable before any record that names it by its number.
  std::vector<std::string> names = collections_;
  names.push_back(name);
  base::write_durably(folder_ + "/collections", base::join(names, "\n") + "\n");
  auto number = static_cast<uint16_t>(collections_.size());
  collections_ = std::move(names);
  numbers_.emplace(name, number);
  return number;
}

bool ItemSpool::has(const std::string& chunk) const {
  return access(index_path(folder_, chunk).c_str(), F_OK) == 0;
}

bool ItemSpool::has_any(const std::string& chunk) const {
  const std::string lines = lines_path(folder_, chunk);
  return access(lines.c_str(), F_OK) == 0 || access((lines + ".part").c_str(), F_OK) == 0;
}

std::vector<ItemRecord> ItemSpool::records_of(const std::string& chunk) const {
  const std::string path = index_path(folder_, chunk);
  return read_records(open_file(path, O_RDONLY).get(), path);
}

ItemChunk ItemSpool::begin(const std::string& name) { return {*this, name}; }

void ItemSpool::remove(const std::string& chunk) {
  for (const std::string& path : {index_path(folder_, chunk), lines_path(folder_, chunk)})
    for (const std::string& file : {path, path + ".part", path + ".new"})
      if (unlink(file.c_str()) != 0 && errno != ENOENT) raise_errno("remove " + file, errno);
}

std::vector<ItemSpool::Part> ItemSpool::seal(const std::vector<std::string>& names, bool by_collection,
                                             SealReport& report) const {
  report = {};
  std::vector<std::string> collections;
  {
    std::lock_guard lock(mutex_);
    collections = collections_;
  }
  std::vector<SealedChunk> chunks;
  chunks.reserve(names.size());
  for (const std::string& name : names) chunks.emplace_back(folder_, name);
  const std::vector<std::vector<bool>> duplicates = find_duplicates(chunks, report);

  const std::string parts_folder = folder_ + "/parts";
  std::error_code error;
  std::filesystem::remove_all(parts_folder, error);
  std::filesystem::create_directories(parts_folder, error);
  if (error) raise_errno("make " + parts_folder, error.value());
  std::map<std::pair<uint32_t, std::string>, PartIndex> indexes;
  for (uint32_t c = 0; c < chunks.size(); ++c)
    for (size_t at = 0; at < chunks[c].size; ++at) {
      if (duplicates[c][at]) continue;
      ItemRecord record = chunks[c].records[at];
      record.chunk = c;
      if (record.collection >= collections.size())
        throw base::CorruptError(chunks[c].name + ": its index names a collection that is not known");
      auto [found, fresh] =
          indexes.try_emplace({record.month, by_collection ? collections[record.collection] : std::string()});
      if (fresh) found->second.path = parts_folder + "/" + std::to_string(indexes.size()) + ".index";
      found->second.add(record);
    }

  std::vector<Part> parts;
  for (auto& [key, index] : indexes) {
    index.flush();
    ItemStore store;
    base::UniqueFd file = open_file(index.path, O_RDONLY);
    store.mapped_bytes_ = index.size * sizeof(ItemRecord);
    void* mapped = mmap(nullptr, store.mapped_bytes_, PROT_READ, MAP_SHARED, file.get(), 0);
    if (mapped == MAP_FAILED) raise_errno("map " + index.path, errno);
    store.records_ = static_cast<const ItemRecord*>(mapped);
    store.size_ = index.size;
    store.bytes_ = index.bytes;
    for (const SealedChunk& chunk : chunks) {
      store.chunks_.emplace_back(fcntl(chunk.lines.get(), F_DUPFD_CLOEXEC, 0));
      if (!store.chunks_.back()) raise_errno("open " + chunk.name, errno);
      store.chunk_names_.push_back(chunk.name);
    }
    store.collections_ = collections;
    parts.push_back({key.first, key.second, std::move(store)});
  }
  return parts;
}

}  // namespace millrace::stac

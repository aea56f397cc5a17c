#include "workloads/ingest/inventory_dataset.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

#include "base/error.h"
#include "base/random.h"
#include "objects/new_object.h"
#include "sql/duckdb.h"
#include "workloads/ingest/inventory.h"

namespace millrace::ingest {
namespace {

constexpr uint64_t kDuckDbMemory = 256ull << 20;

struct Table {
  std::string_view name, folder;
};
constexpr Table kTables[] = {{"file", "files"}, {"symbol", "symbols"}, {"dependency", "dependencies"}};

// Columns of all tables, each once: what read_json is told, so that nothing is guessed.
std::string json_columns() {
  std::string columns = R"({"table": 'VARCHAR')", seen = " ";
  for (const InventoryColumn& column : inventory_columns()) {
    const std::string word = std::string(column.name) + ' ';
    if (seen.find(' ' + word) != std::string::npos) continue;
    seen += word;
    columns += ", \"" + std::string(column.name) + "\": '" + std::string(column.type) + "'";
  }
  return columns + '}';
}

std::string select_columns(std::string_view table) {
  std::string columns;
  for (const InventoryColumn& column : inventory_columns())
    if (column.table.empty() || column.table == table)
      columns += (columns.empty() ? "" : ", ") + sql::duckdb_identifier(column.name);
  return columns;
}

void copy_into(const std::string& from, objects::NewObject& into) {
  base::UniqueFd file(open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw base::TransientError(base::system_message("open " + from, errno));
  std::array<char, 64 << 10> buffer;
  for (;;) {
    const ssize_t got = read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw base::TransientError(base::system_message("read " + from, errno));
    if (got == 0) return;
    into.write({buffer.data(), static_cast<size_t>(got)});
  }
}

std::string publish(const std::string& from, const std::string& place) {
  const objects::Location location = objects::parse_location(place);
  if (!location.is_s3) {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(location.path).parent_path(), error);
  }
  objects::NewObject object(location);
  copy_into(from, object);
  object.publish();
  return place;
}

// Removed when it is not needed any more, whatever happens.
struct TemporaryFile {
  std::string path;
  ~TemporaryFile() { unlink(path.c_str()); }
};

}  // namespace

InventoryDataset::InventoryDataset(std::string folder) : folder_(std::move(folder)) {
  spool_path_ = folder_ + "/inventory-" + base::random_hex(16) + ".jsonl.zst";
  spool_.reset(open(spool_path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!spool_) throw base::TransientError(base::system_message("open " + spool_path_, errno));
}

InventoryDataset::~InventoryDataset() { unlink(spool_path_.c_str()); }

uint64_t InventoryDataset::repositories() const {
  std::lock_guard lock(mutex_);
  return repositories_;
}

void InventoryDataset::add(const std::string& inventory_file) {
  base::UniqueFd file(open(inventory_file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw base::TransientError(base::system_message("open " + inventory_file, errno));
  std::lock_guard lock(mutex_);
  // Frames of zstd one after the other are one stream. What a failure left half written is overwritten.
  uint64_t at = size_;
  std::array<char, 64 << 10> buffer;
  for (;;) {
    const ssize_t got = read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw base::TransientError(base::system_message("read " + inventory_file, errno));
    if (got == 0) break;
    for (ssize_t done = 0; done < got;) {
      const ssize_t written =
          pwrite(spool_.get(), buffer.data() + done, static_cast<size_t>(got - done), static_cast<off_t>(at));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0)
        throw base::TransientError(base::system_message("write " + spool_path_, errno),
                                   errno == ENOSPC ? "disk" : "");
      done += written;
      at += static_cast<uint64_t>(written);
    }
  }
  size_ = at;
  ++repositories_;
}

InventoryDataset::Written InventoryDataset::write(const std::string& place, const std::string& name) {
  std::lock_guard lock(mutex_);
  Written written;
  if (repositories_ == 0) return written;
  if (ftruncate(spool_.get(), static_cast<off_t>(size_)) != 0)
    throw base::TransientError(base::system_message("truncate " + spool_path_, errno));
  const std::string below = place.ends_with('/') ? place : place + '/';
  try {
    static_cast<void>(sql::duckdb_api());
  } catch (const base::NotFoundError& error) {
    written.note = std::string("no Parquet: ") + error.what();
    written.files.push_back(publish(spool_path_, below + "inventory/" + name + ".jsonl.zst"));
    return written;
  }
  sql::DuckDb database({.memory_bytes = kDuckDbMemory,
                        .threads = 2,
                        .temporary_folder = folder_,
                        .preserve_insertion_order = true});
  for (const Table& table : kTables) {
    TemporaryFile parquet{spool_path_ + '.' + std::string(table.folder) + ".parquet"};
    database.execute("COPY (SELECT " + select_columns(table.name) + " FROM read_json(" +
                     sql::duckdb_literal(spool_path_) +
                     ", format = 'newline_delimited', compression = 'zstd', columns = " + json_columns() +
                     ") WHERE \"table\" = '" + std::string(table.name) + "') TO " +
                     sql::duckdb_literal(parquet.path) + " (FORMAT parquet, COMPRESSION zstd)");
    written.files.push_back(
        publish(parquet.path, below + std::string(table.folder) + '/' + name + ".parquet"));
  }
  return written;
}

}  // namespace millrace::ingest

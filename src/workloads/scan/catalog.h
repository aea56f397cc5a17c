// The catalogue's database: opening it, asking what it knows, writing what was found.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sql/connection.h"
#include "workloads/scan/batch.h"
#include "workloads/scan/schema.h"

namespace millrace::scan {

// Opens the database of a catalogue (sql::open_url), makes the folder of a SQLite file and its tables as
// needed. Throws as sql::open_url() and migrate_schema(); UsageError for sqlite:// in memory, which no second
// connection could see.
std::unique_ptr<sql::Connection> open_catalog(const std::string& url);

// As open_catalog(), but makes nothing: NotFoundError when there is none.
std::unique_ptr<sql::Connection> open_existing_catalog(const std::string& url);
// Without touching it: of whatever version it is; null when there is none.
std::unique_ptr<sql::Connection> open_if_catalog(const std::string& url);

// Where in the catalogue a scan's root lies: the paths from `first` on and before `end`, in byte order.
struct PathRange {
  std::string first, end;
};
// All paths below `base`, which ends in '/', as bytes.
PathRange paths_below(std::string_view base);

// Folders remembered because they could not be listed; with more, nothing is taken for vanished.
inline constexpr size_t kUnlistableMax = 1000;

// What the catalogue knows about files.
class KnownFiles {
 public:
  static constexpr size_t kAskedMax = 128;  // files asked for at once

  struct File {
    int64_t id = 0;  // 0: not known
    int64_t size = 0;
    int64_t mtime_ns = 0;  // 0 and "" never mean "unchanged"
    std::string etag;
    int64_t reader_version = 0;
    std::string file_type, status, error;
    bool has_hash = false;
  };

  // `connection` null: nothing is known. It may be of an older version.
  KnownFiles(sql::Connection* connection, const PathRange& range);
  // One answer for each of at most kAskedMax paths (in database form).
  std::vector<File> find(const std::vector<std::string>& paths);

 private:
  sql::Connection* connection_;
  bool has_hashes_ = false;
  bool none_ = true;  // nothing in the range when this scan began: nothing to ask for
  std::unique_ptr<sql::Statement> query_;
};

// Writes batches. All calls of one transaction belong between begin and commit of the caller.
class CatalogWriter {
 public:
  explicit CatalogWriter(sql::Connection& connection) : connection_(connection) {}

  // Inserts or updates the files first..last-1 of `batch` with their rows in all tables.
  void store(const Batch& batch, size_t first, size_t last);
  // Notes that `scan_id` has seen these rows.
  void mark_seen(const std::vector<int64_t>& ids, int64_t scan_id);
  // Status 'missing' for those of the rows that no scan from `scan_id` on has seen.
  void mark_missing(const std::vector<int64_t>& ids, int64_t scan_id);

 private:
  sql::Statement& insert_statement(const Table& table, size_t rows, std::string_view suffix);
  void update_by_ids(std::string_view head, const std::vector<int64_t>& ids, const int64_t* extra);
  std::vector<int64_t> upsert_files(const Batch& batch, size_t first, size_t last,
                                    std::vector<int64_t>& known);
  void insert_rows(const Table& table, const RowBuffer& rows, const std::vector<int64_t>& ids, size_t first,
                   size_t last);

  sql::Connection& connection_;
  // By table and rows, or by the start of their text; a few dozen.
  std::map<std::pair<std::string, size_t>, std::unique_ptr<sql::Statement>> statements_;
};

}  // namespace millrace::scan

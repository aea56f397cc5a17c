#include "workloads/scan/catalog.h"

#include <filesystem>
#include <unordered_map>

#include "base/error.h"
#include "workloads/text.h"

namespace millrace::scan {
namespace {

constexpr size_t kRowsAtOnce = 32;  // of one INSERT
constexpr size_t kIdsAtOnce = 64;   // of one UPDATE or DELETE

// "$3,$4,$5" for 3 parameters from 3 on.
void append_parameters(std::string& sql, size_t first, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) sql += ',';
    sql += '$';
    sql += std::to_string(first + i);
  }
}

// INSERT of `rows` rows that updates the rows that are there already.
std::string upsert_sql(const Table& table, size_t rows) {
  std::string sql = "INSERT INTO " + std::string(table.name) + "(";
  std::string updates;
  for (const auto& [column, type] : table.columns) {
    if (sql.back() != '(') sql += ',';
    sql += column;
    if (table.key.find(column) != std::string_view::npos || column == "first_scan_id") continue;
    if (!updates.empty()) updates += ',';
    updates += column;
    if (column == "scan_id") {  // a scan that began later may have been here first
      updates += "=CASE WHEN files.scan_id>excluded.scan_id THEN files.scan_id ELSE excluded.scan_id END";
    } else if (column == "sha256") {  // a scan without --hash does not know it; other content has another one
      updates +=
          "=CASE WHEN excluded.sha256 IS NULL AND files.file_size=excluded.file_size AND "
          "coalesce(files.etag,'')=coalesce(excluded.etag,'') AND "
          "coalesce(files.mtime_ns,0)=coalesce(excluded.mtime_ns,0) THEN files.sha256 ELSE excluded.sha256 "
          "END";
    } else {
      updates += "=excluded." + std::string(column);
    }
  }
  sql += ") VALUES ";
  for (size_t row = 0; row < rows; ++row) {
    sql += row > 0 ? ",(" : "(";
    append_parameters(sql, row * table.columns.size() + 1, table.columns.size());
    sql += ')';
  }
  sql += " ON CONFLICT(" + std::string(table.key) + ") DO UPDATE SET " + updates;
  return sql;
}

}  // namespace

std::unique_ptr<sql::Connection> open_catalog(const std::string& url) {
  if (auto path = sql::sqlite_path(url)) {
    if (*path == ":memory:")
      throw base::UsageError("the catalogue needs a file: write sqlite:///catalogue.db");
    std::filesystem::path folder = std::filesystem::path(*path).parent_path();
    std::error_code error;
    if (!folder.empty()) std::filesystem::create_directories(folder, error);
    if (error) throw base::DeniedError(base::system_message("make folder " + folder.string(), error.value()));
  }
  std::unique_ptr<sql::Connection> connection = sql::open_url(url);
  if (connection->dialect() == sql::Dialect::kSqlite) {
    // Pages of a transaction should not be written before it ends, and then once more: 8 MiB. What a
    // statement needs to take itself back is small, but an INSERT of some rows would write a file of it.
    connection->execute("PRAGMA cache_size=-8192; PRAGMA temp_store=MEMORY");
  }
  migrate_schema(*connection);
  return connection;
}

std::unique_ptr<sql::Connection> open_if_catalog(const std::string& url) {
  if (auto path = sql::sqlite_path(url)) {
    std::error_code error;
    if (*path != ":memory:" && !std::filesystem::exists(*path, error)) return nullptr;
  }
  std::unique_ptr<sql::Connection> connection = sql::open_url(url);
  return is_catalog(*connection) ? std::move(connection) : nullptr;
}

std::unique_ptr<sql::Connection> open_existing_catalog(const std::string& url) {
  std::unique_ptr<sql::Connection> connection = open_if_catalog(url);
  if (!connection) {
    throw base::NotFoundError("there is no catalogue in " + sql::without_password(url) +
                              "; make one with: millrace scan FOLDER --database URL");
  }
  migrate_schema(*connection);
  return connection;
}

PathRange paths_below(std::string_view base) {
  PathRange range{workloads::storage_text(base), workloads::storage_text(base)};
  range.end.back() = '/' + 1;
  return range;
}

KnownFiles::KnownFiles(sql::Connection* connection, const PathRange& range) : connection_(connection) {
  if (connection_ == nullptr) return;
  auto any = connection_->prepare("SELECT 1 FROM files WHERE file_path>=$1 AND file_path<$2 LIMIT 1");
  any->bind(1, range.first).bind(2, range.end);
  none_ = !any->step();
  any->reset();
  has_hashes_ = catalog_version(*connection_) >= 2;
}

std::vector<KnownFiles::File> KnownFiles::find(const std::vector<std::string>& paths) {
  std::vector<File> files(paths.size());
  if (none_ || paths.empty()) return files;
  if (!query_) {
    std::string sql = "SELECT file_path,id,file_size,mtime_ns,etag,reader_version,file_type,status,error," +
                      std::string(has_hashes_ ? "sha256" : "NULL") + " FROM files WHERE file_path IN (";
    append_parameters(sql, 1, kAskedMax);
    query_ = connection_->prepare(sql + ")");
  }
  std::unordered_map<std::string_view, size_t> position;
  for (size_t i = 0; i < kAskedMax; ++i) {
    const std::string& path = paths[std::min(i, paths.size() - 1)];
    query_->bind(static_cast<int>(i) + 1, path);
    position.try_emplace(path, std::min(i, paths.size() - 1));
  }
  while (query_->step()) {
    auto found = position.find(query_->text(0));
    if (found == position.end()) continue;
    File& file = files[found->second];
    file.id = query_->int64(1);
    file.size = query_->int64(2);
    if (!query_->is_null(3)) file.mtime_ns = query_->int64(3);
    if (!query_->is_null(4)) file.etag = query_->text(4);
    file.reader_version = query_->int64(5);
    file.file_type = query_->text(6);
    file.status = query_->text(7);
    if (!query_->is_null(8)) file.error = query_->text(8);
    file.has_hash = !query_->is_null(9);
  }
  return files;
}

sql::Statement& CatalogWriter::insert_statement(const Table& table, size_t rows, std::string_view suffix) {
  std::unique_ptr<sql::Statement>& statement = statements_[{std::string(table.name), rows}];
  if (!statement) statement = connection_.prepare(upsert_sql(table, rows).append(suffix));
  return *statement;
}

// Runs "`head`($2,$3,…)" for all ids; $1 is `extra` where there is one.
void CatalogWriter::update_by_ids(std::string_view head, const std::vector<int64_t>& ids,
                                  const int64_t* extra) {
  if (ids.empty()) return;
  int first = extra != nullptr ? 2 : 1;
  std::unique_ptr<sql::Statement>& prepared = statements_[{std::string(head), 0}];
  if (!prepared) {
    std::string sql(head);
    sql += '(';
    append_parameters(sql, static_cast<size_t>(first), kIdsAtOnce);
    prepared = connection_.prepare(sql + ")");
  }
  sql::Statement& update = *prepared;
  if (extra != nullptr) update.bind(1, *extra);
  for (size_t start = 0; start < ids.size(); start += kIdsAtOnce) {
    for (size_t i = 0; i < kIdsAtOnce; ++i) {
      update.bind(first + static_cast<int>(i), ids[std::min(start + i, ids.size() - 1)]);
    }
    update.run();
  }
}

void CatalogWriter::mark_seen(const std::vector<int64_t>& ids, int64_t scan_id) {
  update_by_ids("UPDATE files SET scan_id=$1 WHERE scan_id<$1 AND id IN ", ids, &scan_id);
}

void CatalogWriter::mark_missing(const std::vector<int64_t>& ids, int64_t scan_id) {
  update_by_ids("UPDATE files SET status='missing',error=NULL WHERE scan_id<$1 AND id IN ", ids, &scan_id);
}

void CatalogWriter::store(const Batch& batch, size_t first, size_t last) {
  std::vector<int64_t> known;
  std::vector<int64_t> ids = upsert_files(batch, first, last, known);
  // A changed file may have fewer scenes than before, or be of another type.
  for (const Table* table : written_tables()) {
    if (table == &kFiles) continue;
    update_by_ids("DELETE FROM " + std::string(table->name) + " WHERE file_id IN ", known, nullptr);
  }
  insert_rows(kImages, batch.images, ids, first, last);
  insert_rows(kVideos, batch.videos, ids, first, last);
  insert_rows(kAudio, batch.audio, ids, first, last);
  insert_rows(kBlendFiles, batch.blend_files, ids, first, last);
  insert_rows(kBlendScenes, batch.blend_scenes, ids, first, last);
  insert_rows(kDependencies, batch.dependencies, ids, first, last);
}

// The ids of the rows, by the index of the file less `first`. `known`: those that were there before, whoever
// made them; the ids of the listing may be of files that another scan has renamed since.
std::vector<int64_t> CatalogWriter::upsert_files(const Batch& batch, size_t first, size_t last,
                                                 std::vector<int64_t>& known) {
  const size_t columns = kFiles.columns.size();
  std::vector<int64_t> ids(last - first);
  for (size_t done = first; done < last;) {
    size_t rows = last - done >= kRowsAtOnce ? kRowsAtOnce : 1;
    sql::Statement& insert = insert_statement(
        kFiles, rows, " RETURNING id,file_path,CASE WHEN first_scan_id=read_scan_id THEN 0 ELSE 1 END");
    int parameter = 0;
    for (size_t at = done * columns; at < (done + rows) * columns; ++at)
      batch.files.bind(at, insert, ++parameter);
    // Rows come back in order as a rule, but neither database promises it.
    std::unordered_map<std::string_view, size_t> position;
    for (size_t expected = done; insert.step(); ++expected) {
      std::string_view path = insert.text(1);
      if (insert.int64(2) != 0) known.push_back(insert.int64(0));
      if (expected < done + rows && batch.outcomes[expected].path == path) {
        ids[expected - first] = insert.int64(0);
        continue;
      }
      if (position.empty()) {
        for (size_t i = done; i < done + rows; ++i) position.emplace(batch.outcomes[i].path, i);
      }
      ids[position.at(path) - first] = insert.int64(0);
    }
    done += rows;
  }
  return ids;
}

// The rows of `table` that belong to the files first..last-1.
void CatalogWriter::insert_rows(const Table& table, const RowBuffer& rows, const std::vector<int64_t>& ids,
                                size_t first, size_t last) {
  const size_t columns = table.columns.size();
  auto file_of = [&](size_t row) { return static_cast<size_t>(rows.integer(row * columns)); };
  const size_t count = rows.size() / columns;
  size_t row = 0;
  while (row < count && file_of(row) < first) ++row;
  size_t end = row;
  while (end < count && file_of(end) < last) ++end;
  while (row < end) {
    size_t at_once = end - row >= kRowsAtOnce ? kRowsAtOnce : 1;
    sql::Statement& insert = insert_statement(table, at_once, "");
    int parameter = 0;
    for (size_t i = row; i < row + at_once; ++i) {
      insert.bind(++parameter, ids[file_of(i) - first]);
      for (size_t column = 1; column < columns; ++column)
        rows.bind(i * columns + column, insert, ++parameter);
    }
    insert.run();
    row += at_once;
  }
}

}  // namespace millrace::scan

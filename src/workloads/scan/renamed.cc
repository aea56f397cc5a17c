#include "workloads/scan/renamed.h"

#include <memory>

namespace millrace::scan {
namespace {

// The rows that hang on a file go over to another id.
void move_children(sql::Connection& connection, int64_t from, int64_t to) {
  for (const Table* table : written_tables()) {
    if (table == &kFiles) continue;
    const std::string name(table->name);
    auto remove = connection.prepare("DELETE FROM " + name + " WHERE file_id=$1");
    remove->bind(1, to).run();
    auto move = connection.prepare("UPDATE " + name + " SET file_id=$1 WHERE file_id=$2");
    move->bind(1, to).bind(2, from).run();
  }
  auto targets = connection.prepare("UPDATE dependencies SET resolved_file_id=$1 WHERE resolved_file_id=$2");
  targets->bind(1, to).bind(2, from).run();
}

void take_over(sql::Connection& connection, const VanishedFile& old, int64_t fresh, const std::string& path) {
  move_children(connection, fresh, old.id);
  // Two rows may not have one path, not even for a moment.
  auto aside = connection.prepare("UPDATE files SET file_path=$1 WHERE id=$2");
  aside->bind(1, "renamed://" + std::to_string(fresh)).bind(2, fresh).run();
  std::string columns;
  for (const Column& column : kFiles.columns) {
    if (column.name == "file_path" || column.name == "first_scan_id") continue;
    if (!columns.empty()) columns += ',';
    columns += column.name;
  }
  auto copy = connection.prepare("UPDATE files SET (" + columns + ")=(SELECT " + columns +
                                 " FROM files AS n WHERE n.id=$1) WHERE id=$2");
  copy->bind(1, fresh).bind(2, old.id).run();
  auto remove = connection.prepare("DELETE FROM files WHERE id=$1");
  remove->bind(1, fresh).run();
  auto name = connection.prepare("UPDATE files SET file_path=$1,previous_path=$2 WHERE id=$3");
  name->bind(1, path).bind(2, old.path).bind(3, old.id).run();
}

}  // namespace

int64_t adopt_renamed(sql::Connection& connection, std::vector<VanishedFile>& gone, int64_t scan_id_min,
                      const PathRange& range) {
  std::unique_ptr<sql::Statement> query;
  int64_t count = 0;
  for (VanishedFile& file : gone) {
    if (file.sha256.empty() || file.size == 0) continue;  // all empty files are the same
    if (!query) {
      query = connection.prepare(
          "SELECT id,file_path FROM files WHERE sha256=$1 AND file_size=$2 AND first_scan_id>=$3 AND "
          "file_path>=$4 AND file_path<$5 AND status<>'missing' ORDER BY file_path LIMIT 1");
      query->bind(3, scan_id_min).bind(4, range.first).bind(5, range.end);
    }
    query->bind(1, file.sha256).bind(2, file.size);
    if (!query->step()) continue;
    const int64_t fresh = query->int64(0);
    const std::string path(query->text(1));
    query->reset();
    take_over(connection, file, fresh, path);
    file.found_again = true;
    ++count;
  }
  return count;
}

}  // namespace millrace::scan

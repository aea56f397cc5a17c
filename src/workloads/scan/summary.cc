#include "workloads/scan/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "workloads/scan/report_text.h"
#include "workloads/text.h"

namespace millrace::scan {
namespace {

constexpr int kNewestShown = 10;
constexpr int kProblemsShown = 20;

using Out = std::back_insert_iterator<std::string>;

void add_last_scan(sql::Connection& connection, Out out) {
  auto scan = connection.prepare(
      "SELECT "
      "id,root,status,started,finished,files_listed,bytes_listed,files_added,files_changed,files_unchanged,"
      "files_missing,images,videos,blend_files,other_files,errors,bytes_read,requests,shard_index,shard_"
      "count,error "
      "FROM scans ORDER BY id DESC LIMIT 1");
  if (!scan->step()) {
    fmt::format_to(out, "Nothing was scanned yet\n");
    return;
  }
  auto count = [&](int column) { return grouped(scan->int64(column)); };
  fmt::format_to(out, "Scan {} of {}", scan->int64(0), workloads::printable(scan->text(1)));
  if (scan->int64(19) > 1) fmt::format_to(out, " (shard {}/{})", scan->int64(18), scan->int64(19));
  fmt::format_to(out, ": {}\n", scan->text(2));
  if (!scan->is_null(20)) fmt::format_to(out, "  {}\n", workloads::printable(scan->text(20)));
  fmt::format_to(out, "  scanned      {} files, {}\n", count(5), bytes(scan->int64(6)));
  fmt::format_to(out, "  images       {}\n  videos       {}\n  blend files  {}\n  other        {}\n",
                 count(11), count(12), count(13), count(14));
  fmt::format_to(out, "  errors       {}\n", count(15));
  fmt::format_to(out, "  skipped      {} unchanged ({} new, {} changed, {} vanished)\n", count(9), count(7),
                 count(8), count(10));
  fmt::format_to(out, "  read         {} in {} requests\n", bytes(scan->int64(16)), count(17));
}

void add_types(sql::Connection& connection, Out out) {
  auto types = connection.prepare(
      "SELECT file_type,count(*),CAST(sum(file_size) AS BIGINT) FROM files WHERE status<>'missing' GROUP BY "
      "file_type "
      "ORDER BY 2 DESC,1");
  int64_t files = 0, size = 0;
  fmt::format_to(out, "\nFiles by type\n");
  while (types->step()) {
    files += types->int64(1);
    size += types->int64(2);
    fmt::format_to(out, "  {:<12} {:>12} {:>12}\n", types->text(0), grouped(types->int64(1)),
                   bytes(types->int64(2)));
  }
  fmt::format_to(out, "  {:<12} {:>12} {:>12}\n", "total", grouped(files), bytes(size));
}

void add_newest(sql::Connection& connection, Out out) {
  auto newest = connection.prepare(
      "SELECT file_path,file_type,file_size,CAST(modified_date AS TEXT) FROM files WHERE status<>'missing' "
      "AND "
      "modified_date IS NOT NULL ORDER BY modified_date DESC,file_path LIMIT $1");
  newest->bind(1, int64_t{kNewestShown});
  bool first = true;
  while (newest->step()) {
    if (std::exchange(first, false)) fmt::format_to(out, "\nNewest files\n");
    fmt::format_to(out, "  {}  {:<8} {:>10}  {}\n", newest->text(3).substr(0, 19), newest->text(1),
                   bytes(newest->int64(2)), workloads::printable(newest->text(0)));
  }
}

// A heading with the number of rows that `from` selects, and the first of them.
template <typename Line>
void add_problems(sql::Connection& connection, Out out, std::string_view heading, const std::string& columns,
                  const std::string& from, const std::string& order, const Line& line) {
  auto counting = connection.prepare("SELECT count(*) " + from);
  int64_t count = counting->step() ? counting->int64(0) : 0;
  if (count == 0) return;
  fmt::format_to(out, "\n{} ({})\n", heading, grouped(count));
  auto rows = connection.prepare("SELECT " + columns + " " + from + " ORDER BY " + order + " LIMIT $1");
  rows->bind(1, int64_t{kProblemsShown});
  while (rows->step()) line(*rows);
  if (count > kProblemsShown) fmt::format_to(out, "  … and {} more\n", grouped(count - kProblemsShown));
}

}  // namespace

std::string render_summary(sql::Connection& connection, std::string_view database) {
  std::string text;
  Out out(text);
  add_last_scan(connection, out);
  add_types(connection, out);
  add_newest(connection, out);
  add_problems(connection, out, "Not or only partly readable", "file_path,error",
               "FROM files WHERE status IN ('broken','partial')", "file_path",
               [&](const sql::Statement& row) {
                 fmt::format_to(out, "  {}: {}\n", workloads::printable(row.text(0)),
                                workloads::shortened(workloads::printable(row.text(1)), 300));
               });
  add_problems(connection, out, "Missing files that .blend files need", "file_path,kind,raw_path",
               "FROM missing_dependencies", "file_path,raw_path", [&](const sql::Statement& row) {
                 fmt::format_to(out, "  {} needs {} {}\n", workloads::printable(row.text(0)), row.text(1),
                                workloads::printable(row.text(2)));
               });
  fmt::format_to(out, "\nDatabase: {}\n", database);
  return text;
}

}  // namespace millrace::scan

#include "cli/catalog_output.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "base/json.h"
#include "base/strings.h"
#include "cli/table.h"
#include "workloads/text.h"

namespace millrace::cli {
namespace {

using scan::FieldType;

constexpr size_t kTimeShown = 16;  // "2026-11-21 14:18"
constexpr size_t kCellMax = 200;   // bytes, of columns but the last

std::string csv_cell(std::string text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  return "\"" + base::replace_all(std::move(text), "\"", "\"\"") + "\"";
}

std::string plain(const sql::Statement& row, int column, FieldType type) {
  if (row.is_null(column)) return "";
  if (type == FieldType::kBool) return row.int64(column) != 0 ? "true" : "false";
  return std::string(row.text(column));
}

int64_t print_csv(sql::Connection& connection, const scan::CatalogQuery& query, int64_t limit) {
  std::string line;
  for (const scan::Field& field : query.fields) line += (line.empty() ? "" : ",") + field.name;
  std::printf("%s\r\n", line.c_str());
  int64_t count = 0;
  scan::for_each_row(connection, query, limit, [&](const sql::Statement& row) {
    line.clear();
    for (size_t i = 0; i < query.fields.size(); ++i) {
      if (i > 0) line += ',';
      line += csv_cell(plain(row, static_cast<int>(i), query.fields[i].type));
    }
    line += "\r\n";
    std::fwrite(line.data(), 1, line.size(), stdout);
    ++count;
  });
  return count;
}

int64_t print_json(sql::Connection& connection, const scan::CatalogQuery& query, int64_t limit) {
  int64_t count = 0;
  std::printf("[");
  scan::for_each_row(connection, query, limit, [&](const sql::Statement& row) {
    base::json::object object;
    for (size_t i = 0; i < query.fields.size(); ++i)
      object[query.fields[i].name] = scan::json_value(row, static_cast<int>(i), query.fields[i].type);
    std::string text = (count++ == 0 ? "\n" : ",\n") + base::json::serialize(object);
    std::fwrite(text.data(), 1, text.size(), stdout);
  });
  std::printf("\n]\n");
  return count;
}

}  // namespace

std::string cell_text(const sql::Statement& row, int column, FieldType type) {
  if (row.is_null(column)) return "";
  switch (type) {
    case FieldType::kBytes:
      return base::human_bytes(static_cast<uint64_t>(std::max<int64_t>(row.int64(column), 0)));
    case FieldType::kTime:
      return std::string(row.text(column).substr(0, kTimeShown));
    case FieldType::kBool:
      return row.int64(column) != 0 ? "yes" : "no";
    default:
      return workloads::printable(row.text(column));
  }
}

int64_t print_rows(sql::Connection& connection, const scan::CatalogQuery& query, const OutputOptions& options,
                   const char* nothing) {
  if (options.form == OutputForm::kCsv) return print_csv(connection, query, options.limit);
  if (options.form == OutputForm::kJson) return print_json(connection, query, options.limit);
  // A table is laid out as a whole, so it has an end even where it is not read by people.
  const int64_t limit = options.limit > 0 ? options.limit : kTableRows;
  std::vector<std::string> headings;
  for (const scan::Field& field : query.fields) headings.push_back(base::replace_all(field.name, "_", " "));
  Table table(headings);
  int64_t count = 0;
  scan::for_each_row(connection, query, limit + 1, [&](const sql::Statement& row) {
    if (++count > limit) return;
    std::vector<std::string> cells;
    for (size_t i = 0; i < query.fields.size(); ++i) {
      std::string cell = cell_text(row, static_cast<int>(i), query.fields[i].type);
      cells.push_back(i + 1 < query.fields.size() ? workloads::shortened(std::move(cell), kCellMax)
                                                  : std::move(cell));
    }
    table.add(std::move(cells));
  });
  if (count == 0) {
    std::printf("%s\n", nothing);
    return 0;
  }
  table.print();
  if (count <= limit) return count;
  std::fprintf(stderr, "… and %lld more: --limit, --json or --csv\n",
               static_cast<long long>(scan::count_rows(connection, query) - limit));
  return limit;
}

}  // namespace millrace::cli

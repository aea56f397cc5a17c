// describe_file() and describe_catalog(): all that the catalogue says, as JSON.
#include <algorithm>

#include "base/error.h"
#include "workloads/scan/catalog_queries.h"
#include "workloads/scan/schema.h"

namespace millrace::scan {
namespace {

namespace json = base::json;

FieldType field_type(ColumnType type) {
  switch (type) {
    case ColumnType::kInteger:
      return FieldType::kInteger;
    case ColumnType::kReal:
      return FieldType::kReal;
    case ColumnType::kBool:
      return FieldType::kBool;
    case ColumnType::kTime:
      return FieldType::kTime;
    case ColumnType::kJson:
      return FieldType::kJson;
    case ColumnType::kText:
      break;
  }
  return FieldType::kText;
}

// What is null says nothing.
json::object row_object(const sql::Statement& row, const std::vector<Field>& fields) {
  json::object object;
  for (size_t i = 0; i < fields.size(); ++i)
    if (!row.is_null(static_cast<int>(i)))
      object[fields[i].name] = json_value(row, static_cast<int>(i), fields[i].type);
  return object;
}

// The rows of a table that belong to a file.
json::array rows_of(sql::Connection& connection, const Table& table, int64_t id, int64_t items_max) {
  std::vector<Field> fields;
  std::string columns;
  for (const Column& column : table.columns) {
    if (column.name == "file_id") continue;
    if (!columns.empty()) columns += ',';
    // Times come as texts in both dialects.
    columns += column.type == ColumnType::kTime ? "CAST(" + std::string(column.name) + " AS TEXT)"
                                                : std::string(column.name);
    fields.push_back({std::string(column.name), field_type(column.type)});
  }
  const bool many = table.key.find(',') != std::string_view::npos;
  if (table.name == "dependencies") {
    columns += ",\"exists\",suggestion";
    fields.push_back({"exists", FieldType::kBool});
    fields.push_back({"found_elsewhere", FieldType::kText});
  }
  auto query = connection.prepare("SELECT " + columns + " FROM " + std::string(table.name) + " WHERE " +
                                  (table.name == "files" ? "id" : "file_id") + "=$1" +
                                  (many ? " ORDER BY position LIMIT $2" : ""));
  query->bind(1, id);
  if (many) query->bind(2, items_max);
  json::array rows;
  while (query->step()) rows.push_back(row_object(*query, fields));
  return rows;
}

int64_t number(sql::Connection& connection, const std::string& sql) {
  auto query = connection.prepare(sql);
  return query->step() && !query->is_null(0) ? query->int64(0) : 0;
}

void add_list(sql::Connection& connection, json::object& out, const char* name, const CatalogQuery& query,
              int64_t items_max) {
  json::array list;
  for_each_row(connection, query, items_max,
               [&](const sql::Statement& row) { list.push_back(row_object(row, query.fields)); });
  if (list.empty()) return;
  if (static_cast<int64_t>(list.size()) == items_max)
    out[std::string(name) + "_count"] = count_rows(connection, query);
  out[name] = std::move(list);
}

}  // namespace

json::object describe_file(sql::Connection& connection, int64_t id, int64_t items_max) {
  json::object out;
  json::array file = rows_of(connection, kFiles, id, 1);
  if (file.empty()) throw base::NotFoundError("the catalogue has no file with the id " + std::to_string(id));
  json::object& facts = file.front().as_object();
  auto more = connection.prepare("SELECT sequence_id,frame,previous_path FROM files WHERE id=$1");
  more->bind(1, id);
  int64_t sequence = 0;
  if (more->step()) {
    if (!more->is_null(0)) sequence = more->int64(0);
    if (!more->is_null(1)) facts["frame"] = more->int64(1);
    if (!more->is_null(2)) facts["previous_path"] = json::string(more->text(2));
  }
  more->reset();
  out["file"] = std::move(facts);
  struct Part {
    const char* name;
    const Table& table;
    bool many;
  };
  const Part parts[] = {{"image", kImages, false},      {"video", kVideos, false},
                        {"audio", kAudio, false},       {"blend", kBlendFiles, false},
                        {"scenes", kBlendScenes, true}, {"dependencies", kDependencies, true}};
  for (const Part& part : parts) {
    json::array rows = rows_of(connection, part.table, id, items_max);
    if (rows.empty()) continue;
    if (part.many && static_cast<int64_t>(rows.size()) == items_max) {
      out[std::string(part.name) + "_count"] =
          number(connection, "SELECT count(*) FROM " + std::string(part.table.name) +
                                 " WHERE file_id=" + std::to_string(id));
    }
    if (part.many) {
      out[part.name] = std::move(rows);
    } else {
      out[part.name] = std::move(rows.front());
    }
  }
  std::string target = "file_id=$1";
  if (sequence != 0) {
    CatalogQuery query = sequences_query(false);
    query.sql = query.sql.substr(0, query.sql.rfind(" ORDER BY ")) + " AND id=$1 ORDER BY id";
    query.parameters = {sequence};
    for_each_row(connection, query, 1,
                 [&](const sql::Statement& row) { out["sequence"] = row_object(row, query.fields); });
    target = "(file_id=$1 OR sequence_id=$2)";
  }
  CatalogQuery users{{{"path"}, {"kind"}, {"owner_type"}, {"owner"}, {"raw_path"}},
                     "SELECT used_by,kind,owner_type,owner,raw_path FROM file_users WHERE " + target +
                         " ORDER BY used_by,raw_path",
                     {id}};
  if (sequence != 0) users.parameters.emplace_back(sequence);
  add_list(connection, out, "used_by", users, items_max);
  CatalogQuery copies{
      {{"path"}},
      "SELECT c.file_path FROM file_contents c JOIN file_contents m ON m.content=c.content AND "
      "m.file_size=c.file_size WHERE m.file_id=$1 AND c.file_id<>m.file_id ORDER BY c.file_path",
      {id}};
  add_list(connection, out, "copies", copies, items_max);
  return out;
}

json::object describe_catalog(sql::Connection& connection) {
  json::object out;
  CatalogQuery scans = scans_query();
  for_each_row(connection, scans, 1,
               [&](const sql::Statement& row) { out["last_scan"] = row_object(row, scans.fields); });
  json::array types;
  auto query = connection.prepare(
      "SELECT file_type,count(*),CAST(sum(file_size) AS BIGINT) FROM files WHERE status<>'missing' GROUP BY "
      "file_type "
      "ORDER BY 3 DESC,1");
  int64_t files = 0, bytes = 0;
  while (query->step()) {
    types.push_back({{"type", query->text(0)}, {"files", query->int64(1)}, {"bytes", query->int64(2)}});
    files += query->int64(1);
    bytes += query->int64(2);
  }
  out["files"] = files;
  out["bytes"] = bytes;
  out["types"] = std::move(types);
  out["sequences"] = number(connection, "SELECT count(*) FROM sequences WHERE status='ok'");
  out["files_in_sequences"] =
      number(connection, "SELECT CAST(sum(frame_count) AS BIGINT) FROM sequences WHERE status='ok'");
  out["items"] = files - out["files_in_sequences"].as_int64() + out["sequences"].as_int64();
  out["vanished_files"] = number(connection, "SELECT count(*) FROM files WHERE status='missing'");
  out["unreadable_files"] = count_rows(connection, unreadable_query());
  out["missing_dependencies"] = count_rows(connection, missing_query());
  out["inconsistent_sequences"] = count_rows(connection, sequences_query(true));
  out["duplicate_groups"] = count_rows(connection, duplicates_query(false));
  out["duplicate_bytes"] = number(connection, "SELECT CAST(sum(wasted_bytes) AS BIGINT) FROM duplicates");
  out["unused_files"] = count_rows(connection, unused_query());
  return out;
}

}  // namespace millrace::scan

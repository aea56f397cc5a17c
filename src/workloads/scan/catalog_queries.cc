#include "workloads/scan/catalog_queries.h"

#include <filesystem>

#include "base/error.h"
#include "base/strings.h"
#include "workloads/scan/extract.h"
#include "workloads/text.h"

namespace millrace::scan {
namespace {

using Type = FieldType;

constexpr int64_t kPage = 2000;
constexpr int64_t kCandidatesShown = 10;

// A shell pattern as one of LIKE, with '!' to escape.
std::string like_of(std::string_view pattern) {
  std::string like;
  for (char c : base::to_lower(pattern)) {
    if (c == '*') {
      like += '%';
    } else if (c == '?') {
      like += '_';
    } else {
      if (c == '%' || c == '_' || c == '!') like += '!';
      like += c;
    }
  }
  return like;
}

void bind_all(sql::Statement& statement, const CatalogQuery& query) {
  int at = 0;
  for (const auto& parameter : query.parameters) {
    ++at;
    if (const auto* text = std::get_if<std::string>(&parameter)) {
      statement.bind(at, *text);
    } else {
      statement.bind(at, std::get<int64_t>(parameter));
    }
  }
}

}  // namespace

CatalogQuery find_query(const FileFilter& filter, sql::Dialect dialect) {
  CatalogQuery query;
  query.fields = {{"type", Type::kText},     {"format", Type::kText},    {"size", Type::kBytes},
                  {"width", Type::kInteger}, {"height", Type::kInteger}, {"frames", Type::kInteger},
                  {"status", Type::kText},   {"modified", Type::kTime},  {"path", Type::kText}};
  std::string conditions = " WHERE 1=1";
  auto parameter = [&](std::variant<std::string, int64_t> value) {
    query.parameters.push_back(std::move(value));
    return "$" + std::to_string(query.parameters.size());
  };
  auto equal = [&](const char* column, const std::string& value) {
    if (!value.empty())
      conditions += std::string(" AND lower(") + column + ")=lower(" + parameter(value) + ")";
  };
  if (!filter.pattern.empty()) {
    const bool glob = filter.pattern.find_first_of("*?") != std::string::npos;
    const bool of_path = filter.pattern.find('/') != std::string::npos;
    const std::string like = glob ? like_of(filter.pattern) : "%" + like_of(filter.pattern) + "%";
    conditions += std::string(" AND lower(") + (glob && !of_path ? "f.file_name" : "f.file_path") +
                  ") LIKE " + parameter(like) + " ESCAPE '!'";
  }
  equal("f.file_type", filter.type);
  equal("f.format", filter.format);
  equal("f.show", filter.show);
  if (filter.status.empty()) {
    conditions += " AND f.status<>'missing'";
  } else {
    equal("f.status", filter.status);
  }
  if (!filter.codec.empty())
    conditions +=
        " AND lower(coalesce(v.codec,a.codec,i.compression))=lower(" + parameter(filter.codec) + ")";
  if (!filter.tag.empty())
    conditions += " AND CAST(f.tags AS TEXT) LIKE " + parameter("%\"" + base::to_lower(filter.tag) + "\"%");
  if (filter.size_min) conditions += " AND f.file_size>=" + parameter(*filter.size_min);
  if (filter.size_max) conditions += " AND f.file_size<=" + parameter(*filter.size_max);
  const std::string x = "coalesce(i.resolution_x,v.resolution_x,b.resolution_x)";
  const std::string y = "coalesce(i.resolution_y,v.resolution_y,b.resolution_y)";
  if (filter.width_min) conditions += " AND " + x + ">=" + parameter(*filter.width_min);
  if (filter.height_min) conditions += " AND " + y + ">=" + parameter(*filter.height_min);
  if (filter.modified_since) {
    const std::string time = parameter(database_time(*filter.modified_since));
    conditions += " AND f.modified_date>=" +
                  (dialect == sql::Dialect::kPostgresql ? "CAST(" + time + " AS TIMESTAMP)" : time);
  }
  const std::string joins =
      " LEFT JOIN images i ON i.file_id=f.id LEFT JOIN videos v ON v.file_id=f.id LEFT JOIN audio a ON "
      "a.file_id=f.id"
      " LEFT JOIN blend_files b ON b.file_id=f.id";
  if (!filter.fold_sequences) {
    query.sql = "SELECT f.file_type,f.format,f.file_size," + x + "," + y +
                ",coalesce(v.frame_count,b.num_frames,i.frame_count),f.status,CAST(f.modified_date AS "
                "TEXT),f.file_path "
                "FROM files f" +
                joins + conditions + " ORDER BY f.file_path";
  } else {
    // A sequence stands for those of its files that are asked for.
    query.sql = "SELECT f.file_type,f.format,coalesce(s.total_bytes,f.file_size)," + x + "," + y +
                ",coalesce(s.frame_count,v.frame_count,b.num_frames,i.frame_count),f.status,"
                "CAST(f.modified_date AS TEXT),CASE WHEN s.id IS NULL THEN f.file_path ELSE "
                "s.directory||'/'||s.pattern "
                "END FROM files f LEFT JOIN sequences s ON s.id=f.sequence_id AND s.status='ok'" +
                joins + conditions + " AND (s.id IS NULL OR s.representative_file_id=f.id) ORDER BY 9";
  }
  return query;
}

CatalogQuery missing_query() {
  return {{{"kind"}, {"owner"}, {"needed_by"}, {"found_elsewhere"}, {"missing"}},
          "SELECT kind,coalesce(owner_type||' '||owner,owner_type),file_path,suggestion,raw_path FROM "
          "missing_dependencies ORDER BY file_path,raw_path,owner",
          {}};
}

CatalogQuery duplicates_query(bool files) {
  if (files) {
    return {{{"copies", Type::kInteger}, {"size", Type::kBytes}, {"content"}, {"path"}},
            "SELECT copies,file_size,content,file_path FROM duplicate_files ORDER BY file_size*(copies-1) "
            "DESC,content,"
            "file_path",
            {}};
  }
  return {{{"wasted", Type::kBytes},
           {"copies", Type::kInteger},
           {"size", Type::kBytes},
           {"content"},
           {"first_path"}},
          "SELECT wasted_bytes,copies,file_size,content,first_path FROM duplicates ORDER BY wasted_bytes "
          "DESC,content",
          {}};
}

CatalogQuery sequences_query(bool inconsistent_only) {
  return {
      {{"type"},
       {"first", Type::kInteger},
       {"last", Type::kInteger},
       {"step", Type::kInteger},
       {"frames", Type::kInteger},
       {"missing", Type::kInteger},
       {"size", Type::kBytes},
       {"width", Type::kInteger},
       {"height", Type::kInteger},
       {"udim", Type::kBool},
       {"consistent", Type::kBool},
       {"path"},
       {"missing_frames"},
       {"differences"}},
      std::string(
          "SELECT file_type,first_frame,last_frame,step,frame_count,missing_count,total_bytes,resolution_x,"
          "resolution_y,is_udim,consistent,directory||'/'||pattern,missing_frames,differences FROM ") +
          (inconsistent_only ? "inconsistent_sequences" : "sequences WHERE status='ok'") +
          " ORDER BY directory,pattern",
      {}};
}

CatalogQuery unused_query() {
  return {
      {{"type"}, {"size", Type::kBytes}, {"modified", Type::kTime}, {"path"}},
      "SELECT file_type,file_size,CAST(modified_date AS TEXT),file_path FROM unused_files ORDER BY file_size "
      "DESC,file_path",
      {}};
}

CatalogQuery unreadable_query() {
  return {{{"status"}, {"type"}, {"format"}, {"size", Type::kBytes}, {"path"}, {"error"}},
          "SELECT status,file_type,format,file_size,file_path,error FROM unreadable_files ORDER BY file_path",
          {}};
}

CatalogQuery scans_query() {
  return {
      {{"id", Type::kInteger},
       {"status"},
       {"started", Type::kTime},
       {"finished", Type::kTime},
       {"files", Type::kInteger},
       {"added", Type::kInteger},
       {"changed", Type::kInteger},
       {"missing", Type::kInteger},
       {"errors", Type::kInteger},
       {"read", Type::kBytes},
       {"requests", Type::kInteger},
       {"root"}},
      "SELECT id,status,CAST(started AS TEXT),CAST(finished AS TEXT),files_listed,files_added,files_changed,"
      "files_missing,errors,bytes_read,requests,root FROM scans ORDER BY id DESC",
      {}};
}

void for_each_row(sql::Connection& connection, const CatalogQuery& query, int64_t limit,
                  const std::function<void(const sql::Statement&)>& visit) {
  std::string sql = query.sql;
  if (limit > 0) sql += " LIMIT " + std::to_string(limit);
  if (connection.dialect() == sql::Dialect::kSqlite) {
    auto statement = connection.prepare(sql);
    bind_all(*statement, query);
    while (statement->step()) visit(*statement);
    return;
  }
  // PostgreSQL would hand over all rows at once.
  sql::Transaction transaction(connection);
  auto declare = connection.prepare("DECLARE millrace_rows NO SCROLL CURSOR FOR " + sql);
  bind_all(*declare, query);
  declare->run();
  auto fetch = connection.prepare("FETCH " + std::to_string(kPage) + " FROM millrace_rows");
  for (bool more = true; more;) {
    more = false;
    while (fetch->step()) {
      more = true;
      visit(*fetch);
    }
  }
  connection.execute("CLOSE millrace_rows");
  transaction.commit();
}

int64_t count_rows(sql::Connection& connection, const CatalogQuery& query) {
  auto statement = connection.prepare("SELECT count(*) FROM (" +
                                      query.sql.substr(0, query.sql.rfind(" ORDER BY ")) + ") AS r");
  bind_all(*statement, query);
  return statement->step() ? statement->int64(0) : 0;
}

base::json::value json_value(const sql::Statement& row, int column, FieldType type) {
  if (row.is_null(column)) return nullptr;
  switch (type) {
    case Type::kInteger:
    case Type::kBytes:
      return row.int64(column);
    case Type::kReal:
      return row.real(column);
    case Type::kBool:
      return row.int64(column) != 0;
    case Type::kJson:
      try {
        return base::parse_json(row.text(column));
      } catch (const base::CorruptError&) {
        return base::json::string(row.text(column));  // written by somebody else
      }
    case Type::kText:
    case Type::kTime:
      break;
  }
  return base::json::string(row.text(column));
}

int64_t find_file(sql::Connection& connection, const std::string& name) {
  auto by_path = connection.prepare("SELECT id FROM files WHERE file_path=$1");
  std::vector<std::string> paths = {name, workloads::storage_text(name)};
  std::error_code error;
  std::filesystem::path absolute = std::filesystem::absolute(name, error);
  if (!error) paths.push_back(workloads::storage_text(absolute.lexically_normal().string()));
  for (const std::string& path : paths) {
    by_path->bind(1, path);
    if (by_path->step()) return by_path->int64(0);
    by_path->reset();
  }
  const std::string shown = workloads::printable(name);
  auto by_end = connection.prepare(
      "SELECT id,file_path FROM files WHERE lower(file_name)=lower($1) AND lower(file_path) LIKE $2 ESCAPE "
      "'!' ORDER BY "
      "file_path LIMIT " +
      std::to_string(kCandidatesShown + 1));
  std::string like = base::to_lower(workloads::storage_text(name));
  for (const char* special : {"!", "%", "_"})
    like = base::replace_all(like, special, std::string("!") + special);
  by_end->bind(1, std::string_view(name).substr(name.rfind('/') + 1)).bind(2, "%/" + like);
  std::vector<std::string> found;
  int64_t id = 0;
  while (by_end->step()) {
    id = by_end->int64(0);
    found.emplace_back(by_end->text(1));
  }
  if (found.empty()) throw base::NotFoundError("the catalogue has no file " + shown);
  if (found.size() == 1) return id;
  std::string message = "'" + shown + "' may be one of several files; write more of its path:";
  for (const std::string& path : found) message += "\n  " + workloads::printable(path);
  throw base::ConflictError(message);
}

}  // namespace millrace::scan

#include "workloads/scan/dependencies.h"

#include <sys/stat.h>

#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "workloads/text.h"

namespace millrace::scan {
namespace {

constexpr int64_t kPage = 500;
constexpr int64_t kNamesakesMax = 50;         // looked at for one missing file
constexpr int64_t kPatternFilesMax = 20'000;  // looked at for one pattern

struct Edge {
  int64_t id = 0;
  std::string kind, path, tiles;
  std::optional<int64_t> target;  // as the catalogue's paths say now
  std::optional<int64_t> old_target;
  std::optional<bool> old_exists;
  bool packed = false;
  std::string old_suggestion;
};

struct Found {
  bool exists = false;
  std::optional<int64_t> file;
  std::string suggestion;  // where a file of that name is, when this one is not there
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Where the first "####" or "<UDIM>" of the last path segment begins; npos when there is none.
size_t pattern_start(std::string_view path) {
  size_t name = path.rfind('/') + 1;
  return std::min({path.find('#', name), path.find("<UDIM>", name), path.find("<UVTILE>", name)});
}

// True when `text` is `pattern` with every run of '#' as digits, at least as many, <UDIM> as four, and
// <UVTILE> as u1_v1.
bool pattern_match(std::string_view pattern, std::string_view text) {
  while (!pattern.empty()) {
    if (pattern.front() == '#') {
      size_t wanted = std::min(pattern.find_first_not_of('#'), pattern.size());
      size_t digits = 0;
      while (digits < text.size() && is_digit(text[digits])) ++digits;
      if (digits < wanted) return false;
      pattern.remove_prefix(wanted);
      text.remove_prefix(digits);
    } else if (pattern.starts_with("<UDIM>")) {
      if (text.size() < 4) return false;
      for (size_t i = 0; i < 4; ++i) {
        if (!is_digit(text[i])) return false;
      }
      pattern.remove_prefix(6);
      text.remove_prefix(4);
    } else if (pattern.starts_with("<UVTILE>")) {
      size_t end = std::min(text.find_first_not_of("uv_0123456789"), text.size());
      if (end < 5) return false;
      pattern.remove_prefix(8);
      text.remove_prefix(end);
    } else {
      if (text.empty() || text.front() != pattern.front()) return false;
      pattern.remove_prefix(1);
      text.remove_prefix(1);
    }
  }
  return text.empty();
}

class Resolver {
 public:
  Resolver(sql::Connection& connection, objects::ObjectReader& reader, const ScanContext& context)
      : reader_(reader),
        context_(context),
        by_name_(connection.prepare("SELECT file_path FROM files WHERE lower(file_name)=lower($1) AND "
                                    "status<>'missing' ORDER BY file_path LIMIT $2")),
        by_path_(connection.prepare("SELECT id FROM files WHERE file_path=$1 AND status<>'missing'")),
        by_prefix_(connection.prepare("SELECT id,file_path FROM files WHERE file_path>=$1 AND file_path<$2 "
                                      "AND status<>'missing' ORDER BY "
                                      "file_path LIMIT $3")) {}

  Found resolve(const Edge& edge) {
    Found found = look_up(edge);
    if (!found.exists && !edge.packed && !edge.path.empty()) found.suggestion = namesake(edge.path);
    return found;
  }

 private:
  Found look_up(const Edge& edge) {
    if (edge.target) return {true, edge.target, {}};
    if (edge.path.empty()) return {};
    if (pattern_start(edge.path) != std::string::npos) return resolve_pattern(edge);
    if (edge.kind == "cache" || edge.kind == "volume") {  // may be a folder
      by_prefix_->bind(1, edge.path + "/").bind(2, edge.path + "0").bind(3, int64_t{1});
      bool found = by_prefix_->step();
      by_prefix_->reset();
      if (found) return {true, std::nullopt, {}};
    }
    return {in_store(edge.path), std::nullopt, {}};
  }

  // The file of the same name, in any case, whose path ends most like `path`. A name that many files have
  // says nothing unless more than the name agrees.
  std::string namesake(const std::string& path) {
    by_name_->bind(1, std::string_view(path).substr(path.rfind('/') + 1)).bind(2, kNamesakesMax);
    const std::string wanted = base::to_lower(path);
    std::string best;
    size_t best_length = 0, name_length = path.size() - (path.rfind('/') + 1), found = 0;
    while (by_name_->step()) {
      ++found;
      std::string candidate(by_name_->text(0));
      const std::string lower = base::to_lower(candidate);
      size_t length = 0;
      while (length < lower.size() && length < wanted.size() &&
             lower[lower.size() - 1 - length] == wanted[wanted.size() - 1 - length])
        ++length;
      if (length > best_length) {
        best_length = length;
        best = std::move(candidate);
      }
    }
    return found == 1 || best_length > name_length + 1 ? best : "";
  }

  Found resolve_pattern(const Edge& edge) {
    size_t udim = edge.path.find("<UDIM>");
    if (!edge.tiles.empty() && udim != std::string::npos) {
      Found found{true, std::nullopt, {}};
      const base::json::value tiles = base::parse_json(edge.tiles);
      for (const base::json::value& tile : tiles.as_array()) {
        std::string path = edge.path;
        path.replace(udim, 6, std::to_string(tile.as_int64()));
        std::optional<int64_t> file = file_at(path);
        if (!file && !in_store(path)) return {};
        if (!found.file) found.file = file;
      }
      return found;
    }
    std::string prefix = edge.path.substr(0, pattern_start(edge.path));
    by_prefix_->bind(1, prefix).bind(2, prefix + "\x7f").bind(3, kPatternFilesMax);
    Found found;
    while (!found.exists && by_prefix_->step()) {
      if (pattern_match(edge.path, by_prefix_->text(1))) found = {true, by_prefix_->int64(0), {}};
    }
    by_prefix_->reset();
    return found;
  }

  std::optional<int64_t> file_at(const std::string& path) {
    by_path_->bind(1, path);
    std::optional<int64_t> id;
    if (by_path_->step()) id = by_path_->int64(0);
    by_path_->reset();
    return id;
  }

  // Asks the store itself: a path that was not scanned, or lies behind a link to a folder.
  bool in_store(const std::string& path) {
    std::string bytes = workloads::storage_bytes(path);
    if (context_.storage == "local") {
      struct stat status;
      return bytes.starts_with('/') && stat(bytes.c_str(), &status) == 0;
    }
    if (!bytes.starts_with(context_.base) || bytes.size() == context_.base.size()) return false;
    try {
      reader_.head(std::string_view(bytes).substr(context_.base.size()));
      return true;
    } catch (const base::NotFoundError&) {
      return false;
    }
  }

  objects::ObjectReader& reader_;
  const ScanContext& context_;
  std::unique_ptr<sql::Statement> by_name_, by_path_, by_prefix_;
};

std::vector<Edge> next_page(sql::Statement& query) {
  std::vector<Edge> edges;
  while (query.step()) {
    Edge& edge = edges.emplace_back();
    edge.id = query.int64(0);
    edge.kind = query.text(1);
    if (!query.is_null(2)) edge.path = query.text(2);
    if (!query.is_null(3)) edge.tiles = query.text(3);
    if (!query.is_null(4)) edge.target = query.int64(4);
    if (!query.is_null(5)) edge.old_target = query.int64(5);
    if (!query.is_null(6)) edge.old_exists = query.int64(6) != 0;
    edge.packed = query.int64(7) != 0;
    if (!query.is_null(8)) edge.old_suggestion = query.text(8);
  }
  return edges;
}

}  // namespace

void resolve_dependencies(sql::Connection& connection, objects::ObjectReader& reader,
                          const ScanContext& context, const PathRange& range, const std::atomic<bool>& stop) {
  Resolver resolver(connection, reader, context);
  // "||''": by way of the dependencies, which may be few, and never of all files below.
  auto query = connection.prepare(
      "SELECT d.id,d.kind,d.resolved_path,d.udim_tiles,t.id,d.resolved_file_id,d.\"exists\",d.packed,"
      "d.suggestion FROM dependencies d "
      "JOIN files f ON f.id=d.file_id LEFT JOIN files t ON t.file_path=d.resolved_path AND "
      "t.status<>'missing' "
      "WHERE d.id>$1 AND f.file_path||''>=$2 AND f.file_path||''<$3 AND f.status<>'missing' ORDER BY d.id "
      "LIMIT $4");
  auto update = connection.prepare(
      "UPDATE dependencies SET \"exists\"=$1,resolved_file_id=$2,suggestion=$4 WHERE id=$3");
  query->bind(1, int64_t{0}).bind(2, range.first).bind(3, range.end).bind(4, kPage);
  for (std::vector<Edge> edges = next_page(*query); !edges.empty() && !stop; edges = next_page(*query)) {
    query->bind(1, edges.back().id);
    // The store is asked before the transaction: nothing is locked while it takes its time.
    std::vector<std::pair<int64_t, Found>> news;
    for (const Edge& edge : edges) {
      Found found = resolver.resolve(edge);
      if (found.exists != edge.old_exists || found.file != edge.old_target ||
          found.suggestion != edge.old_suggestion)
        news.emplace_back(edge.id, found);
    }
    if (news.empty()) continue;
    sql::Transaction transaction(connection);
    for (const auto& [id, found] : news) {
      update->bind(1, int64_t{found.exists});
      found.file ? update->bind(2, *found.file) : update->bind_null(2);
      found.suggestion.empty() ? update->bind_null(4) : update->bind(4, found.suggestion);
      update->bind(3, id).run();
    }
    transaction.commit();
  }
  const std::string missing =
      "(SELECT count(*) FROM dependencies d WHERE d.file_id=blend_files.file_id AND NOT d.\"exists\" AND NOT "
      "d.packed)";
  auto count = connection.prepare("UPDATE blend_files SET missing_count=" + missing +
                                  " WHERE coalesce(missing_count,-1)<>" + missing +
                                  " AND EXISTS (SELECT 1 FROM files f WHERE f.id=blend_files.file_id AND "
                                  "f.file_path>=$1 AND f.file_path<$2)");
  count->bind(1, range.first).bind(2, range.end).run();
}

}  // namespace millrace::scan

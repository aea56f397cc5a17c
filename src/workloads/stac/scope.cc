#include "workloads/stac/scope.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "sql/duckdb.h"
#include "workloads/stac/box.h"
#include "workloads/stac/local_parquet.h"
#include "workloads/stac/places.h"

namespace millrace::stac {
namespace {

bool is_same_box(const std::string& a, const std::string& b) {
  if (a == b || a.empty() || b.empty()) return a == b;
  const Box one = parse_box(a), other = parse_box(b);
  return one.west == other.west && one.south == other.south && one.east == other.east &&
         one.north == other.north;
}

std::vector<Scope> parse_scopes(const std::string& text) {
  std::vector<Scope> scopes;
  const base::json::value value = base::parse_json(text);
  if (!value.is_array()) throw base::CorruptError("no list");
  for (const auto& one : value.get_array()) {
    if (!one.is_object()) throw base::CorruptError("no object in the list");
    Scope scope;
    scope.box = base::find_string(one.get_object(), "box").value_or("");
    if (!scope.box.empty()) parse_box(scope.box);
    if (const auto* names = base::find_array(one.get_object(), "collections"))
      for (const auto& name : *names)
        if (name.is_string()) scope.collections.emplace_back(base::view(name.get_string()));
    scopes.push_back(std::move(scope));
  }
  return scopes;
}

}  // namespace

bool Scope::covers(const Scope& other) const {
  if (!box.empty() && !is_same_box(box, other.box)) return false;
  if (collections.empty() || other.collections.empty()) return collections.empty();
  return std::all_of(other.collections.begin(), other.collections.end(), [&](const std::string& name) {
    return std::find(collections.begin(), collections.end(), name) != collections.end();
  });
}

std::string Scope::text() const {
  return (collections.empty() ? "all collections" : base::join(collections, ", ")) +
         (box.empty() ? "" : " in " + box);
}

bool cover(const std::vector<Scope>& scopes, const Scope& asked) {
  const auto covered = [&](const Scope& part) {
    return std::any_of(scopes.begin(), scopes.end(), [&](const Scope& scope) { return scope.covers(part); });
  };
  if (asked.collections.empty()) return covered(asked);
  return std::all_of(asked.collections.begin(), asked.collections.end(), [&](const std::string& name) {
    return covered({.collections = {name}, .box = asked.box});
  });
}

std::string scopes_text(const std::vector<Scope>& scopes) {
  base::json::array out;
  for (const Scope& scope : scopes) {
    base::json::array names;
    for (const std::string& name : scope.collections) names.emplace_back(base::json::string(name));
    base::json::object one{{"collections", std::move(names)}};
    if (!scope.box.empty()) one["box"] = base::json::string(scope.box);
    out.push_back(std::move(one));
  }
  return base::json::serialize(out);
}

std::optional<std::vector<Scope>> scopes_of(const objects::Location& file) {
  const LocalParquet footer(file, "", LocalParquet::Part::kFooter);
  sql::DuckDb database({.threads = 1});
  const auto text = file_text(database, footer.path(), kScopesKey);
  if (!text) return std::nullopt;
  try {
    return parse_scopes(*text);
  } catch (const base::Error& e) {
    throw base::CorruptError(shown(file) + ": '" + kScopesKey + "' in its footer: " + e.what());
  }
}

}  // namespace millrace::stac

// Manifests in TOML: Cargo and Python's.
#include <algorithm>
#include <cctype>

#include "base/json.h"
#include "base/strings.h"
#include "workloads/ingest/licence.h"
#include "workloads/ingest/manifest.h"
#include "workloads/ingest/toml.h"

namespace millrace::ingest {
namespace {

using base::json::object;

std::string_view text(const object& from, std::string_view name) {
  return base::find_string(from, name).value_or("");
}

// A version, or a table with one or with where it comes from instead.
std::string_view version_of(const base::json::value& value) {
  if (value.is_string()) return base::view(value.as_string());
  if (!value.is_object()) return "";
  for (std::string_view member : {"version", "git", "url", "path"})
    if (const std::string_view found = text(value.as_object(), member); !found.empty()) return found;
  return "";
}

void add_table(Manifest& manifest, const object& from, std::string_view member, std::string_view ecosystem,
               std::string_view scope) {
  const object* table = base::find_object(from, member);
  if (table == nullptr) return;
  for (const auto& [key, value] : *table) {
    std::string_view name = key, as = scope;
    if (ecosystem == "pypi" && base::equals_ignore_case(name, "python")) continue;
    if (value.is_object()) {
      // Cargo: the key is what the program calls it, "package" its name.
      if (const std::string_view real = text(value.as_object(), "package"); !real.empty()) name = real;
      if (base::find_bool(value.as_object(), "optional").value_or(false) && scope == "runtime")
        as = "optional";
    }
    add(manifest, ecosystem, name, version_of(value), as);
  }
}

void add_cargo(Manifest& manifest, const object& from) {
  add_table(manifest, from, "dependencies", "cargo", "runtime");
  add_table(manifest, from, "dev-dependencies", "cargo", "development");
  add_table(manifest, from, "build-dependencies", "cargo", "build");
}

void add_requirements(Manifest& manifest, const object& from, std::string_view member,
                      std::string_view scope) {
  const base::json::array* array = base::find_array(from, member);
  if (array == nullptr) return;
  for (const base::json::value& value : *array)
    if (value.is_string()) add_python(manifest, base::view(value.as_string()), scope);
}

void add_groups(Manifest& manifest, const object& from, std::string_view member) {
  const object* groups = base::find_object(from, member);
  if (groups == nullptr) return;
  for (const auto& [group, value] : *groups) add_requirements(manifest, *groups, group, group);
}

void add_poetry(Manifest& manifest, const object& poetry) {
  if (manifest.name.empty()) manifest.name = text(poetry, "name");
  if (manifest.version.empty()) manifest.version = text(poetry, "version");
  if (manifest.licence.empty() && is_licence_expression(text(poetry, "license")))
    manifest.licence = text(poetry, "license");
  add_table(manifest, poetry, "dependencies", "pypi", "runtime");
  add_table(manifest, poetry, "dev-dependencies", "pypi", "development");
  const object* groups = base::find_object(poetry, "group");
  if (groups == nullptr) return;
  for (const auto& [name, group] : *groups)
    if (group.is_object())
      add_table(manifest, group.as_object(), "dependencies", "pypi",
                std::string_view(name) == "dev" ? std::string_view("development") : std::string_view(name));
}

Manifest read_lock(std::string_view content, std::string_view ecosystem) {
  const object root = parse_toml(content);
  Manifest manifest;
  const base::json::array* packages = base::find_array(root, "package");
  if (packages == nullptr) return manifest;
  for (const base::json::value& value : *packages) {
    if (!value.is_object()) continue;
    const object& one = value.as_object();
    // The workspace's own packages have no source.
    if (ecosystem == "cargo" && text(one, "source").empty()) continue;
    const bool development = text(one, "category") == "dev";
    add(manifest, ecosystem, text(one, "name"), text(one, "version"), development ? "development" : "runtime",
        true);
  }
  return manifest;
}

}  // namespace

Manifest read_cargo_toml(std::string_view content) {
  const object root = parse_toml(content);
  Manifest manifest;
  if (const object* package = base::find_object(root, "package")) {
    manifest.name = text(*package, "name");
    manifest.version = text(*package, "version");
    // Before SPDX: "MIT/Apache-2.0".
    const std::string licence = base::replace_all(std::string(text(*package, "license")), "/", " OR ");
    if (is_licence_expression(licence)) manifest.licence = licence;
  }
  add_cargo(manifest, root);
  if (const object* workspace = base::find_object(root, "workspace"))
    add_table(manifest, *workspace, "dependencies", "cargo", "runtime");
  if (const object* targets = base::find_object(root, "target"))
    for (const auto& [name, target] : *targets)
      if (target.is_object()) add_cargo(manifest, target.as_object());
  return manifest;
}

Manifest read_cargo_lock(std::string_view content) { return read_lock(content, "cargo"); }
Manifest read_python_lock(std::string_view content) { return read_lock(content, "pypi"); }

Manifest read_pyproject(std::string_view content) {
  const object root = parse_toml(content);
  Manifest manifest;
  if (const object* project = base::find_object(root, "project")) {
    manifest.name = text(*project, "name");
    manifest.version = text(*project, "version");
    std::string_view licence = text(*project, "license");
    if (const object* table = base::find_object(*project, "license")) licence = text(*table, "text");
    if (is_licence_expression(licence)) manifest.licence = licence;
    add_requirements(manifest, *project, "dependencies", "runtime");
    add_groups(manifest, *project, "optional-dependencies");
  }
  if (const object* build = base::find_object(root, "build-system"))
    add_requirements(manifest, *build, "requires", "build");
  add_groups(manifest, root, "dependency-groups");
  if (const object* tool = base::find_object(root, "tool"))
    if (const object* poetry = base::find_object(*tool, "poetry")) add_poetry(manifest, *poetry);
  return manifest;
}

Manifest read_pipfile(std::string_view content) {
  const object root = parse_toml(content);
  Manifest manifest;
  add_table(manifest, root, "packages", "pypi", "runtime");
  add_table(manifest, root, "dev-packages", "pypi", "development");
  return manifest;
}

void add_python(Manifest& manifest, std::string_view requirement, std::string_view scope) {
  requirement = base::trim(requirement.substr(0, requirement.find(';')));
  // The name (PEP 508): letters, digits, '-', '_', '.'.
  size_t end = 0;
  while (end < requirement.size() &&
         (std::isalnum(static_cast<unsigned char>(requirement[end])) != 0 || requirement[end] == '-' ||
          requirement[end] == '_' || requirement[end] == '.'))
    ++end;
  std::string_view rest = base::trim(requirement.substr(end));
  if (rest.starts_with('[')) {  // extras
    const size_t close = rest.find(']');
    if (close == std::string_view::npos) return;
    rest = base::trim(rest.substr(close + 1));
  }
  if (rest.starts_with('(') && rest.ends_with(')')) rest = rest.substr(1, rest.size() - 2);
  if (!rest.empty() && std::string_view("<>=!~@").find(rest[0]) == std::string_view::npos) return;
  add(manifest, "pypi", requirement.substr(0, end), rest, scope);
}

}  // namespace millrace::ingest

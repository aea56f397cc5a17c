// Manifests in JSON: npm and Composer.
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "workloads/ingest/licence.h"
#include "workloads/ingest/manifest.h"

namespace millrace::ingest {
namespace {

using base::json::object;

object parse_object(std::string_view content) {
  base::json::value value = base::parse_json(content);
  if (!value.is_object()) throw base::CorruptError("it is no JSON object");
  return std::move(value.as_object());
}

std::string_view text(const object& from, std::string_view name) {
  return base::find_string(from, name).value_or("");
}

// {"name": "version"}
void add_members(Manifest& manifest, const object& from, std::string_view member, std::string_view ecosystem,
                 std::string_view scope) {
  const object* members = base::find_object(from, member);
  if (members == nullptr) return;
  for (const auto& [name, version] : *members)
    add(manifest, ecosystem, name, version.is_string() ? base::view(version.as_string()) : "", scope);
}

void take_licence(Manifest& manifest, std::string_view licence) {
  if (is_licence_expression(licence) && licence != "UNLICENSED" && licence != "proprietary")
    manifest.licence = licence;
}

// Version 1 of package-lock.json: {"name": {"version": …, "dependencies": {…}}}
void add_nested(Manifest& manifest, const object& dependencies, int depth) {
  if (depth == 32) return;
  for (const auto& [name, value] : dependencies) {
    if (!value.is_object()) continue;
    const object& one = value.as_object();
    const bool development = base::find_bool(one, "dev").value_or(false);
    add(manifest, "npm", name, text(one, "version"), development ? "development" : "runtime", true);
    if (const object* below = base::find_object(one, "dependencies")) add_nested(manifest, *below, depth + 1);
  }
}

}  // namespace

Manifest read_package_json(std::string_view content) {
  const object root = parse_object(content);
  Manifest manifest;
  manifest.name = text(root, "name");
  manifest.version = text(root, "version");
  take_licence(manifest, text(root, "license"));
  if (const object* licence = base::find_object(root, "license"))
    take_licence(manifest, text(*licence, "type"));
  add_members(manifest, root, "dependencies", "npm", "runtime");
  add_members(manifest, root, "devDependencies", "npm", "development");
  add_members(manifest, root, "peerDependencies", "npm", "peer");
  add_members(manifest, root, "optionalDependencies", "npm", "optional");
  return manifest;
}

Manifest read_package_lock(std::string_view content) {
  const object root = parse_object(content);
  Manifest manifest;
  manifest.name = text(root, "name");
  manifest.version = text(root, "version");
  const object* packages = base::find_object(root, "packages");
  if (packages == nullptr) {
    if (const object* dependencies = base::find_object(root, "dependencies"))
      add_nested(manifest, *dependencies, 0);
    return manifest;
  }
  static constexpr std::string_view kFolder = "node_modules/";
  for (const auto& [key, value] : *packages) {
    const std::string_view place = key;
    const size_t at = place.rfind(kFolder);
    if (at == std::string_view::npos || !value.is_object()) continue;  // the package itself, workspaces
    const object& one = value.as_object();
    if (base::find_bool(one, "link").value_or(false)) continue;
    const bool development = base::find_bool(one, "dev").value_or(false);
    const bool optional = base::find_bool(one, "optional").value_or(false);
    const std::string_view name =
        text(one, "name").empty() ? place.substr(at + kFolder.size()) : text(one, "name");
    add(manifest, "npm", name, text(one, "version"),
        development ? "development"
        : optional  ? "optional"
                    : "runtime",
        true);
  }
  return manifest;
}

Manifest read_composer_json(std::string_view content) {
  const object root = parse_object(content);
  Manifest manifest;
  manifest.name = text(root, "name");
  manifest.version = text(root, "version");
  take_licence(manifest, text(root, "license"));
  add_members(manifest, root, "require", "composer", "runtime");
  add_members(manifest, root, "require-dev", "composer", "development");
  return manifest;
}

Manifest read_composer_lock(std::string_view content) {
  const object root = parse_object(content);
  Manifest manifest;
  for (const bool development : {false, true}) {
    const base::json::array* packages = base::find_array(root, development ? "packages-dev" : "packages");
    if (packages == nullptr) continue;
    for (const base::json::value& value : *packages)
      if (value.is_object())
        add(manifest, "composer", text(value.as_object(), "name"), text(value.as_object(), "version"),
            development ? "development" : "runtime", true);
  }
  return manifest;
}

}  // namespace millrace::ingest

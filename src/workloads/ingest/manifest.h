// Dependencies as the manifests and lock files of package managers name them. Nothing is run or resolved.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::ingest {

struct Dependency {
  std::string ecosystem;  // as in package URLs: "npm", "maven", "pypi", "cargo", "golang", "gem", "composer",
                          // and "cmake", "pkgconfig"
  std::string name;       // "group:artifact" for Maven
  std::string version;    // what is asked for, as written; of a lock file what was chosen; empty: any
  std::string scope;      // "runtime", "development", "test", "build", "optional", "peer", "indirect", or the
                          // group's own name
  bool locked = false;    // the one that was chosen, not what is asked for
};

struct Manifest {
  std::string name, version;  // of the package itself; empty where it says none
  std::string licence;        // an SPDX expression that it declares; empty: none
  std::vector<Dependency> dependencies;
};

// True when parse_manifest() knows files of that name.
bool is_manifest(std::string_view path);

// At most kDependenciesMax of them. Throws CorruptError, with what is wrong, for content that is not what its
// name says. Any bytes, linear time, memory in proportion to the content.
inline constexpr size_t kDependenciesMax = 100'000;
Manifest parse_manifest(std::string_view path, std::string_view content);

// One for each kind of file; what parse_manifest() calls. (manifest_json.cc, manifest_toml.cc,
// manifest_maven.cc, manifest_text.cc)
Manifest read_package_json(std::string_view content);
Manifest read_package_lock(std::string_view content);
Manifest read_composer_json(std::string_view content);
Manifest read_composer_lock(std::string_view content);
Manifest read_cargo_toml(std::string_view content);
Manifest read_cargo_lock(std::string_view content);
Manifest read_pyproject(std::string_view content);
Manifest read_python_lock(std::string_view content);  // poetry.lock, uv.lock, pdm.lock
Manifest read_pipfile(std::string_view content);
Manifest read_pom(std::string_view content);
Manifest read_gradle(std::string_view content);
Manifest read_requirements(std::string_view content);
Manifest read_go_mod(std::string_view content);
Manifest read_cmake(std::string_view content);
Manifest read_gemfile(std::string_view content);
Manifest read_gemfile_lock(std::string_view content);

// Adds one that is not empty and not beyond the limit.
void add(Manifest& manifest, std::string_view ecosystem, std::string_view name, std::string_view version,
         std::string_view scope, bool locked = false);
// "requests[security]>=2,<3; python_version > '3'" (PEP 508).
void add_python(Manifest& manifest, std::string_view requirement, std::string_view scope);

}  // namespace millrace::ingest

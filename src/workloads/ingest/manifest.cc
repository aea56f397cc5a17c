#include "workloads/ingest/manifest.h"

#include <array>

#include "base/strings.h"

namespace millrace::ingest {
namespace {

struct Reader {
  std::string_view file_name;  // in lower case
  Manifest (*read)(std::string_view content);
};
constexpr Reader kReaders[] = {
    {"package.json", read_package_json},
    {"package-lock.json", read_package_lock},
    {"npm-shrinkwrap.json", read_package_lock},
    {"composer.json", read_composer_json},
    {"composer.lock", read_composer_lock},
    {"cargo.toml", read_cargo_toml},
    {"cargo.lock", read_cargo_lock},
    {"pyproject.toml", read_pyproject},
    {"poetry.lock", read_python_lock},
    {"uv.lock", read_python_lock},
    {"pdm.lock", read_python_lock},
    {"pipfile", read_pipfile},
    {"pom.xml", read_pom},
    {"build.gradle", read_gradle},
    {"build.gradle.kts", read_gradle},
    {"go.mod", read_go_mod},
    {"cmakelists.txt", read_cmake},
    {"gemfile", read_gemfile},
    {"gemfile.lock", read_gemfile_lock},
};

const Reader* reader_of(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  for (const Reader& reader : kReaders)
    if (base::equals_ignore_case(name, reader.file_name)) return &reader;
  static constexpr Reader kRequirements = {"requirements.txt", read_requirements};
  static constexpr Reader kCmake = {"*.cmake", read_cmake};
  const std::string lower = base::to_lower(name);
  // requirements.txt, requirements-dev.txt, dev-requirements.txt, requirements/test.txt
  const std::string_view folder = path.substr(0, path.size() - name.size());
  if (lower.ends_with(".txt") && (lower.find("requirements") != std::string::npos ||
                                  folder == "requirements/" || folder.ends_with("/requirements/")))
    return &kRequirements;
  if (lower.ends_with(".cmake")) return &kCmake;
  return nullptr;
}

}  // namespace

bool is_manifest(std::string_view path) { return reader_of(path) != nullptr; }

Manifest parse_manifest(std::string_view path, std::string_view content) {
  const Reader* reader = reader_of(path);
  if (reader == nullptr) return {};
  if (content.starts_with("\xef\xbb\xbf")) content.remove_prefix(3);
  return reader->read(content);
}

void add(Manifest& manifest, std::string_view ecosystem, std::string_view name, std::string_view version,
         std::string_view scope, bool locked) {
  name = base::trim(name);
  if (name.empty() || manifest.dependencies.size() >= kDependenciesMax) return;
  Dependency dependency;
  dependency.ecosystem = ecosystem;
  dependency.name = name;
  dependency.version = base::trim(version);
  dependency.scope = scope;
  dependency.locked = locked;
  manifest.dependencies.push_back(std::move(dependency));
}

}  // namespace millrace::ingest

// libFuzzer entry: any bytes given to the readers of manifests, licences and languages end in what was found
// or in a CorruptError, in linear time.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "workloads/ingest/language.h"
#include "workloads/ingest/language_table.h"
#include "workloads/ingest/licence.h"
#include "workloads/ingest/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  static constexpr std::string_view kNames[] = {
      "package.json", "package-lock.json", "composer.json",  "composer.lock",   "Cargo.toml", "Cargo.lock",
      "uv.lock",      "pyproject.toml",    "Pipfile",        "pom.xml",         "go.mod",     "build.gradle",
      "Gemfile",      "Gemfile.lock",      "CMakeLists.txt", "requirements.txt"};
  if (size == 0) return 0;
  // The first byte chooses the reader.
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string_view name = kNames[data[0] % std::size(kNames)];
  try {
    const ingest::Manifest manifest = ingest::parse_manifest(name, text);
    if (manifest.dependencies.size() > ingest::kDependenciesMax) __builtin_trap();
    for (const ingest::Dependency& dependency : manifest.dependencies)
      if (dependency.name.empty() || dependency.ecosystem.empty()) __builtin_trap();
  } catch (const base::CorruptError&) {
  }
  const auto all = ingest::languages();
  if (ingest::count_lines(text, &all[data[0] % all.size()]).all() > text.size() + 1) __builtin_trap();
  ingest::language_of("script", text);
  ingest::licence_of_text(text);
  if (const auto tag = ingest::licence_tag(text); !tag.empty() && !ingest::is_licence_expression(tag))
    __builtin_trap();
  return 0;
}

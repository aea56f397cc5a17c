#include "sql/duckdb_api.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"

namespace millrace::sql {
namespace {

constexpr const char* kFileName = "libduckdb.so";

std::vector<std::string> places() {
  if (const char* named = std::getenv("MILLRACE_DUCKDB"); named && *named) return {named};
  std::vector<std::string> found;
  std::error_code unreadable;
  if (const auto program = std::filesystem::read_symlink("/proc/self/exe", unreadable); !unreadable) {
    const auto folder = program.parent_path();
    found.push_back(folder / kFileName);
    found.push_back(folder.parent_path() / "lib" / "millrace" / kFileName);
  }
#ifdef MILLRACE_DUCKDB_LIBRARY
  found.emplace_back(MILLRACE_DUCKDB_LIBRARY);
#endif
  found.emplace_back(kFileName);  // the loader's own search
  return found;
}

DuckDbApi open_library() {
  std::string tried;
  void* library = nullptr;
  for (const auto& place : places()) {
    library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library) break;
    tried += "\n  ";
    tried += dlerror();
  }
  if (!library) {
    throw base::NotFoundError("DuckDB is needed for this and its library was not found: put " +
                                  std::string(kFileName) + " (1.4 or newer, from duckdb.org) beside the " +
                                  "program, or name the file in MILLRACE_DUCKDB. Tried:" + tried,
                              "DuckDbNotFound");
  }
  DuckDbApi api;
  std::string missing;
  const auto find = [&](const char* name, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    if (!function) missing += std::string(missing.empty() ? "" : ", ") + name;
  };
#define MILLRACE_DUCKDB_FIND(name) find("duckdb_" #name, api.name);
  MILLRACE_DUCKDB_FUNCTIONS(MILLRACE_DUCKDB_FIND)
#undef MILLRACE_DUCKDB_FIND
  if (!missing.empty()) {
    throw base::NotFoundError("this DuckDB library lacks " + missing + ": 1.4 or newer is needed; name " +
                                  "another file in MILLRACE_DUCKDB",
                              "DuckDbNotFound");
  }
  return api;
}

}  // namespace

const DuckDbApi& duckdb_api() {
  static const DuckDbApi api = open_library();
  return api;
}

}  // namespace millrace::sql

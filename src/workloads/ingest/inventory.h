// What a tree holds: files with language, lines and licence, symbols, and the dependencies its manifests
// name.
//
// Each repository gives one file of JSON lines (zstd), published beside its snapshot; all those of a run are
// brought together in Parquet (inventory_dataset.h). Every line has "table" ("file", "symbol", "dependency"),
// "origin", "repository", "branch" and "changeset"; the other columns are in kInventoryColumns.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "workloads/ingest/tree.h"

namespace millrace::ingest {

class Ctags;

struct InventoryOptions {
  std::string file = {};  // written whole or not at all, mode 0600, not synced
  // What every row says of its repository.
  std::string origin = {}, repository = {}, branch = {}, changeset = {};
  // Symbols come from here; null: none. One for each thread that makes inventories (ctags.h).
  Ctags* ctags = nullptr;
  // Larger files count with their size only.
  uint64_t text_bytes_max = 4 << 20;
  uint64_t symbols_max = 1'000'000;  // of the repository; more are left out, which a note says
};

struct LanguageSum {
  std::string name;
  uint64_t files = 0, bytes = 0, code = 0, comment = 0, blank = 0;  // the last three: lines
};

struct InventoryResult {
  uint64_t files = 0, bytes = 0, binary_files = 0;
  uint64_t code = 0, comment = 0, blank = 0;  // lines
  uint64_t symbols = 0, dependencies = 0;
  std::vector<LanguageSum> languages;  // most code first
  std::vector<std::string> licences;   // SPDX expressions of licence files and manifests, without repeats
  std::vector<std::string> notes;      // what could not be read and why, at most 100
  uint64_t file_bytes = 0;             // of what was written
  std::string file_sha256;             // hexadecimal
};

// Memory does not grow with the number of files. Throws what the tree throws, and TransientError when nothing
// can be written. Files that are not what they should be (a package.json that is no JSON) are in the notes.
InventoryResult make_inventory(Tree& tree, const InventoryOptions& options);
InventoryResult make_inventory(const std::string& tree_folder, const InventoryOptions& options);

// For the JSON result: counts, languages, licences, notes.
base::json::object to_json(const InventoryResult& result);

struct InventoryColumn {
  std::string_view table, name, type;  // type: DuckDB's
};
std::span<const InventoryColumn> inventory_columns();

}  // namespace millrace::ingest

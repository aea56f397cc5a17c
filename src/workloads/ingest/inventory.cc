#include "workloads/ingest/inventory.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "base/strings.h"
#include "workloads/ingest/ctags.h"
#include "workloads/ingest/language.h"
#include "workloads/ingest/licence.h"
#include "workloads/ingest/manifest.h"
#include "workloads/ingest/zstd_output.h"
#include "workloads/text.h"

namespace millrace::ingest {
namespace {

constexpr size_t kHead = 16 << 10;
constexpr size_t kNotesMax = 100;
constexpr uint64_t kSymbolBytesMax = 1 << 20;  // larger sources were written by programs
constexpr uint64_t kManifestBytesMax = 4 << 20;
constexpr size_t kTextMax = 500;  // of a symbol's name, scope and signature
constexpr int kZstdLevel = 3;

constexpr InventoryColumn kColumns[] = {
    {"", "origin", "VARCHAR"},
    {"", "repository", "VARCHAR"},
    {"", "branch", "VARCHAR"},
    {"", "changeset", "VARCHAR"},
    {"", "path", "VARCHAR"},
    {"file", "kind", "VARCHAR"},
    {"file", "size", "UBIGINT"},
    {"file", "language", "VARCHAR"},
    {"file", "language_kind", "VARCHAR"},
    {"file", "is_binary", "BOOLEAN"},
    {"file", "lines", "UBIGINT"},
    {"file", "code", "UBIGINT"},
    {"file", "comment", "UBIGINT"},
    {"file", "blank", "UBIGINT"},
    {"file", "licence", "VARCHAR"},
    {"file", "licence_from", "VARCHAR"},
    {"file", "target", "VARCHAR"},
    {"symbol", "name", "VARCHAR"},
    {"symbol", "kind", "VARCHAR"},
    {"symbol", "language", "VARCHAR"},
    {"symbol", "line", "UBIGINT"},
    {"symbol", "scope", "VARCHAR"},
    {"symbol", "scope_kind", "VARCHAR"},
    {"symbol", "signature", "VARCHAR"},
    {"dependency", "ecosystem", "VARCHAR"},
    {"dependency", "name", "VARCHAR"},
    {"dependency", "version", "VARCHAR"},
    {"dependency", "scope", "VARCHAR"},
    {"dependency", "locked", "BOOLEAN"},
};

// One JSON object a line, all with the same beginning.
class Rows {
 public:
  Rows(ZstdOutput& output, const InventoryOptions& options) : output_(output) {
    member("origin", options.origin);
    member("repository", options.repository);
    member("branch", options.branch);
    member("changeset", options.changeset);
    common_ = std::move(row_);
  }
  void begin(std::string_view table, const std::string& path) {
    row_ = R"({"table":")";
    row_ += table;
    row_ += '"';
    row_ += common_;
    member("path", path);
  }
  void member(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    head(name);
    row_ += base::json::serialize(base::json::string_view(
        workloads::is_storage_text(value) ? std::string(value) : workloads::storage_text(value)));
  }
  void member(std::string_view name, uint64_t value) {
    head(name);
    row_ += std::to_string(value);
  }
  void flag(std::string_view name, bool value) {
    head(name);
    row_ += value ? "true" : "false";
  }
  void end() {
    row_ += "}\n";
    output_.write(row_);
  }

 private:
  void head(std::string_view name) {
    row_ += ",\"";
    row_ += name;
    row_ += "\":";
  }
  ZstdOutput& output_;
  std::string common_, row_;
};

std::string_view kind_text(TreeEntry::Kind kind) {
  switch (kind) {
    case TreeEntry::Kind::kFile:
      return "file";
    case TreeEntry::Kind::kExecutable:
      return "executable";
    case TreeEntry::Kind::kSymlink:
      return "symlink";
    case TreeEntry::Kind::kSubmodule:
      return "submodule";
    case TreeEntry::Kind::kOther:
      return "other";
  }
  return "other";
}

class Inventory {
 public:
  Inventory(const InventoryOptions& options, ZstdOutput& output)
      : options_(options), rows_(output, options) {}

  void take(const TreeEntry& entry, const Tree::Read& read) {
    ++result_.files;
    result_.bytes += entry.size;
    rows_.begin("file", entry.path);
    rows_.member("kind", kind_text(entry.kind));
    const bool file = entry.kind == TreeEntry::Kind::kFile || entry.kind == TreeEntry::Kind::kExecutable;
    if (!file) {
      rows_.member("target", entry.link);
      rows_.end();
      return;
    }
    rows_.member("size", entry.size);
    read_content(entry, read);
    const std::string_view head = std::string_view(content_).substr(0, kHead);
    const bool binary = is_binary(head);
    const Language* language = binary ? nullptr : language_of(entry.path, head);
    if (language != nullptr) {
      rows_.member("language", language->name);
      rows_.member("language_kind", to_text(language->kind));
    }
    rows_.flag("is_binary", binary);
    if (binary) {
      ++result_.binary_files;
      rows_.end();
      return;
    }
    LineCount lines;
    if (whole_) {
      lines = count_lines(content_, language);
      rows_.member("lines", lines.all());
      rows_.member("code", lines.code);
      rows_.member("comment", lines.comment);
      rows_.member("blank", lines.blank);
    }
    sum(language, entry.size, lines);
    const bool manifest_file = whole_ && is_manifest(entry.path);
    Manifest manifest;
    if (manifest_file) manifest = read_manifest(entry.path);
    licence(entry.path, head, manifest);
    rows_.end();
    for (const Dependency& dependency : manifest.dependencies) write(entry.path, dependency);
    if (whole_ && language != nullptr && language->kind == Language::Kind::kProgramming)
      write_symbols(entry.path, language->name);
  }

  InventoryResult finish() {
    for (auto& [name, language] : languages_) result_.languages.push_back(std::move(language));
    std::sort(result_.languages.begin(), result_.languages.end(),
              [](const LanguageSum& a, const LanguageSum& b) {
                return a.code != b.code ? a.code > b.code : a.name < b.name;
              });
    result_.licences.assign(licences_.begin(), licences_.end());
    if (notes_left_out_ > 0)
      result_.notes.push_back("and " + std::to_string(notes_left_out_) + " more files");
    return std::move(result_);
  }

 private:
  void note(const std::string& path, const std::string& what) {
    if (result_.notes.size() + 1 >= kNotesMax)
      ++notes_left_out_;
    else
      result_.notes.push_back(workloads::printable(path) + ": " + what);
  }

  void read_content(const TreeEntry& entry, const Tree::Read& read) {
    whole_ = entry.size <= options_.text_bytes_max;
    const uint64_t wanted = whole_ ? entry.size : kHead;
    content_.resize(wanted);
    size_t have = 0;
    while (have < wanted) {
      const size_t got = read(content_.data() + have, wanted - have);
      if (got == 0) break;
      have += got;
      // Of what is binary nothing more than its head is looked at.
      if (have < wanted && have >= kHead && is_binary(content_)) break;
    }
    content_.resize(have);
  }

  void sum(const Language* language, uint64_t bytes, const LineCount& lines) {
    LanguageSum& sum = languages_[language == nullptr ? "Other" : language->name];
    sum.name = language == nullptr ? "Other" : language->name;
    ++sum.files;
    sum.bytes += bytes;
    sum.code += lines.code;
    sum.comment += lines.comment;
    sum.blank += lines.blank;
    result_.code += lines.code;
    result_.comment += lines.comment;
    result_.blank += lines.blank;
  }

  Manifest read_manifest(const std::string& path) {
    if (content_.size() > kManifestBytesMax) {
      note(path, "too large to be read for dependencies");
      return {};
    }
    try {
      return parse_manifest(path, content_);
    } catch (const base::CorruptError& error) {
      note(path, error.what());
      return {};
    }
  }

  void licence(const std::string& path, std::string_view head, const Manifest& manifest) {
    std::string found, from;
    if (may_hold_licence(path)) {
      found = licence_of_text(content_);
      from = "text";
      if (found.empty()) found = licence_tag(head);
    } else if (!manifest.licence.empty()) {
      found = manifest.licence;
      from = "manifest";
    } else {
      found = licence_tag(head);
      from = "tag";
    }
    if (found.empty()) return;
    rows_.member("licence", found);
    rows_.member("licence_from", from);
    // Tags are of one file; what lies deep in the tree is most often that of somebody else.
    if (from != "tag" && std::count(path.begin(), path.end(), '/') <= 1 && licences_.size() < 100)
      licences_.insert(found);
  }

  void write(const std::string& path, const Dependency& dependency) {
    ++result_.dependencies;
    rows_.begin("dependency", path);
    rows_.member("ecosystem", dependency.ecosystem);
    rows_.member("name", workloads::shortened(dependency.name, kTextMax));
    rows_.member("version", workloads::shortened(dependency.version, kTextMax));
    rows_.member("scope", dependency.scope);
    rows_.flag("locked", dependency.locked);
    rows_.end();
  }

  void write_symbols(const std::string& path, std::string_view language) {
    if (options_.ctags == nullptr || content_.size() > kSymbolBytesMax || content_.empty()) return;
    if (result_.symbols >= options_.symbols_max) {
      if (!symbols_full_) note(path, "no symbols of this file and those behind it: there are too many");
      symbols_full_ = true;
      return;
    }
    try {
      options_.ctags->symbols(path, content_, [&](Symbol&& symbol) {
        if (symbol.name.empty() || result_.symbols >= options_.symbols_max) return;
        ++result_.symbols;
        rows_.begin("symbol", path);
        rows_.member("name", workloads::shortened(std::move(symbol.name), kTextMax));
        rows_.member("kind", symbol.kind);
        rows_.member("language", symbol.language.empty() ? std::string(language) : symbol.language);
        if (symbol.line > 0) rows_.member("line", symbol.line);
        rows_.member("scope", workloads::shortened(std::move(symbol.scope), kTextMax));
        rows_.member("scope_kind", symbol.scope_kind);
        rows_.member("signature", workloads::shortened(std::move(symbol.signature), kTextMax));
        rows_.end();
      });
    } catch (const base::TransientError& error) {
      note(path, std::string("symbols: ") + error.what());
    }
  }

  const InventoryOptions& options_;
  Rows rows_;
  InventoryResult result_;
  std::map<std::string_view, LanguageSum> languages_;
  std::set<std::string> licences_;
  std::string content_;
  bool whole_ = false, symbols_full_ = false;
  uint64_t notes_left_out_ = 0;
};

}  // namespace

std::span<const InventoryColumn> inventory_columns() { return kColumns; }

InventoryResult make_inventory(Tree& tree, const InventoryOptions& options) {
  ZstdOutput output(options.file, {}, kZstdLevel);
  Inventory inventory(options, output);
  tree.visit([&](const TreeEntry& entry, const Tree::Read& read) { inventory.take(entry, read); });
  output.finish();
  InventoryResult result = inventory.finish();
  result.file_bytes = output.bytes();
  result.file_sha256 = output.sha256();
  return result;
}

InventoryResult make_inventory(const std::string& tree_folder, const InventoryOptions& options) {
  return make_inventory(*open_folder_tree(tree_folder), options);
}

base::json::object to_json(const InventoryResult& result) {
  auto number = [](uint64_t value) { return static_cast<int64_t>(value); };
  base::json::object object = {{"files", number(result.files)},
                               {"bytes", number(result.bytes)},
                               {"binaryFiles", number(result.binary_files)},
                               {"code", number(result.code)},
                               {"comment", number(result.comment)},
                               {"blank", number(result.blank)},
                               {"symbols", number(result.symbols)},
                               {"dependencies", number(result.dependencies)}};
  base::json::array languages, licences, notes;
  for (const LanguageSum& language : result.languages)
    languages.push_back({{"name", language.name},
                         {"files", number(language.files)},
                         {"bytes", number(language.bytes)},
                         {"code", number(language.code)},
                         {"comment", number(language.comment)},
                         {"blank", number(language.blank)}});
  for (const std::string& licence : result.licences) licences.emplace_back(licence);
  for (const std::string& note : result.notes) notes.emplace_back(base::to_utf8(note));
  object["languages"] = std::move(languages);
  object["licences"] = std::move(licences);
  object["notes"] = std::move(notes);
  return object;
}

}  // namespace millrace::ingest

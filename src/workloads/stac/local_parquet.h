// A Parquet file where DuckDB can read it: itself, or a copy of an object.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "objects/store.h"
#include "sql/duckdb.h"

namespace millrace::stac {

// A copy is removed when it goes. Throws NotFoundError, DeniedError, TransientError, and of a footer
// CorruptError (no Parquet).
class LocalParquet {
 public:
  // Of an object the footer alone can be had: the file then has a hole in the place of its rows.
  enum class Part { kWhole, kFooter };
  LocalParquet(const objects::Location& location, const std::string& temporary_folder,
               Part part = Part::kWhole);
  ~LocalParquet();
  LocalParquet(const LocalParquet&) = delete;
  LocalParquet& operator=(const LocalParquet&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool is_copy_ = false;
};

// What the file says under a key; nothing when it does not say anything. Throws CorruptError for what is no
// Parquet.
std::optional<std::string> file_text(sql::DuckDb& database, const std::string& path, std::string_view key);

}  // namespace millrace::stac

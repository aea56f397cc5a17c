// The tables of the catalogue and how older databases become new ones.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "sql/connection.h"

namespace millrace::scan {

inline constexpr int kSchemaVersion = 2;

// Creates the tables, or brings those of an older version up to date, in one transaction; safe when several
// processes do so at once. Throws ConflictError when the database was made by a newer Millrace, or has tables
// of these names that Millrace did not make.
void migrate_schema(sql::Connection& connection);

// The columns that a scan writes, in the order of its rows. The first of a child table is file_id.
struct Table {
  std::string_view name;
  std::string_view key;  // what makes a row unique
  std::initializer_list<std::string_view> columns;
};
extern const Table kFiles, kImages, kVideos, kAudio, kBlendFiles, kBlendScenes, kDependencies;

}  // namespace millrace::scan

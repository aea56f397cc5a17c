// The tables of the catalogue and how older databases become new ones.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "sql/connection.h"

namespace millrace::scan {

// Raised when tables change in a way that written_tables() does not say: then with an entry in schema.cc.
inline constexpr int kSchemaVersion = 3;

// Creates the tables, or brings those of an older version up to date, in one transaction; safe when several
// processes do so at once. Throws ConflictError when the database was made by a newer Millrace, or has tables
// of these names that Millrace did not make.
void migrate_schema(sql::Connection& connection);

// True when the database is a catalogue, of whatever version.
bool is_catalog(sql::Connection& connection);
// Throws ConflictError as migrate_schema() for a newer one.
int64_t catalog_version(sql::Connection& connection);

enum class ColumnType : uint8_t { kText, kInteger, kReal, kBool, kTime, kJson };
struct Column {
  std::string_view name;
  ColumnType type = ColumnType::kText;
};

// The columns that a scan writes, in the order of its rows. The first of a child table is file_id.
struct Table {
  std::string_view name;
  std::string_view key;  // what makes a row unique
  std::initializer_list<Column> columns;
};
extern const Table kFiles, kImages, kVideos, kAudio, kBlendFiles, kBlendScenes, kDependencies;

// All of them. What a database lacks of these tables and columns is added when it is opened.
const std::vector<const Table*>& written_tables();

}  // namespace millrace::scan

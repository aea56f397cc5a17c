// A column: its name, what its values are, and how a database writes that down.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::load {

enum class Type : uint8_t {
  kBool,
  kInt16,
  kInt32,
  kInt64,
  kNumeric,
  kFloat,
  kDouble,
  kDate,
  kTimestamp,    // without time zone
  kTimestampTz,  // an instant
  kUuid,
  kJson,
  kJsonb,
  kBytes,
  kText,
  kOther  // whatever else a database has: the text goes there and is cast by it
};

struct Column {
  std::string name;
  Type type = Type::kText;
  std::string declared;     // the type in the database's own SQL
  uint32_t length_max = 0;  // characters of text; 0: no limit
  int precision = 0;        // digits of kNumeric; 0: no limit
  int scale = 0;            // those of them behind the point; may be negative
  bool not_null = false;
  bool has_default = false;
  bool generated = false;  // computed by the database: nothing may be loaded into it
  bool identity = false;
};

// What databases declare types as; Redshift is PostgreSQL's elder cousin.
enum class Dialect { kPostgresql, kRedshift, kSqlite, kDuckdb };

// The type in SQL: its own words where the column has them, else made of type, length and precision.
std::string declared_type(const Column& column, Dialect dialect);

// The column that SQL's `declaration` declares, such as "varchar(10)", "numeric(10,2)" or "timestamp with
// time zone", in any of the dialects; kOther for what is not known.
Column column_of(std::string name, std::string_view declaration);

// Words for people: "a whole number", "a date".
const char* type_phrase(Type type);

// "id bigint, name varchar(50), …" as --columns has it: commas outside parentheses separate, the type may be
// left out (then `typed` is false). Throws UsageError.
struct NamedColumn {
  Column column;
  bool typed = false;
};
std::vector<NamedColumn> parse_columns(std::string_view text);

// A name as SQL has it: "a ""b""".
std::string sql_name(std::string_view name);
// A text as SQL has it: 'it''s'. PostgreSQL: with standard_conforming_strings, as is the default.
std::string sql_text(std::string_view text);

// SCHEMA.NAME as written by people: folded to lower case unless in double quotes, as in SQL.
struct TableName {
  std::string schema;  // empty: where the database looks first
  std::string name;

  std::string sql() const { return (schema.empty() ? "" : sql_name(schema) + ".") + sql_name(name); }
  std::string shown() const { return (schema.empty() ? "" : schema + ".") + name; }
};
// Throws UsageError.
TableName parse_table_name(std::string_view text);

}  // namespace millrace::load

#include "workloads/load/column.h"

#include <array>
#include <utility>

#include "base/error.h"
#include "base/strings.h"

namespace millrace::load {
namespace {

struct KnownType {
  std::string_view name;
  Type type;
};

// In lower case with single blanks, without what stands in parentheses.
constexpr std::array kKnownTypes = std::to_array<KnownType>({
    {"bool", Type::kBool},
    {"boolean", Type::kBool},
    {"smallint", Type::kInt16},
    {"int2", Type::kInt16},
    {"int", Type::kInt32},
    {"integer", Type::kInt32},
    {"int4", Type::kInt32},
    {"bigint", Type::kInt64},
    {"int8", Type::kInt64},
    {"numeric", Type::kNumeric},
    {"decimal", Type::kNumeric},
    {"real", Type::kFloat},
    {"float4", Type::kFloat},
    {"float", Type::kDouble},
    {"float8", Type::kDouble},
    {"double", Type::kDouble},
    {"double precision", Type::kDouble},
    {"date", Type::kDate},
    {"timestamp", Type::kTimestamp},
    {"datetime", Type::kTimestamp},
    {"timestamp without time zone", Type::kTimestamp},
    {"timestamptz", Type::kTimestampTz},
    {"timestamp with time zone", Type::kTimestampTz},
    {"uuid", Type::kUuid},
    {"json", Type::kJson},
    {"jsonb", Type::kJsonb},
    {"bytea", Type::kBytes},
    {"blob", Type::kBytes},
    {"varbyte", Type::kBytes},
    {"text", Type::kText},
    {"varchar", Type::kText},
    {"character varying", Type::kText},
    {"char", Type::kText},
    {"character", Type::kText},
    {"bpchar", Type::kText},
    {"string", Type::kText},
});

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Takes a name, quoted or not, from the front of `rest`; empty when there is none.
std::string take_name(std::string_view& rest) {
  std::string name;
  if (rest.starts_with('"')) {
    for (size_t at = 1; at < rest.size(); ++at) {
      if (rest[at] == '"') {
        if (at + 1 >= rest.size() || rest[at + 1] != '"') {
          rest.remove_prefix(at + 1);
          return name;
        }
        ++at;
      }
      name += rest[at];
    }
    return "";
  }
  size_t end = 0;
  while (end < rest.size() && (is_word(rest[end]) || rest[end] == '$')) ++end;
  name = base::to_lower(rest.substr(0, end));
  rest.remove_prefix(end);
  return name;
}

std::string with_length(const char* name, const Column& column) {
  return column.length_max ? std::string(name) + "(" + std::to_string(column.length_max) + ")" : name;
}

}  // namespace

std::string declared_type(const Column& column, Dialect dialect) {
  if (!column.declared.empty()) return column.declared;
  const bool server = dialect == Dialect::kPostgresql || dialect == Dialect::kRedshift;
  switch (column.type) {
    case Type::kBool:
      return "boolean";
    case Type::kInt16:
      return "smallint";
    case Type::kInt32:
      return "integer";
    case Type::kInt64:
      return dialect == Dialect::kSqlite ? "integer" : "bigint";
    case Type::kNumeric:
      if (column.precision)
        return "numeric(" + std::to_string(column.precision) + "," + std::to_string(column.scale) + ")";
      // Without a precision Redshift and DuckDB would keep no or three decimals.
      if (dialect == Dialect::kRedshift || dialect == Dialect::kDuckdb) return "decimal(38,10)";
      return "numeric";
    case Type::kFloat:
      return "real";
    case Type::kDouble:
      return "double precision";
    case Type::kDate:
      return "date";
    case Type::kTimestamp:
      return "timestamp";
    case Type::kTimestampTz:
      return dialect == Dialect::kSqlite ? "timestamp" : "timestamp with time zone";
    case Type::kUuid:
      return dialect == Dialect::kRedshift ? "char(36)" : dialect == Dialect::kSqlite ? "text" : "uuid";
    case Type::kJson:
    case Type::kJsonb:
      if (dialect == Dialect::kPostgresql) return column.type == Type::kJson ? "json" : "jsonb";
      return dialect == Dialect::kRedshift ? "super" : "text";
    case Type::kBytes:
      return dialect == Dialect::kPostgresql ? "bytea" : dialect == Dialect::kRedshift ? "varbyte" : "blob";
    case Type::kText:
    case Type::kOther:
      break;
  }
  // Redshift makes varchar(256) of text.
  if (dialect == Dialect::kRedshift)
    return column.length_max ? with_length("varchar", column) : "varchar(65535)";
  return column.length_max && server ? with_length("varchar", column) : "text";
}

Column column_of(std::string name, std::string_view declaration) {
  Column column;
  column.name = std::move(name);
  column.declared = std::string(base::trim(declaration));
  std::string plain, arguments;
  bool inside = false;
  for (char c : base::to_lower(column.declared)) {
    if (c == '(' || c == ')') {
      inside = c == '(';
    } else if (inside) {
      arguments += c;
    } else if (c != ' ' || (!plain.empty() && plain.back() != ' ')) {
      plain += c;
    }
  }
  plain = std::string(base::trim(plain));
  column.type = Type::kOther;
  for (const KnownType& known : kKnownTypes)
    if (known.name == plain) column.type = known.type;
  const auto numbers = base::split(arguments, ',');
  const int first = base::parse_number<int>(base::trim(numbers[0])).value_or(0);
  if (column.type == Type::kText && first > 0) column.length_max = static_cast<uint32_t>(first);
  if ((plain == "char" || plain == "character") && first == 0) column.length_max = 1;
  if (column.type == Type::kNumeric && first > 0) {
    column.precision = first;
    if (numbers.size() > 1) column.scale = base::parse_number<int>(base::trim(numbers[1])).value_or(0);
  }
  return column;
}

const char* type_phrase(Type type) {
  switch (type) {
    case Type::kBool:
      return "true or false";
    case Type::kInt16:
    case Type::kInt32:
    case Type::kInt64:
      return "a whole number";
    case Type::kNumeric:
      return "a decimal number";
    case Type::kFloat:
    case Type::kDouble:
      return "a number";
    case Type::kDate:
      return "a date (YYYY-MM-DD)";
    case Type::kTimestamp:
    case Type::kTimestampTz:
      return "a time (YYYY-MM-DD HH:MM:SS)";
    case Type::kUuid:
      return "a UUID";
    case Type::kJson:
    case Type::kJsonb:
      return "JSON";
    case Type::kBytes:
      return "bytes (\\x and hexadecimal digits)";
    case Type::kText:
    case Type::kOther:
      return "text";
  }
  return "text";
}

std::vector<NamedColumn> parse_columns(std::string_view text) {
  std::vector<NamedColumn> columns;
  size_t begin = 0;
  int depth = 0;
  bool quoted = false;
  for (size_t at = 0; at <= text.size(); ++at) {
    if (at < text.size()) {
      if (text[at] == '"') quoted = !quoted;
      if (!quoted && text[at] == '(') ++depth;
      if (!quoted && text[at] == ')') --depth;
      if (text[at] != ',' || depth > 0 || quoted) continue;
    }
    std::string_view rest = base::trim(text.substr(begin, at - begin));
    begin = at + 1;
    NamedColumn column;
    std::string name = take_name(rest);
    if (name.empty())
      throw base::UsageError("--columns: '" + std::string(rest) + "' is no column; write NAME [TYPE], …");
    if (!rest.empty() && rest[0] != ' ' && rest[0] != '\t')
      throw base::UsageError("--columns: put a name such as '" + name + std::string(rest) +
                             "' in double quotes");
    rest = base::trim(rest);
    column.typed = !rest.empty();
    if (column.typed) {
      column.column = column_of(std::move(name), rest);
    } else {
      column.column.name = std::move(name);
    }
    columns.push_back(std::move(column));
  }
  return columns;
}

std::string sql_name(std::string_view name) {
  return '"' + base::replace_all(std::string(name), "\"", "\"\"") + '"';
}

std::string sql_text(std::string_view text) {
  return '\'' + base::replace_all(std::string(text), "'", "''") + '\'';
}

TableName parse_table_name(std::string_view text) {
  std::string_view rest = base::trim(text);
  TableName table;
  table.name = take_name(rest);
  if (!table.name.empty() && rest.starts_with('.')) {
    rest.remove_prefix(1);
    table.schema = std::exchange(table.name, take_name(rest));
  }
  if (table.name.empty() || !rest.empty())
    throw base::UsageError("'" + std::string(text) +
                           "' is no table; write NAME or SCHEMA.NAME, and what has "
                           "other characters or capitals in double quotes");
  return table;
}

}  // namespace millrace::load

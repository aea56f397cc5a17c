#include "workloads/load/comparison.h"

#include <algorithm>
#include <string>

namespace millrace::load {
namespace {

int64_t one_number(sql::Connection& connection, const std::string& sql) {
  auto statement = connection.prepare(sql);
  const int64_t number = statement->step() ? statement->int64(0) : 0;
  statement->run();
  return number;
}

bool is_key(const Plan& plan, const Column& column) {
  return std::find(plan.key.begin(), plan.key.end(), column.name) != plan.key.end();
}

// Equal values are equal in their bytes, as far as the type alone tells: 0 and -0 are not, nor 1.0 and 1.00.
bool bytes_tell(const Column& column) {
  switch (column.type) {
    case Type::kFloat:
    case Type::kDouble:
    case Type::kJson:
    case Type::kJsonb:
    case Type::kOther:
      return false;
    case Type::kNumeric:
      return column.precision > 0;
    default:
      return true;
  }
}

// A key has one row at most, and equal keys are equal in their bytes.
bool keys_can_be_told(sql::Connection& connection, const TableName& name, const Plan& plan) {
  std::string key;
  for (const PlannedColumn& planned : plan.columns) {
    if (!is_key(plan, planned.column)) continue;
    if (!bytes_tell(planned.column)) return false;
    key += (key.empty() ? "" : ", ") + sql_text(planned.column.name);
  }
  // character(n) takes 'a' and 'a ' for the same, timestamp(n) rounds, and there are collations that take
  // 'a' and 'A' for the same. Children of a table have indexes of their own.
  const std::string oid = "to_regclass(" + sql_text(name.sql()) + ")";
  const std::string same_bytes =
      "NOT EXISTS (SELECT FROM pg_attribute a LEFT JOIN pg_collation c ON c.oid = a.attcollation WHERE "
      "a.attrelid = " +
      oid + " AND a.attname IN (" + key +
      ") AND (a.atttypid = 1042 OR (a.atttypid IN (1114, 1184) AND a.atttypmod >= 0) OR NOT "
      "coalesce(c.collisdeterministic, true)))";
  const std::string childless =
      "NOT EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent WHERE i.inhparent = " +
      oid + " AND c.relkind <> 'p')";
  const std::string unique =
      "EXISTS (SELECT FROM pg_index i WHERE i.indrelid = " + oid +
      " AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND NOT EXISTS "
      "(SELECT FROM generate_series(0, i.indnkeyatts - 1) n JOIN pg_attribute a ON a.attrelid = i.indrelid "
      "AND a.attnum = i.indkey[n] JOIN pg_opclass o ON o.oid = i.indclass[n] WHERE a.attname NOT IN (" +
      key + ") OR NOT o.opcdefault OR i.indcollation[n] <> a.attcollation))";
  return one_number(connection,
                    "SELECT (" + same_bytes + " AND " + childless + " AND " + unique + ")::int") != 0;
}

// A row that takes more is not read: the table's may have a gigabyte, and the file's have no more than 16
// MiB.
constexpr int64_t kRowMax = 2 << 20;
constexpr int kUnpackedTimes = 16;  // what a value is bigger as text than it is stored, at a guess

// Bytes of the table with its partitions; `aside`: those of the values too large to stand in their rows.
struct Size {
  int64_t rows = 0, aside = 0;
};

Size size_of(sql::Connection& connection, const TableName& name) {
  const std::string oid = "to_regclass(" + sql_text(name.sql()) + ")";
  auto sizes = connection.prepare(
      "SELECT coalesce(sum(pg_relation_size(c.oid)), 0)::bigint, "
      "coalesce(sum(pg_relation_size(nullif(c.reltoastrelid, 0))), 0)::bigint FROM pg_class c WHERE c.oid "
      "= " +
      oid + " OR c.oid IN (SELECT relid FROM pg_partition_tree(" + oid + "))");
  Size size;
  if (sizes->step()) size = {sizes->int64(0), sizes->int64(1)};
  return size;
}

// To read the table is worth it when the file is not much smaller.
bool pays(const Plan& plan, int64_t rows, const Size& size) {
  if (rows > 2 * static_cast<int64_t>(KnownRows::kRowsMax)) return false;
  // Without the 28 bytes that every row has beside its values; half, where nobody counted the rows.
  const int64_t values = rows > 0 ? std::max<int64_t>(size.rows - 28 * rows, 0) : size.rows / 2;
  return static_cast<uint64_t>(values + size.aside) / 4 <= plan.source_bytes;
}

// What leaves out rows above kRowMax, or somewhat more, without unpacking their values.
std::string no_large_rows(const Plan& plan) {
  std::string sum;
  for (const PlannedColumn& planned : plan.columns) {
    const Column& column = planned.column;
    const std::string column_name = sql_name(column.name);
    std::string bytes;
    if (column.type == Type::kText || column.type == Type::kBytes)
      bytes = "octet_length(" + column_name + ")";
    else if (column.type == Type::kJson || column.type == Type::kJsonb || column.type == Type::kOther)
      bytes = std::to_string(kUnpackedTimes) + "::bigint * pg_column_size(" + column_name + ")";
    if (!bytes.empty()) sum += (sum.empty() ? "" : " + ") + ("coalesce(" + bytes + ", 0)::bigint");
  }
  return sum.empty() ? "" : " WHERE " + sum + " <= " + std::to_string(kRowMax);
}

}  // namespace

std::optional<Sieve::Options> compare(sql::Connection& connection, const TableName& name, const Plan& plan,
                                      int64_t rows) {
  if (plan.mode != Mode::kUpsert || plan.compare == Comparing::kNever) return std::nullopt;
  if (!keys_can_be_told(connection, name, plan)) return std::nullopt;
  const Size size = size_of(connection, name);
  if (plan.compare != Comparing::kAlways && !pays(plan, rows, size)) return std::nullopt;
  Sieve::Options options;
  for (size_t i = 0; i < plan.columns.size(); ++i) {
    const Column& column = plan.columns[i].column;
    if (is_key(plan, column)) options.key.push_back(i);
    // character(n) without its blanks, and what there is only as text.
    const bool text = column.type == Type::kOther || column.type == Type::kText;
    options.query += (i ? ", " : "SELECT ") + sql_name(column.name) + (text ? "::text" : "");
  }
  options.query += " FROM " + name.sql();
  if (size.aside > 0) {
    const std::string condition = no_large_rows(plan);
    options.query += condition;
    options.all_rows = condition.empty();
  }
  options.columns = plan.columns.size();
  options.rows = static_cast<size_t>(std::max<int64_t>(rows, 0));
  return options;
}

}  // namespace millrace::load

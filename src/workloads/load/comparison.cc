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

// To read the table is worth it when the file is not much smaller.
bool pays(sql::Connection& connection, const TableName& name, const Plan& plan, int64_t rows) {
  if (rows > 2 * static_cast<int64_t>(KnownRows::kRowsMax)) return false;
  const std::string oid = "to_regclass(" + sql_text(name.sql()) + ")";
  const int64_t bytes =
      one_number(connection, "SELECT coalesce((SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree(" +
                                 oid + ")), pg_relation_size(" + oid + "))::bigint");
  // Without the 28 bytes that every row has beside its values; half, where nobody counted the rows.
  const int64_t values = rows > 0 ? std::max<int64_t>(bytes - 28 * rows, 0) : bytes / 2;
  return static_cast<uint64_t>(values) / 4 <= plan.source_bytes;
}

}  // namespace

std::optional<Sieve::Options> compare(sql::Connection& connection, const TableName& name, const Plan& plan,
                                      int64_t rows) {
  if (plan.mode != Mode::kUpsert || plan.compare == Comparing::kNever) return std::nullopt;
  if (!keys_can_be_told(connection, name, plan)) return std::nullopt;
  if (plan.compare != Comparing::kAlways && !pays(connection, name, plan, rows)) return std::nullopt;
  Sieve::Options options;
  for (size_t i = 0; i < plan.columns.size(); ++i) {
    const Column& column = plan.columns[i].column;
    if (is_key(plan, column)) options.key.push_back(i);
    // character(n) without its blanks, and what there is only as text.
    const bool text = column.type == Type::kOther || column.type == Type::kText;
    options.query += (i ? ", " : "SELECT ") + sql_name(column.name) + (text ? "::text" : "");
  }
  options.query += " FROM " + name.sql();
  options.columns = plan.columns.size();
  options.rows = static_cast<size_t>(std::max<int64_t>(rows, 0));
  return options;
}

}  // namespace millrace::load

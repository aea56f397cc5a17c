// Where it is right, and worth it, to tell rows that a table has already before they are sent.
#pragma once

#include <cstdint>
#include <optional>

#include "sql/connection.h"
#include "workloads/load/sieve.h"
#include "workloads/load/target.h"

namespace millrace::load {

// How to read the table, which has about `rows` rows (0: nobody knows). Nothing where rows had better all be
// sent. PostgreSQL only; throws as Connection does.
std::optional<Sieve::Options> compare(sql::Connection& connection, const TableName& name, const Plan& plan,
                                      int64_t rows);

}  // namespace millrace::load

// What jobs rely on in DuckDB: it can be opened, gives rows and typed errors, stays in its bounds and loads
// no extension.
#include "sql/duckdb.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace millrace::sql {
namespace {

// Would break: every job that reads or writes Parquet, CSV or JSON through DuckDB.
TEST(DuckDb, AnswersQueries) {
  DuckDb database;
  EXPECT_EQ(database.query("SELECT count(*) FROM range(100000)").int64(), 100000);
  EXPECT_EQ(database.query("SELECT " + duckdb_literal("it's") + " AS " + duckdb_identifier("a \"b\"")).text(),
            "it's");
  EXPECT_EQ(database.query("SELECT NULL::VARCHAR").text(), std::nullopt);
}

// Would break: big results would be held in memory, or lose their tail.
TEST(DuckDb, StreamsAllRows) {
  DuckDb database({.memory_bytes = 64u << 20});
  auto rows = database.stream("SELECT i, repeat('x', 1000) FROM range(500000) t(i)");
  int64_t count = 0, sum = 0;
  while (const auto chunk = rows.next()) {
    const auto size = static_cast<int64_t>(database.api().data_chunk_get_size(chunk));
    const auto* ids = static_cast<const int64_t*>(
        database.api().vector_get_data(database.api().data_chunk_get_vector(chunk, 0)));
    for (int64_t i = 0; i < size; ++i) sum += ids[i];
    count += size;
  }
  EXPECT_EQ(count, 500000);
  EXPECT_EQ(sum, 500000LL * 499999 / 2);
}

// Would break: an error half-way in a stream would look like its end, and the rest of the rows be lost.
TEST(DuckDb, AnErrorIsNotTheEnd) {
  DuckDb database({.threads = 1});
  const std::string sql =
      "SELECT CASE WHEN i = 300000 THEN error('row 300000') ELSE 'x' END FROM range(500000) t(i)";
  EXPECT_THROW(
      {
        auto rows = database.stream(sql);
        while (rows.next()) {
        }
      },
      base::Error);
  EXPECT_THROW(database.query(sql), base::Error);
}

// Would break: callers could not tell a user's mistake from a full disk.
TEST(DuckDb, TypedErrors) {
  DuckDb database;
  EXPECT_THROW(database.query("SELEC 1"), base::UsageError);
  EXPECT_THROW(database.query("SELECT * FROM nothing"), base::UsageError);
  EXPECT_THROW(database.query("SELECT CAST('x' AS INTEGER)"), base::CorruptError);
  EXPECT_THROW(database.stream("SELECT * FROM read_csv('/nonexistent/file.csv')"), base::TransientError);
  database.execute("CREATE TABLE t(i INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
  EXPECT_THROW(database.execute("INSERT INTO t VALUES (1)"), base::ConflictError);
}

// Would break: SQL of a job could load code or reach the network.
TEST(DuckDb, NoExtensionsAndNoSettings) {
  DuckDb database;
  EXPECT_THROW(database.execute("INSTALL httpfs"), base::Error);
  EXPECT_THROW(database.query("SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')"), base::Error);
  EXPECT_THROW(database.execute("SET memory_limit = '100GB'"), base::Error);
}

// Would break: without a folder to spill to, DuckDB would write into the current one.
TEST(DuckDb, MemoryIsBounded) {
  DuckDb database({.memory_bytes = 32u << 20, .threads = 1});
  EXPECT_THROW(database.query("SELECT list(i || repeat('x', 100)) FROM range(5000000) t(i)"),
               base::TransientError);
}

}  // namespace
}  // namespace millrace::sql

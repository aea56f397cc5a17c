// Into real databases: whole or not at all, the right version, every bad row named.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "base/random.h"
#include "sql/connection.h"
#include "sql/duckdb.h"
#include "tests/support/postgres.h"
#include "tests/support/temporary_folder.h"
#include "workloads/load/load.h"
#include "workloads/load/settings.h"

namespace millrace::load {
namespace {

class LoadTest : public ::testing::TestWithParam<std::string> {
 protected:
  LoadTest() {
    if (GetParam() == "postgresql") database_ = millrace::testing::Postgres::instance().new_database();
    if (GetParam() == "sqlite") database_ = folder() + "/t.db";
    if (GetParam() == "duckdb") database_ = folder() + "/t.duckdb";
    base_.databases = {database_};
    base_.table = "t";
  }
  std::string folder() const { return folder_.path().string(); }
  std::string file(const std::string& text, const std::string& name = "f.csv") {
    const std::string path = folder() + "/" + name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  using Settings = std::map<std::string, std::string>;
  int load(const std::string& source, const Settings& settings = {}) {
    base::SystemClock clock;
    workloads::JobResult result("load", clock);
    LoadOptions options = base_;
    options.source = source;
    said_.clear();
    options.say = [this](const std::string& text) { said_ += text + "\n"; };
    options.force = settings.contains("force");
    for (const auto& [name, value] : settings)
      if (name != "force") apply_setting(options, name, value);
    run_load(options, result);
    log_ = result.log_line();
    return result.exit_code();
  }
  // Rows of a query as "a|b\n".
  std::string rows(const std::string& query) {
    std::string text;
    if (GetParam() == "duckdb") {
      sql::DuckDb database({.path = database_});
      auto result = database.query("SELECT COLUMNS(*)::VARCHAR FROM (" + query + ")");
      while (const auto chunk = result.next())
        for (idx_t i = 0; i < database.api().data_chunk_get_size(chunk); ++i) {
          for (idx_t column = 0; column < result.columns(); ++column) {
            const auto vector = database.api().data_chunk_get_vector(chunk, column);
            const uint64_t* validity = database.api().vector_get_validity(vector);
            if (column) text += '|';
            if (!validity || (validity[0] >> i & 1))
              text += sql::duckdb_bytes(
                  static_cast<const duckdb_string_t*>(database.api().vector_get_data(vector))[i]);
          }
          text += '\n';
        }
      return text;
    }
    auto connection =
        database_.find("://") == std::string::npos ? sql::open_sqlite(database_) : sql::open_url(database_);
    auto statement = connection->prepare(query);
    while (statement->step()) {
      for (int i = 0; i < statement->columns(); ++i) text += (i ? "|" : "") + std::string(statement->text(i));
      text += "\n";
    }
    return text;
  }
  void execute(const std::string& sql) {
    if (GetParam() == "duckdb") {
      sql::DuckDb({.path = database_}).execute(sql);
      return;
    }
    (database_.find("://") == std::string::npos ? sql::open_sqlite(database_) : sql::open_url(database_))
        ->execute(sql);
  }
  std::string table() { return rows("SELECT id, name FROM t ORDER BY id"); }

  millrace::testing::TemporaryFolder folder_;
  std::string database_, said_, log_;
  LoadOptions base_;
};

INSTANTIATE_TEST_SUITE_P(Databases, LoadTest, ::testing::Values("postgresql", "sqlite", "duckdb"),
                         [](const auto& database) { return database.param; });

// Would break: a second load would double rows, or a repeated one do work again.
TEST_P(LoadTest, ReplacesAppendsAndUpsertsOnce) {
  EXPECT_EQ(load(file("id,name\n1,one\n2,two\n"), {{"create", "true"}, {"key", "id"}}), 0);
  EXPECT_EQ(table(), "1|one\n2|two\n");
  EXPECT_EQ(load(file("id,name\n2,two\n3,three\n")), 0);
  EXPECT_EQ(table(), "2|two\n3|three\n");
  EXPECT_EQ(load(folder() + "/f.csv"), 0);
  EXPECT_NE(log_.find("\"already\""), std::string::npos) << log_;
  EXPECT_EQ(load(file("id,name\n3,drei\n4,vier\n3,trois\n"), {{"mode", "upsert"}}), 0);
  EXPECT_EQ(table(), "2|two\n3|trois\n4|vier\n") << "the last line of a key wins";
  EXPECT_EQ(load(file("id,name\n3,trois\n4,vier\n"), {{"mode", "upsert"}}), 0);
  EXPECT_NE(log_.find("\"inserted\":0,\"updated\":0"), std::string::npos) << "nothing changed: " << log_;
  EXPECT_EQ(load(file("id,name\n5,five\n"), {{"mode", "append"}}), 0);
  EXPECT_EQ(load(folder() + "/f.csv", {{"mode", "append"}}), 0);
  EXPECT_EQ(table(), "2|two\n3|trois\n4|vier\n5|five\n");
}

// Would break: a file with one bad row would leave a half or an empty table, and nobody would know which row.
TEST_P(LoadTest, KeepsTheOldRowsWhenARowIsBadAndNamesEveryOne) {
  ASSERT_EQ(
      load(file("id,name\n1,one\n"), {{"create", "true"}, {"key", "id"}, {"columns", "id int, name text"}}),
      0);
  const std::string bad =
      file("id,name\n2,two\nthree,3\n4\n5,\"five\"x\n,six\n7,\xff\n2,again\n8,eight\n", "bad.csv");
  EXPECT_EQ(load(bad, {{"rejects", folder() + "/rejects.csv"}}), 1);
  EXPECT_EQ(table(), "1|one\n");
  EXPECT_EQ(load(bad, {{"max-rejects", "5"}}), 1) << "the sixth is one too many";
  EXPECT_EQ(table(), "1|one\n");
  EXPECT_EQ(load(bad, {{"rejects", folder() + "/rejects.csv"}, {"max-rejects", "80%"}}), 0) << log_;
  EXPECT_EQ(table(), "2|two\n8|eight\n");
  std::ostringstream rejects;
  rejects << std::ifstream(folder() + "/rejects.csv").rdbuf();
  std::string found;
  std::istringstream lines(rejects.str());
  for (std::string line; std::getline(lines, line);) {
    line.erase(0, line.find("bad.csv,") == std::string::npos ? 0 : line.find("bad.csv,") + 8);
    found += line.substr(0, line.find(',')) + " ";
  }
  EXPECT_EQ(found, "database 3 4 5 6 7 8 ") << rejects.str();
}

// Would break: exact values would be changed on their way.
TEST_P(LoadTest, KeepsValuesExactly) {
  ASSERT_EQ(
      load(file("id,zip,price,day,at,ok,note,uid\n"
                "1,02134,1234567890123.45,2024-02-29,2024-02-29T23:59:59.123456,true,\"\",a0eebc99-9c0b-4ef8-"
                "bb6d-6bb9bd380a11\n"
                "2,94105,-0.05,1969-12-31,1901-01-01 00:00:00,f,x,a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12\n"
                "3,00001,100,2000-01-01,2000-01-01 00:00:00,t,,\n"),
           {{"create", "true"}}),
      0);
  EXPECT_EQ(rows("SELECT zip FROM t ORDER BY id"), "02134\n94105\n00001\n");
  EXPECT_EQ(rows("SELECT count(*) FROM t WHERE note = ''"), "1\n");
  EXPECT_EQ(rows("SELECT count(*) FROM t WHERE note IS NULL"), "1\n");
  if (GetParam() == "postgresql") {
    EXPECT_EQ(
        rows("SELECT price::text, day::text, at::text, ok::text, uid::text FROM t ORDER BY id"),
        "1234567890123.45|2024-02-29|2024-02-29 23:59:59.123456|true|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\n"
        "-0.05|1969-12-31|1901-01-01 00:00:00|false|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12\n"
        "100|2000-01-01|2000-01-01 00:00:00|true|\n");
  }
}

// Would break: columns that come or go would shift values into others, or vanish without a word.
TEST_P(LoadTest, TakesNewAndMissingColumnsOnlyAsAsked) {
  ASSERT_EQ(load(file("id,name\n1,one\n"), {{"create", "true"}}), 0);
  const std::string wider = file("name,id,extra\ntwo,2,x\n", "w.csv");
  EXPECT_THROW(load(wider), base::UsageError);
  EXPECT_EQ(load(wider, {{"new-columns", "ignore"}, {"mode", "append"}}), 0);
  EXPECT_EQ(table(), "1|one\n2|two\n");
  EXPECT_EQ(load(file("id,extra\n3,y\n", "e.csv"), {{"evolve", "true"}, {"mode", "append"}}), 0);
  EXPECT_EQ(rows("SELECT id, extra FROM t WHERE extra IS NOT NULL"), "3|y\n");
  EXPECT_THROW(load(file("id\n4\n", "m.csv"), {{"missing-columns", "refuse"}}), base::UsageError);
}

// Would break: JSON and Parquet would load other values than they hold.
TEST_P(LoadTest, TakesJsonAndParquet) {
  ASSERT_EQ(
      load(
          file(
              "{\"id\": 1, \"name\": \"one\", \"v\": 1.10}\n{\"id\": 2, \"name\": null, \"v\": {\"a\": 1}}\n",
              "a.json"),
          {{"create", "true"}}),
      0);
  EXPECT_EQ(rows("SELECT id, v FROM t ORDER BY id"), "1|1.10\n2|{\"a\": 1}\n");
  const std::string parquet = folder() + "/p.parquet";
  {
    sql::DuckDb database;
    database.execute(
        "COPY (SELECT i::INTEGER AS id, 'n' || i AS name, NULL::VARCHAR AS v FROM range(3000) r(i)) TO '" +
        parquet + "'");
  }
  EXPECT_EQ(load(parquet), 0);
  EXPECT_EQ(rows("SELECT count(*), sum(id), min(name) FROM t"), "3000|4498500|n0\n");
}

// Would break: of a JSON array in one line every row would go with the one whose key is there twice.
TEST_P(LoadTest, TellsRowsOfOneLineApart) {
  const std::string one =
      R"([{"id":1,"name":"a"},{"id":2,"name":"b"},{"id":2,"name":"c"},{"id":3,"name":"d"}])";
  ASSERT_EQ(load(file(one, "one.json"), {{"create", "true"}, {"key", "id"}, {"max-rejects", "1"}}), 0);
  EXPECT_EQ(table(), "1|a\n2|b\n3|d\n");
  const std::string two =
      R"([{"id":4,"name":"e"},{"id":2,"name":"f"},{"id":2,"name":"g"},{"id":2,"name":"h"}])";
  ASSERT_EQ(load(file(two, "two.json"), {{"mode", "upsert"}}), 0);
  EXPECT_EQ(table(), "1|a\n2|h\n3|d\n4|e\n") << "the last one wins";
  ASSERT_EQ(load(file(one, "three.json"), {{"mode", "append"}, {"max-rejects", "4"}}), 0);
  EXPECT_EQ(table(), "1|a\n2|h\n3|d\n4|e\n");
  EXPECT_EQ(load(file(one, "four.json")), 1);
  EXPECT_NE(log_.find("line 1, column id: "), std::string::npos) << log_;
  EXPECT_EQ(table(), "1|a\n2|h\n3|d\n4|e\n");
}

// Would break: the names of a header would become a row of a table that has other ones.
TEST_P(LoadTest, TakesNoHeaderOfOtherNamesForARow) {
  execute("CREATE TABLE t(id VARCHAR, name VARCHAR)");
  EXPECT_THROW(load(file("number,word\n1,one\n2,two\n")), base::UsageError);
  EXPECT_EQ(load(folder() + "/f.csv", {{"header", "no"}}), 0);
  EXPECT_EQ(table(), "1|one\n2|two\nnumber|word\n");
}

using PostgresqlLoadTest = LoadTest;
INSTANTIATE_TEST_SUITE_P(Only, PostgresqlLoadTest, ::testing::Values("postgresql"));

// Would break: a reader would see the table empty or half full while it is replaced, or wait for the load.
TEST_P(PostgresqlLoadTest, ReadersSeeOneVersionOrTheOther) {
  for (const bool keyed : {false, true}) {
    execute("DROP TABLE IF EXISTS t");
    execute(keyed ? "CREATE TABLE t(id bigint PRIMARY KEY, name text)"
                  : "CREATE TABLE t(id bigint, name text)");
    const auto text = [](int version) {
      std::string csv = "id,name\n";
      for (int i = 0; i < 5000; ++i)
        csv += std::to_string(i + version) + ",v" + std::to_string(version) + "\n";
      return csv;
    };
    ASSERT_EQ(load(file(text(0))), 0);
    std::atomic<bool> done = false;
    std::string wrong;
    std::thread reader([&] {
      auto connection = sql::open_url(database_);
      connection->execute("SET lock_timeout = '1s'");
      auto query = connection->prepare("SELECT count(*), count(DISTINCT name) FROM t");
      while (!done) {
        query->step();
        if (query->int64(0) != 5000 || query->int64(1) != 1)
          wrong =
              std::to_string(query->int64(0)) + " rows of " + std::to_string(query->int64(1)) + " versions";
        query->reset();
      }
    });
    for (int version = 1; version <= 5; ++version) EXPECT_EQ(load(file(text(version))), 0);
    done = true;
    reader.join();
    EXPECT_EQ(wrong, "");
  }
}

// Would break: grants, views, foreign keys and indexes would be lost, or stand in the way of a replacement.
TEST_P(PostgresqlLoadTest, LeavesWhatHangsOnTheTableAlone) {
  execute(
      "CREATE TABLE t(id bigint PRIMARY KEY, name text, stamp timestamptz DEFAULT now(), twice bigint "
      "GENERATED ALWAYS AS (id * 2) "
      "STORED); CREATE VIEW v AS SELECT name FROM t; CREATE TABLE child(t_id bigint REFERENCES t); INSERT "
      "INTO t(id, name) VALUES "
      "(1, 'one'); INSERT INTO child VALUES (1)");
  EXPECT_EQ(load(file("id,name,stamp\n1,uno,2024-01-01T00:00:00Z\n2,dos,2024-01-01T00:00:00Z\n")), 0)
      << said_;
  EXPECT_EQ(rows("SELECT name FROM v ORDER BY 1"), "dos\nuno\n");
  EXPECT_EQ(rows("SELECT twice FROM t ORDER BY id"), "2\n4\n");
  EXPECT_EQ(load(file("id,name,stamp\n2,dos,2024-01-01T00:00:00Z\n")), 1) << "row 1 is needed by the child";
  EXPECT_EQ(rows("SELECT count(*) FROM t"), "2\n");
}

// Would break: two loads of one table at once would mix their rows.
TEST_P(PostgresqlLoadTest, LoadsOfOneTableQueue) {
  execute("CREATE TABLE t(id bigint, name text)");
  std::vector<std::thread> threads;
  std::vector<int> codes(4, -1);
  for (int i = 0; i < 4; ++i) {
    std::string csv = "id,name\n";
    for (int row = 0; row < 2000; ++row) csv += std::to_string(row) + ",v" + std::to_string(i) + "\n";
    file(csv, "q" + std::to_string(i) + ".csv");
  }
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      base::SystemClock clock;
      workloads::JobResult result("load", clock);
      LoadOptions options = base_;
      options.source = folder() + "/q" + std::to_string(i) + ".csv";
      run_load(options, result);
      codes[static_cast<size_t>(i)] = result.exit_code();
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(codes, std::vector<int>(4, 0));
  EXPECT_EQ(rows("SELECT count(*), count(DISTINCT name) FROM t"), "2000|1\n");
  EXPECT_EQ(rows("SELECT count(*) FROM millrace_loads"), "4\n");
}

// Would break: a target that failed would be forgotten, or the other one be loaded twice by the retry.
TEST_P(PostgresqlLoadTest, ARetryLoadsOnlyWhatIsMissing) {
  const std::string other = millrace::testing::Postgres::instance().new_database();
  execute("CREATE TABLE t(id bigint, name text)");
  base_.databases.push_back(other);
  const std::string source = file("id,name\n1,one\n");
  EXPECT_EQ(load(source, {{"mode", "append"}}), 3) << log_;
  sql::open_url(other)->execute("CREATE TABLE t(id bigint, name text)");
  EXPECT_EQ(load(source, {{"mode", "append"}}), 0) << log_;
  EXPECT_EQ(rows("SELECT count(*) FROM t"), "1\n");
  EXPECT_NE(log_.find("\"targets_loaded\":1"), std::string::npos) << log_;
}

}  // namespace
}  // namespace millrace::load

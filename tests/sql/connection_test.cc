#include "sql/connection.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>

#include "base/error.h"
#include "tests/support/postgres.h"
#include "tests/support/temporary_folder.h"

namespace millrace::sql {
namespace {

using testing::Postgres;
using testing::TemporaryFolder;

// Every promise of sql/connection.h, kept by both databases.
class BothDialects : public ::testing::TestWithParam<Dialect> {
 protected:
  void SetUp() override {
    url_ = GetParam() == Dialect::kSqlite ? "sqlite:///" + (folder_ / "test.db")
                                          : Postgres::instance().new_database();
    connection_ = open_url(url_);
  }
  Connection& db() { return *connection_; }
  int64_t one(const std::string& sql) {
    auto statement = db().prepare(sql);
    EXPECT_TRUE(statement->step());
    return statement->int64(0);
  }
  const char* blob() const { return GetParam() == Dialect::kSqlite ? "BLOB" : "BYTEA"; }

  TemporaryFolder folder_;
  std::string url_;
  std::unique_ptr<Connection> connection_;
};

INSTANTIATE_TEST_SUITE_P(, BothDialects, ::testing::Values(Dialect::kSqlite, Dialect::kPostgresql),
                         [](const auto& parameter) {
                           return parameter.param == Dialect::kSqlite ? "Sqlite" : "Postgresql";
                         });

// Without it: values come back changed (64-bit sizes cut, bytes taken for text, NULL for empty).
TEST_P(BothDialects, ValuesComeBackAsTheyWere) {
  EXPECT_EQ(db().dialect(), GetParam());
  db().execute("CREATE TABLE t(n BIGINT, r DOUBLE PRECISION, s TEXT, b " + std::string(blob()) + ", e TEXT)");
  std::string bytes("\0\xff\x01'\\x", 6);
  auto insert = db().prepare("INSERT INTO t(n,r,s,b,e) VALUES ($1,$2,$3,$4,$5)");
  insert->bind(1, INT64_MIN).bind(2, 0.1).bind(3, "Ümläut 'q' $1").bind_blob(4, bytes).bind_null(5);
  insert->run();
  EXPECT_EQ(db().changes(), 1);
  insert->bind(1, INT64_MAX).bind(2, -1e300).bind(3, std::string_view()).bind_blob(4, "").bind(5, "x");
  insert->run();
  auto rows = db().prepare("SELECT n,r,s,b,e FROM t ORDER BY n");
  ASSERT_TRUE(rows->step());
  EXPECT_EQ(rows->int64(0), INT64_MIN);
  EXPECT_EQ(rows->real(1), 0.1);
  EXPECT_EQ(rows->text(2), "Ümläut 'q' $1");
  EXPECT_EQ(rows->text(3), bytes);
  EXPECT_TRUE(rows->is_null(4));
  EXPECT_EQ(rows->text(4), "");
  ASSERT_TRUE(rows->step());
  EXPECT_EQ(rows->int64(0), INT64_MAX);
  EXPECT_EQ(rows->real(1), -1e300);
  EXPECT_FALSE(rows->is_null(2));
  EXPECT_EQ(rows->text(2), "");
  EXPECT_FALSE(rows->is_null(3));
  EXPECT_FALSE(rows->step());
}

// Without it: $2 before $1 in the text swaps the values in one of the databases.
TEST_P(BothDialects, ParametersGoByNumberAndMayRepeat) {
  db().execute("CREATE TABLE t(a BIGINT, b BIGINT)");
  db().execute("INSERT INTO t VALUES (1,10); INSERT INTO t VALUES (2,20)");
  auto update = db().prepare("UPDATE t SET b=$2 WHERE a=$1 AND b<>$2");
  update->bind(1, int64_t{2}).bind(2, int64_t{99}).run();
  EXPECT_EQ(db().changes(), 1);
  EXPECT_EQ(one("SELECT b FROM t WHERE a=2"), 99);
  EXPECT_THROW(update->bind(3, int64_t{1}), base::InternalError);
  update->run();  // values are kept; the row has 99 already
  EXPECT_EQ(one("SELECT b FROM t WHERE a=1"), 10);
  auto quoted = db().prepare("SELECT count(*) FROM t WHERE '$1, it''s $2'<>$1 AND \"a\"=$2");
  quoted->bind(1, "?1").bind(2, int64_t{1});
  ASSERT_TRUE(quoted->step());
  EXPECT_EQ(quoted->int64(0), 1);
}

// Without it: an apostrophe in a comment hides the parameters behind it, and SQLite counts them as they come.
TEST_P(BothDialects, ParametersStandBehindComments) {
  auto statement = db().prepare(
      "SELECT 10 * $2 -- the table's rows, not $3\n + $1 /* isn't $4 \" */ AS \"it's $5\" -- so");
  statement->bind(2, int64_t{3}).bind(1, int64_t{4});
  ASSERT_TRUE(statement->step());
  EXPECT_EQ(statement->int64(0), 34);
  EXPECT_THROW(statement->bind(3, int64_t{1}), base::InternalError);
}

// Without it: a misspelled parameter is bound to whatever it was counted as.
TEST(Sqlite, OtherParametersAreRefused) {
  auto db = open_url("sqlite://");
  for (const char* sql : {"SELECT $a", "SELECT :a", "SELECT @a", "SELECT $2, $0"})
    EXPECT_THROW(db->prepare(sql), base::InternalError) << sql;
  db->execute("CREATE TABLE t(a$1, [b$1 ' c])");
  db->prepare("INSERT INTO t(a$1, [b$1 ' c]) VALUES ($2, $1)")->bind(1, int64_t{1}).bind(2, int64_t{2}).run();
  auto rows = db->prepare("SELECT a$1 FROM t");
  ASSERT_TRUE(rows->step());
  EXPECT_EQ(rows->int64(0), 2);
}

// Without it: texts of many rows would be copied once more before they are stored, or be gone too early.
TEST_P(BothDialects, AViewIsReadWhenTheStatementRuns) {
  db().execute("CREATE TABLE t(a TEXT)");
  auto insert = db().prepare("INSERT INTO t VALUES ($1)");
  std::string text = "a text that is too long for a small string";
  insert->bind_view(1, text).run();
  insert->bind_view(1, std::string_view()).run();
  EXPECT_EQ(one("SELECT count(*) FROM t WHERE a='a text that is too long for a small string'"), 1);
  EXPECT_EQ(one("SELECT count(*) FROM t WHERE a=''"), 1);
}

// Without it: a statement that was left in the middle of its rows cannot be run again.
TEST_P(BothDialects, AStatementCanBeGivenUpAndRunAgain) {
  db().execute("CREATE TABLE t(a BIGINT); INSERT INTO t VALUES (1),(2),(3)");
  auto rows = db().prepare("SELECT a FROM t WHERE a>$1 ORDER BY a");
  rows->bind(1, int64_t{0});
  ASSERT_TRUE(rows->step());
  rows->bind(1, int64_t{2});
  ASSERT_TRUE(rows->step());
  EXPECT_EQ(rows->int64(0), 3);
  rows->reset();
  ASSERT_TRUE(rows->step());
  EXPECT_EQ(rows->int64(0), 3);
  EXPECT_FALSE(rows->step());
}

// Without it: half of a group of changes stays, or a committed group is lost.
TEST_P(BothDialects, ATransactionIsAllOrNothing) {
  db().execute("CREATE TABLE t(a BIGINT PRIMARY KEY)");
  {
    Transaction transaction(db());
    db().execute("INSERT INTO t VALUES (1)");
  }
  EXPECT_EQ(one("SELECT count(*) FROM t"), 0);
  {
    Transaction transaction(db());
    db().execute("INSERT INTO t VALUES (2)");
    transaction.commit();
  }
  auto other = open_url(url_);
  auto count = other->prepare("SELECT count(*) FROM t");
  ASSERT_TRUE(count->step());
  EXPECT_EQ(count->int64(0), 1);
  count->reset();
  {
    Transaction transaction(db());
    db().execute("INSERT INTO t VALUES (3)");
    EXPECT_THROW(db().execute("INSERT INTO t VALUES (2)"), base::ConflictError);
  }
  EXPECT_EQ(one("SELECT count(*) FROM t"), 1);  // and the connection works on
}

// Without it: callers cannot tell a duplicate from a typing error, and retry what cannot succeed.
TEST_P(BothDialects, ErrorsHaveTheirKind) {
  db().execute(
      "CREATE TABLE p(a BIGINT PRIMARY KEY); CREATE TABLE c(p BIGINT REFERENCES p(a) ON DELETE CASCADE)");
  EXPECT_THROW(db().execute("INSERT INTO c VALUES (5)"), base::ConflictError);
  EXPECT_THROW(db().prepare("SELECT nothing FROM nowhere"), base::InternalError);
  db().execute("INSERT INTO p VALUES (5); INSERT INTO c VALUES (5); DELETE FROM p");
  EXPECT_EQ(one("SELECT count(*) FROM c"), 0);
  auto insert = db().prepare("INSERT INTO p VALUES ($1)");
  insert->bind(1, int64_t{7}).run();
  EXPECT_THROW(insert->run(), base::ConflictError);
  insert->bind(1, int64_t{8}).run();  // usable after its error
  EXPECT_EQ(one("SELECT count(*) FROM p"), 2);
}

// Without it: PostgreSQL's COMMIT of a failed transaction passes for success and acknowledges lost rows.
TEST(Postgresql, CommitOfAFailedTransactionIsAnError) {
  auto db = open_url(Postgres::instance().new_database());
  db->execute("CREATE TABLE t(a BIGINT PRIMARY KEY)");
  Transaction transaction(*db);
  EXPECT_THROW(db->execute("INSERT INTO nowhere VALUES (1)"), base::InternalError);
  EXPECT_THROW(transaction.commit(), base::ConflictError);
}

// Without it: a lost server looks like a programming error and is never tried again.
TEST(Postgresql, ALostConnectionIsTransient) {
  std::string url = Postgres::instance().new_database();
  auto db = open_url(url);
  auto pid = db->prepare("SELECT pg_backend_pid()");
  ASSERT_TRUE(pid->step());
  auto other = open_url(url);
  other->prepare("SELECT pg_terminate_backend(" + std::to_string(pid->int64(0)) + ")")->run();
  EXPECT_THROW(db->execute("SELECT 1"), base::TransientError);
  EXPECT_THROW(open_url("postgresql://user@/none?host=/nonexistent"), base::TransientError);
}

// Without it: two engines write one data folder.
TEST(Sqlite, ExclusiveMeansNobodyElse) {
  TemporaryFolder folder;
  std::string path = folder / "state.db";
  auto owner = open_sqlite(path, {.exclusive = true});
  EXPECT_THROW(open_sqlite(path, {.exclusive = true}), base::ConflictError);
  owner.reset();
  EXPECT_NO_THROW(open_sqlite(path, {.exclusive = true}));
}

// Without it: the wrong file, folder or permission gives SQLite's bare "unable to open database file".
TEST(Sqlite, WhatCannotBeOpenedIsNamed) {
  TemporaryFolder folder;
  std::ofstream(folder / "text.db") << std::string(4096, 'x');
  EXPECT_THROW(open_sqlite(folder / "text.db"), base::CorruptError);
  EXPECT_THROW(open_sqlite(folder / "text.db", {.read_only = true}), base::CorruptError);
  try {
    open_sqlite(folder / "no/such/folder.db");
    FAIL();
  } catch (const base::NotFoundError& e) {
    EXPECT_NE(std::string(e.what()).find("no/such/folder.db"), std::string::npos) << e.what();
  }
}

// Without it: a full disk is an internal error without the file's name. A file size limit plays the full
// disk.
TEST(Sqlite, AFullDiskIsTransientAndNothingIsLost) {
  TemporaryFolder folder;
  std::string path = folder / "full.db";
  auto db = open_sqlite(path);
  db->execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB); INSERT INTO t VALUES (1, 'kept')");
  signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = {.rlim_cur = 64 << 10, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  try {
    db->execute("INSERT INTO t VALUES (2, zeroblob(1000000))");
    ADD_FAILURE() << "a megabyte went into 64 KiB";
  } catch (const base::TransientError& e) {
    EXPECT_NE(std::string(e.what()).find(path), std::string::npos) << e.what();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  db->execute("INSERT INTO t VALUES (3, 'room again')");
  auto count = db->prepare("SELECT count(*), min(a), max(a) FROM t");
  ASSERT_TRUE(count->step());
  EXPECT_EQ(count->int64(0), 2);
  EXPECT_EQ(count->int64(2), 3);
}

// Without it: passwords reach logs, errors and results.
TEST(Url, PasswordsAreNotShown) {
  EXPECT_EQ(without_password("postgresql://me:s3cret@host:5432/db"), "postgresql://me:***@host:5432/db");
  EXPECT_EQ(without_password("postgresql+psycopg2://me:a@b/c?d@host/db"),
            "postgresql+psycopg2://me:***@host/db");
  EXPECT_EQ(without_password("postgresql://me@host/db"), "postgresql://me@host/db");
  EXPECT_EQ(without_password("postgresql://host:5432/db"), "postgresql://host:5432/db");
  EXPECT_EQ(without_password("postgresql:///db?user=me&password=s3cret&sslmode=require"),
            "postgresql:///db?user=me&password=***&sslmode=require");
  EXPECT_EQ(without_password("sqlite:////data/a:b@c.db"), "sqlite:////data/a:b@c.db");
  for (const char* url : {"postgresql://me:s3cret@host:port/db", "postgresql://me:s3cret@127.0.0.1:1/db",
                          "postgresql://me:s3%zzcret@h/d", "mysql://me:s3cret@host/db"}) {
    try {
      open_url(url);
      ADD_FAILURE() << url;
    } catch (const base::Error& e) {
      EXPECT_EQ(std::string(e.what()).find("cret"), std::string::npos) << e.what();
    }
  }
}

// Without it: SQLAlchemy's three and four slashes are confused and the database lands elsewhere.
TEST(Url, SqlalchemyForms) {
  EXPECT_EQ(sqlite_path("sqlite:///./db/metadata.db"), "./db/metadata.db");
  EXPECT_EQ(sqlite_path("sqlite:////var/x.db"), "/var/x.db");
  EXPECT_EQ(sqlite_path("sqlite+pysqlite:///x.db?timeout=5"), "x.db");
  EXPECT_EQ(sqlite_path("sqlite://"), ":memory:");
  EXPECT_EQ(sqlite_path("postgresql:///x"), std::nullopt);
  EXPECT_THROW(open_url("oracle://x"), base::UsageError);
  EXPECT_THROW(open_url("x.db"), base::UsageError);
  EXPECT_NO_THROW(open_url("postgresql+psycopg2" + Postgres::instance().new_database().substr(10)));
}

}  // namespace
}  // namespace millrace::sql

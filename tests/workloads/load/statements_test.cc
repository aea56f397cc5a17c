// What is said to databases, mapping files and events: parsed and written exactly.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "base/strings.h"
#include "sql/connection.h"
#include "tests/support/postgres.h"
#include "workloads/load/redshift.h"
#include "workloads/load/script.h"
#include "workloads/load/settings.h"

namespace millrace::load {
namespace {

std::string golden(const std::string& name) {
  std::ostringstream text;
  text << std::ifstream(MILLRACE_SOURCE_DIR "/tests/workloads/load/golden/" + name).rdbuf();
  return text.str();
}

RedshiftLoad persons() {
  RedshiftLoad load;
  load.table = {"public", "persons"};
  load.source = {.name = "s3://s3-eventbridge-batch/sample-data.txt",
                 .version = "0123456789abcdef",
                 .etag = "d41d8cd98f00b204e9800998ecf8427e",
                 .modified = 1'700'000'000'000,
                 .size = 2048};
  load.manifest = "s3://s3-eventbridge-batch/sample-data.txt.manifest";
  load.region = "us-east-1";
  load.job = "job-1";
  return load;
}

// Would break: what Redshift is told would change without anybody looking at it. MILLRACE_GOLDEN=write writes
// the files anew.
TEST(Redshift, SaysTheStatementsOfTheGoldenFiles) {
  RedshiftLoad replace = persons();
  RedshiftLoad upsert = persons();
  upsert.mode = Mode::kUpsert;
  upsert.key = {"id"};
  upsert.columns = {"id", "email", "state", "postal", "address"};
  upsert.shape.delimited.delimiter = '\t';
  upsert.shape.delimited.header = true;
  upsert.shape.compression = Compression::kGzip;
  upsert.iam_role = "arn:aws:iam::123456789012:role/loader";
  upsert.max_rejects.rows = 10;
  upsert.null_text = "\\N";
  RedshiftLoad parquet = persons();
  parquet.mode = Mode::kAppend;
  parquet.columns = {"id", "state"};
  parquet.shape.format = Format::kParquet;
  for (const auto& [name, load] :
       {std::pair{"replace.sql", replace}, {"upsert.sql", upsert}, {"parquet.sql", parquet}}) {
    if (const char* write = std::getenv("MILLRACE_GOLDEN"); write && std::string(write) == "write")
      std::ofstream(MILLRACE_SOURCE_DIR "/tests/workloads/load/golden/" + std::string(name))
          << redshift_script(load);
    EXPECT_EQ(redshift_script(load), golden(name)) << name;
  }
}

// As Redshift would run it, in PostgreSQL: only what it cannot know is put in its place.
class RedshiftInPostgresql {
 public:
  RedshiftInPostgresql()
      : connection_(sql::open_postgresql(millrace::testing::Postgres::instance().new_database())) {
    connection_->execute(
        "CREATE FUNCTION getdate() RETURNS timestamp LANGUAGE sql AS $$ SELECT now()::timestamp $$");
    connection_->execute(
        "CREATE TABLE persons(id varchar(10), email text, state text DEFAULT 'none', note text); "
        "INSERT INTO persons VALUES ('1', 'one@', 'AA', 'kept'), ('2', NULL, 'BB', 'kept')");
  }
  // `copied`: VALUES that the COPY would have brought, in the file's order.
  void run(const RedshiftLoad& load, const std::string& copied) {
    const RedshiftStatements statements = redshift_statements(load);
    for (const std::string& statement : statements.before)
      connection_->execute(base::replace_all(statement, "IDENTITY(1,1)", "GENERATED ALWAYS AS IDENTITY"));
    for (const std::string& statement : statements.stage) connection_->execute(statement);
    connection_->execute("INSERT INTO millrace_stage VALUES " + copied);
    const std::string rows = one(statements.rows);
    doubles = statements.doubles.empty() ? "" : one(statements.doubles);
    for (const std::string& statement : statements.apply) connection_->execute(statement);
    connection_->execute(statements.ledger(rows, "0"));
    connection_->execute("COMMIT");
    connection_->execute("DROP TABLE millrace_stage");
  }
  std::string one(const std::string& query) {
    auto statement = connection_->prepare(query);
    EXPECT_TRUE(statement->step());
    return std::string(statement->text(0));
  }
  std::string table() {
    return one(
        "SELECT string_agg(concat_ws('|', id, email, state, note), ' ' ORDER BY id, email) FROM persons");
  }
  std::string doubles;

 private:
  std::unique_ptr<sql::Connection> connection_;
};

// Would break: statements that no database takes, or that lose columns which the file does not have.
TEST(Redshift, StatementsThatPostgresqlKnowsDoWhatTheyShall) {
  RedshiftInPostgresql database;
  RedshiftLoad load = persons();
  load.mode = Mode::kUpsert;
  load.key = {"id"};
  load.columns = {"email", "id"};
  database.run(load, "('uno@', '1'), (NULL, '2'), ('three@', '3')");
  EXPECT_EQ(database.table(), "1|uno@|AA|kept 2|BB|kept 3|three@|none") << "others keep what they were";
  EXPECT_EQ(database.doubles, "0");
  database.run(load, "(NULL, '1'), ('two@', '2')");
  EXPECT_EQ(database.table(), "1|AA|kept 2|two@|BB|kept 3|three@|none");
  load.columns = {};
  database.run(load, "('3', 'drei@', 'CC', 'new'), ('4', 'four@', 'DD', 'new')");
  EXPECT_EQ(database.table(), "1|AA|kept 2|two@|BB|kept 3|drei@|CC|new 4|four@|DD|new");
  load.mode = Mode::kAppend;
  load.key = {};
  load.columns = {"note", "id"};
  database.run(load, "('more', '5')");
  EXPECT_EQ(database.table(), "1|AA|kept 2|two@|BB|kept 3|drei@|CC|new 4|four@|DD|new 5|none|more");
  load.mode = Mode::kReplace;
  load.source.name = "s3://b/it's \"quoted\" $ROWS.csv";
  database.run(load, "('only', '6'), ('only', '6')");
  EXPECT_EQ(database.table(), "6|none|only 6|none|only");
  EXPECT_EQ(database.one("SELECT string_agg(mode || rows, ' ' ORDER BY id) FROM millrace_loads"),
            "upsert3 upsert2 upsert2 append1 replace2");
  EXPECT_EQ(database.one("SELECT source FROM millrace_loads WHERE mode = 'replace'"), load.source.name);
}

// Would break: Redshift would be told what it does otherwise, or cannot do.
TEST(Redshift, RefusesWhatItCannotDo) {
  RedshiftLoad load = persons();
  load.mode = Mode::kUpsert;
  EXPECT_THROW(redshift_statements(load), base::UsageError);
  load = persons();
  load.max_rejects.share = 0.1;
  EXPECT_THROW(redshift_statements(load), base::UsageError);
  load = persons();
  load.max_rejects.rows = 1;
  load.shape.format = Format::kParquet;
  EXPECT_THROW(redshift_statements(load), base::UsageError);
  load = persons();
  load.shape.delimited.escape = '\\';
  EXPECT_THROW(redshift_statements(load), base::UsageError);
}

// Would break: scripts would be cut inside texts and functions, or run half as transactions of their own.
TEST(Script, IsCutAtItsStatements) {
  const auto statements = parse_script(
      "-- the original's; with ' quotes\n"
      "CREATE TABLE IF NOT EXISTS persons(id varchar(10) NOT NULL /* a; b */, PRIMARY KEY(id));\n"
      "TRUNCATE TABLE persons;\n"
      "SELECT ';', $x$ ; $x$, \"a;b\", E'\\';';\n"
      "\\COPY persons FROM 'sample-data.txt' WITH DELIMITER ',' CSV\n"
      "\\copy persons (id, state) from other.csv csv header;\n"
      "SELECT COUNT(*) FROM persons");
  ASSERT_EQ(statements.size(), 6u);
  EXPECT_EQ(statements[0].line, 2u);
  EXPECT_EQ(statements[1].sql, "TRUNCATE TABLE persons");
  EXPECT_EQ(statements[2].sql, "SELECT ';', $x$ ; $x$, \"a;b\", E'\\';'");
  EXPECT_EQ(statements[3].sql, "COPY persons FROM STDIN WITH DELIMITER ',' CSV");
  EXPECT_EQ(statements[3].copy_file, "sample-data.txt");
  EXPECT_EQ(statements[3].line, 5u);
  EXPECT_EQ(statements[4].sql, "COPY persons (id, state) FROM STDIN csv header");
  EXPECT_EQ(statements[4].copy_file, "other.csv");
  EXPECT_EQ(statements[5].sql, "SELECT COUNT(*) FROM persons");
  EXPECT_THROW(parse_script("BEGIN; SELECT 1;"), base::UsageError);
  EXPECT_THROW(parse_script("\\connect other"), base::UsageError);
}

// Would break: events of one kind would name no object, or keys with blanks another one.
TEST(Event, NamesItsObject) {
  EXPECT_EQ(
      object_of_event(R"({"detail": {"bucket": {"name": "b"}, "object": {"key": "a b+c.csv"}}})").source,
      "s3://b/a b+c.csv");
  EXPECT_EQ(object_of_event(R"({"detail": {"requestParameters": {"bucketName": "b", "key": "k"}}})").source,
            "s3://b/k");
  EXPECT_EQ(
      object_of_event(R"({"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "a+b%2Bc.csv"}}}]})")
          .source,
      "s3://b/a b+c.csv");
  EXPECT_EQ(
      object_of_event(R"({"detail": {"bucket": {"name": "b"}, "object": {"key": "k", "version-id": "v1"}}})")
          .version_id,
      "v1");
  EXPECT_EQ(object_of_event(R"({"detail": {"requestParameters": {"bucketName": "b", "key": "k"},
                "responseElements": {"x-amz-version-id": "v2"}}})")
                .version_id,
            "v2");
  EXPECT_EQ(
      object_of_event(
          R"({"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "k", "versionId": "v3"}}}]})")
          .version_id,
      "v3");
  EXPECT_EQ(object_of_event(R"({"Records": [{"s3": {"bucket": {"name": "b"},
                "object": {"key": "k", "versionId": "null"}}}]})")
                .version_id,
            "");
  EXPECT_THROW(object_of_event(R"({"detail": {}})").source, base::UsageError);
  EXPECT_THROW(object_of_event(R"({"Records": [{}, {}]})").source, base::UsageError);
}

// Would break: passwords with special characters would not arrive, or stand in messages.
TEST(Secret, BecomesAUrl) {
  EXPECT_EQ(database_url(
                "s", R"({"host": "h", "port": 5433, "username": "u@x", "password": "p/w:@", "dbname": "d"})"),
            "postgresql://u%40x:p%2Fw%3A%40@h:5433/d");
  EXPECT_EQ(
      database_url("s",
                   R"({"host": "h", "username": "u", "password": "p", "dbname": "d", "engine": "redshift"})"),
      "redshift://u:p@h:5439/d");
  try {
    database_url("name", "{\"password\": \"hidden");
    FAIL();
  } catch (const base::UsageError& error) {
    EXPECT_EQ(std::string(error.what()).find("hidden"), std::string::npos);
  }
}

// Would break: objects of a bucket would go into the wrong table, and mistakes in the file be passed over.
TEST(Mapping, TakesTheFirstEntryThatFits) {
  const std::string file =
      std::filesystem::temp_directory_path() / ("millrace-mapping-" + std::to_string(getpid()));
  std::ofstream(file) << "loads:\n"
                         "  - match: \"people/*.csv\"\n"
                         "    table: persons\n"
                         "    mode: upsert\n"
                         "    key: [id, \"Full Name\"]\n"
                         "    columns: {id: \"varchar(10)\", \"Full Name\": text, other: }\n"
                         "    max_rejects: 1%\n"
                         "  - match: \"s3://b/*\"\n"
                         "    table: rest\n"
                         "    colour: red\n";
  LoadOptions options;
  options.source = "s3://b/people/1.csv";
  EXPECT_NO_THROW(apply_mapping(options, file));
  EXPECT_EQ(options.table, "persons");
  EXPECT_EQ(options.mode, Mode::kUpsert);
  EXPECT_EQ(options.max_rejects.share, 0.01);
  ASSERT_EQ(options.columns.size(), 3u);
  EXPECT_EQ(options.columns[0].column.length_max, 10u);
  EXPECT_EQ(options.columns[1].column.name, "Full Name");
  EXPECT_FALSE(options.columns[2].typed);
  LoadOptions wrong;
  wrong.source = "s3://b/other";
  EXPECT_THROW(apply_mapping(wrong, file), base::UsageError);
  wrong.source = "s3://c/other";
  EXPECT_THROW(apply_mapping(wrong, file), base::NotFoundError);
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace millrace::load

// What is said to databases, mapping files and events: parsed and written exactly.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
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
  parquet.shape.format = Format::kParquet;
  for (const auto& [name, load] :
       {std::pair{"replace.sql", replace}, {"upsert.sql", upsert}, {"parquet.sql", parquet}}) {
    if (const char* write = std::getenv("MILLRACE_GOLDEN"); write && std::string(write) == "write")
      std::ofstream(MILLRACE_SOURCE_DIR "/tests/workloads/load/golden/" + std::string(name))
          << redshift_script(load);
    EXPECT_EQ(redshift_script(load), golden(name)) << name;
  }
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
  EXPECT_EQ(source_of_event(R"({"detail": {"bucket": {"name": "b"}, "object": {"key": "a b+c.csv"}}})"),
            "s3://b/a b+c.csv");
  EXPECT_EQ(source_of_event(R"({"detail": {"requestParameters": {"bucketName": "b", "key": "k"}}})"),
            "s3://b/k");
  EXPECT_EQ(source_of_event(
                R"({"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "a+b%2Bc.csv"}}}]})"),
            "s3://b/a b+c.csv");
  EXPECT_THROW(source_of_event(R"({"detail": {}})"), base::UsageError);
  EXPECT_THROW(source_of_event(R"({"Records": [{}, {}]})"), base::UsageError);
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

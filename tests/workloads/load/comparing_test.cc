// Rows that a table has already are told apart before they are sent: the outcome must be as if all were sent.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include "base/error.h"
#include "base/strings.h"
#include "base/time.h"
#include "sql/connection.h"
#include "tests/support/postgres.h"
#include "tests/support/temporary_folder.h"
#include "workloads/load/load.h"
#include "workloads/load/settings.h"
#include "workloads/load/sieve.h"

namespace millrace::load {
namespace {

using Random = std::mt19937_64;

size_t below(Random& random, size_t end) { return random() % end; }
bool chance(Random& random, int percent) { return below(random, 100) < static_cast<size_t>(percent); }

// A type, and texts of few distinct values, some of which are the same value spelled differently.
struct TestedType {
  const char* declared;
  std::vector<const char*> texts;
  bool key = true;
  bool numbers = false;  // takes any small one
};

const std::vector<TestedType>& tested_types() {
  static const std::vector<TestedType> types = {
      {"bigint", {"1", "+1", "1.0", "-5", "9223372036854775807", "007", "12", "13"}, true, true},
      {"integer", {"1", "2", "3", "-4", "50", "60"}, true, true},
      {"smallint", {"1", "01", "2", "3"}, true, true},
      {"boolean", {"t", "true", "0", "no"}},
      {"text", {"a", "A", "a ", "\xc3\xa4", "long long text", "b"}, true, true},
      {"varchar(20)", {"a", "a ", "b", "x,y", "quote \"\" in it"}, true, true},
      {"character(5)", {"a", "a ", "a  ", "b", "abcde"}},
      {"text COLLATE no_case", {"a", "A", "b", "B"}},
      {"numeric",
       {"1", "1.0", "1.00", "-0", "0.0", "NaN", "1e3", "1000", "123456789012345678901234567890"},
       true,
       true},
      {"numeric(12,2)", {"1", "1.0", "1.00", "-0", "0", "12.5", "10000", "99999999.99", "0.01"}, true, true},
      {"real", {"0", "-0", "1.5", "1.50", "NaN", "0.1"}},
      {"double precision", {"0", "-0.0", "1.5", "nan", "0.1", "1e300"}},
      {"date", {"2024-01-01", "1999-12-31", "2024-02-29"}},
      {"timestamp", {"2024-01-01", "2024-01-01 00:00:00", "2024-01-01T00:00:00Z", "2001-02-03 04:05:06.789"}},
      {"timestamp(0)", {"2024-01-01 00:00:00.4", "2024-01-01 00:00:00", "2024-01-01 00:00:01"}},
      {"timestamptz", {"2024-01-01T01:00:00+01", "2024-01-01", "2001-02-03 04:05:06.789Z"}},
      {"uuid",
       {"00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000A",
        "10000000-0000-0000-0000-000000000000"}},
      {"json", {"{}", "{ }", "1", "1.0"}, false},
      {"jsonb", {"{\"\"a\"\": 1, \"\"b\"\": 2}", "{\"\"b\"\":2,\"\"a\"\":1}", "1", "1.0", "[1]"}},
      {"bytea", {"\\x", "\\x00", "\\xFF", "\\xff"}},
      {"mood", {"sad", "glad"}},
      {"inet", {"10.0.0.1", "10.0.0.1/32", "::1"}},
      {"positive", {"1", "2", "01"}, true, true},
  };
  return types;
}

class ComparingTest : public ::testing::Test {
 protected:
  ComparingTest() : database_(millrace::testing::Postgres::instance().new_database()) {
    connection_ = sql::open_url(database_);
  }
  std::string rows(const std::string& query) {
    std::string text;
    auto statement = connection_->prepare(query);
    while (statement->step()) text += std::string(statement->text(0)) + "\n";
    return text;
  }
  std::string file(const std::string& text) {
    const std::string path = (folder_.path() / "f.csv").string();
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  // Of connections from now on.
  void server_setting(const std::string& setting) {
    connection_->execute("DO $do$BEGIN EXECUTE format('ALTER DATABASE %I SET " +
                         base::replace_all(setting, "'", "''") + "', current_database()); END$do$");
  }
  // What the result says of the target, but for the names.
  std::string load(const std::string& table, const std::string& source, Comparing compare, Mode mode,
                   const std::vector<std::string>& key) {
    base::SystemClock clock;
    workloads::JobResult result("load", clock);
    LoadOptions options;
    options.databases = {database_};
    options.source = source;
    options.table = table;
    options.mode = mode;
    options.key = key;
    options.force = true;
    options.compare = compare;
    apply_setting(options, "max-rejects", "100%");
    apply_setting(options, "header", "yes");
    std::string outcome;
    try {
      run_load(options, result);
      outcome = result.log_line();
    } catch (const base::Error& error) {
      return error.what();
    }
    not_sent_ = 0;
    if (const size_t at = outcome.find("\"not_sent\":"); at != std::string::npos)
      not_sent_ = std::stol(outcome.substr(at + 11));
    const size_t before = outcome.find("\"rows_before\"");
    return result.exit_code() == 0 ? outcome.substr(before, outcome.find(",\"unchanged\"") - before) +
                                         outcome.substr(outcome.find("\"counts\""))
                                   : "failed";
  }

  millrace::testing::TemporaryFolder folder_;
  std::string database_;
  std::unique_ptr<sql::Connection> connection_;
  int64_t not_sent_ = 0;
};

// Would break: an upsert that leaves out what the table seems to have would leave a table, or tell counts,
// that sending everything would not.
TEST_F(ComparingTest, GivesTheSameTableAndCountsAsSendingEverything) {
  connection_->execute(
      "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE "
      "COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)");
  const uint64_t seed = std::random_device()();
  int64_t not_sent = 0, rounds_compared = 0, rounds_loaded = 0;
  for (uint64_t round = 0; round < 60; ++round) {
    Random random(seed + round);
    const auto& types = tested_types();
    std::vector<size_t> columns;
    const size_t key_size = 1 + below(random, 2);
    while (columns.size() < key_size) {
      const size_t type = below(random, types.size());
      if (types[type].key) columns.push_back(type);
    }
    for (size_t more = below(random, 5); more > 0; --more) columns.push_back(below(random, types.size()));
    std::string declared, header, key;
    for (size_t i = 0; i < columns.size(); ++i) {
      const std::string name = "c" + std::to_string(i);
      declared += (i ? ", " : "") + name + " " + types[columns[i]].declared;
      header += (i ? "," : "") + name;
      if (i < key_size) key += (i ? ", " : "") + name;
    }
    std::vector<std::string> key_names;
    for (size_t i = 0; i < key_size; ++i) key_names.push_back("c" + std::to_string(i));
    std::string more;
    const size_t uniqueness = below(random, 8);
    if (uniqueness == 0)
      more = "CREATE INDEX ON %(" + key + ");";
    else if (uniqueness == 1)
      more = "CREATE UNIQUE INDEX ON %(" + key + ") WHERE c0 IS NOT NULL;";
    else if (uniqueness < 4)
      more = "CREATE UNIQUE INDEX ON %(" + key + ");";
    else
      more = "ALTER TABLE % ADD PRIMARY KEY (" + key + ");";
    const auto some_row = [&](int null_percent) {
      std::string row;
      for (size_t i = 0; i < columns.size(); ++i) {
        const auto& texts = types[columns[i]].texts;
        const bool null = chance(random, i < key_size ? null_percent / 4 : null_percent);
        if (!null && types[columns[i]].numbers && chance(random, 80)) {
          row += (i ? "," : "") + std::to_string(1 + below(random, 30));
          continue;
        }
        row += (i ? "," : "") + (null ? "" : '"' + std::string(texts[below(random, texts.size())]) + '"');
      }
      return row + "\n";
    };
    // What is there first goes in by the way that is trusted; one row in the way is a round without rows.
    std::vector<std::string> old_rows;
    for (size_t i = below(random, 30); i > 0; --i) old_rows.push_back(some_row(15));
    std::string old_csv = header + "\n", new_csv = header + "\n";
    for (const std::string& row : old_rows) old_csv += row;
    std::vector<std::string> new_rows;
    for (const std::string& row : old_rows)
      if (chance(random, 80)) new_rows.push_back(row);
    for (size_t i = below(random, 15); i > 0; --i) new_rows.push_back(some_row(15));
    if (chance(random, 50)) std::shuffle(new_rows.begin(), new_rows.end(), random);
    for (const std::string& row : new_rows) new_csv += row;
    std::map<std::string, std::string> table, told;
    for (const std::string name : {"sent", "compared"}) {
      std::string index = more;
      for (size_t at; (at = index.find('%')) != std::string::npos;) index.replace(at, 1, name);
      connection_->execute("DROP TABLE IF EXISTS " + name + "; CREATE TABLE " + name + "(" + declared + ");" +
                           index);
      load(name, file(old_csv), Comparing::kNever, Mode::kUpsert, key_names);
      if (uniqueness < 4 && uniqueness > 1) {
        // A key with NULL in it meets nothing.
        std::string nulls;
        for (size_t i = 0; i < columns.size(); ++i) nulls += i ? ", NULL" : "NULL";
        connection_->execute("INSERT INTO " + name + " VALUES (" + nulls + ")");
      }
      told[name] = load(name, file(new_csv), name == "sent" ? Comparing::kNever : Comparing::kAlways,
                        Mode::kUpsert, key_names);
      table[name] = rows("SELECT t::text FROM " + name + " t ORDER BY 1");
    }
    not_sent += not_sent_;
    rounds_compared += not_sent_ > 0;
    rounds_loaded += told["sent"].starts_with("\"rows_before\"");
    const std::string what = "seed " + std::to_string(seed) + " round " + std::to_string(round) + ": " +
                             declared + "; " + more + "\nfirst:\n" + old_csv + "then:\n" + new_csv;
    ASSERT_EQ(table["compared"], table["sent"]) << what;
    ASSERT_EQ(told["compared"], told["sent"]) << what;
  }
  EXPECT_GT(rounds_loaded, 30) << "seed " << seed;
  EXPECT_GT(rounds_compared, 5) << "seed " << seed;
  EXPECT_GT(not_sent, 50) << "seed " << seed;
}

// Would break: rows of a file that takes a change back would be left out, and the change would stay.
TEST_F(ComparingTest, TheLastRowOfAKeyWins) {
  connection_->execute(
      "CREATE TABLE t(id bigint PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'one'), (2, 'two')");
  const std::string told =
      load("t", file("id,name\n1,uno\n2,two\n1,one\n2,dos\n"), Comparing::kAlways, Mode::kUpsert, {});
  EXPECT_EQ(not_sent_, 1) << told;
  EXPECT_NE(told.find("\"inserted\":0,\"updated\":1,\"deleted\":0,\"unchanged\":3"), std::string::npos)
      << told;
  EXPECT_EQ(rows("SELECT id || name FROM t ORDER BY id"), "1one\n2dos\n");
}

// Would break: reading a large table for the sake of a small file would cost more than it saves.
TEST_F(ComparingTest, IsDoneOnlyWhereItPays) {
  connection_->execute(
      "CREATE TABLE t(id bigint PRIMARY KEY, name text); INSERT INTO t SELECT i, 'n' FROM generate_series(1, "
      "2000) i");
  std::string all = "id,name\n";
  for (int i = 1; i <= 2000; ++i) all += std::to_string(i) + ",n\n";
  load("t", file(all), Comparing::kWhenItPays, Mode::kUpsert, {});
  EXPECT_EQ(not_sent_, 2000);
  load("t", file("id,name\n1,n\n"), Comparing::kWhenItPays, Mode::kUpsert, {});
  EXPECT_EQ(not_sent_, 0);
}

// Would break: a table whose large values stand aside would look small, and be read for the sake of a few
// rows.
TEST_F(ComparingTest, ValuesAsideCountAsWell) {
  connection_->execute(
      "CREATE TABLE t(id bigint PRIMARY KEY, body text); INSERT INTO t SELECT i, (SELECT "
      "string_agg(md5(i::text "
      "|| j), '') FROM generate_series(1, 3000) j) FROM generate_series(1, 50) i");
  const std::string body = rows("SELECT body FROM t WHERE id = 1");
  load("t", file("id,body\n1," + body), Comparing::kWhenItPays, Mode::kUpsert, {});
  EXPECT_EQ(not_sent_, 0);
  load("t", file("id,body\n1," + body), Comparing::kAlways, Mode::kUpsert, {});
  EXPECT_EQ(not_sent_, 1);
}

// The most memory that this process had since `clear`, in bytes.
int64_t peak_memory(bool clear) {
  if (clear) std::ofstream("/proc/self/clear_refs") << "5";
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
  return 0;
}

// Would break: memory would grow with the table's largest row, whatever the file has; or rows that are not
// read would be taken for new, or not be counted.
TEST_F(ComparingTest, LargeRowsOfTheTableAreNotRead) {
  connection_->execute(
      "CREATE TABLE t(id bigint PRIMARY KEY, body text, more jsonb, bytes bytea); ALTER TABLE t ALTER body "
      "SET "
      "STORAGE EXTERNAL; INSERT INTO t SELECT i, 'small', NULL, NULL FROM generate_series(1, 100) i; INSERT "
      "INTO "
      "t VALUES (1000, repeat('x', 150000000), NULL, NULL), (1001, repeat('y', 3000000), '{}', NULL)");
  std::string some = "id,body,more,bytes\n1000,short,,\n1001," + std::string(3'000'000, 'y') + ",{},\n";
  for (int id = 1; id <= 100; ++id) some += std::to_string(id) + ",small,,\n";
  const int64_t before = peak_memory(true);
  const std::string told = load("t", file(some), Comparing::kAlways, Mode::kUpsert, {});
  EXPECT_LT(peak_memory(false) - before, 120 << 20);
  EXPECT_EQ(not_sent_, 100);
  EXPECT_NE(told.find("\"rows_before\":102,\"rows_after\":102,\"inserted\":0,\"updated\":1,\"deleted\":0"),
            std::string::npos)
      << told;
  EXPECT_NE(told.find("\"unchanged\":101"), std::string::npos) << told;
}

// Would break: nothing is asked of the server while all rows are known, so one that ends idle transactions
// would end the load of a slow source.
TEST_F(ComparingTest, MayBeSilentForLong) {
  connection_->execute(
      "CREATE TABLE t(id bigint PRIMARY KEY, name text); INSERT INTO t SELECT i, 'n' FROM generate_series(1, "
      "50000) i");
  server_setting("idle_in_transaction_session_timeout = '5ms'");
  std::string all = "id,name\n";
  for (int round = 0; round < 6; ++round)
    for (int i = 1; i <= 50'000; ++i) all += std::to_string(i) + ",n\n";
  load("t", file(all), Comparing::kAlways, Mode::kUpsert, {});
  EXPECT_EQ(not_sent_, 300'000);
}

// Would break: where the server shows fewer digits, points that differ behind those would be the same.
TEST_F(ComparingTest, SettingsOfTheServerDoNotMatter) {
  server_setting("extra_float_digits = -9");
  connection_->execute(
      "CREATE TABLE t(id bigint PRIMARY KEY, place point, span interval); INSERT INTO t VALUES (1, "
      "point(0.1234567890123, 1), '1 "
      "day 2 hours'), (2, '(1,2)', '3 days')");
  for (const Comparing compare : {Comparing::kAlways, Comparing::kNever}) {
    connection_->execute("UPDATE t SET place = point(0.1234567890123, 1) WHERE id = 1");
    load("t", file("id,place,span\n1,\"(0.123457,1)\",1 day 02:00:00\n2,\"(1,2)\",3 days\n"), compare,
         Mode::kUpsert, {});
    EXPECT_EQ(not_sent_, compare == Comparing::kAlways ? 1 : 0);
    EXPECT_EQ(rows("SELECT place::text FROM t WHERE id = 1"), "(0.123457,1)\n");
  }
}

// What binary COPY has for (id, text, number).
std::string encoded(int64_t id, const std::string& text, int64_t number) {
  std::string row("\0\3", 2);
  const auto put = [&](uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) row += static_cast<char>(value >> 8 * i);
  };
  put(8, 4);
  put(static_cast<uint64_t>(id), 8);
  put(text.size(), 4);
  row += text;
  put(8, 4);
  put(static_cast<uint64_t>(number), 8);
  return row;
}

// Would break: blocks that wait for a table which is still being read would lose rows or their order, or wait
// for ever.
TEST_F(ComparingTest, RowsPassInOrderWhateverTheLimits) {
  connection_->execute(
      "CREATE TABLE t(id bigint PRIMARY KEY, name text); INSERT INTO t SELECT i, 'name ' || i FROM "
      "generate_series(1, 20000) i");
  const uint64_t seed = std::random_device()();
  for (uint64_t round = 0; round < 12; ++round) {
    Random random(seed + round);
    SCOPED_TRACE("seed " + std::to_string(seed) + " round " + std::to_string(round));
    std::vector<int64_t> ids;
    for (int64_t id = 1; id <= 21'000; ++id)
      if (!chance(random, 5))
        ids.push_back(chance(random, 2) ? 1 + static_cast<int64_t>(below(random, 20'000)) : id);
    if (chance(random, 50)) std::shuffle(ids.begin(), ids.end(), random);
    const bool limited = chance(random, 30);
    const int changed_percent = chance(random, 50) ? 1 : 60;
    Sieve::Options options;
    options.query = "SELECT id, name FROM t";
    options.columns = 2;
    options.key = {0};
    options.rows = below(random, 30'000);
    if (limited) options.rows_max = 1 + below(random, 20'000);
    options.held_max = below(random, 2) ? 4096 : 64 << 20;
    const size_t block_rows = 1 + below(random, 500);
    std::vector<std::string> sent;  // in order
    std::set<int64_t> changed;      // keys that a row before changed
    std::string passed, must_pass;
    const auto take_all = [&](Sieve& sieve) {
      for (std::string piece = sieve.take(); !piece.empty(); piece = sieve.take()) passed += piece;
    };
    {
      Sieve sieve(*connection_, options);
      std::string block;
      std::vector<uint32_t> begins;
      for (size_t i = 0; i < ids.size(); ++i) {
        const bool change = chance(random, changed_percent);
        const std::string row =
            encoded(ids[i], (change ? "other " : "name ") + std::to_string(ids[i]), static_cast<int64_t>(i));
        begins.push_back(static_cast<uint32_t>(block.size()));
        block += row;
        sent.push_back(row);
        if (change || ids[i] > 20'000 || changed.contains(ids[i])) {
          changed.insert(ids[i]);
          must_pass += row;
        }
        if (begins.size() == block_rows) {
          sieve.push(std::exchange(block, {}), std::exchange(begins, {}));
          if (sieve.complete()) take_all(sieve);
        }
      }
      sieve.push(block, begins);
      sieve.finish();
      take_all(sieve);
      EXPECT_EQ(sieve.table_rows(), limited ? std::nullopt : std::optional<int64_t>(20'000));
      EXPECT_GT(sieve.kept_back(), 0);
    }
    connection_->execute("SELECT 1");  // the connection is free again
    // All that has to be there, in order, and of the others only such as stood in the file.
    size_t at = 0, row = 0, must = 0;
    while (at < passed.size()) {
      ASSERT_LT(row, sent.size());
      if (passed.compare(at, sent[row].size(), sent[row]) == 0) {
        if (must_pass.compare(must, sent[row].size(), sent[row]) == 0) must += sent[row].size();
        at += sent[row].size();
      }
      ++row;
    }
    EXPECT_EQ(must, must_pass.size());
    if (!limited) {
      EXPECT_LE(passed.size(), must_pass.size() + must_pass.size() / 50 + 1000);
    }
  }
}

// Would break: a load that is given up, or a table that cannot be read, would hang or be taken for an empty
// one.
TEST_F(ComparingTest, EndsEarlyAndTellsErrors) {
  connection_->execute(
      "CREATE TABLE t AS SELECT i::bigint AS id, repeat('x', 500) AS name FROM generate_series(1, 100000) i");
  Sieve::Options options;
  options.query = "SELECT id, name FROM t";
  options.columns = 2;
  options.key = {0};
  {
    Sieve given_up(*connection_, options);
  }
  EXPECT_EQ(rows("SELECT count(*) FROM t"), "100000\n");
  options.query = "SELECT id, (name || 10 / (id - 50000))::text FROM t";
  Sieve sieve(*connection_, options);
  EXPECT_THROW(sieve.finish(), base::Error);
}

}  // namespace
}  // namespace millrace::load

// `millrace load`: a file or object into tables, whole or not at all.
#include "workloads/load/load.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "cli/commands.h"
#include "workloads/result.h"

namespace millrace::cli {
namespace {

constexpr const char* kHelp =
    R"(The rows are checked, streamed in, and there in one transaction: all of them, or the table stays as it was. The same
version of a file or object loaded twice does nothing.

Examples:
  millrace load people.csv --table people --create                          into load.db, a SQLite file
  millrace load s3://bucket/sample-data.txt --database postgresql://host/db --table persons
  millrace load data.csv.gz --database "$DATABASE_URL" --table sales --mode upsert --key id --rejects bad.csv --max-rejects 1%
  millrace load data.csv --table sales --explain                            how it would be loaded

Exit code: 0 every database has the rows (also: had them already); 3 some databases have, others not, each is named in
the result; 1 none has; 2 wrong usage.)";

struct Arguments {
  std::string source, table, mode = "replace", key, columns, format = "auto", delimiter, quote = "\"",
                             header = "auto", null_text, encoding, rejects, max_rejects = "0", result,
                             new_columns = "refuse", missing_columns = "default", sample = "64M";
  std::vector<std::string> databases;
  bool create = false, evolve = false, force = false, explain = false, dry_run = false, quiet = false;
};

std::atomic<bool> g_stop = false;

void stop_soon(int) { g_stop = true; }

std::string variable(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value && *value ? value : otherwise;
}

// "{job}" and "{attempt}" of a Batch job, so that one definition gives each run its own place.
std::string with_job(std::string text) {
  text = base::replace_all(text, "{job}", base::replace_all(variable("AWS_BATCH_JOB_ID", "local"), ":", "-"));
  return base::replace_all(text, "{attempt}", variable("AWS_BATCH_JOB_ATTEMPT", "1"));
}

char one_character(const std::string& text, const char* what) {
  if (text == "\\t" || base::equals_ignore_case(text, "tab")) return '\t';
  if (text.size() == 1) return text[0];
  throw base::UsageError(std::string(what) + ": '" + text + "' is not one character");
}

uint64_t sample_bytes(const std::string& text) {
  if (base::equals_ignore_case(text, "all")) return UINT64_MAX;
  std::string number = base::to_lower(text);
  uint64_t factor = 1;
  if (number.ends_with('m')) factor = 1 << 20;
  if (number.ends_with('g')) factor = 1 << 30;
  if (factor > 1) number.pop_back();
  const auto bytes = base::parse_number<uint64_t>(number);
  if (!bytes || *bytes > (1ull << 40) / factor || *bytes * factor < (8u << 20))
    throw base::UsageError("--sample: '" + text + "' is neither all nor a size of 8M or more");
  return *bytes * factor;
}

load::LoadOptions options_of(const Arguments& a) {
  load::LoadOptions options;
  options.source = a.source;
  options.databases = a.databases;
  if (options.databases.empty()) options.databases.push_back(variable("DATABASE_URL", "load.db"));
  options.table = a.table;
  options.mode = a.mode == "append"   ? load::Mode::kAppend
                 : a.mode == "upsert" ? load::Mode::kUpsert
                                      : load::Mode::kReplace;
  if (!a.key.empty())
    for (const load::NamedColumn& column : load::parse_columns(a.key))
      options.key.push_back(column.column.name);
  if (!a.columns.empty()) options.columns = load::parse_columns(a.columns);
  options.create = a.create;
  options.new_columns = a.evolve || a.new_columns == "add" ? load::Drift::kAdd
                        : a.new_columns == "ignore"        ? load::Drift::kIgnore
                                                           : load::Drift::kRefuse;
  options.refuse_missing = a.missing_columns == "refuse";
  options.force = a.force;
  options.explain = a.explain;
  options.dry_run = a.dry_run;
  options.read.format = a.format == "csv" || a.format == "tsv" ? load::Format::kDelimited
                        : a.format == "json"                   ? load::Format::kJson
                        : a.format == "parquet"                ? load::Format::kParquet
                                                               : load::Format::kAuto;
  if (a.format == "tsv") options.read.delimiter = '\t';
  if (!a.delimiter.empty()) options.read.delimiter = one_character(a.delimiter, "--delimiter");
  options.read.quote = a.quote == "none" ? '\0' : one_character(a.quote, "--quote");
  options.read.header = a.header == "yes"  ? load::Header::kYes
                        : a.header == "no" ? load::Header::kNo
                                           : load::Header::kAuto;
  options.read.null_text = a.null_text;
  options.read.encoding = a.encoding;
  options.read.sample_bytes = sample_bytes(a.sample);
  options.rejects = with_job(a.rejects);
  options.max_rejects = load::parse_reject_limit(a.max_rejects);
  options.job = variable("AWS_BATCH_JOB_ID", "local");
  options.attempt = base::parse_number<int64_t>(variable("AWS_BATCH_JOB_ATTEMPT", "1")).value_or(1);
  options.stop = &g_stop;
  if (options.source.empty())
    throw base::UsageError("what is to be loaded? Give a file, - or s3://BUCKET/KEY");
  if (options.table.empty()) throw base::UsageError("where to? Give --table NAME");
  return options;
}

int run(const Arguments& arguments) {
  base::SystemClock clock;
  workloads::JobResult result("load", clock);
  const std::string result_place = with_job(arguments.result);
  auto logger = std::make_shared<spdlog::logger>("load", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%Y-%m-%d %H:%M:%S %l %v");
  spdlog::set_default_logger(logger);
  std::signal(SIGTERM, stop_soon);
  std::signal(SIGINT, stop_soon);
  std::signal(SIGPIPE, SIG_IGN);
  try {
    load::LoadOptions options = options_of(arguments);
    if (!result_place.empty()) workloads::JobResult::require_writable(result_place);
    if (!arguments.quiet)
      options.say = [explain = options.explain](const std::string& text) {
        if (explain)
          std::printf("%s\n", text.c_str());
        else
          spdlog::info("{}", text);
      };
    load::run_load(options, result);
  } catch (const base::UsageError& e) {
    std::fprintf(stderr, "millrace load: %s\n", e.what());
    return workloads::kExitUsage;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "millrace load: %s\n", e.what());
    result.fail(e.what());
  }
  int code = result.exit_code();
  try {
    if (!result_place.empty()) result.write(result_place);
  } catch (const base::Error& e) {
    std::fprintf(stderr, "millrace load: the result could not be written: %s\n", e.what());
    result.fail(std::string("the result could not be written: ") + e.what());
    code = workloads::kExitFailed;
  }
  std::printf("%s\n", result.log_line().c_str());
  return std::fflush(stdout) == 0 ? code : workloads::kExitFailed;
}

}  // namespace

void add_load_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  auto& a = *arguments;
  CLI::App* command =
      app.add_subcommand("load", "load a file or object into database tables, whole or not at all");
  command->footer(kHelp);
  command->add_option("source", a.source, "a file, - or s3://BUCKET/KEY");
  command->add_option(
      "--database", a.databases,
      "where to: postgresql://… or a file; may be given again (default: DATABASE_URL, else load.db)");
  command->add_option("--table", a.table, "[SCHEMA.]NAME");
  command->add_option("--mode", a.mode, "replace all rows, append to them, or upsert by key")
      ->check(CLI::IsMember({"replace", "append", "upsert"}))
      ->capture_default_str();
  command->add_option("--key", a.key, "columns that tell rows apart, with commas (default: the primary key)");
  command->add_option(
      "--columns", a.columns,
      "names of the file's columns, or which of them; with types for --create: 'id bigint, zip text'");
  command->add_flag("--create", a.create,
                    "make the table when it is not there, with the types that the file needs");
  command->add_flag("--evolve", a.evolve, "add columns that the table does not have (--new-columns add)");
  command->add_option("--new-columns", a.new_columns, "columns of the file that the table does not have")
      ->check(CLI::IsMember({"refuse", "add", "ignore"}))
      ->capture_default_str();
  command
      ->add_option("--missing-columns", a.missing_columns, "columns of the table that the file does not have")
      ->check(CLI::IsMember({"default", "refuse"}))
      ->capture_default_str();
  command->add_option("--format", a.format, "of the file")
      ->check(CLI::IsMember({"auto", "csv", "tsv", "json", "parquet"}))
      ->capture_default_str();
  command->add_option("--delimiter", a.delimiter, "between cells: a character, or tab (default: found out)");
  command->add_option("--quote", a.quote, "around cells: a character, or none")->capture_default_str();
  command->add_option("--header", a.header, "does the file begin with names of columns")
      ->check(CLI::IsMember({"auto", "yes", "no"}))
      ->capture_default_str();
  command->add_option("--null", a.null_text, "an unquoted cell like this is NULL, as an empty one is");
  command->add_option("--encoding", a.encoding, "of the text, as iconv knows it (default: UTF-8)");
  command
      ->add_option("--sample", a.sample, "how much of the file types are inferred from: 8M or more, or all")
      ->capture_default_str();
  command->add_option("--rejects", a.rejects,
                      "CSV of the rows that were rejected: a file or s3://BUCKET/KEY");
  command
      ->add_option("--max-rejects", a.max_rejects,
                   "load all the same with so many rejected rows: a number or P%")
      ->capture_default_str();
  command->add_flag("--force", a.force, "also what was loaded already");
  command->add_flag("--explain", a.explain, "show how it would be loaded, and load nothing");
  command->add_flag("--dry-run", a.dry_run, "do everything and take it back");
  command->add_option("--result", a.result, "JSON result: a file or s3://BUCKET/KEY");
  command->add_flag("--quiet", a.quiet, "only errors and the result");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace millrace::cli

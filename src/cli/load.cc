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
#include "workloads/load/script.h"
#include "workloads/load/settings.h"
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
  std::vector<std::string> words;  // SOURCE, or BUCKET KEY
  std::vector<std::pair<std::string, std::string>> settings;
  std::vector<std::string> databases, secrets;
  std::string event, config, sql, result;
  bool force = false, explain = false, dry_run = false, quiet = false;
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

load::LoadOptions options_of(const Arguments& a) {
  load::LoadOptions options;
  if (a.words.size() > 2)
    throw base::UsageError("give one source: a file, -, s3://BUCKET/KEY, or BUCKET KEY");
  if (a.words.size() == 1) options.source = a.words[0];
  if (a.words.size() == 2) options.source = "s3://" + a.words[0] + "/" + a.words[1];
  if (!a.event.empty()) {
    if (!options.source.empty()) throw base::UsageError("give either a source or --event");
    load::EventObject object = load::object_of_event(load::read_small_source(a.event, 1 << 20));
    options.source = std::move(object.source);
    options.version_id = std::move(object.version_id);
  }
  if (options.source.empty() && a.sql.empty())
    throw base::UsageError("what is to be loaded? Give a file, -, s3://BUCKET/KEY, or --event FILE");
  if (!a.config.empty()) load::apply_mapping(options, a.config);
  for (const auto& [name, value] : a.settings) load::apply_setting(options, name, value);
  // What the command line names counts instead of what the mapping has.
  if (!a.databases.empty() || !a.secrets.empty()) options.databases = a.databases;
  for (const std::string& secret : a.secrets) options.databases.push_back(load::database_of_secret(secret));
  if (options.databases.empty()) options.databases.push_back(variable("DATABASE_URL", "load.db"));
  if (options.table.empty() && a.sql.empty()) throw base::UsageError("where to? Give --table NAME");
  options.rejects = with_job(options.rejects);
  options.manifest = with_job(options.manifest);
  options.force = a.force;
  options.explain = a.explain;
  options.dry_run = a.dry_run;
  options.job = variable("AWS_BATCH_JOB_ID", "local");
  options.attempt = base::parse_number<int64_t>(variable("AWS_BATCH_JOB_ATTEMPT", "1")).value_or(1);
  options.stop = &g_stop;
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
      options.say = [plain = options.explain || options.dry_run](const std::string& text) {
        if (plain)
          std::printf("%s\n", text.c_str());
        else
          spdlog::info("{}", text);
      };
    if (arguments.sql.empty())
      load::run_load(options, result);
    else
      load::run_script(options, arguments.sql, result);
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
  const auto setting = [&](const char* name, const char* help) {
    return command->add_option_function<std::string>(
        std::string("--") + name,
        [arguments, name](const std::string& value) { arguments->settings.emplace_back(name, value); }, help);
  };
  const auto flag = [&](const char* name, const char* help) {
    command->add_flag_callback(
        std::string("--") + name, [arguments, name] { arguments->settings.emplace_back(name, "true"); },
        help);
  };
  command->add_option("source", a.words, "a file, -, s3://BUCKET/KEY, or BUCKET KEY");
  command->add_option("--database", a.databases,
                      "where to: postgresql://…, redshift://… or a file; may be given again (default: "
                      "DATABASE_URL, else load.db)");
  command->add_option(
      "--secret", a.secrets,
      "the same as a secret in Secrets Manager: JSON with host, port, username, password and dbname");
  setting("table", "[SCHEMA.]NAME");
  setting("mode", "replace all rows, append to them, or upsert by key [replace]");
  setting("key", "columns that tell rows apart, with commas (default: the primary key)");
  setting("columns",
          "names of the file's columns, or which of them; with types for --create: 'id bigint, zip text'");
  flag("create", "make the table when it is not there, with the types that the file needs");
  flag("evolve", "add columns that the table does not have (--new-columns add)");
  setting("new-columns", "columns of the file that the table does not have: refuse, add or ignore [refuse]");
  setting("missing-columns", "columns of the table that the file does not have: default or refuse [default]");
  setting("format", "of the file: auto, csv, tsv, json or parquet [auto]");
  setting("delimiter", "between cells: a character, or tab (default: found out)");
  setting("quote", "around cells: a character, or none [\"]");
  setting("header", "does the file begin with names of columns: auto, yes or no [auto]");
  setting("null", "an unquoted cell like this is NULL, as an empty one is");
  setting("encoding", "of the text, as iconv knows it (default: UTF-8)");
  setting("sample", "how much of the file types are inferred from: 8M or more, or all [64M]");
  setting("rejects", "CSV of the rows that were rejected: a file or s3://BUCKET/KEY");
  setting("max-rejects", "load all the same with so many rejected rows: a number or P% [0]");
  setting("manifest", "Redshift: where the manifest of its COPY is put (default: beside the object)");
  setting("iam-role", "Redshift: the role that its COPY reads with (default: the cluster's)");
  command->add_option("--event", a.event,
                      "an event (a file or -) names the object: EventBridge's, CloudTrail's or S3's");
  command->add_option("--config", a.config,
                      "YAML (a file or s3://…): which keys go into which table, and how");
  command->add_option("--sql", a.sql, "run this script instead (psql's \\copy included), as one transaction");
  command->add_flag("--force", a.force, "also what was loaded already");
  command->add_flag("--explain", a.explain, "show how it would be loaded, and load nothing");
  command->add_flag("--dry-run", a.dry_run, "do everything and take it back; Redshift: print the statements");
  command->add_option("--result", a.result, "JSON result: a file or s3://BUCKET/KEY");
  command->add_flag("--quiet", a.quiet, "only errors and the result");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace millrace::cli

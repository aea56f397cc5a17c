// `millrace scan`: catalogues a folder or a bucket prefix in a database.
#include "workloads/scan/scan.h"

#include <malloc.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "cli/commands.h"
#include "cli/job_place.h"
#include "workloads/result.h"
#include "workloads/scan/catalog.h"
#include "workloads/scan/scan_options.h"
#include "workloads/scan/summary.h"
#include "workloads/text.h"

namespace millrace::cli {
namespace {

constexpr const char* kHelp =
    R"(Catalogues a production tree: one row for every file, with what images, videos and .blend files say about
themselves. Only headers are read, and only of files that are new or have changed since the last scan.

Examples:
  millrace scan ~/pictures                                  into ./db/metadata.db
  millrace scan /mnt/show --database sqlite:///show.db --result result.json
  millrace scan s3://assets/shows/ --database postgresql://me@db.example/catalogue
  millrace scan /mnt/show --dry-run                         what would be read
  millrace scan /mnt/show --exclude '*' --include '*.blend' --since 7d
  millrace scan /mnt/show --thumbnails thumbs               a small JPEG of each picture, video and .blend
  millrace scan /mnt/show --hash                            read all of each file: finds copies and renamed files
  millrace scan s3://assets --shard 0/8                     one of eight parts (array jobs: set by AWS Batch)
  millrace scan s3://assets --merge-shards                  what all parts did, and exit as the whole does

Afterwards: millrace catalog --help

--result and --whole-result may hold {job}, {attempt} and {index} of a Batch job, and {array}: the job without the index.

Exit code: 0 everything was read; 3 some files could not be read, each is named in the result and in files.error;
1 the scan failed, or more files failed than --max-errors allows; 2 wrong usage.

Environment (flags win): STORAGE_TYPE=local|s3, DATA_PATH, ASSET_BUCKET_NAME or S3_BUCKET_NAME, S3_PREFIX, AWS_REGION,
DATABASE_URL (the place for a password: arguments can be seen by others), SCANNER_WORKERS, OVERRIDE_EXISTING=true (as
--full), DETECT_SEQUENCES, MIN_SEQUENCE_LENGTH, MIN_PADDING, LOG_LEVEL.)";

struct Arguments {
  std::string thumbnails, source, database, result, whole_result, shard, run, since, max_errors, log_level;
  std::vector<workloads::FilterRule> filters;
  unsigned workers = 0;
  int64_t min_sequence = 0;
  bool full = false, quiet = false, hash = false, dry_run = false, merge_shards = false, no_sequences = false;
};

std::atomic<bool> g_stop = false;

void stop_soon(int) { g_stop = true; }

// The names of the original scanner (Python's logging).
spdlog::level::level_enum level_of(const std::string& name) {
  std::string word = base::to_lower(name);
  if (word.empty() || word == "info") return spdlog::level::info;
  if (word == "debug") return spdlog::level::debug;
  if (word == "warning" || word == "warn") return spdlog::level::warn;
  if (word == "error") return spdlog::level::err;
  if (word == "critical") return spdlog::level::critical;
  throw base::UsageError("LOG_LEVEL is '" + name + "': it must be DEBUG, INFO, WARNING, ERROR or CRITICAL");
}

// A bar on a terminal, a line every few seconds elsewhere.
class ProgressDisplay {
 public:
  explicit ProgressDisplay(bool terminal) : terminal_(terminal) {}
  ~ProgressDisplay() { clear(); }

  void show(const scan::ScanProgress& progress) {
    if (terminal_) {
      draw(progress);
    } else if (++calls_ % kCallsPerLine == 0) {
      spdlog::info("{} of {} files listed so far are done, {} errors", progress.files_done,
                   progress.files_listed, progress.errors);
    }
  }
  void clear() {
    if (std::exchange(drawn_, false)) std::fputs("\r\033[K", stderr);
  }

 private:
  static constexpr int kCallsPerLine = 10;  // progress comes twice a second
  static constexpr int kWidth = 30;

  void draw(const scan::ScanProgress& progress) {
    drawn_ = true;
    int64_t expected = std::max(progress.files_expected, progress.files_listed);
    if (progress.files_expected == 0 ||
        expected == 0) {  // the first scan of a tree: nobody knows how many there are
      std::fprintf(stderr, "\r%lld files, %lld errors\033[K", static_cast<long long>(progress.files_done),
                   static_cast<long long>(progress.errors));
      return;
    }
    int filled = static_cast<int>(progress.files_done * kWidth / expected);
    std::string bar = std::string(static_cast<size_t>(filled), '#') +
                      std::string(static_cast<size_t>(kWidth - filled), '.');
    std::fprintf(stderr, "\r[%s] %lld of about %lld files, %lld errors\033[K", bar.c_str(),
                 static_cast<long long>(progress.files_done), static_cast<long long>(expected),
                 static_cast<long long>(progress.errors));
  }

  const bool terminal_;
  bool drawn_ = false;
  int calls_ = 0;
};

// All children of one array job, and nobody else.
std::string run_of_environment() {
  const char* index = std::getenv("AWS_BATCH_JOB_ARRAY_INDEX");
  return index != nullptr && *index != '\0' && std::getenv("AWS_BATCH_JOB_ID") != nullptr
             ? with_job("{array}")
             : "";
}

scan::ScanOptions options_of(const Arguments& arguments, const base::Clock& clock) {
  auto options = scan::options_from_environment(std::getenv, !arguments.source.empty());
  if (!arguments.source.empty()) options.source = arguments.source;
  if (!arguments.database.empty()) options.database_url = arguments.database;
  if (arguments.workers != 0) options.workers = arguments.workers;
  options.full = options.full || arguments.full;
  options.shard =
      arguments.shard.empty() ? workloads::shard_of_environment() : workloads::parse_shard(arguments.shard);
  options.run_id = arguments.run.empty() ? run_of_environment() : arguments.run;
  options.hash = arguments.hash;
  options.thumbnails = arguments.thumbnails;
  options.dry_run = arguments.dry_run;
  options.filters = arguments.filters;
  if (!arguments.since.empty()) options.since = scan::parse_since(arguments.since, clock.now_ms());
  if (!arguments.max_errors.empty()) options.max_errors = scan::parse_error_limit(arguments.max_errors);
  if (arguments.min_sequence > 0) options.sequences.min_length = arguments.min_sequence;
  if (arguments.no_sequences) options.sequences.detect = false;
  options.stop = &g_stop;
  return options;
}

void set_up_logging(const Arguments& arguments) {
  const char* level = std::getenv("LOG_LEVEL");
  auto logger = std::make_shared<spdlog::logger>("scan", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(level_of(!arguments.log_level.empty() ? arguments.log_level
                             : level != nullptr           ? level
                                                          : ""));
  // A log line replaces the bar, which is drawn again below it.
  logger->set_pattern(isatty(STDERR_FILENO) ? "\r\033[K%Y-%m-%d %H:%M:%S %l %v" : "%Y-%m-%d %H:%M:%S %l %v");
  spdlog::set_default_logger(logger);
}

void print_summary(const scan::ScanOptions& options) {
  auto catalog = scan::open_catalog(options.database_url);
  std::string text = scan::render_summary(*catalog, sql::without_password(options.database_url));
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void print_plan(std::string_view action, std::string_view path) {
  std::printf("%.*s %s\n", static_cast<int>(action.size()), action.data(),
              workloads::printable(path).c_str());
}

int run(const Arguments& arguments) {
  // One heap that grows in large steps: threads that hand rows to each other would have heaps of their own
  // grow and shrink with every few files.
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TOP_PAD, 4 << 20);
  mallopt(M_TRIM_THRESHOLD, 16 << 20);
  base::SystemClock clock;
  workloads::JobResult result("scan", clock);
  scan::ScanOptions options;
  const std::string result_place = with_job(arguments.result), whole_place = with_job(arguments.whole_result);
  try {
    set_up_logging(arguments);
    options = options_of(arguments, clock);
    for (const std::string& place : {result_place, whole_place})
      if (!place.empty()) workloads::JobResult::require_writable(place);
  } catch (const base::Error& e) {
    std::fprintf(stderr, "millrace scan: %s\n", e.what());
    return e.kind() == base::ErrorKind::kUsage ? workloads::kExitUsage : workloads::kExitFailed;
  }
  std::signal(SIGTERM, stop_soon);
  std::signal(SIGINT, stop_soon);

  bool usage = false;
  ProgressDisplay display(isatty(STDERR_FILENO) != 0 && !arguments.quiet);
  options.on_progress = [&](const scan::ScanProgress& progress) { display.show(progress); };
  if (options.dry_run && !arguments.quiet) options.on_plan = print_plan;
  bool write_whole = false;
  try {
    write_whole = arguments.merge_shards ? (scan::merge_shards(options, clock, result), false)
                                         : scan::run_scan(options, clock, result).ended_all_shards;
    display.clear();
    if (!arguments.quiet && !options.dry_run) print_summary(options);
  } catch (const std::exception& e) {
    display.clear();
    auto* error = dynamic_cast<const base::Error*>(&e);
    usage = error != nullptr && error->kind() == base::ErrorKind::kUsage;
    std::fprintf(stderr, "millrace scan: %s\n", e.what());
    result.fail(e.what());
  }
  if (usage) return workloads::kExitUsage;
  int code = result.exit_code();
  try {
    if (!result_place.empty()) result.write(result_place);
    if (write_whole && !whole_place.empty()) {
      workloads::JobResult whole("scan", clock);
      scan::merge_shards(options, clock, whole);
      whole.write(whole_place);
    }
  } catch (const base::Error& e) {
    std::fprintf(stderr, "millrace scan: the result could not be written: %s\n", e.what());
    result.fail(std::string("the result could not be written: ") + e.what());
    code = workloads::kExitFailed;
  }
  std::printf("%s\n", result.log_line().c_str());
  return std::fflush(stdout) == 0 ? code : workloads::kExitFailed;
}

void add_filters(CLI::App& command, const std::shared_ptr<Arguments>& arguments) {
  auto add = [&](const char* name, bool include, const char* help) {
    command.add_option_function<std::vector<std::string>>(
               name, [](const std::vector<std::string>&) {}, help)
        ->each([arguments, include](const std::string& pattern) {
          arguments->filters.push_back({include, pattern});
        })
        ->trigger_on_parse();
  };
  add("--exclude", false,
      "leave out files like this: * any characters, ? one, [a-z]; paths are below the source");
  add("--include", true, "take files like this all the same; the last that matches decides");
}

}  // namespace

void add_scan_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("scan", "catalogue images, videos and .blend files in a database");
  command->footer(kHelp);
  command->add_option("source", arguments->source,
                      "folder, or s3://BUCKET[/PREFIX]; default: from the environment");
  command->add_option(
      "--database", arguments->database,
      "sqlite:///FILE or postgresql://…; default: DATABASE_URL, else sqlite:///./db/metadata.db");
  command->add_option("--result", arguments->result, "file for the JSON result");
  command
      ->add_option("--workers", arguments->workers,
                   "threads that read (default: one a core; 16 for a bucket)")
      ->check(CLI::Range(1U, 256U));
  command->add_flag("--full", arguments->full, "read unchanged files again, too");
  command->add_option(
      "--thumbnails", arguments->thumbnails,
      "folder for a small JPEG of each picture, video and .blend that is read; needs millrace-media");
  command->add_flag("--hash", arguments->hash,
                    "SHA-256 of every file (reads all of it, once): finds copies and renamed files");
  add_filters(*command, arguments);
  command->add_option("--since", arguments->since,
                      "read only what was modified since: 2026-11-21, 2026-11-21T14:00:00Z, or 12h, 7d ago");
  command->add_flag("--dry-run", arguments->dry_run, "print what would be read, and do nothing");
  command->add_option(
      "--max-errors", arguments->max_errors,
      "more failed files than this (a number or a share such as 2%) make the scan fail: exit 1");
  command->add_option("--min-sequence", arguments->min_sequence, "files of a sequence at least (default: 3)")
      ->check(CLI::Range(int64_t{2}, int64_t{1'000'000}));
  command->add_flag("--no-sequences", arguments->no_sequences, "do not look for sequences");
  command->add_option("--shard", arguments->shard, "do part I of N only, written I/N");
  command->add_option("--run", arguments->run,
                      "a name that all shards of one run have and no others (array jobs: the job)");
  command->add_flag("--merge-shards", arguments->merge_shards,
                    "read nothing: bring together what the shards of the newest scan left");
  command->add_option("--whole-result", arguments->whole_result,
                      "file or s3:// place for the JSON result of all shards, written by the last one");
  command->add_option("--log-level", arguments->log_level, "DEBUG, INFO, WARNING, ERROR or CRITICAL");
  command->add_flag("--quiet", arguments->quiet, "no summary and no bar; the result line only");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace millrace::cli

// `millrace stac`: months of satellite items become GeoParquet.
#include "workloads/stac/stac.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/stac_verify.h"
#include "workloads/result.h"
#include "workloads/stac/geoparquet.h"

namespace millrace::cli {
namespace {

constexpr const char* kHelp = R"(Examples:
  millrace stac --year-month 202406 --destination s3://archive/hls
  millrace stac --year-month 202406 --destination out --collection HLSS30 --bounding-box 170,-50,-170,-30
  millrace stac --source stac-api --input https://stac.example.org --collection sentinel-2-l2a --year-month 202406 \
                --destination out
  millrace stac --source files --input s3://items/2024/ --destination out          months as the items say
  millrace stac --from 201501 --to 202412 --destination s3://archive/hls           a backfill; in an array job each child
                                                                                   takes its months
  millrace stac --year-month 202406 --destination s3://archive/hls --merge         adds what came late
  millrace stac YEAR_MONTH BUCKET PREFIX PARALLEL                                  PARALLEL: true or false

A month is published only when nothing of it is missing (or no more than --allow-missing). What is missing is named in
the result; another run with the same --work fetches only that.

Exit code: 0 everything was done; 3 something is missing, each is named in the result; 1 the job failed; 2 wrong usage.)";

struct Arguments {
  std::vector<std::string> words;
  std::string year_month, from, to, destination, bucket, prefix = "hls-data";
  std::string source = "cmr", input, layout = "month", box, protocol = "https", method = "post", links,
              result, work, checkpoint;
  std::string client_id = "millrace-stac";
  std::vector<std::string> collections;
  unsigned days = 4, per_day = 16, refresh_days = 30, page_size = 0, threads = 2, attempts = 6;
  uint64_t allow_missing = 0;
  bool links_only = false, require_complete = false, skip_existing = false, merge = false, keep_work = false;
  bool parallel = false, quiet = false;
};

std::atomic<bool> g_stop = false;

void stop_soon(int) { g_stop = true; }

bool parse_bool(const std::string& text) {
  std::string lower = base::to_lower(text);
  if (lower == "true" || lower == "1" || lower == "yes" || lower == "--parallel") return true;
  if (lower == "false" || lower == "0" || lower == "no" || lower.empty()) return false;
  throw base::UsageError("PARALLEL: '" + text + "' is neither true nor false");
}

// The months of this child of an array job: one, or every n-th.
std::vector<stac::Month> own_months(std::vector<stac::Month> months, const workloads::Shard& shard) {
  if (shard.whole()) return months;
  std::vector<stac::Month> own;
  for (size_t i = shard.index; i < months.size(); i += shard.count) own.push_back(months[i]);
  return own;
}

// YEAR_MONTH BUCKET [PREFIX [PARALLEL]], as the original's container was called.
void take_words(Arguments& a) {
  if (a.words.empty()) return;
  if (a.words.size() < 2 || a.words.size() > 4)
    throw base::UsageError("YEAR_MONTH BUCKET PREFIX PARALLEL, not " + std::to_string(a.words.size()) +
                           " words");
  if (!a.year_month.empty() || !a.destination.empty() || !a.bucket.empty())
    throw base::UsageError("say month and destination either as words or as options");
  if (a.words[0].empty() || a.words[1].empty()) throw base::UsageError("YEAR_MONTH or BUCKET is empty");
  a.year_month = a.words[0];
  a.bucket = a.words[1];
  if (a.words.size() > 2) a.prefix = a.words[2];
  if (a.words.size() > 3 && !parse_bool(a.words[3])) a.days = 1;
}

stac::JobOptions options_of(Arguments a) {
  take_words(a);
  stac::JobOptions options;
  if (!a.bucket.empty()) {
    if (!a.destination.empty()) throw base::UsageError("--destination or --s3-bucket, not both");
    a.destination = "s3://" + a.bucket + (a.prefix.empty() ? "" : "/" + a.prefix);
  }
  options.destination = a.destination;
  options.source = a.source == "files"      ? stac::SourceKind::kFiles
                   : a.source == "stac-api" ? stac::SourceKind::kStacApi
                                            : stac::SourceKind::kCmr;
  options.input = a.input;
  options.links_only = a.links_only;
  const workloads::Shard shard = workloads::shard_of_environment();
  if (!a.year_month.empty()) {
    if (!a.from.empty() || !a.to.empty()) throw base::UsageError("--year-month, or --from and --to");
    options.months = {stac::parse_month(a.year_month)};
    if (!shard.whole() && !a.links_only)
      throw base::UsageError(
          "every child of the array would do the same month: say --from and --to, and each takes its "
          "own (or --links-only, and each takes its days)");
  } else if (!a.from.empty() || !a.to.empty()) {
    if (a.from.empty() || a.to.empty()) throw base::UsageError("--from and --to belong together");
    options.months = stac::months_between(stac::parse_month(a.from), stac::parse_month(a.to));
  }
  if (a.links_only) {
    options.shard = shard;
  } else if (!shard.whole()) {
    if (options.months.empty()) throw base::UsageError("an array job shares out months: say --from and --to");
    options.months = own_months(std::move(options.months), shard);
  }
  options.layout = a.layout == "month" ? stac::Layout::kMonth : stac::Layout::kCollectionMonth;
  options.collections = a.collections;
  if (options.collections.empty() && options.source == stac::SourceKind::kCmr)
    options.collections = {"HLSL30", "HLSS30"};
  if (!a.box.empty()) options.box = stac::parse_box(a.box);
  options.protocol = a.protocol;
  options.post = a.method == "post";
  options.page_size = a.page_size;
  options.client_id = a.client_id;
  options.links = a.links;
  options.require_complete_links = a.require_complete;
  options.skip_existing = a.skip_existing;
  options.refresh_days = a.refresh_days;
  options.allow_missing = a.allow_missing;
  options.merge = a.merge;
  options.work = a.work;
  options.keep_work = a.keep_work;
  options.checkpoint = a.checkpoint;
  options.concurrent_days = a.days;
  options.concurrent_per_day = a.per_day;
  options.threads = a.threads;
  options.attempts_max = static_cast<int>(a.attempts);
  options.stop = &g_stop;
  return options;
}

int run(const Arguments& arguments) {
  base::SystemClock clock;
  workloads::JobResult result("stac", clock);
  stac::JobOptions options;
  try {
    options = options_of(arguments);
    if (!arguments.result.empty()) workloads::JobResult::require_writable(arguments.result);
  } catch (const base::Error& e) {
    std::fprintf(stderr, "millrace stac: %s\n", e.what());
    return e.kind() == base::ErrorKind::kUsage ? workloads::kExitUsage : workloads::kExitFailed;
  }
  std::signal(SIGTERM, stop_soon);
  std::signal(SIGINT, stop_soon);
  std::signal(SIGPIPE, SIG_IGN);
  bool usage = false;
  try {
    std::optional<Progress> progress;
    std::string phase;
    if (!arguments.quiet)
      options.on_progress = [&](const stac::StacProgress& now) {
        if (!progress || phase != now.phase) progress.emplace(phase = now.phase, now.days);
        progress->update(now.days_done,
                         std::to_string(now.done) + " items, " + std::to_string(now.failed) + " failed");
      };
    stac::run_stac(options, clock, result);
  } catch (const std::exception& e) {
    auto* error = dynamic_cast<const base::Error*>(&e);
    usage = error != nullptr && error->kind() == base::ErrorKind::kUsage;
    std::fprintf(stderr, "millrace stac: %s\n", e.what());
    result.fail(e.what());
  }
  if (usage) return workloads::kExitUsage;
  int code = result.exit_code();
  try {
    if (!arguments.result.empty()) result.write(arguments.result);
  } catch (const base::Error& e) {
    std::fprintf(stderr, "millrace stac: the result could not be written: %s\n", e.what());
    result.fail(std::string("the result could not be written: ") + e.what());
    code = workloads::kExitFailed;
  }
  std::printf("%s\n", result.log_line().c_str());
  return std::fflush(stdout) == 0 ? code : workloads::kExitFailed;
}

void add_options(CLI::App& command, Arguments& a) {
  command.add_option("words", a.words, "YEAR_MONTH BUCKET PREFIX PARALLEL");
  command.add_option("--year-month", a.year_month, "the month, such as 202406");
  command.add_option("--from", a.from, "first of several months");
  command.add_option("--to", a.to, "last of several months");
  command.add_option("--destination", a.destination,
                     "folder or s3://BUCKET/PREFIX; files are year=YYYY/month=MM/data.parquet below it");
  command.add_option("--s3-bucket", a.bucket, "as --destination s3://BUCKET/PREFIX");
  command.add_option("--s3-prefix", a.prefix, "with --s3-bucket")->capture_default_str();
  command.add_option("--source", a.source, "where items come from")
      ->check(CLI::IsMember({"cmr", "stac-api", "files"}))
      ->capture_default_str();
  command.add_option("--input", a.input,
                     "URL of a STAC API; file, folder, s3://… or URL of items; another CMR than NASA's");
  command
      .add_option("--collection", a.collections,
                  "which ones, with commas between (default with CMR: HLSL30,HLSS30)")
      ->delimiter(',');
  command.add_option("--bounding-box", a.box, "W,S,E,N in degrees; W larger than E: across the antimeridian");
  command.add_option("--layout", a.layout, "a file a month, or a file a month for each collection")
      ->check(CLI::IsMember({"month", "collection-month"}))
      ->capture_default_str();
  command.add_option("--result", a.result, "file or s3://BUCKET/KEY for the JSON result");
  command.add_flag("--skip-existing", a.skip_existing,
                   "leave files that are there, use lists of links that are there; but not of recent days");
  command.add_option("--refresh-days", a.refresh_days, "how long days are recent")->capture_default_str();
  command.add_option("--links", a.links,
                     "folder or s3://BUCKET/PREFIX where lists of links are kept, one a day");
  command.add_flag("--links-only", a.links_only, "find and keep links, nothing else");
  command.add_flag("--require-complete-links", a.require_complete,
                   "make months of kept links alone; a day without a list is missing");
  command
      .add_option("--allow-missing", a.allow_missing,
                  "items that may be missing in a month that is published")
      ->capture_default_str();
  command.add_flag("--merge", a.merge, "keep what the file of the month has, and fetch only what is new");
  command.add_option("--protocol", a.protocol, "of CMR's links to items")
      ->check(CLI::IsMember({"https", "s3"}))
      ->capture_default_str();
  command.add_option("--method", a.method, "how a STAC API is searched")
      ->check(CLI::IsMember({"post", "get"}))
      ->capture_default_str();
  command
      .add_option("--page-size", a.page_size,
                  "entries of a page (default: 2000 with CMR, 100 with a STAC API)")
      ->check(CLI::Range(1U, 10'000U));
  command.add_option("--client-id", a.client_id, "what the servers are told who is asking")
      ->capture_default_str();
  command.add_option("--max-concurrent-days", a.days, "days (or files) at once")
      ->envname("MAX_CONCURRENT_DAYS")
      ->check(CLI::Range(1U, 64U))
      ->capture_default_str();
  command.add_option("--max-concurrent-per-day", a.per_day, "items of a day at once")
      ->envname("MAX_CONCURRENT_PER_DAY")
      ->check(CLI::Range(1U, 256U))
      ->capture_default_str();
  command.add_option("--attempts", a.attempts, "of each request")
      ->check(CLI::Range(1U, 50U))
      ->capture_default_str();
  command.add_option("--threads", a.threads, "of the writer; each holds a row group")
      ->check(CLI::Range(1U, 64U))
      ->capture_default_str();
  command.add_option("--work", a.work, "folder for what was fetched, until the month is published")
      ->envname("TEMP_DIR");
  command.add_option(
      "--checkpoint", a.checkpoint,
      "folder or s3://BUCKET/PREFIX for days that were fetched: for an attempt on another machine");
  command.add_flag("--keep-work,--no-cleanup", a.keep_work, "also afterwards");
  command.add_flag("--parallel", a.parallel, "as always: days are fetched at the same time");
  command.add_flag("--quiet", a.quiet, "no progress");
}

// `millrace stac items FILE`: the rows of a file as lines of JSON again.
int print_items(const std::string& file) {
  try {
    stac::read_items(objects::parse_location(file), [](std::string_view item) {
      if (std::fwrite(item.data(), 1, item.size(), stdout) != item.size() || std::fputc('\n', stdout) == EOF)
        throw base::TransientError(base::system_message("write standard output", errno));
    });
  } catch (const base::Error& e) {
    std::fprintf(stderr, "millrace stac items: %s\n", e.what());
    return e.kind() == base::ErrorKind::kUsage ? workloads::kExitUsage : workloads::kExitFailed;
  }
  return std::fflush(stdout) == 0 ? workloads::kExitDone : workloads::kExitFailed;
}

}  // namespace

void add_stac_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("stac", "a month of STAC items becomes GeoParquet");
  command->footer(kHelp);
  add_options(*command, *arguments);
  auto file = std::make_shared<std::string>();
  CLI::App* items = command->add_subcommand("items", "print the rows of such a file as items, one a line");
  items->add_option("file", *file, "a file or s3://BUCKET/KEY")->required();
  items->callback([file, &exit_code] { exit_code = print_items(*file); });
  add_stac_verify_command(*command, exit_code);
  command->callback([arguments, command, &exit_code] {
    if (command->get_subcommands().empty()) exit_code = run(*arguments);
  });
}

}  // namespace millrace::cli

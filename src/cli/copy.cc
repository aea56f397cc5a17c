// `millrace copy`: copies and syncs prefixes, objects and folders, one pair or a list of thousands.
#include "workloads/copy/copy.h"

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
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "cli/commands.h"
#include "cli/copy_progress.h"
#include "cli/job_place.h"
#include "cli/sizes.h"
#include "workloads/copy/shared_place.h"
#include "workloads/result.h"

namespace millrace::cli {
namespace {

constexpr const char* kHelp =
    R"(Copies what is new or changed, as `aws s3 sync` does: when the size differs or the source is newer. A source that ends
in '/', or below which there are objects and nothing else, is a prefix; otherwise it is one object.

Examples:
  millrace copy s3://a/shows/ s3://b/shows/
  millrace copy s3://a/shows/ s3://b/shows/ --delete --dry-run      what would be copied and deleted
  millrace copy ~/pictures s3://a/pictures/ --exclude '*.tmp'
  millrace copy --manifest list.csv --report report.csv             rows of source,destination
  millrace copy --manifest s3://a/list.csv --resume                 goes on where a run stopped
  millrace copy BUCKET KEY HEADER SYNC_DELETE                       the list s3://BUCKET/KEY; True or False twice

--report, --result, --journal and --share may hold {job}, {attempt} and {index} of a Batch job, and {array}: the job
without the index.

Lists: a header may name the columns source, destination, delete, include, exclude, acl and storage_class; include and
exclude hold patterns with ';' between them. Without a header write delete=true and so on behind the two locations.

Nothing is deleted before everything of its row was copied, nor when the source is empty or could not be read to its
end, nor more than --max-delete allows.

Exit code: 0 everything was done; 3 some rows or objects were not, each is named in the result and the report; 1 the job
failed; 2 wrong usage. With four words: 1 for another number of words, 2 for a word that is neither True nor False.)";

struct Arguments {
  std::vector<std::string> words;
  std::string manifest, header = "auto", result, report, plan, journal, shard, share, merge_shards;
  std::string acl = "bucket-owner-full-control", storage_class, max_delete, bytes_per_second,
              multipart_threshold;
  std::vector<std::pair<bool, std::string>> filters;
  copy::ServiceOptions from, to;
  unsigned concurrency = 64, listings = 4;
  double requests_per_second = 0;
  bool remove_extra = false, size_only = false, checksum = false, markers = false, thaw = false;
  bool allow_overlap = false, allow_empty_source = false, keep_encryption = false, verify = false;
  bool dry_run = false, resume = false, quiet = false;
};

std::atomic<bool> g_stop = false;

void stop_soon(int) { g_stop = true; }

copy::DeleteLimit parse_delete_limit(const std::string& text) {
  if (text.empty()) return {};
  if (text.ends_with('%')) {
    auto percent = base::parse_number<double>(std::string_view(text).substr(0, text.size() - 1));
    if (percent && *percent >= 0) return {0, *percent / 100};
  } else if (auto objects = base::parse_number<uint64_t>(text)) {
    return {*objects, 0};
  }
  throw base::UsageError("--max-delete: '" + text + "' is neither a number nor a share such as 10%");
}

copy::JobOptions options_of(const Arguments& arguments) {
  copy::JobOptions options;
  options.manifest = arguments.manifest;
  options.row.remove_extra = arguments.remove_extra;
  for (const auto& [include, pattern] : arguments.filters) options.row.filters.push_back({include, pattern});
  options.row.acl = arguments.acl == "none" ? "" : arguments.acl;
  options.row.storage_class = arguments.storage_class;
  std::string header = base::to_lower(arguments.header);
  options.header = header == "yes"  ? copy::Header::kYes
                   : header == "no" ? copy::Header::kNo
                                    : copy::Header::kAuto;
  if (arguments.size_only) options.compare = copy::Compare::kSizeOnly;
  if (arguments.checksum) options.compare = copy::Compare::kChecksum;
  options.markers = arguments.markers;
  options.thaw = arguments.thaw;
  options.allow_overlap = arguments.allow_overlap;
  options.allow_empty_source = arguments.allow_empty_source;
  options.max_delete = parse_delete_limit(arguments.max_delete);
  options.keep_encryption = arguments.keep_encryption;
  options.verify = arguments.verify;
  options.from = arguments.from;
  options.to = arguments.to;
  options.limits.concurrency = arguments.concurrency;
  options.limits.requests_per_second = arguments.requests_per_second;
  if (!arguments.bytes_per_second.empty())
    options.limits.bytes_per_second = parse_bytes(arguments.bytes_per_second, "--max-bytes-per-second");
  if (!arguments.multipart_threshold.empty())
    options.multipart_threshold =
        static_cast<uint64_t>(parse_bytes(arguments.multipart_threshold, "--multipart-threshold"));
  options.listings = arguments.listings;
  options.dry_run = arguments.dry_run || !arguments.plan.empty();
  options.plan = arguments.plan;
  options.report = with_job(arguments.report);
  options.journal = with_job(arguments.journal);
  options.resume = arguments.resume;
  options.shard =
      arguments.shard.empty() ? workloads::shard_of_environment() : workloads::parse_shard(arguments.shard);
  options.share = with_job(arguments.share);
  if (!options.share.empty() && !options.shard.whole()) {
    if (!arguments.report.empty())
      throw base::UsageError("with --share each shard leaves its report there, and all of them become one");
    copy::SharedPlace place(options.share);
    if (options.journal.empty()) options.journal = place.journal_of(options.shard.index);
    if (!options.dry_run) options.report = place.report_of(options.shard.index, with_job("{attempt}"));
  }
  options.stop = &g_stop;
  const std::vector<std::string>& words = arguments.words;
  if (!words.empty() && !arguments.manifest.empty())
    throw base::UsageError("give either a source and a destination or --manifest");
  if (words.empty() && arguments.manifest.empty())
    throw base::UsageError("what is to be copied? Give SOURCE and DESTINATION, or --manifest FILE");
  if (words.size() == 2) {
    options.source = words[0];
    options.destination = words[1];
  }
  if (words.size() == 4) {
    options.manifest = "s3://" + words[0] + "/" + words[1];
    options.header = copy::parse_bool(words[2], "HEADER") ? copy::Header::kYes : copy::Header::kNo;
    options.row.remove_extra = copy::parse_bool(words[3], "SYNC_DELETE");
    options.own_options = false;
  }
  return options;
}

// The end of one of several shards; the last one brings together what all of them left.
void end_shard(const copy::JobOptions& options, const base::Clock& clock,
               const workloads::JobResult& result) {
  copy::SharedPlace place(options.share);
  result.write(place.result_of(options.shard.index));
  if (!place.all_ended(options.shard.count)) return;
  workloads::JobResult whole("copy", clock);
  place.merge("", whole);
  whole.write(place.at("result.json"));
}

int merge_shards(const Arguments& arguments) {
  base::SystemClock clock;
  workloads::JobResult whole("copy", clock);
  try {
    if (!arguments.words.empty() || !arguments.manifest.empty())
      throw base::UsageError("--merge-shards copies nothing: give no rows");
    copy::SharedPlace place(with_job(arguments.merge_shards));
    place.merge(with_job(arguments.report), whole);
    whole.write(arguments.result.empty() ? place.at("result.json") : with_job(arguments.result));
  } catch (const base::Error& e) {
    std::fprintf(stderr, "millrace copy: %s\n", e.what());
    return e.kind() == base::ErrorKind::kUsage ? workloads::kExitUsage : workloads::kExitFailed;
  }
  std::printf("%s\n", whole.log_line().c_str());
  return std::fflush(stdout) == 0 ? whole.exit_code() : workloads::kExitFailed;
}

int run(const Arguments& arguments) {
  if (!arguments.merge_shards.empty()) return merge_shards(arguments);
  base::SystemClock clock;
  workloads::JobResult result("copy", clock);
  if (arguments.words.size() == 1 || arguments.words.size() == 3 || arguments.words.size() > 4) {
    std::fprintf(stderr,
                 "millrace copy: SOURCE DESTINATION, or BUCKET KEY HEADER SYNC_DELETE, or --manifest FILE; "
                 "not %zu words\n",
                 arguments.words.size());
    return workloads::kExitFailed;
  }
  const std::string result_place = with_job(arguments.result);
  copy::JobOptions options;
  try {
    auto logger = std::make_shared<spdlog::logger>("copy", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    logger->set_pattern(isatty(STDERR_FILENO) ? "\r\033[K%Y-%m-%d %H:%M:%S %l %v"
                                              : "%Y-%m-%d %H:%M:%S %l %v");
    spdlog::set_default_logger(logger);
    options = options_of(arguments);
    if (!result_place.empty()) workloads::JobResult::require_writable(result_place);
  } catch (const base::Error& e) {
    std::fprintf(stderr, "millrace copy: %s\n", e.what());
    return e.kind() == base::ErrorKind::kUsage ? workloads::kExitUsage : workloads::kExitFailed;
  }
  std::signal(SIGTERM, stop_soon);
  std::signal(SIGINT, stop_soon);
  std::signal(SIGPIPE, SIG_IGN);
  bool usage = false;
  CopyProgressDisplay display;
  if (!arguments.quiet) options.on_progress = [&](const copy::CopyProgress& now) { display.show(now); };
  try {
    copy::run_copy(options, clock, result);
    display.clear();
  } catch (const std::exception& e) {
    display.clear();
    auto* error = dynamic_cast<const base::Error*>(&e);
    usage = error != nullptr && error->kind() == base::ErrorKind::kUsage;
    std::fprintf(stderr, "millrace copy: %s\n", e.what());
    result.fail(e.what());
  }
  if (usage) return workloads::kExitUsage;
  int code = result.exit_code();
  try {
    if (!result_place.empty()) result.write(result_place);
    if (!options.share.empty() && !options.shard.whole() && !options.dry_run)
      end_shard(options, clock, result);
  } catch (const base::Error& e) {
    std::fprintf(stderr, "millrace copy: the result could not be written: %s\n", e.what());
    result.fail(std::string("the result could not be written: ") + e.what());
    code = workloads::kExitFailed;
  }
  std::printf("%s\n", result.log_line().c_str());
  return std::fflush(stdout) == 0 ? code : workloads::kExitFailed;
}

}  // namespace

void add_copy_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("copy", "copy and sync buckets, prefixes and folders, also from a list");
  command->footer(kHelp);
  auto& a = *arguments;
  command->add_option("words", a.words,
                      "SOURCE DESTINATION (s3://BUCKET/KEY or a path), or BUCKET KEY HEADER SYNC_DELETE");
  command->add_option("--manifest", a.manifest,
                      "CSV list of source,destination: a file, - or s3://BUCKET/KEY");
  command->add_option("--header", a.header, "does the list begin with a header: auto, yes or no")
      ->check(CLI::IsMember({"auto", "yes", "no"}, CLI::ignore_case));
  command->add_flag("--delete", a.remove_extra,
                    "delete what only the destination has, after everything was copied");
  command->add_option(
      "--max-delete", a.max_delete,
      "refuse to delete more in a row: a number or a share (default: 1000 or 10%, the larger)");
  command->add_flag("--allow-empty-source", a.allow_empty_source,
                    "with --delete: also when the source has nothing");
  command
      ->add_option_function<std::vector<std::string>>(
          "--exclude", [](const std::vector<std::string>&) {},
          "leave out keys like this (also from --delete)")
      ->each([arguments](const std::string& pattern) { arguments->filters.emplace_back(false, pattern); })
      ->trigger_on_parse();
  command
      ->add_option_function<std::vector<std::string>>(
          "--include", [](const std::vector<std::string>&) {},
          "take keys like this all the same; the last that matches decides")
      ->each([arguments](const std::string& pattern) { arguments->filters.emplace_back(true, pattern); })
      ->trigger_on_parse();
  auto* size_only = command->add_flag("--size-only", a.size_only, "copy only when the size differs");
  command->add_flag("--checksum", a.checksum, "copy when the content differs (ETags and stored checksums)")
      ->excludes(size_only);
  command->add_flag("--markers", a.markers, "copy empty objects whose key ends in '/', too");
  command->add_flag("--force-archived", a.thaw, "archived objects were restored: copy them");
  command->add_flag("--allow-overlap", a.allow_overlap, "do rows that write where others read");
  command->add_option("--acl", a.acl, "canned ACL of the copies; keep: as the source's; none: send none")
      ->capture_default_str();
  command->add_option("--storage-class", a.storage_class, "of the copies (default: as the source's)");
  command->add_flag("--keep-encryption", a.keep_encryption,
                    "encrypt as the source is (a request more for each object), not by the bucket's default");
  command->add_flag("--verify", a.verify, "compare size and checksum after each copy");
  command->add_option("--source-profile", a.from.profile, "of AWS's configuration files");
  command->add_option("--destination-profile", a.to.profile, "of AWS's configuration files");
  command->add_option("--source-endpoint", a.from.endpoint, "URL of the source's S3");
  command->add_option("--destination-endpoint", a.to.endpoint, "URL of the destination's S3");
  command->add_option("--source-region", a.from.region, "of the source's buckets");
  command->add_option("--destination-region", a.to.region, "of the destination's buckets");
  command
      ->add_option("--concurrency", a.concurrency,
                   "requests in flight at most; fewer while a server throttles")
      ->check(CLI::Range(1U, 1024U))
      ->capture_default_str();
  command->add_option("--listings", a.listings, "rows and ranges of keys that are compared at once")
      ->check(CLI::Range(1U, 64U))
      ->capture_default_str();
  command->add_option("--max-requests-per-second", a.requests_per_second, "0: no limit")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--max-bytes-per-second", a.bytes_per_second, "of the objects moved, such as 100M");
  command->add_option("--multipart-threshold", a.multipart_threshold,
                      "copies inside a server go in parts above it (default 1G; at most 5G)");
  command->add_flag("--dry-run", a.dry_run, "print what would be done, and do nothing");
  command->add_option("--plan", a.plan, "as --dry-run, into a file (.csv, else JSON lines)");
  command->add_option("--report", a.report,
                      "what became of each object: a file or s3://BUCKET/KEY (.csv, else JSON lines)");
  command->add_option("--result", a.result, "file for the JSON result");
  command->add_option(
      "--journal", a.journal,
      "where to note what is done: a file, s3://BUCKET/KEY, or none (default: below ~/.local/state)");
  command->add_flag("--resume", a.resume, "go on where an earlier run of the same rows stopped");
  command->add_option("--shard", a.shard, "do part I of N only, written I/N (array jobs: set by AWS Batch)");
  command->add_option(
      "--share", a.share,
      "where the shards of one copy meet: a folder or s3://BUCKET/PREFIX/ for plan, journals, "
      "reports and results; the last shard to end writes result.json and report.csv there");
  command->add_option("--merge-shards", a.merge_shards,
                      "copy nothing: bring together what shards left at that --share");
  command->add_flag("--quiet", a.quiet, "no progress");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace millrace::cli

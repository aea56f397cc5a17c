// `millrace ingest run`: the repositories of a list, or of a range of its rows.
#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "aws/json_call.h"
#include "base/durable_file.h"
#include "base/error.h"
#include "base/json.h"
#include "base/spawn.h"
#include "base/strings.h"
#include "cli/doctor.h"
#include "cli/ingest.h"
#include "cli/job_place.h"
#include "cli/printable.h"
#include "cli/sizes.h"
#include "http/client.h"
#include "workloads/ingest/ctags.h"
#include "workloads/ingest/run.h"
#include "workloads/result.h"

namespace millrace::cli {
namespace {

constexpr size_t kSecretFileMax = 1u << 20;

constexpr const char* kHelp =
    R"help(Each repository is cloned, built (if asked for), and published: a snapshot of its files, an inventory of what
is in them, and the products of the build. What became of each is in repos-lock.csv and in the JSON result.

Examples:
  millrace ingest run repos.csv --publish s3://mirror/ingest
  millrace ingest run repos.csv --start 1 --end 50 --publish /srv/ingest --result result.json
  millrace ingest run s3://lists/repos.csv --partition-size 50 --publish s3://mirror/ingest     a child of an array
  millrace ingest run repos.csv --build auto --publish https://nexus.example/repository/ingest

Secrets come from files (--git-credentials, --ssh-key), from Secrets Manager (secret:ARN in their place, and
--publish-secret), or from the original's variables: PUBLISH_URL, PUBLISH_USER and PUBLISH_PASSWORD or PUBLISH_TOKEN,
GIT_CREDENTIALS (lines as of git-credentials), GIT_SSH_CREDENTIALS (a key), DATA_DIR, BUILD_TIMEOUT.

Exit code: 0 every row was published or is unchanged; 3 some were not, each is named in the result; 1 the job failed, or
more than --max-failures did; 2 wrong usage.)help";

struct Arguments {
  ingest::RunOptions options;
  uint64_t partition_size = 0, array_index = 0;
  std::string start, end, result, git_credentials, ssh_key, publish_secret, rules, max_failures, max_age,
      disk_budget, memory_budget;
  std::string check_time = "1m", clone_time = "15m", build_time, tree_time = "15m";
  bool no_snapshot = false, no_inventory = false, no_symbols = false, no_logs = false, quiet = false;
};

// A file, "secret:ARN", or the variable of the original.
std::string secret_text(const std::string& place, const char* otherwise) {
  if (place.empty()) return variable(otherwise);
  if (place.starts_with("secret:"))
    return aws::read_secret(place.substr(7), std::make_shared<http::Client>());
  return base::read_small_file(place, kSecretFileMax);
}

ingest::PublishLogin publish_login(const std::string& secret) {
  ingest::PublishLogin login{variable("PUBLISH_USER"), variable("PUBLISH_PASSWORD"),
                             variable("PUBLISH_TOKEN")};
  if (secret.empty()) return login;
  base::json::value parsed = base::parse_json(aws::read_secret(secret, std::make_shared<http::Client>()));
  const base::json::object* object = parsed.if_object();
  if (!object) throw base::UsageError("--publish-secret: the secret is no JSON object");
  login.user = base::find_string(*object, "username").value_or("");
  login.password = base::find_string(*object, "password").value_or("");
  login.token = base::find_string(*object, "token").value_or("");
  return login;
}

ingest::FailureLimit failure_limit(const std::string& text) {
  if (text.empty()) return {};
  if (text.ends_with('%')) {
    auto percent = base::parse_number<double>(std::string_view(text).substr(0, text.size() - 1));
    if (percent && *percent >= 0 && *percent <= 100) return {{}, *percent / 100};
  } else if (auto count = base::parse_number<uint64_t>(text)) {
    return {*count, {}};
  }
  throw base::UsageError("--max-failures: '" + text + "' is neither a number nor a share such as 5%");
}

void set_range(const Arguments& arguments, ingest::RunOptions& options) {
  auto number = [](const std::string& text, const char* name) {
    auto value = base::parse_number<uint64_t>(text);
    if (!value || *value == 0)
      throw base::UsageError(fmt::format("{}: '{}' is no row: the first one is 1", name, text));
    return *value;
  };
  if (arguments.partition_size > 0) {
    if (!arguments.start.empty() || !arguments.end.empty())
      throw base::UsageError("--partition-size takes its rows from the array index: no --start and --end");
    std::string index = variable("AWS_BATCH_JOB_ARRAY_INDEX");
    uint64_t partition = 0;
    if (!index.empty()) {
      auto value = base::parse_number<uint64_t>(index);
      if (!value) throw base::UsageError("AWS_BATCH_JOB_ARRAY_INDEX is no number: " + index);
      partition = *value;
    }
    options.start = partition * arguments.partition_size + 1;
    options.end = options.start + arguments.partition_size - 1;
    return;
  }
  // As the original: one without the other means all of them.
  if (arguments.start.empty() || arguments.end.empty()) return;
  options.start = number(arguments.start, "--start");
  options.end = number(arguments.end, "--end");
  if (options.end < options.start) throw base::UsageError("--end comes before --start");
}

ingest::RunOptions options_of(const Arguments& arguments) {
  ingest::RunOptions options = arguments.options;
  set_range(arguments, options);
  if (options.publish.empty()) options.publish = variable("PUBLISH_URL");
  if (options.publish.empty()) throw base::UsageError("where to? Give --publish or PUBLISH_URL");
  options.login = publish_login(arguments.publish_secret);
  options.git_credentials = secret_text(arguments.git_credentials, "GIT_CREDENTIALS");
  options.ssh_key = secret_text(arguments.ssh_key, "GIT_SSH_CREDENTIALS");
  if (options.work_folder.empty()) options.work_folder = variable("DATA_DIR");
  if (options.work_folder.empty())
    options.work_folder = variable("TMPDIR").empty() ? "/tmp" : variable("TMPDIR");
  options.job = variable("AWS_BATCH_JOB_ID");
  options.lock = with_job(options.lock);
  if (options.jobs == 0) options.jobs = std::clamp(std::thread::hardware_concurrency(), 1U, 64U);
  if (!arguments.disk_budget.empty())
    options.disk_budget = static_cast<uint64_t>(parse_bytes(arguments.disk_budget, "--disk-budget"));
  if (!arguments.memory_budget.empty())
    options.memory_budget = static_cast<uint64_t>(parse_bytes(arguments.memory_budget, "--memory-budget"));
  options.limits.check = parse_duration(arguments.check_time, "--check-timeout");
  options.limits.clone = parse_duration(arguments.clone_time, "--clone-timeout");
  std::string build_time = arguments.build_time.empty() ? variable("BUILD_TIMEOUT") : arguments.build_time;
  if (!build_time.empty()) options.limits.build = parse_duration(build_time, "--timeout");
  options.limits.snapshot = options.limits.inventory = parse_duration(arguments.tree_time, "--tree-timeout");
  options.max_failures = failure_limit(arguments.max_failures);
  if (!arguments.max_age.empty())
    options.max_age =
        std::chrono::duration_cast<std::chrono::seconds>(parse_duration(arguments.max_age, "--max-age"));
  if (!arguments.rules.empty())
    options.rules = ingest::parse_build_rules(base::read_small_file(arguments.rules, kSecretFileMax));
  options.snapshot = !arguments.no_snapshot;
  options.inventory = !arguments.no_inventory;
  options.symbols = !arguments.no_symbols;
  options.logs = !arguments.no_logs;
  std::string path = variable("PATH");
  for (const char* tool : {"git", "git-lfs"})
    if ((tool == std::string("git") || options.git.lfs) &&
        !base::find_program(tool, path.empty() ? std::nullopt : std::optional(path), "/"))
      throw base::NotFoundError(std::string(tool) + " is not in PATH: install it (Debian: apt-get install " +
                                tool + ")");
  return options;
}

// The original's variables: checks and nothing else, or checks first.
bool asked_to_diagnose(const char* name) { return variable(name) == "true"; }

bool diagnose_for(const ingest::RunOptions& options) {
  DoctorOptions doctor;
  doctor.list = options.list;
  doctor.publish = options.publish.empty() ? variable("PUBLISH_URL") : options.publish;
  doctor.work_folder = options.work_folder.empty() ? variable("DATA_DIR") : options.work_folder;
  doctor.needs_git = true;
  return diagnose(doctor, stderr);
}

int run(const Arguments& arguments) {
  // Some twenty threads with little to remember each: with heaps of their own they hold 100 MiB of nothing.
  mallopt(M_ARENA_MAX, 2);
  stop_on_signals();
  if (asked_to_diagnose("DIAGNOSE"))
    return diagnose_for(arguments.options) ? workloads::kExitDone : workloads::kExitFailed;
  if (asked_to_diagnose("DIAGNOSE_ON_START")) diagnose_for(arguments.options);  // the run finds out itself
  return run_with_result("ingest", with_job(arguments.result), [&](workloads::JobResult& result) {
    ingest::RunOptions options = options_of(arguments);
    options.stop = &stop_flag();
    if (options.inventory && options.symbols) {
      if (auto why = ingest::why_no_ctags()) {
        result.detail("no_symbols", base::json::string(*why));
        options.symbols = false;
      }
    }
    if (!arguments.quiet)
      options.on_outcome = [](const ingest::Outcome& outcome) {
        int64_t ms = outcome.finished - outcome.started;
        fmt::print(stderr, "{:>6} {:<9} {}/{} {} {}\n", outcome.row, to_text(outcome.status),
                   printable(outcome.origin), printable(outcome.path),
                   printable(outcome.changeset.substr(0, 12)),
                   outcome.failed() ? fmt::format("{}: {}", to_text(outcome.step), printable(outcome.reason))
                                    : fmt::format("{} ms", ms));
      };
    base::SystemClock clock;
    ingest::run_ingest(options, clock, result);
  });
}

}  // namespace

void add_ingest_run(CLI::App& ingest, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  auto& a = *arguments;
  CLI::App* command = ingest.add_subcommand("run", "clone, build and publish the repositories of a list");
  command->footer(kHelp);
  command->add_option("list", a.options.list, "repos.csv: a file, -, s3://BUCKET/KEY or http(s)://")
      ->required();
  command->add_option("--publish", a.options.publish,
                      "a folder, s3://BUCKET/PREFIX or http(s):// (PUBLISH_URL)");
  command->add_option("--start", a.start, "first row, from 1");
  command->add_option("--end", a.end, "last row");
  command->add_option("--partition-size", a.partition_size, "rows of each child of an array job");
  command->add_option("-o,--organization", a.options.organization,
                      "only rows with it in a column org1 … orgN");
  command->add_option("--result", a.result, "the JSON result: a file or s3://BUCKET/KEY");
  command->add_option("--lock", a.options.lock,
                      "repos-lock.csv (default: below .ingest/runs where it publishes)");
  command->add_option(
      "--state", a.options.state,
      "folder or s3:// where is noted what was published (default: .ingest/state there); none");
  command->add_flag("--force", a.options.force, "also what has not changed");
  command->add_option("--max-age", a.max_age, "what is unchanged but older is done again: 12h, 7d");
  command->add_option("--jobs", a.options.jobs, "repositories at once (default: one for each CPU)");
  command->add_option("--checks", a.options.checks, "remotes asked at once")->capture_default_str();
  command->add_option("--disk-budget", a.disk_budget, "of all in work together (default: 8GiB)");
  command->add_option("--memory-budget", a.memory_budget,
                      "shared out among --jobs, for git and builds (default: none)");
  command->add_option("--work-folder", a.options.work_folder, "for what is in work (DATA_DIR, else TMPDIR)");
  command->add_option("--check-timeout", a.check_time, "longest question to a remote")->capture_default_str();
  command->add_option("--clone-timeout", a.clone_time, "longest clone")->capture_default_str();
  command->add_option("--timeout", a.build_time,
                      "longest build of one repository (BUILD_TIMEOUT; default: 45m)");
  command->add_option("--tree-timeout", a.tree_time, "longest snapshot, and inventory")
      ->capture_default_str();
  command->add_option("--attempts", a.options.attempts, "of a clone that the network broke")
      ->capture_default_str();
  command->add_option("--max-failures", a.max_failures, "stop and exit 1 when more fail: 10 or 5%");
  command
      ->add_option("--build", a.options.build,
                   "of rows that say nothing: none, auto, maven … or a command line")
      ->capture_default_str();
  command->add_option("--build-rules", a.rules, "JSON file: builds by pattern of origin/path");
  command->add_option("--build-env", a.options.build_environment,
                      "variable that builds may see (may be repeated)");
  command->add_flag("--no-snapshot", a.no_snapshot, "no snapshot of the files");
  command->add_flag("--no-inventory", a.no_inventory, "no inventory");
  command->add_flag("--no-symbols", a.no_symbols, "no symbols in the inventory");
  command->add_flag("--no-logs", a.no_logs, "no archive of logs");
  command->add_option("--git-credentials", a.git_credentials,
                      "file or secret:ARN with lines https://USER:TOKEN@HOST (GIT_CREDENTIALS)");
  command->add_option("--ssh-key", a.ssh_key, "file or secret:ARN (GIT_SSH_CREDENTIALS)");
  command->add_option("--known-hosts", a.options.git.known_hosts_file, "keys of SSH hosts");
  command->add_flag("--ssh-accept-new", a.options.git.ssh_accept_new, "trust SSH hosts that were never seen");
  command->add_option("--ca-file", a.options.git.ca_file, "of HTTPS remotes");
  command->add_option("--publish-secret", a.publish_secret,
                      "ARN of {\"username\",\"password\"} or {\"token\"}");
  command->add_flag("--allow-local", a.options.git.allow_local, "clone from paths and file:// too");
  command->add_option("--depth", a.options.git.depth, "commits of history, 0: all")->capture_default_str();
  command->add_option("--filter", a.options.git.filter, "partial clones for builds: blob:none");
  command->add_flag("--submodules", a.options.git.submodules, "with submodules");
  command->add_flag("--lfs", a.options.git.lfs, "with the files of Git LFS");
  command->add_flag("--quiet", a.quiet, "no line for each repository");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace millrace::cli

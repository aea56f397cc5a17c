// The `millrace` program: one subcommand a file.
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/short_help.h"

namespace {

constexpr char kAbout[] =
    R"help(Millrace runs AWS Batch workloads anywhere: a batch engine that speaks AWS's own APIs, and jobs for data.

Begin here:
  millrace try ~/pictures        start an engine, scan a folder as a Batch job, show what was found
  millrace serve                 the engine: AWS Batch, S3, CloudWatch Logs on http://127.0.0.1:4600
  eval "$(millrace env)"         then use the AWS CLI, SDKs, Terraform and CDK as they are
  millrace jobs                  what has run, runs and waits, and why
  millrace why JOB               why a job waits, until when, and what would start it
  millrace scan ~/pictures       a job by itself; `millrace COMMAND --help` has examples of each)help";

constexpr char kVersion[] = "millrace " MILLRACE_VERSION;

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words = millrace::cli::take_arguments(argc, argv);
  spdlog::set_default_logger(spdlog::stderr_logger_mt("millrace"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
  CLI::App app(kAbout, "millrace");
  app.set_version_flag("--version", kVersion);
  app.require_subcommand(1);
  millrace::cli::use_short_help(app);
  int exit_code = 0;
  millrace::cli::add_try_command(app, exit_code);
  millrace::cli::add_serve_command(app, exit_code);
  millrace::cli::add_env_command(app, exit_code);
  millrace::cli::add_jobs_command(app, exit_code);
  millrace::cli::add_why_command(app, exit_code);
  millrace::cli::add_events_command(app, exit_code);
  millrace::cli::add_rules_command(app, exit_code);
  millrace::cli::add_watch_command(app, exit_code);
  millrace::cli::add_iam_command(app, exit_code);
  millrace::cli::add_scan_command(app, exit_code);
  millrace::cli::add_catalog_command(app, exit_code);
  millrace::cli::add_copy_command(app, exit_code);
  millrace::cli::add_ingest_command(app, exit_code);
  millrace::cli::add_load_command(app, exit_code);
  millrace::cli::add_stac_command(app, exit_code);
  millrace::cli::add_runner_command(app, exit_code);
  millrace::cli::add_objects_command(app, exit_code);
  millrace::cli::add_doctor_command(app, exit_code);
  millrace::cli::add_completion_command(app, exit_code);
  millrace::cli::add_api_coverage_command(app, exit_code);
  millrace::cli::group_commands(app);
  try {
    // As CLI11 wants them: the last one first, without the program.
    app.parse(std::vector<std::string>(words.rbegin(), words.rend() - (words.empty() ? 0 : 1)));
  } catch (const CLI::ParseError& error) {
    // CLI11's own codes mean nothing to callers: 0 for --help, 2 for wrong usage.
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "millrace: %s\n", error.what());
    return 1;
  }
  return exit_code;
}

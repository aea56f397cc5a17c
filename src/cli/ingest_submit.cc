// `millrace ingest submit`: a list becomes an array job.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "aws/json_call.h"
#include "base/error.h"
#include "base/strings.h"
#include "cli/ingest.h"
#include "cli/job_place.h"
#include "http/client.h"
#include "workloads/ingest/submit.h"
#include "workloads/result.h"

namespace millrace::cli {
namespace {

constexpr const char* kHelp =
    R"help(The list is checked, stored under its SHA-256 where the jobs can read it, and one array job is submitted whose
children take --partition-size rows each. The job definition gets the parameters `list` and `partitionSize`:

  "command": ["millrace", "ingest", "run", "Ref::list", "--partition-size", "Ref::partitionSize", "--publish", …]

Submitting the same list with the same options again finds the job that is there (a failed one is submitted anew; --again
always does). Inside a job its id counts too: each night submits once, however often it is tried.

--compat submits as the original did: a job for each range of rows, with the parameters Start and End, both inclusive, so
that a partition of 10 has 11 rows. JOB_NAME, JOB_QUEUE and JOB_DEFINITION come from the environment unless given.

Exit code: 0 submitted or found; 3 submitted with rows that cannot be done (--allow-problems); 1 not submitted; 2 wrong
usage.)help";

struct Arguments {
  ingest::SubmitOptions options;
  std::string result;
  std::vector<std::string> parameters;
};

// Beside a list in a bucket, else where results go.
std::string default_store(const std::string& list) {
  if (list.starts_with("s3://") && list.rfind('/') > 5)
    return list.substr(0, list.rfind('/')) + "/.ingest/lists";
  std::string publish = variable("PUBLISH_URL");
  if (publish.empty() || publish.starts_with("http"))
    throw base::UsageError("where can the jobs read the list? Give --store, a folder or s3://BUCKET/PREFIX");
  return publish + "/.ingest/lists";
}

int run(const Arguments& arguments) {
  return run_with_result("ingest submit", with_job(arguments.result), [&](workloads::JobResult& result) {
    ingest::SubmitOptions options = arguments.options;
    for (auto [value, name, flag] :
         {std::tuple(&options.job_name, "JOB_NAME", "--job-name"),
          std::tuple(&options.job_queue, "JOB_QUEUE", "--job-queue"),
          std::tuple(&options.job_definition, "JOB_DEFINITION", "--job-definition")}) {
      if (value->empty()) *value = variable(name);
      if (value->empty() && !options.dry_run)
        throw base::UsageError(fmt::format("give {} or set {}", flag, name));
    }
    if (options.job_name.empty()) options.job_name = "ingest";
    if (options.store.empty() && !options.dry_run) options.store = default_store(options.list);
    for (const std::string& parameter : arguments.parameters) {
      size_t equals = parameter.find('=');
      if (equals == 0 || equals == std::string::npos)
        throw base::UsageError("--parameter: '" + parameter + "' is not NAME=VALUE");
      options.parameters.emplace_back(parameter.substr(0, equals), parameter.substr(equals + 1));
    }
    options.token = variable("AWS_BATCH_JOB_ID");
    auto client = std::make_shared<http::Client>();
    std::unique_ptr<aws::JsonService> batch;
    ingest::run_submit(
        options, client,
        [&](const std::string& operation, const base::json::object& input) {
          if (!batch) batch = std::make_unique<aws::JsonService>("batch", client);
          return batch->post("/v1/" + operation, input);
        },
        result);
  });
}

}  // namespace

void add_ingest_submit(CLI::App& ingest, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  auto& a = *arguments;
  CLI::App* command = ingest.add_subcommand("submit", "submit an array job over the rows of a list");
  command->footer(kHelp);
  command->add_option("list", a.options.list, "repos.csv: a file, -, s3://BUCKET/KEY or http(s)://")
      ->required();
  command->add_option("--partition-size", a.options.partition_size, "rows of each child")
      ->capture_default_str();
  command->add_option("--store", a.options.store,
                      "where the list is stored for the jobs: a folder or s3://BUCKET/PREFIX");
  command->add_option("--job-name", a.options.job_name, "beginning of the job's name (JOB_NAME)");
  command->add_option("--job-queue", a.options.job_queue, "name or ARN (JOB_QUEUE)");
  command->add_option("--job-definition", a.options.job_definition, "name or ARN (JOB_DEFINITION)");
  command->add_option("--parameter", a.parameters, "NAME=VALUE for the job (may be repeated)");
  command->add_flag("--preflight", a.options.preflight,
                    "also check that every host of the list can be reached");
  command->add_flag("--allow-problems", a.options.allow_problems, "submit although some rows cannot be done");
  command->add_flag("--again", a.options.again, "submit even if the same submission is there already");
  command->add_flag("--compat", a.options.compat,
                    "one job for each range, with Start and End, as the original");
  command->add_flag("--dry-run", a.options.dry_run, "check, and submit nothing");
  command->add_option("--result", a.result, "the JSON result: a file or s3://BUCKET/KEY");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace millrace::cli

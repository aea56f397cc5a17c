// `millrace env`: the variables that point AWS's tools at the engine.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/data_folder.h"
#include "services/identities.h"

namespace millrace::cli {
namespace {

constexpr char kHelp[] =
    R"help(Prints the exports that point the AWS CLI and SDKs at the engine of a data folder.

Examples:
  eval "$(millrace env)"
  aws batch describe-job-queues
  aws --endpoint-url "$AWS_ENDPOINT_URL" s3 ls        for clients from before mid-2023, which do not know the variable)help";

void print_env(const std::string& data, const std::string& region) {
  DataFolder folder = name_data_folder(data.empty() ? default_data_folder() : data);
  std::string endpoint = require_endpoint(folder);
  aws::Credentials root = services::read_root_key(folder.keys());
  if (const char* bundle = std::getenv("AWS_CA_BUNDLE"); bundle && folder.ca_bundle() == bundle)
    std::printf("export AWS_CA_BUNDLE='%s'\nexport NODE_EXTRA_CA_CERTS='%s'\n", bundle, bundle);
  std::printf(
      "export AWS_ENDPOINT_URL=%s\nexport AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\n"
      "export AWS_REGION=%s\nexport AWS_DEFAULT_REGION=%s\nunset AWS_SESSION_TOKEN AWS_PROFILE\n",
      endpoint.c_str(), root.access_key_id.c_str(), root.secret_access_key.c_str(), region.c_str(),
      region.c_str());
}

}  // namespace

void add_env_command(CLI::App& app, int& exit_code) {
  auto data = std::make_shared<std::string>();
  auto region = std::make_shared<std::string>("us-east-1");
  CLI::App* command = app.add_subcommand("env", "prints the exports for the AWS CLI and SDKs");
  command->description(kHelp);
  command->add_option("--data", *data, "data folder [~/.local/share/millrace, or MILLRACE_DATA]");
  command->add_option("--region", *region, "the region that the engine was given")->capture_default_str();
  command->callback([data, region, &exit_code] {
    try {
      print_env(*data, *region);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "millrace env: %s\n", error.what());
      exit_code = 1;
    }
  });
}

}  // namespace millrace::cli

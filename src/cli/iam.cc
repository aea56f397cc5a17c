// `millrace iam explain`: may a key do that, and which statement of which policy says so.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/engine_connection.h"
#include "cli/job_facts.h"
#include "cli/printable.h"

namespace millrace::cli {
namespace {

constexpr char kHelp[] =
    R"help(Says whether a key, user or role may do something, and which statement of which policy decides. Nothing is done.

Examples:
  millrace iam explain AKIA… s3:PutObject arn:aws:s3:::results/day.csv
  millrace iam explain role/nightly batch:SubmitJob 'arn:aws:batch:us-east-1:123456789012:job-queue/main'
  millrace iam explain ann s3:ListBucket arn:aws:s3:::data --context s3:prefix=home/ann/
  millrace iam explain ann s3:GetObject arn:aws:s3:::data/x --context aws:SourceIp=10.0.0.7 --json

A bucket's policy is looked at with the others. Of a request only what --context says is known, beside who calls and the time.
Exit code: 0 allowed; 3 not allowed; 1 no such key, or no engine runs there; 2 wrong usage.)help";

struct Arguments {
  std::string principal, action, resource, data, region = "us-east-1";
  std::vector<std::string> context;
  bool json = false;
};

json::object context_of(const std::vector<std::string>& words) {
  json::object out;
  for (const std::string& word : words) {
    size_t equals = word.find('=');
    if (equals == 0 || equals == std::string::npos)
      throw base::UsageError("--context takes KEY=VALUE, for example aws:SourceIp=10.0.0.7, not '" + word +
                             "'");
    json::value& values = out[word.substr(0, equals)];
    if (!values.is_array()) values = json::array{};
    values.as_array().emplace_back(word.substr(equals + 1));
  }
  return out;
}

void print_answer(const json::object& answer) {
  print_field("principal", printable(text_of(answer, "Principal")));
  bool allowed = base::find_bool(answer, "Allowed").value_or(false);
  std::string policy = text_of(answer, "Policy");
  print_field("decision", allowed ? "allowed" : "denied, " + text_of(answer, "Why"));
  if (!policy.empty()) print_field("by", printable(policy + ", " + text_of(answer, "Statement")));
  const json::array* considered = base::find_array(answer, "Considered");
  const char* label = "looked at";
  for (size_t i = 0; considered && i < considered->size(); ++i) {
    const json::object& one = (*considered)[i].as_object();
    std::string mismatch = text_of(one, "Mismatch");
    print_field(label,
                printable(fmt::format("{}, {} ({}): {}", text_of(one, "Policy"), text_of(one, "Statement"),
                                      text_of(one, "Effect"), mismatch.empty() ? "speaks of it" : mismatch)));
    label = "";
  }
  if (const json::array* notes = base::find_array(answer, "Notes"))
    for (const json::value& note : *notes) print_field("note", printable(base::view(note.as_string())));
}

int run(const Arguments& arguments) {
  json::object input{{"Principal", arguments.principal},
                     {"Action", arguments.action},
                     {"Resource", arguments.resource},
                     {"Context", context_of(arguments.context)}};
  EngineConnection engine(arguments.data, arguments.region);
  json::object answer = engine.api.own("iam/explain", input);
  if (arguments.json)
    fmt::print("{}\n", json::serialize(answer));
  else
    print_answer(answer);
  if (std::fflush(stdout) != 0) throw base::TransientError("the output cannot be written");
  return base::find_bool(answer, "Allowed").value_or(false) ? 0 : 3;
}

}  // namespace

void add_iam_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("iam", "users, roles and policies: who may do what, and why");
  command->require_subcommand(1);
  auto arguments = std::make_shared<Arguments>();
  CLI::App* explain = command->add_subcommand("explain", "says which statement allows or denies an action");
  explain->description(kHelp);
  explain->add_option("KEY", arguments->principal, "access key id, or name or ARN of a user or role")
      ->required();
  explain->add_option("ACTION", arguments->action, "such as s3:PutObject")->required();
  explain->add_option("RESOURCE", arguments->resource, "its ARN, or * for actions that know none")
      ->required();
  explain->add_option("--context", arguments->context, "KEY=VALUE of the request, any number of them")
      ->allow_extra_args(false)
      ->take_all();
  explain->add_flag("--json", arguments->json, "the same as JSON");
  explain->add_option("--data", arguments->data, "data folder [~/.local/share/millrace, or MILLRACE_DATA]");
  explain->add_option("--region", arguments->region, "the region that the engine was given")
      ->capture_default_str();
  explain->callback([arguments, &exit_code] {
    spdlog::set_level(spdlog::level::warn);
    exit_code = run_command("iam explain", arguments->region, [&] { return run(*arguments); });
  });
}

}  // namespace millrace::cli

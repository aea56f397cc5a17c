// `millrace try`: the whole way once, on one's own files. An engine, an upload, a Batch job, its log, the
// result.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <thread>

#include "aws/api_error.h"
#include "base/error.h"
#include "base/strings.h"
#include "cli/api_client.h"
#include "cli/commands.h"
#include "cli/data_folder.h"
#include "cli/engine_process.h"
#include "cli/progress.h"
#include "objects/s3_client.h"
#include "objects/store.h"
#include "services/identities.h"
#include "sql/connection.h"
#include "workloads/scan/summary.h"

namespace millrace::cli {
namespace {

namespace json = base::json;

constexpr char kHelp[] =
    R"help(Takes a folder of production files to a catalogue, the way a team would on AWS: starts an engine, puts the folder into
an S3 bucket, makes a compute environment, a job queue and a job definition, submits the scan as a Batch job, follows its
log, and shows what was found.

Examples:
  millrace try ~/pictures
  millrace try /mnt/show --serve      and leave the engine running

Exit code: the job's own (0 everything was read, 3 some files could not be read, 1 it failed).)help";

constexpr char kBucket[] = "production";
constexpr char kQueue[] = "default";
constexpr char kEnvironment[] = "this-machine";
constexpr char kDefinition[] = "scan";
constexpr char kLogGroup[] = "/aws/batch/job";
constexpr auto kPoll = std::chrono::milliseconds(100);

struct Arguments {
  std::string folder, data, region = "us-east-1";
  bool serve = false;
};

// ---- upload
// ----------------------------------------------------------------------------------------------------------

struct Upload {
  uint64_t files = 0, bytes = 0, sent = 0;
};

// Makes the bucket's objects below `prefix` those of `folder`: what has the same size and is not older stays.
Upload upload(objects::S3Client& bucket, objects::ObjectReader& folder, const std::string& root,
              const std::string& prefix) {
  std::map<std::string, objects::ObjectInfo> there;
  bucket.list(prefix, [&](const objects::ObjectInfo& object) {
    there[object.key] = object;
    return true;
  });
  Upload done;
  std::vector<objects::ObjectInfo> files;
  folder.list("", [&](const objects::ObjectInfo& file) {
    files.push_back(file);
    done.bytes += file.size;
    return true;
  });
  done.files = files.size();
  Progress progress("uploading", done.bytes);
  uint64_t sent = 0;
  for (const objects::ObjectInfo& file : files) {
    std::string key = prefix + file.key;
    auto old = there.find(key);
    bool same = old != there.end() && old->second.size == file.size &&
                old->second.last_modified >= file.last_modified;
    if (!same) {
      bucket.put_file(key, root + "/" + file.key);
      ++done.sent;
    }
    sent += file.size;
    progress.update(sent, file.key);
  }
  return done;
}

// ---- Batch
// -----------------------------------------------------------------------------------------------------------

json::object object(const char* text) { return base::parse_json(text).as_object(); }

bool exists(ApiClient& api, const char* operation, const char* list, const char* name) {
  json::object input;
  input[list] = json::array{name};
  const json::object answer = api.batch(operation, input);
  const json::array* found = base::find_array(answer, list);
  return found && !found->empty();
}

// Makes what is not there yet. Networks and roles mean nothing on this machine; AWS's API wants them named.
void prepare(ApiClient& api) {
  if (!exists(api, "DescribeComputeEnvironments", "computeEnvironments", kEnvironment))
    api.batch(
        "CreateComputeEnvironment",
        object(R"({"computeEnvironmentName":"this-machine","type":"MANAGED","computeResources":{"type":"EC2",
                "minvCpus":0,"maxvCpus":256,"instanceTypes":["optimal"],"subnets":["subnet-local"],
                "securityGroupIds":["sg-local"],"instanceRole":"ecsInstanceRole"}})"));
  if (!exists(api, "DescribeJobQueues", "jobQueues", kQueue))
    api.batch("CreateJobQueue", object(R"({"jobQueueName":"default","priority":1,
                "computeEnvironmentOrder":[{"order":1,"computeEnvironment":"this-machine"}]})"));
  json::object described =
      api.batch("DescribeJobDefinitions", object(R"({"jobDefinitionName":"scan","status":"ACTIVE"})"));
  const json::array* definitions = base::find_array(described, "jobDefinitions");
  if (!definitions || definitions->empty())
    api.batch("RegisterJobDefinition", object(R"({"jobDefinitionName":"scan","type":"container",
                "parameters":{"source":"s3://production/"},
                "containerProperties":{"image":"millrace","command":["millrace","scan","Ref::source","--quiet"],
                "resourceRequirements":[{"type":"VCPU","value":"1"},{"type":"MEMORY","value":"512"}]}})"));
}

std::string submit(ApiClient& api, const std::string& source, const std::string& database) {
  json::object environment{{"name", "DATABASE_URL"}, {"value", database}};
  json::object overrides{{"environment", json::array{environment}}};
  json::object input{{"jobName", "scan"}, {"jobQueue", kQueue}, {"jobDefinition", kDefinition}};
  input["parameters"] = json::object{{"source", source}};
  input["containerOverrides"] = overrides;
  return std::string(base::find_string(api.batch("SubmitJob", input), "jobId").value());
}

// Prints the events of a stream as they come.
class LogFollower {
 public:
  explicit LogFollower(ApiClient& api) : api_(api) {}

  void print_new(const std::string& stream) {
    for (;;) {
      json::object input{{"logGroupName", kLogGroup}, {"logStreamName", stream}, {"startFromHead", true}};
      if (!token_.empty()) input["nextToken"] = token_;
      json::object page;
      try {
        page = api_.logs("GetLogEvents", input);
      } catch (const aws::ApiError& error) {
        if (error.code().find("ResourceNotFoundException") != std::string::npos)
          return;  // nothing printed yet
        throw;
      }
      const json::array* events = base::find_array(page, "events");
      if (events)
        for (const json::value& event : *events)
          fmt::print("  | {}\n", base::find_string(event.as_object(), "message").value_or(""));
      std::fflush(stdout);
      token_ = base::find_string(page, "nextForwardToken").value_or("");
      if (!events || events->empty()) return;
    }
  }

 private:
  ApiClient& api_;
  std::string token_;
};

// Follows a job to its end. Gives back its description.
json::object follow(ApiClient& api, const std::string& id) {
  LogFollower log(api);
  std::string told;
  for (;;) {
    json::object answer = api.batch("DescribeJobs", {{"jobs", json::array{id}}});
    json::object job = answer.at("jobs").as_array().at(0).as_object();
    std::string status(base::find_string(job, "status").value_or(""));
    std::string line = status;
    if (status == "RUNNABLE") line += ": " + std::string(base::find_string(job, "statusReason").value_or(""));
    if (line != told) fmt::print("  {}\n", line);
    told = line;
    if (auto stream = base::find_string(job.at("container").as_object(), "logStreamName"))
      log.print_new(std::string(*stream));
    if (status == "SUCCEEDED" || status == "FAILED") return job;
    std::this_thread::sleep_for(kPoll);
  }
}

// ---- the way
// ---------------------------------------------------------------------------------------------------------

int try_folder(const Arguments& arguments) {
  objects::Location location = objects::parse_location(arguments.folder);
  if (location.is_s3)
    throw base::UsageError("try takes a local folder; to scan a bucket use `millrace scan " +
                           arguments.folder + "`");
  std::string root = std::filesystem::absolute(location.path).lexically_normal().string();
  while (root.size() > 1 && root.back() == '/') root.pop_back();
  location.path = root;
  std::unique_ptr<objects::ObjectReader> folder = objects::open_reader(location);

  DataFolder data = open_data_folder(arguments.data.empty() ? default_data_folder() : arguments.data);
  EngineProcess engine(data);
  fmt::print("engine: {}, data in {}\n", engine.endpoint(), data.path);
  aws::Credentials root_key = services::read_root_key(data.keys());
  auto http_client = std::make_shared<http::Client>();
  ApiClient api(*http_client, engine.endpoint(), arguments.region, root_key);

  objects::S3ClientOptions bucket_options;
  bucket_options.bucket = kBucket;
  bucket_options.endpoint = engine.endpoint();
  bucket_options.region = arguments.region;
  bucket_options.credentials = std::make_shared<aws::StaticCredentials>(root_key);
  bucket_options.client = http_client;
  objects::S3Client bucket(bucket_options);
  bucket.create_bucket();
  std::string prefix = std::filesystem::path(root).filename().string() + "/";
  Upload uploaded = upload(bucket, *folder, root, prefix);
  fmt::print("s3://{}/{}: {} files, {}; {} uploaded, {} there already\n", kBucket, prefix, uploaded.files,
             base::human_bytes(uploaded.bytes), uploaded.sent, uploaded.files - uploaded.sent);

  prepare(api);
  std::string database = "sqlite:///" + data.catalogue_db();
  std::string id = submit(api, fmt::format("s3://{}/{}", kBucket, prefix), database);
  fmt::print("job {} (definition {}, queue {}):\n", id, kDefinition, kQueue);
  std::fflush(stdout);
  json::object job = follow(api, id);
  int64_t exit_code = base::find_int(job.at("container").as_object(), "exitCode").value_or(1);
  fmt::print("job {}: {}, exit code {}\n\n", id, base::find_string(job, "status").value_or(""), exit_code);
  if (exit_code == 0 || exit_code == 3) {
    std::unique_ptr<sql::Connection> connection = sql::open_url(database);
    std::fputs(scan::render_summary(*connection, database).c_str(), stdout);
  } else {
    fmt::print(stderr, "millrace try: the job failed: {} {}\n",
               base::find_string(job, "statusReason").value_or(""),
               base::find_string(job.at("container").as_object(), "reason").value_or(""));
  }
  if (arguments.serve) {
    engine.leave_running();
    fmt::print("\nThe engine goes on at {}. For the AWS CLI:\n  eval \"$(millrace env --data {})\"\n",
               engine.endpoint(), data.path);
    fmt::print(
        "export AWS_ENDPOINT_URL={}\nexport AWS_ACCESS_KEY_ID={}\nexport AWS_SECRET_ACCESS_KEY={}\n"
        "export AWS_REGION={} AWS_DEFAULT_REGION={}\n",
        engine.endpoint(), root_key.access_key_id, root_key.secret_access_key, arguments.region,
        arguments.region);
  }
  return static_cast<int>(exit_code);
}

}  // namespace

void add_try_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("try", "scans a folder as a Batch job on an engine of its own");
  command->description(kHelp);
  command->add_option("FOLDER", arguments->folder, "what to catalogue")->required();
  command->add_option("--data", arguments->data, "data folder [~/.local/share/millrace, or MILLRACE_DATA]");
  command->add_flag("--serve", arguments->serve,
                    "leave the engine running and print the exports for the AWS CLI");
  command->callback([arguments, &exit_code] {
    spdlog::set_level(spdlog::level::warn);
    try {
      exit_code = try_folder(*arguments);
    } catch (const base::UsageError& error) {
      fmt::print(stderr, "millrace try: {}\n", error.what());
      exit_code = 2;
    } catch (const std::exception& error) {
      fmt::print(stderr, "millrace try: {}\n", error.what());
      exit_code = 1;
    }
  });
}

}  // namespace millrace::cli

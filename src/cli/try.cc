// `millrace try`: the whole way once, on one's own files. An engine, an upload, a Batch job, its log, the
// result.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/strings.h"
#include "cli/api_client.h"
#include "cli/commands.h"
#include "cli/data_folder.h"
#include "cli/engine_process.h"
#include "cli/log_lines.h"
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
constexpr unsigned kUploads = 8;  // at once: they share the store's commits
constexpr auto kPoll = std::chrono::milliseconds(100);

struct Arguments {
  std::string folder, data, region = "us-east-1";
  bool serve = false;
};

// ---- upload
// ----------------------------------------------------------------------------------------------------------

struct Upload {
  uint64_t files = 0, bytes = 0, sent = 0, removed = 0;
  std::vector<std::string> failed;  // "path: why"
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
  auto unreadable = [&](const std::string& key, const base::Error& error) {
    done.failed.push_back(fmt::format("{}/{}: {}", root, key, error.what()));
  };
  folder.list_tolerant(
      "",
      [&](const objects::ObjectInfo& file) {
        done.bytes += file.size;
        files.push_back(file);
        return true;
      },
      unreadable);
  done.files = files.size();
  std::vector<const objects::ObjectInfo*> changed;
  for (const objects::ObjectInfo& file : files) {
    auto old = there.find(prefix + file.key);
    bool same = old != there.end() && old->second.size == file.size &&
                old->second.last_modified >= file.last_modified;
    if (!same) changed.push_back(&file);
    if (old != there.end()) there.erase(old);
  }
  done.removed = there.size();
  for (const auto& [key, object] : there) bucket.remove(key);

  // The bucket dates objects by their arrival: oldest first keeps the order of the files' own dates.
  std::sort(changed.begin(), changed.end(),
            [](const auto* a, const auto* b) { return a->last_modified < b->last_modified; });
  uint64_t bytes = 0;
  for (const objects::ObjectInfo* file : changed) bytes += file->size;
  Progress progress("uploading", bytes);
  std::atomic<size_t> next = 0;
  std::mutex mutex;  // guards what follows
  uint64_t sent_bytes = 0;
  std::exception_ptr stopped;
  auto work = [&] {
    for (size_t i; (i = next++) < changed.size();) {
      const objects::ObjectInfo& file = *changed[i];
      std::unique_lock lock(mutex, std::defer_lock);
      try {
        bucket.put_file(prefix + file.key, root + "/" + file.key);
        lock.lock();
        ++done.sent;
      } catch (const base::Error& error) {
        lock.lock();
        // One file that cannot be read is no reason to leave out the others; a store that takes nothing is.
        bool about_file =
            error.kind() != base::ErrorKind::kTransient && error.kind() != base::ErrorKind::kInternal;
        if (!about_file) stopped = std::current_exception();
        unreadable(file.key, error);
      }
      if (stopped) return;
      sent_bytes += file.size;
      progress.update(sent_bytes, file.key);
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kUploads; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  if (stopped) std::rethrow_exception(stopped);
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
  const json::object definition = object(R"({"jobDefinitionName":"scan","type":"container",
                "parameters":{"source":"s3://production/"},
                "containerProperties":{"image":"millrace","command":["millrace","scan","Ref::source","--quiet"],
                "resourceRequirements":[{"type":"VCPU","value":"1"},{"type":"MEMORY","value":"512"}]}})");
  json::object described =
      api.batch("DescribeJobDefinitions", object(R"({"jobDefinitionName":"scan","status":"ACTIVE"})"));
  for (const json::value& known : described.at("jobDefinitions").as_array())
    if (known.at("containerProperties").at("command") == definition.at("containerProperties").at("command"))
      return;
  api.batch("RegisterJobDefinition", definition);
}

std::string submit(ApiClient& api, const std::string& source, const std::string& database) {
  json::object environment{{"name", "DATABASE_URL"}, {"value", database}};
  json::object overrides{{"environment", json::array{environment}}};
  json::object input{{"jobName", "scan"}, {"jobQueue", kQueue}, {"jobDefinition", kDefinition}};
  input["parameters"] = json::object{{"source", source}};
  input["containerOverrides"] = overrides;
  json::object reply = api.batch("SubmitJob", input);
  return std::string(base::find_string(reply, "jobId").value_or(""));
}

// Follows a job to its end. Gives back its description.
json::object follow(ApiClient& api, const std::string& id) {
  std::optional<LogLines> log;  // of the attempt under way
  auto print_new = [&](std::string_view stream) {
    if (!log || log->stream() != stream) log.emplace(api, kDefaultLogGroup, std::string(stream));
    log->read_new([](std::string_view line) { fmt::print("  | {}\n", line); });
    std::fflush(stdout);
  };
  std::string told;
  for (;;) {
    json::object answer = api.batch("DescribeJobs", {{"jobs", json::array{id}}});
    json::object job = answer.at("jobs").as_array().at(0).as_object();
    std::string status(base::find_string(job, "status").value_or(""));
    std::string line = status;
    if (status == "RUNNABLE") line += ": " + std::string(base::find_string(job, "statusReason").value_or(""));
    bool finished = status == "SUCCEEDED" || status == "FAILED";
    auto stream = base::find_string(job.at("container").as_object(), "logStreamName");
    if (finished && stream) print_new(*stream);
    if (line != told) fmt::print("  {}\n", line);
    told = line;
    if (finished) return job;
    if (stream) print_new(*stream);
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
  std::string prefix = root == "/" ? "" : root.substr(1) + "/";  // two folders never meet in the bucket
  Upload uploaded = upload(bucket, *folder, root, prefix);
  fmt::print("s3://{}/{}: {} files, {}; {} uploaded, {} there already, {} removed\n", kBucket, prefix,
             uploaded.files, base::human_bytes(uploaded.bytes), uploaded.sent,
             uploaded.files - uploaded.sent - std::min<uint64_t>(uploaded.files, uploaded.failed.size()),
             uploaded.removed);
  for (const std::string& failed : uploaded.failed) fmt::print("  not uploaded: {}\n", failed);

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
  if (exit_code == 0 && !uploaded.failed.empty()) {
    fmt::print(stderr, "millrace try: {} files were not uploaded, see above\n", uploaded.failed.size());
    exit_code = 3;
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

// `millrace watch`: events of a bucket that is elsewhere, made by listing it again and again.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

#include "base/error.h"
#include "base/hash.h"
#include "base/time.h"
#include "base/url.h"
#include "cli/commands.h"
#include "cli/engine_connection.h"
#include "cli/printable.h"
#include "events/listing_watch.h"
#include "objects/store.h"

namespace millrace::cli {
namespace {

namespace json = base::json;

constexpr char kHelp[] =
    R"help(Watches a bucket that is elsewhere, and brings what changes in it to the engine's event bus as S3's events (Object
Created, Object Deleted, and CloudTrail's), so that rules start jobs for it. It lists the prefix again and again; what it has seen
and what it has yet to tell are in the data folder: a restart tells each change once.

Examples:
  millrace watch s3://assets/incoming/                        every minute, until Ctrl-C
  millrace watch s3://assets/incoming/ --every 10 --existing  what is there already is new, too
  millrace watch s3://assets/incoming/ --once                 one look, for cron

The bucket is found as the AWS CLI finds it (AWS_ENDPOINT_URL_S3, AWS_REGION, credentials); the engine by --data. The first
look only notes what is there. An object that comes and goes between two looks is not seen.
Exit code: 0 with --once: looked, and everything told; 1 the bucket cannot be listed or no engine runs; 2 wrong usage.)help";

constexpr size_t kPage = 500;  // changes told at a time

struct Arguments {
  std::string url, data, region = "us-east-1";
  int64_t every_s = 60;
  bool once = false, existing = false;
};

json::object show(const objects::ObjectEvent& change) {
  const bool deleted = change.kind == objects::ObjectEvent::Kind::kDeleted;
  return {{"sequence", change.sequence},
          {"kind", deleted ? "deleted" : "created"},
          {"reason", change.reason},
          {"bucket", change.bucket},
          {"key", base::percent_encode(change.key)},
          {"size", change.size},
          {"etag", change.etag},
          {"time", change.time}};
}

// Everything that the engine has not heard. What it took is committed there with its number.
void tell(events::ListingWatch& watch, ApiClient& api, const std::string& feed) {
  for (;;) {
    const json::object taken = api.own("events/cursor", {{"feed", feed}});
    const int64_t cursor = base::find_int(taken, "cursor").value_or(0);
    watch.forget(cursor);
    json::array changes;
    for (const objects::ObjectEvent& change : watch.changes(cursor, kPage)) {
      changes.push_back(show(change));
      fmt::print("{} s3://{}/{}\n", change.reason, change.bucket, printable(change.key));
    }
    if (changes.empty()) return;
    api.own("events/changes", {{"feed", feed}, {"changes", std::move(changes)}});
    std::fflush(stdout);
  }
}

void look_and_tell(const Arguments& arguments, const objects::Location& location, events::ListingWatch& watch,
                   const std::string& feed) {
  auto reader = objects::open_reader(location);
  watch.look(*reader, location.bucket, location.path, base::SystemClock().now_ms(), arguments.existing);
  // The engine may have come back on another port.
  EngineConnection engine(arguments.data, arguments.region);
  tell(watch, engine.api, feed);
}

void run(const Arguments& arguments) {
  const objects::Location location = objects::parse_location(arguments.url);
  if (!location.is_s3) throw base::UsageError("only buckets can be watched: s3://BUCKET/PREFIX");
  const std::string folder = EngineConnection(arguments.data, arguments.region).folder.watch();
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    throw base::DeniedError(base::system_message("cannot make " + folder, errno));
  const std::string url = fmt::format("s3://{}/{}", location.bucket, location.path);
  events::ListingWatch watch(fmt::format("{}/{}.db", folder, base::sha256_hex(url).substr(0, 16)));
  const std::string feed = fmt::format("watch:{}:{}", url, watch.id());
  if (arguments.once) return look_and_tell(arguments, location, watch, feed);
  for (;;) {
    try {
      look_and_tell(arguments, location, watch, feed);
    } catch (const base::Error& error) {
      if (error.kind() == base::ErrorKind::kUsage) throw;
      fmt::print(stderr, "millrace watch: {}; trying again in {} s\n", error.what(), arguments.every_s);
    }
    std::this_thread::sleep_for(std::chrono::seconds(arguments.every_s));
  }
}

}  // namespace

void add_watch_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("watch", "brings what changes in a bucket elsewhere to the event bus");
  command->description(kHelp);
  command->add_option("URL", arguments->url, "s3://BUCKET/PREFIX")->required();
  command->add_option("--every", arguments->every_s, "seconds between two looks")
      ->check(CLI::Range(1, 86'400))
      ->capture_default_str();
  command->add_flag("--once", arguments->once, "look once and end");
  command->add_flag("--existing", arguments->existing, "at the first look, what is there is new");
  command->add_option("--data", arguments->data, "data folder of the engine [~/.local/share/millrace]");
  command->add_option("--region", arguments->region, "the region that the engine was given")
      ->capture_default_str();
  command->callback([arguments, &exit_code] {
    spdlog::set_level(spdlog::level::warn);
    exit_code = run_command("watch", arguments->region, [&] {
      run(*arguments);
      return 0;
    });
  });
}

}  // namespace millrace::cli

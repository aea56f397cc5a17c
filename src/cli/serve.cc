// `millrace serve`: the engine and its APIs on one port.
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <thread>

#include "audit/audit_log.h"
#include "base/core_dumps.h"
#include "base/durable_file.h"
#include "base/error.h"
#include "base/strings.h"
#include "base/url.h"
#include "cli/commands.h"
#include "cli/data_folder.h"
#include "engine/driver.h"
#include "engine/store.h"
#include "exec/dispatch.h"
#include "exec/runner.h"
#include "http/server.h"
#include "http/tls.h"
#include "iam/directory.h"
#include "logs/log_store.h"
#include "logs/retention_task.h"
#include "objects/directory_store.h"
#include "secrets/secret_folder.h"
#include "services/authorizer.h"
#include "services/batch.h"
#include "services/cloudtrail.h"
#include "services/event_outlet.h"
#include "services/events.h"
#include "services/events_admin.h"
#include "services/gateway.h"
#include "services/iam.h"
#include "services/identities.h"
#include "services/job_credentials.h"
#include "services/job_feed.h"
#include "services/job_setup.h"
#include "services/logs.h"
#include "services/object_feed.h"
#include "services/s3.h"
#include "services/scheduler.h"
#include "services/secret_values.h"
#include "services/secretsmanager.h"
#include "services/ssm.h"
#include "services/sts.h"

namespace millrace::cli {
namespace {

// clang-format takes the text below for code.
// clang-format off
constexpr char kHelp[] = R"help(Runs the batch engine: AWS Batch, S3 and CloudWatch Logs on one port.

Examples:
  millrace serve                                   on http://127.0.0.1:4600, data in ~/.local/share/millrace
  millrace serve --data /srv/millrace --listen 0.0.0.0:4600
  millrace serve --tls                             HTTPS with a certificate of its own, which `millrace env` names
  millrace serve --runtime process                 any job definition's command runs on this host, without a container
  eval "$(millrace env)"; aws batch describe-job-queues

The first start makes a root key; `millrace env` prints it. Stop with Ctrl-C or SIGTERM: running jobs go on, and the next
start finds them. Exit code: 0 stopped, 1 it could not start, 2 wrong usage.)help";
// clang-format on

constexpr auto kLogRetentionEvery = std::chrono::minutes(10);
constexpr auto kStopGrace = std::chrono::milliseconds(3000);

struct Arguments {
  int64_t retain_days = 7;
  std::string data, listen = "127.0.0.1:4600", auth = "sigv4", region = "us-east-1", account = "123456789012";
  std::string runtime, log_level = "info", trail = "all";
  double vcpus = 0;
  int64_t memory_mib = 0;
  int gpus = -1;
  int32_t array_size_max = 10'000;
  std::vector<std::string> tls_files;  // certificate and key
  bool tls = false, strict_capacity = false, strict_roles = false;
};

struct Address {
  std::string host;
  uint16_t port = 0;
  bool loopback() const { return base::is_loopback_host(host); }
  std::string url(uint16_t actual_port, bool tls) const {
    std::string name = host == "0.0.0.0" ? "127.0.0.1" : host == "::" ? "::1" : host;
    return fmt::format("{}://{}:{}", tls ? "https" : "http",
                       name.find(':') == std::string::npos ? name : "[" + name + "]", actual_port);
  }
};

Address parse_listen(const std::string& text) {
  size_t colon = text.rfind(':');
  auto port = colon == std::string::npos
                  ? std::nullopt
                  : base::parse_number<uint16_t>(std::string_view(text).substr(colon + 1));
  if (!port)
    throw base::UsageError("--listen takes HOST:PORT, for example 127.0.0.1:4600, not '" + text + "'");
  Address address{text.substr(0, colon), *port};
  if (address.host.size() > 2 && address.host.front() == '[')
    address.host = address.host.substr(1, address.host.size() - 2);
  return address;
}

std::string variable_or(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value && *value ? value : otherwise;
}

void write_endpoint(const DataFolder& folder, const std::string& url, const std::string& ca_bundle) {
  std::string temporary = folder.endpoint() + ".new";
  std::ofstream(temporary) << url << "\n" << ca_bundle << "\n";
  if (rename(temporary.c_str(), folder.endpoint().c_str()) != 0)
    throw base::TransientError(base::system_message("cannot write " + folder.endpoint(), errno));
}

// Connections take as many descriptors as this process may have, less what the rest of it needs. Gives the
// limit that it was started with, which is what jobs get.
uint64_t raise_open_files(http::ServerOptions& options) {
  constexpr rlim_t kOthers = 512;  // databases, segments, files being written
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlim_t given = limit.rlim_cur;
  const rlim_t wanted = std::min<rlim_t>(limit.rlim_max, options.connections_max + kOthers);
  if (limit.rlim_cur < wanted) {
    limit.rlim_cur = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = given;
  }
  const rlim_t free = limit.rlim_cur > 2 * kOthers ? limit.rlim_cur - kOthers : limit.rlim_cur / 2;
  options.connections_max = std::min<size_t>(options.connections_max, free);
  return given;
}

// MILLRACE_KEY, and nothing of it is left in this process's environment, which its runner would inherit.
secrets::Plaintext take_key() {
  char* value = std::getenv("MILLRACE_KEY");
  if (!value) return {};
  secrets::Plaintext key{std::string(value)};
  explicit_bzero(value, std::strlen(value));
  unsetenv("MILLRACE_KEY");
  return key;
}

// The file that clients have to trust beside what they trust anyway; empty without TLS, or when the
// certificate was given.
std::string choose_certificate(const Arguments& arguments, const Address& address, const DataFolder& folder,
                               http::ServerOptions& options) {
  if (!arguments.tls) return "";
  if (!arguments.tls_files.empty()) {
    options.certificate_file = arguments.tls_files.at(0);
    options.key_file = arguments.tls_files.at(1);
    return "";
  }
  options.certificate_file = folder.certificate();
  options.key_file = folder.certificate_key();
  std::vector<std::string> names = {"localhost", "127.0.0.1", "::1"};
  if (address.host != "0.0.0.0" && address.host != "::") names.push_back(address.host);
  http::keep_self_signed(options.certificate_file, options.key_file, names);
  // Clients take one file instead of the system's: with that alone they could reach nobody else.
  constexpr size_t kBundleBytesMax = 16 << 20;
  std::string bundle;
  try {
    bundle = base::read_small_file("/etc/ssl/certs/ca-certificates.crt", kBundleBytesMax);
  } catch (const base::Error&) {
    // A system without authorities of its own.
  }
  base::write_durably(folder.ca_bundle(),
                      bundle + base::read_small_file(options.certificate_file, kBundleBytesMax));
  return folder.ca_bundle();
}

// Blocks until SIGINT or SIGTERM.
void wait_for_stop(const sigset_t& signals) {
  int signal = 0;
  sigwait(&signals, &signal);
}

void serve(const Arguments& arguments) {
  if (arguments.tls_files.size() == 1)
    throw base::UsageError("--tls takes a certificate and its key, two PEM files, or nothing");
  Address address = parse_listen(arguments.listen);
  bool verify = arguments.auth != "none";
  if (!verify && !address.loopback())
    throw base::UsageError("--auth none accepts any key and is only for loopback addresses, not " +
                           address.host + "; leave --auth out, or listen on 127.0.0.1");
  // Before any thread is there, so that none of them takes the signals.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  base::refuse_core_dumps();
  const secrets::Plaintext given_key = take_key();

  DataFolder folder = open_data_folder(arguments.data.empty() ? default_data_folder() : arguments.data);
  base::UniqueFd lock = lock_data_folder(folder);
  unlink(folder.endpoint().c_str());  // a killed engine's: it must not be taken for this one's
  // Job definitions may hold secrets: nobody else reads them, whatever the mode of a folder that was there.
  for (const std::string& file : {folder.state_db(), folder.events_db(), folder.iam_db()})
    base::UniqueFd(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  base::SystemClock clock;
  iam::Directory directory(folder.iam_db());
  services::Identities identities = services::Identities::load_or_create(folder.keys(), &directory);
  engine::Store store(folder.state_db());
  engine::Config config;
  config.region = arguments.region;
  config.account = arguments.account;
  config.retain_ms = arguments.retain_days * 24 * 3600 * 1000;
  config.strict_capacity = arguments.strict_capacity;
  config.array_size_max = arguments.array_size_max;
  engine::Driver driver(config, store, clock);
  objects::DirectoryStore objects(folder.objects(), clock);
  logs::LogStore log_store(folder.logs(), clock);
  logs::RetentionTask log_retention(log_store, kLogRetentionEvery);

  secrets::SecretFolder secret_folder(folder.secrets(), given_key.view(), clock, arguments.region,
                                      arguments.account);

  services::BatchService batch(driver);
  services::S3Service s3(objects, {arguments.region, arguments.account, 4});
  services::LogsService logs(log_store, clock, arguments.account, arguments.region);
  services::EventOutlet outlet(driver, log_store, objects, clock);
  events::HubOptions hub_options;
  hub_options.sealing = {
      [&](std::string_view text, const std::string& place) { return secret_folder.vault.seal(text, place); },
      [&](std::string_view text, const std::string& place) {
        return std::string(secret_folder.vault.open(text, place).view());
      }};
  events::Hub hub({arguments.region, arguments.account}, folder.events_db(), clock, outlet, hub_options);
  services::ObjectFeed feed(objects, hub, services::TrailSelector(arguments.trail));
  services::EventsService events(hub);
  services::SchedulerService scheduler(hub);
  services::EventsAdmin events_admin(hub);
  services::SecretsManagerService secrets_manager(secret_folder.secrets, arguments.region);
  services::SsmService ssm(secret_folder.parameters, secret_folder.secrets);
  services::SecretValues secret_values(secret_folder.secrets, secret_folder.parameters);
  services::AuthorizerOptions policies{{arguments.region, arguments.account}, arguments.tls};
  policies.names.secret_arn = [&](std::string_view id) { return secret_values.arn_of(id); };
  policies.bucket_policy = [&](const std::string& bucket) {
    try {
      return objects.setting(bucket, "policy").value_or("");
    } catch (const base::NotFoundError&) {
      return std::string();  // the request will be told that there is no such bucket
    }
  };
  policies.strict_roles = arguments.strict_roles;
  policies.is_closed_to_the_public = [&](const std::string& bucket) {
    return services::S3Service::restricts_public_access(objects, bucket);
  };
  services::Authorizer authorizer(policies, directory, clock);
  services::IamService iam(arguments.account, directory, authorizer, clock);
  services::StsService sts(arguments.account, identities, directory, authorizer, clock);
  services::JobCredentials job_credentials(arguments.region, arguments.account, identities, authorizer,
                                           clock);
  audit::AuditLog audit_log(folder.audit_db(), clock);
  services::CloudTrailService cloudtrail(audit_log, authorizer, clock, arguments.account, arguments.region);
  services::Gateway gateway({verify, arguments.region, arguments.account, 2}, identities, authorizer, clock,
                            {batch, s3, logs, events, scheduler, events_admin, secrets_manager, ssm, iam, sts,
                             job_credentials, cloudtrail});

  http::ServerOptions options;
  options.host = address.host;
  options.port = address.port;
  const std::string ca_bundle = choose_certificate(arguments, address, folder, options);
  options.threads = std::clamp(std::thread::hardware_concurrency() / 2, 1u, 8u);
  std::vector<exec::AttemptToken> believed = driver.engine().believed_attempts();
  exec::RunnerOptions runner_options;
  runner_options.data_dir = folder.path;
  runner_options.runtime = arguments.runtime;
  runner_options.vcpus = arguments.vcpus;
  runner_options.memory_mib = arguments.memory_mib;
  runner_options.gpus = arguments.gpus;
  runner_options.job_open_files = raise_open_files(options);
  auto runner = std::make_unique<exec::Runner>(runner_options);

  http::Server server(options, gateway);
  std::string url = address.url(server.port(), arguments.tls);
  services::JobSetup setup({url, arguments.region, variable_or("PATH", "/usr/local/bin:/usr/bin:/bin"),
                            variable_or("HOME", "/"), ca_bundle},
                           job_credentials, secret_values, authorizer);
  for (exec::AttemptToken token : believed) job_credentials.adopted(token);
  exec::Dispatch dispatch(driver, *runner, setup);
  services::JobFeed job_feed(hub, driver);
  job_feed.catch_up(store);
  dispatch.tell_to(job_feed);
  driver.start(dispatch);
  dispatch.begin(believed);
  hub.start();
  feed.start();
  write_endpoint(folder, url, ca_bundle);
  if (std::string note = runner->limits_note(); !note.empty()) spdlog::info("{}", note);
  std::printf("listening on %s\n", url.c_str());
  std::fflush(stdout);
  spdlog::info("data in {}; {} jobs were running", folder.path, believed.size());

  wait_for_stop(signals);
  spdlog::info("stopping; running jobs go on");
  server.stop(kStopGrace);
  feed.stop();
  hub.stop();
  driver.stop();
  runner.reset();
  unlink(folder.endpoint().c_str());
}

}  // namespace

void add_serve_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("serve", "runs the batch engine and its AWS APIs");
  command->description(kHelp);
  command->add_option("--data", arguments->data, "data folder [~/.local/share/millrace, or MILLRACE_DATA]");
  command->add_option("--listen", arguments->listen, "HOST:PORT; port 0: any free one")
      ->capture_default_str();
  command
      ->add_option("--auth", arguments->auth, "sigv4: signatures are verified; none: any key (loopback only)")
      ->check(CLI::IsMember({"sigv4", "none"}))
      ->capture_default_str();
  command->add_option("--region", arguments->region, "AWS region it pretends to be")
      ->check([](const std::string& text) {
        bool good = !text.empty() && text.size() <= 32 &&
                    text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
        return good ? "" : "a region is lower-case letters, digits and hyphens, such as us-east-1";
      })
      ->capture_default_str();
  command->add_option("--account", arguments->account, "AWS account id, 12 digits")
      ->check([](const std::string& text) {
        bool good = text.size() == 12 && text.find_first_not_of("0123456789") == std::string::npos;
        return good ? "" : "an account id has 12 digits";
      })
      ->capture_default_str();
  CLI::Option* tls =
      command
          ->add_option("--tls", arguments->tls_files,
                       "HTTPS, with a self-made certificate or with these PEM files: CERTIFICATE KEY")
          ->expected(0, 2);
  command
      ->add_option("--runtime", arguments->runtime,
                   "process: commands of any image run on this host without a container")
      ->check(CLI::IsMember({"process"}));
  command->add_option("--vcpus", arguments->vcpus, "vCPUs to offer [all of this machine]")
      ->check(CLI::PositiveNumber);
  command->add_option("--memory", arguments->memory_mib, "MiB of memory to offer [all of this machine]")
      ->check(CLI::PositiveNumber);
  command->add_option("--gpus", arguments->gpus, "GPUs to offer [NVIDIA's of this machine]")
      ->check(CLI::Range(0, 1024));
  command->add_flag("--strict-capacity", arguments->strict_capacity,
                    "a job that asks for more than this machine has fails at once; else it runs alone");
  command->add_flag(
      "--strict-roles", arguments->strict_roles,
      "jobs without a role, or with one that the account does not have, may do nothing; so it is in any case "
      "as soon as the account has users");
  command->add_option("--max-array-size", arguments->array_size_max, "children that an array job may have")
      ->check(CLI::Range(2, 10'000'000))
      ->capture_default_str();
  command->add_option("--retain", arguments->retain_days, "days that finished jobs are kept")
      ->check(CLI::Range(1, 3650))
      ->capture_default_str();
  command
      ->add_option(
          "--trail", arguments->trail,
          "buckets whose changes also come as CloudTrail's events: all, none, or names with * and commas")
      ->capture_default_str();
  command->add_option("--log-level", arguments->log_level, "debug, info, warning, error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  command->callback([arguments, tls, &exit_code] {
    arguments->tls = tls->count() > 0;
    if (arguments->tls_files == std::vector<std::string>{""}) arguments->tls_files.clear();  // CLI11's none
    spdlog::set_level(spdlog::level::from_str(arguments->log_level));
    try {
      serve(*arguments);
    } catch (const base::UsageError& error) {
      std::fprintf(stderr, "millrace serve: %s\n", error.what());
      exit_code = 2;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "millrace serve: %s\n", error.what());
      exit_code = 1;
    }
  });
}

}  // namespace millrace::cli

// Is this machine fit for the engine and its jobs, and if not, what is wrong and how is it mended?
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace millrace::http {
class Client;
}

namespace millrace::cli {

struct Check {
  // kSkipped: nobody asked for it, and nothing is configured that needs it.
  enum class State { kOk, kWarning, kBroken, kSkipped } state = State::kOk;
  std::string name = {};  // "disk", "tool git", …
  std::string what = {};  // one line, with numbers
  std::string mend = {};  // what to do; empty when nothing is wrong
};
using Checks = std::vector<Check>;

struct DoctorOptions {
  std::string data = {};      // the engine's folder; empty: the default one, and only when it is there
  std::string endpoint = {};  // of AWS or an engine; empty: from the environment, or the engine that runs
  std::vector<std::string> s3 = {};  // s3://BUCKET[/PREFIX] that must be readable and writable
  std::string database = {};         // URL that must be there
  std::string list = {};             // repos.csv that must make sense
  std::string publish = {};          // where `ingest` is to publish
  std::string work_folder = {};      // where jobs keep their files; empty: TMPDIR, /tmp
  bool needs_git = false;            // without git nothing works
};

// Runs all checks in their order; each is told when it is done. Does not throw; takes at most some seconds
// for each server that does not answer.
Checks examine(const DoctorOptions& options, const std::function<void(const Check&)>& on_check = {});

bool is_broken(const Checks& checks);
// "ok       disk        /tmp: 12.5 GiB free", and the mending on a line below.
void print_check(const Check& check, std::FILE* out);

// What `ingest run` calls for DIAGNOSE and DIAGNOSE_ON_START: prints every check to `out`. False when
// something is broken.
bool diagnose(const DoctorOptions& options, std::FILE* out);

// The rooms of the house (doctor_machine.cc, doctor_network.cc, doctor_data.cc).
Checks check_cpu();
Checks check_memory();
Checks check_disk(const std::string& what_for, const std::string& folder);
Checks check_limits();
Checks check_tools(bool needs_git);
Checks check_duckdb();
Checks check_endpoint(const std::string& endpoint, http::Client& client);  // network, TLS, clock
Checks check_ca_bundle();
Checks check_credentials(const std::string& endpoint, const std::shared_ptr<http::Client>& client);
Checks check_s3(const std::string& place);
Checks check_database(const std::string& url);
Checks check_publish(const std::string& place, const std::shared_ptr<http::Client>& client);
Checks check_list(const std::string& list, const std::shared_ptr<http::Client>& client);
Checks check_data(const std::string& folder);

}  // namespace millrace::cli

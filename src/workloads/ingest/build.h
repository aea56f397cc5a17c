// How a repository is built: a command of the row, of a rule, or what its files ask for.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/child_process.h"
#include "workloads/ingest/repository.h"

namespace millrace::ingest {

struct BuildPlan {
  std::string name = "none";           // "maven", "npm", "command" …
  std::vector<std::string> command;    // argv; empty: nothing to run
  std::vector<std::string> artifacts;  // patterns of paths below the tree; '*' does not cross '/', "**" does
  bool none() const { return command.empty(); }
};

struct BuildRule {
  std::string pattern;  // of "origin/path"; '*' any run of characters
  std::string build;
  std::vector<std::string> artifacts;  // instead of the build's own when not empty
};

// From a JSON document: {"rules": [{"path": "github.com/acme/*", "build": "mvn -B verify", "artifacts":
// ["target/*.jar"]}]}. The first rule that matches counts. Throws UsageError saying where it is wrong.
std::vector<BuildRule> parse_build_rules(std::string_view document);

// What is asked for: the row's column, else the first rule, else `otherwise`: "none", "auto", the name of a
// known build, or a command line. `artifacts` are those of the rule.
struct BuildChoice {
  std::string build;
  std::vector<std::string> artifacts;
};
BuildChoice choose_build(const Repository& repository, const std::vector<BuildRule>& rules,
                         const std::string& otherwise);

// What is run for that choice in the work tree `folder`. "auto": `mod` where it is in PATH; else by the files
// in the root: Maven, Gradle, npm, Cargo, Go, CMake, Make; "none" when there is none of them. Throws
// NotFoundError (code "no-build") when a named build has no file to build from.
BuildPlan plan_build(const BuildChoice& choice, const std::string& folder);

struct BuildLimits {
  std::chrono::milliseconds time{0};
  std::function<bool()> must_stop;
  std::function<void(std::string_view)> log;
  uint64_t memory_bytes_max = 0;  // of each process
  uint64_t file_bytes_max = 0;    // of each file
  std::vector<std::string> pass;  // names of variables of our environment that it sees
};

// Runs it with a HOME and a TMPDIR of its own and nothing of our environment but PATH, locale, proxies and
// what `limits.pass` names. No process of it is left afterwards, also none that left its process group: they
// are known by a variable, MILLRACE_INGEST_BUILD. Throws InternalError (code "exit-N"), TransientError
// ("timeout", "stopped"), NotFoundError when the program is missing.
void run_build(const BuildPlan& plan, const Repository& repository, const std::string& commit,
               const std::string& folder, const std::string& home, const BuildLimits& limits);

// Files below `folder` that match one of the patterns, relative, in byte order; symbolic links are not
// followed and not given.
std::vector<std::string> find_artifacts(const std::string& folder, const std::vector<std::string>& patterns);

// While it lives, processes whose parents have died become ours; those that are there when it goes are ended:
// a build may have left some that nothing else finds. For the one run of a process; there must be no other
// child then but those from before.
class Orphans {
 public:
  Orphans();
  ~Orphans();
  Orphans(const Orphans&) = delete;
  Orphans& operator=(const Orphans&) = delete;

 private:
  std::set<pid_t> before_;
};

}  // namespace millrace::ingest

#include "workloads/ingest/build.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/glob.h"
#include "base/json.h"
#include "base/random.h"
#include "base/spawn.h"
#include "base/strings.h"
#include "base/unique_fd.h"

namespace millrace::ingest {
namespace {

namespace fs = std::filesystem;
namespace json = base::json;

struct KnownBuild {
  std::string_view name;
  std::array<std::string_view, 4> files;  // one of them in the root asks for it
  std::string_view script;                // for sh -c
  std::array<std::string_view, 3> artifacts;
};

// In the order in which "auto" looks.
constexpr std::array<KnownBuild, 8> kKnownBuilds{{
    {"mod", {}, "mod build . --no-download && mod publish .", {}},
    {"maven",
     {"pom.xml"},
     "if [ -x ./mvnw ]; then m=./mvnw; else m=mvn; fi; exec $m -B -ntp -DskipTests package",
     {"target/*.jar", "target/*.war", "**/target/*.jar"}},
    {"gradle",
     {"build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"},
     "if [ -x ./gradlew ]; then g=./gradlew; else g=gradle; fi; exec $g --no-daemon --console=plain assemble",
     {"build/libs/*.jar", "**/build/libs/*.jar", "build/distributions/*"}},
    {"npm",
     {"package.json"},
     "if [ -f package-lock.json ]; then npm ci --no-audit --no-fund; else npm install --no-audit --no-fund; "
     "fi && "
     "npm run build --if-present && npm pack",
     {"*.tgz"}},
    {"cargo", {"Cargo.toml"}, "exec cargo build --release", {"target/release/*"}},
    {"go",
     {"go.mod"},
     "mkdir -p .millrace-out && exec go build -o .millrace-out/ ./...",
     {".millrace-out/*"}},
    {"cmake",
     {"CMakeLists.txt"},
     "cmake -S . -B .millrace-out -DCMAKE_BUILD_TYPE=Release && exec cmake --build .millrace-out",
     {".millrace-out/*.a", ".millrace-out/*.so", ".millrace-out/*.tar.gz"}},
    {"make", {"Makefile", "makefile", "GNUmakefile"}, "exec make", {}},
}};

const KnownBuild* known_build(std::string_view name) {
  auto found = std::find_if(kKnownBuilds.begin(), kKnownBuilds.end(),
                            [&](const KnownBuild& build) { return build.name == name; });
  return found == kKnownBuilds.end() ? nullptr : &*found;
}

bool is_regular(const std::string& path) {
  struct stat status;
  return lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

bool asks_for(const KnownBuild& build, const std::string& folder) {
  return std::any_of(build.files.begin(), build.files.end(), [&](std::string_view file) {
    return !file.empty() && is_regular(folder + "/" + std::string(file));
  });
}

std::optional<std::string> path_variable() {
  const char* path = std::getenv("PATH");
  return path ? std::optional<std::string>(path) : std::nullopt;
}

BuildPlan plan_of(const KnownBuild& build) {
  BuildPlan plan{std::string(build.name), {"sh", "-c", std::string(build.script)}, {}};
  for (std::string_view pattern : build.artifacts)
    if (!pattern.empty()) plan.artifacts.emplace_back(pattern);
  return plan;
}

// Kills every process whose environment carries `mark`, until a look finds none. What has got rid of the
// variable and of the process group is found by Orphans, when the run ends.
void kill_marked(const std::string& mark) {
  std::set<pid_t> killed;
  // Those that became our children when their parents died would stay as zombies.
  auto reap = [&] {
    for (pid_t pid : killed) waitpid(pid, nullptr, WNOHANG);
  };
  for (int turn = 0; turn < 20; ++turn) {
    bool found = false;
    std::unique_ptr<DIR, int (*)(DIR*)> proc(opendir("/proc"), closedir);
    if (!proc) return;
    while (dirent* entry = readdir(proc.get())) {
      auto pid = base::parse_number<pid_t>(entry->d_name);
      if (!pid || *pid == getpid()) continue;
      std::ifstream file("/proc/" + std::string(entry->d_name) + "/environ", std::ios::binary);
      std::string text((std::istreambuf_iterator<char>(file)), {});
      if (text.find(mark) == std::string::npos) continue;
      if (kill(*pid, SIGKILL) != 0) continue;
      found = true;
      killed.insert(*pid);
    }
    reap();
    if (!found) return;
  }
}

// '*' stops at '/', "**/" is any folders, none too.
bool path_matches(std::string_view pattern, std::string_view path) {
  if (pattern.starts_with("**/")) {
    std::string_view rest = pattern.substr(3);
    while (true) {
      if (path_matches(rest, path)) return true;
      size_t slash = path.find('/');
      if (slash == std::string_view::npos) return false;
      path.remove_prefix(slash + 1);
    }
  }
  size_t slash = pattern.find('/'), path_slash = path.find('/');
  if ((slash == std::string_view::npos) != (path_slash == std::string_view::npos)) return false;
  if (slash == std::string_view::npos) return base::glob_match(pattern, path);
  return base::glob_match(pattern.substr(0, slash), path.substr(0, path_slash)) &&
         path_matches(pattern.substr(slash + 1), path.substr(path_slash + 1));
}

constexpr size_t kArtifactsMax = 1000;

std::vector<pid_t> children() {
  std::vector<pid_t> found;
  std::unique_ptr<DIR, int (*)(DIR*)> proc(opendir("/proc"), closedir);
  while (dirent* entry = proc ? readdir(proc.get()) : nullptr) {
    auto pid = base::parse_number<pid_t>(entry->d_name);
    if (!pid) continue;
    std::ifstream file("/proc/" + std::string(entry->d_name) + "/stat", std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(file)), {});
    // "pid (name) state ppid …"; the name may hold anything.
    size_t name_end = text.rfind(") ");
    if (name_end == std::string::npos || text.size() < name_end + 5) continue;
    std::string_view parent = std::string_view(text).substr(name_end + 4);
    if (base::parse_number<pid_t>(parent.substr(0, parent.find(' '))) == getpid()) found.push_back(*pid);
  }
  return found;
}

}  // namespace

Orphans::Orphans() {
  for (pid_t pid : children()) before_.insert(pid);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

Orphans::~Orphans() {
  // The children of those that end become ours in turn.
  for (bool found = true; found;) {
    found = false;
    for (pid_t pid : children()) {
      if (before_.contains(pid)) continue;
      kill(pid, SIGKILL);
      found = waitpid(pid, nullptr, 0) == pid || found;
    }
  }
  prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

std::vector<BuildRule> parse_build_rules(std::string_view document) {
  json::value parsed;
  try {
    parsed = base::parse_json(document);
  } catch (const base::CorruptError& error) {
    throw base::UsageError(std::string("the build rules are no JSON: ") + error.what());
  }
  const json::object* root = parsed.if_object();
  const json::array* rules = root ? base::find_array(*root, "rules") : nullptr;
  if (!rules) throw base::UsageError("the build rules must be an object with an array \"rules\"");
  std::vector<BuildRule> out;
  for (const json::value& value : *rules) {
    std::string where = "build rule " + std::to_string(out.size() + 1);
    const json::object* object = value.if_object();
    if (!object) throw base::UsageError(where + " is no object");
    auto path = base::find_string(*object, "path"), build = base::find_string(*object, "build");
    if (!path || !build) throw base::UsageError(where + " must have \"path\" and \"build\"");
    BuildRule rule{std::string(*path), std::string(*build), {}};
    if (const json::array* artifacts = base::find_array(*object, "artifacts"))
      for (const json::value& artifact : *artifacts) {
        if (!artifact.is_string()) throw base::UsageError(where + ": \"artifacts\" must hold texts");
        rule.artifacts.emplace_back(base::view(artifact.get_string()));
      }
    out.push_back(std::move(rule));
  }
  return out;
}

BuildChoice choose_build(const Repository& repository, const std::vector<BuildRule>& rules,
                         const std::string& otherwise) {
  BuildChoice choice{otherwise.empty() ? "none" : otherwise, {}};
  std::string name = repository.origin + "/" + repository.path;
  for (const BuildRule& rule : rules) {
    if (!base::glob_match(rule.pattern, name)) continue;
    choice = {rule.build, rule.artifacts};
    break;
  }
  if (!repository.build.empty()) choice.build = repository.build;
  return choice;
}

BuildPlan plan_build(const BuildChoice& choice, const std::string& folder) {
  BuildPlan plan;
  if (choice.build == "none") return plan;
  if (choice.build == "auto") {
    for (const KnownBuild& build : kKnownBuilds) {
      bool fits = build.name == "mod" ? base::find_program("mod", path_variable(), folder).has_value()
                                      : asks_for(build, folder);
      if (!fits) continue;
      plan = plan_of(build);
      break;
    }
  } else if (const KnownBuild* build = known_build(choice.build)) {
    if (build->name != "mod" && !asks_for(*build, folder))
      throw base::NotFoundError("there is nothing to build with " + choice.build + ": no " +
                                    std::string(build->files[0]) + " in the root",
                                "no-build");
    plan = plan_of(*build);
  } else {
    plan.name = "command";
    plan.command = {"sh", "-c", choice.build};
  }
  if (!choice.artifacts.empty()) plan.artifacts = choice.artifacts;
  return plan;
}

void run_build(const BuildPlan& plan, const Repository& repository, const std::string& commit,
               const std::string& folder, const std::string& home, const BuildLimits& limits) {
  fs::create_directories(home + "/tmp");
  base::ChildOptions child;
  child.arguments = plan.command;
  child.directory = folder;
  const std::string mark = "MILLRACE_INGEST_BUILD=" + base::random_hex(32);
  child.environment = {"HOME=" + home,
                       "TMPDIR=" + home + "/tmp",
                       "CI=true",
                       mark,
                       "MILLRACE_INGEST_ORIGIN=" + repository.origin,
                       "MILLRACE_INGEST_PATH=" + repository.path,
                       "MILLRACE_INGEST_BRANCH=" + repository.branch,
                       "MILLRACE_INGEST_CHANGESET=" + commit};
  for (const auto& [name, value] : repository.columns)
    for (auto [column, variable] :
         {std::pair("mavenArgs", "MAVEN_ARGS"), std::pair("jvmopts", "JAVA_TOOL_OPTIONS"),
          std::pair("nodeOptions", "NODE_OPTIONS")})
      if (name == column && !value.empty()) child.environment.push_back(std::string(variable) + "=" + value);
  std::vector<std::string> pass{"PATH",      "LANG",        "LC_ALL",        "TZ",
                                "JAVA_HOME", "http_proxy",  "https_proxy",   "HTTP_PROXY",
                                "NO_PROXY",  "HTTPS_PROXY", "SSL_CERT_FILE", "no_proxy"};
  pass.insert(pass.end(), limits.pass.begin(), limits.pass.end());
  for (const std::string& name : pass)
    if (const char* value = std::getenv(name.c_str())) child.environment.push_back(name + "=" + value);
  if (!std::getenv("PATH")) child.environment.emplace_back("PATH=/usr/local/bin:/usr/bin:/bin");
  if (limits.memory_bytes_max > 0) child.limits.emplace_back(RLIMIT_DATA, limits.memory_bytes_max);
  if (limits.file_bytes_max > 0) child.limits.emplace_back(RLIMIT_FSIZE, limits.file_bytes_max);
  child.limits.emplace_back(RLIMIT_CORE, 0);

  base::RunLimits run_limits;
  run_limits.time = limits.time;
  run_limits.must_stop = limits.must_stop;
  run_limits.on_output = limits.log ? limits.log : [](std::string_view) {};
  if (limits.log) limits.log("$ " + plan.command.back() + "\n");
  struct Sweep {
    const std::string& mark;
    ~Sweep() { kill_marked(mark); }
  } sweep{mark};
  base::ChildRun run = base::run_child(child, run_limits);
  std::string what = plan.name == "command" ? "the build" : plan.name;
  if (run.stopped) throw base::TransientError(what + ": stopped", "stopped");
  if (run.timed_out)
    throw base::TransientError(
        what + " took longer than " + std::to_string(limits.time.count() / 1000) + " s", "timeout");
  if (run.ok()) return;
  if (run.end.signal == SIGXFSZ)
    throw base::CorruptError(what + " wrote a file beyond the disk budget", "disk");
  throw base::InternalError(what + " ended with " + run.end.text(),
                            run.end.signal != 0 ? "signal-" + std::to_string(run.end.signal)
                                                : "exit-" + std::to_string(run.end.exit_code));
}

std::vector<std::string> find_artifacts(const std::string& folder, const std::vector<std::string>& patterns) {
  std::vector<std::string> found;
  if (patterns.empty()) return found;
  const size_t prefix = folder.size() + 1;
  std::error_code error;
  auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator it(folder, options, error), end; !error && it != end;
       it.increment(error)) {
    std::string path = it->path().string().substr(prefix);
    std::error_code type_error;
    fs::file_status status = it->symlink_status(type_error);
    if (type_error) continue;  // gone since it was listed
    if (fs::is_directory(status) && it->path().filename() == ".git") it.disable_recursion_pending();
    if (!fs::is_regular_file(status)) continue;
    if (std::none_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return path_matches(pattern, path); }))
      continue;
    found.push_back(path);
    if (found.size() > kArtifactsMax)
      throw base::CorruptError(
          "more than " + std::to_string(kArtifactsMax) + " files match the artifacts' patterns", "too-large");
  }
  if (error) throw base::TransientError("list " + folder + ": " + error.message());
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace millrace::ingest

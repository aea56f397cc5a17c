#include "workloads/ingest/git.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "base/durable_file.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "base/url.h"
#include "workloads/ingest/outcome.h"
#include "workloads/text.h"

namespace millrace::ingest {
namespace {

constexpr size_t kRefFileMax = 16u << 20;               // packed-refs of a repository with some 200,000 refs
constexpr std::string_view kRemote = "https:http:ssh";  // protocols that are always allowed
constexpr size_t kMessageMax = 600;                     // bytes of what git said that a reason shows

bool is_folder(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}
bool is_file(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

std::string single_quoted(const std::string& text) {
  return "'" + base::replace_all(text, "'", "'\\''") + "'";
}

bool contains_any(std::string_view text, std::initializer_list<const char*> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](const char* word) { return text.find(word) != std::string_view::npos; });
}

// Lines that carry a reason come last; progress and advice are left out.
std::string last_words(const std::string& errors) {
  std::string kept;
  for (std::string_view line : base::split(errors, '\n')) {
    // Progress overwrites its line.
    if (size_t at = line.rfind('\r'); at != std::string_view::npos && at + 1 < line.size())
      line.remove_prefix(at + 1);
    line = base::trim(line);
    if (line.empty() || line.starts_with("Cloning into") || line.starts_with("hint:")) continue;
    kept += (kept.empty() ? "" : "; ") + workloads::printable(line);
  }
  if (kept.size() > kMessageMax) kept = "…" + base::to_utf8(kept.substr(kept.size() - kMessageMax));
  return kept;
}

}  // namespace

Transport transport_of(std::string_view url) {
  if (url.starts_with("https://") || url.starts_with("http://")) return Transport::kHttp;
  if (url.starts_with("ssh://") || url.starts_with("git+ssh://")) return Transport::kSsh;
  if (url.starts_with("file://") || url.starts_with('/') || url.starts_with("./") || url.starts_with("../"))
    return Transport::kLocal;
  if (url.find("://") != std::string_view::npos || url.find("::") != std::string_view::npos)
    return Transport::kOther;
  // scp's form: a colon before the first slash.
  size_t colon = url.find(':'), slash = url.find('/');
  if (colon != std::string_view::npos && colon > 0 && (slash == std::string_view::npos || colon < slash))
    return Transport::kSsh;
  return Transport::kOther;
}

std::string local_path(std::string_view url) {
  // git runs in other folders.
  if (!url.starts_with("file://"))
    return std::filesystem::absolute(std::string(url)).lexically_normal().string();
  url.remove_prefix(7);
  if (url.starts_with("localhost/")) url.remove_prefix(9);
  return base::percent_decode(url);
}

std::optional<std::string> git_folder_at(const std::string& path) {
  for (const std::string& candidate : {path + "/.git", path, path + ".git"})
    if (is_folder(candidate + "/objects") && is_folder(candidate + "/refs") && is_file(candidate + "/HEAD"))
      return candidate;
  return std::nullopt;
}

Git::Git(GitOptions options) : options_(std::move(options)) {}

std::vector<std::pair<std::string, std::string>> Git::settings() const {
  std::vector<std::pair<std::string, std::string>> settings{
      {"core.hooksPath", "/dev/null"},
      {"core.fsmonitor", "false"},
      {"core.protectHFS", "true"},
      {"core.protectNTFS", "true"},
      {"core.bigFileThreshold", "8m"},  // larger ones are streamed instead of held
      {"core.deltaBaseCacheLimit", "16m"},
      {"credential.helper", ""},  // none of the configuration's
      {"advice.detachedHead", "false"},
      {"gc.auto", "0"},
      {"maintenance.auto", "false"},
      {"http.followRedirects", "initial"},
      {"http.lowSpeedLimit", "1000"},
      {"http.lowSpeedTime", "60"},
      {"pack.threads", "1"},
      {"index.threads", "1"},
      {"protocol.version", "2"},
      {"submodule.recurse", "false"},
      {"transfer.fsckObjects", "true"},
  };
  // What old tools wrote and hurts nobody must not keep a repository from being read; what attacks does.
  for (const char* harmless :
       {"badTimezone", "missingSpaceBeforeDate", "zeroPaddedFilemode", "missingEmail",
        "missingNameBeforeEmail", "missingSpaceBeforeEmail", "badDate", "badDateOverflow", "multipleAuthors",
        "badEmail", "badName", "badFilemode", "nullSha1", "extraHeaderEntry", "badTagName",
        "missingTaggerEntry", "zeroPaddedDate"})
    settings.emplace_back(std::string("fetch.fsck.") + harmless, "ignore");
  for (const std::string* file : {&options_.own_credentials_file, &options_.credentials_file})
    if (!file->empty())
      settings.emplace_back("credential.helper",
                            "!f() { test \"$1\" = get && exec git credential-store --file=" +
                                single_quoted(*file) + " get; }; f");
  if (options_.lfs) {
    settings.emplace_back("filter.lfs.smudge", "git-lfs smudge -- %f");
    settings.emplace_back("filter.lfs.process", "git-lfs filter-process");
    settings.emplace_back("filter.lfs.required", "true");
  }
  return settings;
}

std::vector<std::string> Git::environment(const std::string& home) const {
  std::vector<std::string> environment{"HOME=" + home,
                                       "XDG_CONFIG_HOME=" + home,
                                       "LC_ALL=C",
                                       "GIT_TERMINAL_PROMPT=0",
                                       "GIT_ASKPASS=/bin/false",
                                       "SSH_ASKPASS=/bin/false",
                                       "GIT_CONFIG_NOSYSTEM=1",
                                       "GIT_CONFIG_GLOBAL=/dev/null",
                                       "GIT_ATTR_NOSYSTEM=1",
                                       "GIT_NO_REPLACE_OBJECTS=1",
                                       "GIT_OPTIONAL_LOCKS=0",
                                       "GCM_INTERACTIVE=never"};
  environment.push_back("GIT_ALLOW_PROTOCOL=" + std::string(kRemote) + (options_.allow_local ? ":file" : ""));
  for (const char* name :
       {"PATH", "TMPDIR", "http_proxy", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "all_proxy",
        "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH"})
    if (const char* value = std::getenv(name)) environment.push_back(std::string(name) + "=" + value);
  if (!std::getenv("PATH")) environment.emplace_back("PATH=/usr/local/bin:/usr/bin:/bin");
  if (!options_.ca_file.empty()) environment.push_back("GIT_SSL_CAINFO=" + options_.ca_file);

  std::string ssh =
      "ssh -F /dev/null -o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=15 "
      "-o ServerAliveCountMax=4 -o ForwardAgent=no -o PermitLocalCommand=no -o ProxyCommand=none";
  ssh += options_.ssh_accept_new ? " -o StrictHostKeyChecking=accept-new" : " -o StrictHostKeyChecking=yes";
  std::string known = options_.known_hosts_file;
  if (known.empty() && options_.ssh_accept_new) known = options_.private_folder + "/known_hosts";
  if (!known.empty()) {
    ssh += " -o UserKnownHostsFile=" + single_quoted("\"" + known + "\"");
  } else if (const char* own_home = std::getenv("HOME")) {
    // ssh itself looks where the user lives, whatever HOME says; said so that it is the same with git's HOME.
    ssh += " -o UserKnownHostsFile=" + single_quoted("\"" + std::string(own_home) + "/.ssh/known_hosts\"");
  }
  if (!options_.ssh_key_file.empty())
    ssh += " -o IdentitiesOnly=yes -o IdentityAgent=none -i " + single_quoted(options_.ssh_key_file);
  environment.push_back("GIT_SSH_COMMAND=" + ssh);
  environment.emplace_back("GIT_SSH_VARIANT=ssh");

  auto all = settings();
  environment.push_back("GIT_CONFIG_COUNT=" + std::to_string(all.size()));
  for (size_t i = 0; i < all.size(); ++i) {
    environment.push_back("GIT_CONFIG_KEY_" + std::to_string(i) + "=" + all[i].first);
    environment.push_back("GIT_CONFIG_VALUE_" + std::to_string(i) + "=" + all[i].second);
  }
  return environment;
}

base::ChildOptions Git::command(const std::vector<std::string>& arguments, const std::string& folder,
                                const std::string& home) const {
  base::ChildOptions options;
  options.arguments = {"git"};
  options.arguments.insert(options.arguments.end(), arguments.begin(), arguments.end());
  options.environment = environment(home);
  options.directory = folder;
  if (options_.memory_bytes_max > 0) options.limits.emplace_back(RLIMIT_DATA, options_.memory_bytes_max);
  if (options_.file_bytes_max > 0) options.limits.emplace_back(RLIMIT_FSIZE, options_.file_bytes_max);
  options.limits.emplace_back(RLIMIT_CORE, 0);
  return options;
}

base::ChildOptions Git::object_reader(const std::string& git_folder, const std::string& home) const {
  base::ChildOptions options = command({"--git-dir=" + git_folder, "cat-file", "--batch"}, home, home);
  // The repository may be anybody's: its configuration must not lead anywhere (a promisor remote would be
  // asked for missing objects).
  for (std::string& variable : options.environment)
    if (variable.starts_with("GIT_ALLOW_PROTOCOL=")) variable = "GIT_ALLOW_PROTOCOL=none";
  options.environment.emplace_back("GIT_NO_LAZY_FETCH=1");
  return options;
}

base::ChildRun Git::run(const std::vector<std::string>& arguments, const std::string& folder,
                        const std::string& home, const GitLimits& limits, bool local_allowed) const {
  if (limits.log) {
    std::string line = "$ git";
    for (const std::string& argument : arguments)
      line += " " + workloads::printable(without_credentials(argument));
    limits.log(line + "\n");
  }
  base::RunLimits run_limits;
  run_limits.time = limits.time;
  run_limits.must_stop = limits.must_stop;
  base::ChildOptions child = command(arguments, folder, home);
  if (!local_allowed)
    for (std::string& variable : child.environment)
      if (variable.starts_with("GIT_ALLOW_PROTOCOL="))
        variable = "GIT_ALLOW_PROTOCOL=" + std::string(kRemote);
  base::ChildRun run = base::run_child(child, run_limits);
  if (limits.log && !run.errors.empty()) limits.log(run.errors);
  return run;
}

void throw_git_error(const base::ChildRun& run, std::string_view what) {
  std::string said = last_words(run.errors);
  std::string message = std::string(what) + ": " + (said.empty() ? run.end.text() : said);
  std::string lower = base::to_lower(run.errors);
  if (run.stopped) throw base::TransientError(std::string(what) + ": stopped", "stopped");
  if (run.timed_out) throw base::TransientError(std::string(what) + " took too long", "timeout");
  if (run.end.signal == SIGXFSZ || contains_any(lower, {"file too large", "signal 25"}))
    throw base::CorruptError(std::string(what) + ": larger than the disk budget allows", "too-large");
  if (contains_any(lower, {"no space left on device", "disk quota"}))
    throw base::TransientError(message, "disk");
  if (contains_any(lower, {"remote branch", "couldn't find remote ref"}) &&
      lower.find("not") != std::string::npos)
    throw base::NotFoundError(message, "no-branch");
  if (contains_any(lower, {"not our ref", "unadvertised object", "no such remote ref"}))
    throw base::NotFoundError(message, "no-commit");
  if (contains_any(lower, {"transport '", "is not allowed"}) &&
      lower.find("not allowed") != std::string::npos)
    throw base::DeniedError(message, "protocol");
  if (contains_any(lower, {"authentication failed", "could not read username", "could not read password",
                           "permission denied", "host key verification failed", "error: 403", "error: 401",
                           "access denied", "unable to read askpass", "terminal prompts disabled",
                           "dubious ownership"}))
    throw base::DeniedError(message, "denied");
  if (contains_any(lower, {"repository not found", "' not found", "error: 404", "error: 410",
                           "does not exist", "does not appear to be a git repository",
                           "no such file or directory", "not valid: is this a git repository"}))
    throw base::NotFoundError(message, "not-found");
  if (contains_any(lower, {"fsck error", "error in object", "index-pack failed", "bad object", "is corrupt",
                           "invalid object", "did not send all necessary objects", "bad pack"}) &&
      !contains_any(lower, {"early eof", "hung up", "rpc failed"}))
    throw base::CorruptError(message, "fsck");
  if (contains_any(lower, {"could not resolve",
                           "connection refused",
                           "connection timed out",
                           "connection reset",
                           "failed to connect",
                           "couldn't connect",
                           "early eof",
                           "hung up unexpectedly",
                           "rpc failed",
                           "operation too slow",
                           "error: 5",
                           "error: 429",
                           "timed out",
                           "broken pipe",
                           "connection closed",
                           "network is unreachable",
                           "unexpected disconnect",
                           "empty reply",
                           "temporary failure",
                           "no route to host",
                           "gnutls",
                           "ssl_error",
                           "kex_exchange"}))
    throw base::TransientError(message, "network");
  throw base::InternalError(message, run.end.signal != 0 ? "signal-" + std::to_string(run.end.signal)
                                                         : "exit-" + std::to_string(run.end.exit_code));
}

void RemoteHead::is_named(const std::string& name, const std::string& tag) {
  branch = name;
  if (commit.empty()) commit = tag;
  if (commit.empty())
    throw base::NotFoundError("the remote has no branch or tag '" + workloads::printable(name) + "'",
                              "no-branch");
}

RemoteHead Git::ls_remote(const std::string& url, const std::string& branch, const std::string& home,
                          const GitLimits& limits) const {
  std::vector<std::string> arguments{"ls-remote", "--symref", "--", url};
  if (branch.empty())
    arguments.emplace_back("HEAD");
  else
    arguments.insert(arguments.end(),
                     {"refs/heads/" + branch, "refs/tags/" + branch, "refs/tags/" + branch + "^{}"});
  base::ChildRun run = this->run(arguments, home, home, limits);
  if (!run.ok()) throw_git_error(run, "git ls-remote");
  RemoteHead head;
  std::string tag;
  for (std::string_view line : base::split(run.output, '\n')) {
    size_t tab = line.find('\t');
    if (tab == std::string_view::npos) continue;
    std::string_view value = line.substr(0, tab), name = line.substr(tab + 1);
    if (value.starts_with("ref: refs/heads/") && name == "HEAD")
      head.branch = value.substr(16);
    else if (name == "HEAD" || name == "refs/heads/" + branch)
      head.commit = value;
    else if (name.starts_with("refs/tags/" + branch))
      tag = value;  // the last one is what an annotated tag points to
  }
  if (!branch.empty()) head.is_named(branch, tag);
  return head;
}

Git::Clone Git::clone(const Wanted& wanted, const std::string& folder, const std::string& home,
                      const GitLimits& limits) const {
  auto deadline = std::chrono::steady_clock::now() + limits.time;
  // One limit for all commands of the clone.
  auto rest = [&] {
    GitLimits left = limits;
    if (limits.time.count() > 0)
      left.time = std::max(
          std::chrono::milliseconds(1),
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()));
    return left;
  };
  auto must = [&](const std::vector<std::string>& arguments, const std::string& where, const char* what) {
    base::ChildRun run = this->run(arguments, where, home, rest());
    if (!run.ok()) throw_git_error(run, what);
    return run;
  };
  const bool local = transport_of(wanted.url) == Transport::kLocal;
  // Without a checkout the tree is read from the objects, and nothing is fetched by then.
  const bool partial = wanted.checkout && !options_.filter.empty();
  std::vector<std::string> how{"--no-tags", "--template=", "--quiet"};
  // A plain path would be hard-linked, with whatever stands in it; as a URL it goes through upload-pack.
  std::string url =
      local && !wanted.url.starts_with("file://") ? "file://" + local_path(wanted.url) : wanted.url;
  if (options_.depth > 0) how.push_back("--depth=" + std::to_string(options_.depth));
  if (partial) how.push_back("--filter=" + options_.filter);

  Clone clone;
  clone.git_folder = wanted.checkout ? folder + "/.git" : folder;
  std::vector<std::string> in{"--git-dir=" + clone.git_folder};
  if (wanted.changeset.empty()) {
    std::vector<std::string> arguments{"clone", wanted.checkout ? "--no-checkout" : "--bare",
                                       "--single-branch"};
    arguments.insert(arguments.end(), how.begin(), how.end());
    if (!wanted.branch.empty()) arguments.push_back("--branch=" + wanted.branch);
    arguments.insert(arguments.end(), {"--", url, folder});
    must(arguments, home, "git clone");
    clone.branch = wanted.branch.empty() ? head_branch(clone.git_folder) : wanted.branch;
    base::ChildRun commit =
        this->run({in[0], "rev-parse", "--verify", "--quiet", "HEAD^{commit}"}, home, home, rest());
    if (commit.timed_out || commit.stopped) throw_git_error(commit, "git rev-parse");
    if (!commit.ok()) throw base::NotFoundError("the repository is empty: it has no commit", "empty");
    clone.commit = base::trim(commit.output);
  } else {
    std::vector<std::string> init{"init", "--quiet", "--template="};
    if (!wanted.checkout) init.emplace_back("--bare");
    init.insert(init.end(), {"--", folder});
    must(init, home, "git init");
    std::vector<std::string> arguments{in[0], "fetch", "--quiet", "--no-tags", "--no-write-fetch-head"};
    if (options_.depth > 0) arguments.push_back("--depth=" + std::to_string(options_.depth));
    if (partial) arguments.push_back("--filter=" + options_.filter);
    arguments.insert(arguments.end(), {"--", url, wanted.changeset + ":refs/heads/changeset"});
    must(arguments, home, "git fetch");
    must({in[0], "symbolic-ref", "HEAD", "refs/heads/changeset"}, home, "git symbolic-ref");
    clone.branch = wanted.branch;
    clone.commit = wanted.changeset;
  }
  if (!wanted.checkout) return clone;
  must({"-C", folder, "checkout", "--quiet", "--force", "--detach", clone.commit}, home, "git checkout");
  if (options_.submodules) {
    std::vector<std::string> arguments{"-C",     folder,   "submodule",  "--quiet",
                                       "update", "--init", "--recursive"};
    if (options_.depth > 0) arguments.push_back("--depth=" + std::to_string(options_.depth));
    // Names in a repository that came over the network lead nowhere on this machine.
    base::ChildRun run = this->run(arguments, home, home, rest(), local);
    if (!run.ok()) throw_git_error(run, "git submodule update");
  }
  return clone;
}

std::string head_branch(const std::string& git_folder) {
  std::string head;
  try {
    head = base::read_small_file(git_folder + "/HEAD", 4096);
  } catch (const base::NotFoundError&) {
    return "";
  }
  std::string_view text = base::trim(head);
  if (!text.starts_with("ref: refs/heads/")) return "";
  return std::string(text.substr(16));
}

std::string commit_of_ref(const std::string& git_folder, const std::string& ref) {
  for (std::string_view part : base::split(ref, '/'))
    if (part.empty() || part == "." || part == "..") return "";
  try {
    std::string text = base::read_small_file(git_folder + "/" + ref, 4096);
    std::string commit(base::trim(text));
    return base::unhex(commit) ? commit : "";
  } catch (const base::NotFoundError&) {  // packed, then
  }
  try {
    std::string packed = base::read_small_file(git_folder + "/packed-refs", kRefFileMax);
    for (std::string_view line : base::split(packed, '\n'))
      if (line.size() > 41 && line.substr(line.find(' ') + 1) == ref)
        return std::string(line.substr(0, line.find(' ')));
  } catch (const base::NotFoundError&) {
    return "";
  }
  return "";
}

}  // namespace millrace::ingest

#include "workloads/ingest/repository_run.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <thread>

#include "base/durable_file.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "http/client.h"
#include "workloads/ingest/inventory.h"
#include "workloads/ingest/snapshot.h"
#include "workloads/text.h"

namespace millrace::ingest {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kMeasureEvery{1000};

int64_t ms_since(steady_clock::time_point begun) {
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - begun).count();
}

std::vector<std::string> revisions_of(const Repository& repository) {
  if (!repository.changeset.empty()) return {repository.changeset};
  if (repository.branch.empty()) return {"HEAD"};
  return {"refs/heads/" + repository.branch, "refs/tags/" + repository.branch};
}

// A repository on this machine whose objects can be read where they are.
std::optional<std::string> readable_folder(const RunOptions& options, const std::string& url) {
  if (!options.git.allow_local || transport_of(url) != Transport::kLocal) return std::nullopt;
  return git_folder_at(local_path(url));
}

void check_transport(const std::string& url, const RunOptions& options) {
  std::string shown = workloads::printable(without_credentials(url));
  switch (transport_of(url)) {
    case Transport::kHttp:
      return;
    case Transport::kSsh:
      // It would be seen in the arguments of git and ssh, and opens nothing: ssh takes none from there.
      if (url.find("://") != std::string::npos && url.find(':', url.find("://") + 3) < userinfo_end(url) &&
          userinfo_end(url) != std::string::npos)
        throw base::DeniedError("'" + shown + "': a password in an SSH URL is of no use; give --ssh-key",
                                "protocol");
      return;
    case Transport::kLocal:
      if (options.git.allow_local) return;
      throw base::DeniedError("'" + shown + "' is on this machine: only with --allow-local", "protocol");
    case Transport::kOther:
      break;
  }
  throw base::DeniedError(
      "'" + shown + "': only https, http, ssh and, with --allow-local, paths are cloned from", "protocol");
}

// A folder is read as fast as the disk gives it, however much a sparse file pretends to be.
class WatchedTree final : public Tree {
 public:
  WatchedTree(std::unique_ptr<Tree> tree, steady_clock::time_point deadline, std::function<bool()> must_stop)
      : tree_(std::move(tree)), deadline_(deadline), must_stop_(std::move(must_stop)) {}
  void visit(const Visit& visit) override {
    tree_->visit([&](const TreeEntry& entry, const Read& read) {
      check();
      visit(entry, [&](char* out, size_t size) {
        check();
        return read(out, size);
      });
    });
  }

 private:
  void check() const {
    if (must_stop_()) throw base::TransientError("stopped", "stopped");
    if (steady_clock::now() >= deadline_)
      throw base::TransientError("reading the tree took too long", "timeout");
  }
  std::unique_ptr<Tree> tree_;
  steady_clock::time_point deadline_;
  std::function<bool()> must_stop_;
};

std::string code_of(const base::Error& error) {
  if (!error.code().empty()) return error.code();
  switch (error.kind()) {
    case base::ErrorKind::kUsage:
      return "usage";
    case base::ErrorKind::kNotFound:
      return "not-found";
    case base::ErrorKind::kConflict:
      return "conflict";
    case base::ErrorKind::kDenied:
      return "denied";
    case base::ErrorKind::kTransient:
      return "temporary";
    case base::ErrorKind::kCorrupt:
      return "corrupt";
    case base::ErrorKind::kInternal:
      break;
  }
  return "internal";
}

}  // namespace

std::string build_key(const RunOptions& options, const Repository& repository) {
  BuildChoice choice = choose_build(repository, options.rules, options.build);
  std::string text = "1";
  auto add = [&](std::string_view part) { text += std::to_string(part.size()) + ":" + std::string(part); };
  add(choice.build);
  for (const std::string& artifact : choice.artifacts) add(artifact);
  add(fmt::format("{}{}{}{}{}", options.snapshot, options.inventory, options.symbols, options.git.submodules,
                  options.git.lfs));
  add(repository.publish_uri.empty() ? options.publish : repository.publish_uri);
  for (const auto& [name, value] : repository.columns)
    if (name.ends_with("Args") || name == "jvmopts" || name == "nodeOptions" || name == "java")
      add(name + "=" + value);
  return base::sha256_hex(text);
}

RemoteHead remote_head(RunContext& context, const Repository& repository, const std::string& home) {
  if (!repository.changeset.empty()) return {repository.changeset, repository.branch};
  std::string url = repository.clone_url;
  check_transport(url, context.options());
  if (auto folder = readable_folder(context.options(), url)) {
    std::string branch = repository.branch.empty() ? head_branch(*folder) : repository.branch;
    std::string commit = branch.empty() ? "" : commit_of_ref(*folder, "refs/heads/" + branch);
    if (!commit.empty()) return {commit, branch};
  }
  std::optional<HttpLogin> own = take_login(url);
  GitLimits limits{context.options().limits.check, [&] { return context.must_stop(); }, {}};
  if (transport_of(url) == Transport::kHttp) {
    auto head = ls_refs(context.http(), url, repository.branch, own ? own : context.logins().find(url),
                        context.options().git.ca_file, limits);
    if (head) return *head;
  }
  // A login in the URL is given to git by its clone only.
  if (own) throw base::DeniedError("the server does not answer with its heads", "denied");
  return context.git().ls_remote(url, repository.branch, home, limits);
}

RepositoryRun::RepositoryRun(RunContext& context, const Repository& repository, std::string folder,
                             DiskBudget::Share& share, Ctags* ctags)
    : context_(context),
      repository_(repository),
      folder_(std::move(folder)),
      home_(folder_ + "/home"),
      tree_folder_(folder_ + "/tree"),
      share_(share),
      ctags_(ctags),
      git_(&context.git()),
      outcome_(outcome_of(repository)) {}

bool RepositoryRun::must_stop() {
  if (steady_clock::now() >= next_measure_) measure();
  return share_.evicted() || context_.must_stop();
}

void RepositoryRun::measure() {
  auto begun = steady_clock::now();
  share_.set(folder_bytes(folder_));
  // A tree of a million files is not walked all the time.
  next_measure_ = steady_clock::now() +
                  std::max<steady_clock::duration>(kMeasureEvery, 20 * (steady_clock::now() - begun));
}

GitLimits RepositoryRun::git_limits(milliseconds time) {
  return {time, [this] { return must_stop(); }, [this](std::string_view text) { log_.add(text); }};
}

template <typename Body>
void RepositoryRun::step(Step which, const Body& body) {
  outcome_.step = which;
  if (context_.must_stop()) throw base::TransientError("stopped", "stopped");
  auto begun = steady_clock::now();
  int64_t& ms = outcome_.step_ms[static_cast<size_t>(which)];
  try {
    body();
  } catch (...) {
    ms = ms_since(begun);
    throw;
  }
  ms = ms_since(begun);
}

Outcome RepositoryRun::run() {
  const RunOptions& options = context_.options();
  outcome_.started = context_.now_ms();
  outcome_.build_key = build_key(options, repository_);
  next_measure_ = steady_clock::now() + kMeasureEvery;
  try {
    fs::create_directories(home_);
    choice_ = choose_build(repository_, options.rules, options.build);
    step(Step::kClone, [&] { clone(); });
    // A snapshot of the checkout must come before a build changes it; one of the commit can be later, so that
    // a build that fails does not cost it.
    const bool of_checkout = options.git.submodules || options.git.lfs;
    if (options.snapshot && of_checkout) step(Step::kSnapshot, [&] { snapshot(); });
    if (choice_.build != "none") step(Step::kBuild, [&] { build(); });
    outcome_.build = plan_.name;
    if (options.snapshot && !of_checkout) step(Step::kSnapshot, [&] { snapshot(); });
    if (options.inventory) step(Step::kInventory, [&] { inventory(); });
    step(Step::kPublish, [&] { publish(); });
    outcome_.status = Status::kPublished;
  } catch (const base::Error& error) {
    outcome_.code = code_of(error);
    outcome_.reason = error.what();
    outcome_.status = outcome_.code == "timeout" ? Status::kTimedOut : Status::kFailed;
    if (outcome_.code == "stopped") {
      outcome_.status = Status::kStopped;
      outcome_.reason = "the job was ended before this repository was done";
    }
    if (share_.evicted()) {
      outcome_.status = Status::kFailed;
      outcome_.code = "disk";
      outcome_.reason = "it needs more than --disk-budget (" + base::human_bytes(options.disk_budget) + ")";
    }
  } catch (const std::exception& error) {
    outcome_.status = Status::kFailed;
    outcome_.code = "internal";
    outcome_.reason = error.what();
  }
  tree_.reset();
  outcome_.finished = context_.now_ms();
  if (outcome_.failed()) log_.add(std::string(to_text(outcome_.step)) + ": " + outcome_.reason + "\n");
  return std::move(outcome_);
}

void RepositoryRun::clone() {
  const RunOptions& options = context_.options();
  std::vector<std::string> urls{repository_.clone_url};
  urls.insert(urls.end(), repository_.alternate_clone_urls.begin(), repository_.alternate_clone_urls.end());
  std::mt19937_64 random(std::random_device{}());
  for (int attempt = 1;; ++attempt) {
    outcome_.attempts = attempt;
    const bool last = attempt >= std::max(options.attempts, static_cast<int>(urls.size()));
    const std::string& url = urls[static_cast<size_t>(attempt - 1) % urls.size()];
    try {
      return clone_from(url);
    } catch (const base::TransientError& error) {
      if (last || error.code() != "network") throw;
      log_.add(std::string(error.what()) + "\n");
    } catch (const base::Error& error) {
      // Another address may have it; a commit that is too large or damaged is so everywhere.
      bool elsewhere = error.kind() == base::ErrorKind::kNotFound || error.kind() == base::ErrorKind::kDenied;
      if (!elsewhere || static_cast<size_t>(attempt) >= urls.size()) throw;
      log_.add(std::string(error.what()) + "\n");
      continue;
    }
    auto longest = options.retry_pause.count() << std::min(attempt - 1, 5);
    auto until = steady_clock::now() +
                 milliseconds(std::uniform_int_distribution<int64_t>(longest / 2, longest)(random));
    while (steady_clock::now() < until) {
      if (must_stop()) throw base::TransientError("stopped", "stopped");
      std::this_thread::sleep_for(
          std::min<steady_clock::duration>(milliseconds(100), until - steady_clock::now()));
    }
  }
}

void RepositoryRun::open_tree(const std::string& git_folder, const std::vector<std::string>& revisions) {
  GitTreeLimits limits;
  limits.must_stop = [this] { return must_stop(); };
  limits.entries_max = context_.options().entries_max;
  limits.deadline = steady_clock::now() + context_.options().limits.clone;
  tree_ = std::make_unique<GitTree>(git_->object_reader(git_folder, home_), limits);
  try {
    const GitTree::Commit& commit = tree_->open(revisions);
    outcome_.changeset = commit.commit;
    commit_time_s_ = commit.time_s;
  } catch (const base::NotFoundError& error) {
    if (error.code() != "no-commit") throw;
    if (repository_.changeset.empty() && repository_.branch.empty())
      throw base::NotFoundError("the repository is empty: it has no commit", "empty");
    if (repository_.changeset.empty())
      throw base::NotFoundError(
          "there is no branch or tag '" + workloads::printable(repository_.branch) + "'", "no-branch");
    throw;
  }
}

void RepositoryRun::clone_from(std::string url) {
  const RunOptions& options = context_.options();
  check_transport(url, options);
  for (const std::string& leftover : {tree_folder_, folder_ + "/git"}) fs::remove_all(leftover);
  const bool checkout = choice_.build != "none" || options.git.submodules || options.git.lfs;
  if (!checkout) {
    // Nothing needs a copy of it: the objects are read where they are.
    if (auto there = readable_folder(options, url)) {
      outcome_.branch = repository_.branch.empty() ? head_branch(*there) : repository_.branch;
      return open_tree(*there, revisions_of(repository_));
    }
  }
  std::optional<HttpLogin> login = take_login(url);
  if (!login && transport_of(url) == Transport::kHttp) login = context_.logins().find(url);
  if (login) {
    GitOptions own = context_.git().options();
    own.own_credentials_file = folder_ + "/credentials";
    base::write_durably(own.own_credentials_file, login_line(url, *login));
    own_git_ = std::make_unique<Git>(std::move(own));
    git_ = own_git_.get();
  }
  Git::Clone clone =
      git_->clone({url, repository_.branch, repository_.changeset, checkout},
                  checkout ? tree_folder_ : folder_ + "/git", home_, git_limits(options.limits.clone));
  // What comes next may be a build, which should not find it.
  if (login) fs::remove(folder_ + "/credentials");
  measure();
  outcome_.branch = clone.branch;
  outcome_.changeset = clone.commit;
  open_tree(clone.git_folder, {clone.commit});
}

void RepositoryRun::build() {
  const RunOptions& options = context_.options();
  plan_ = plan_build(choice_, tree_folder_);
  if (plan_.none()) return;
  BuildLimits limits;
  limits.time = options.limits.build;
  limits.must_stop = [this] { return must_stop(); };
  limits.log = [this](std::string_view text) { log_.add(text); };
  if (options.memory_budget > 0) limits.memory_bytes_max = options.memory_budget / std::max(1U, options.jobs);
  limits.file_bytes_max = options.disk_budget;
  limits.pass = options.build_environment;
  if (plan_.name == "mod")
    for (const char* name : {"MODERNE_TENANT", "MODERNE_TOKEN"}) limits.pass.emplace_back(name);
  run_build(plan_, repository_, outcome_.changeset, tree_folder_, home_, limits);
  measure();
}

void RepositoryRun::snapshot() {
  SnapshotOptions snapshot;
  snapshot.file = folder_ + "/snapshot.tar.zst";
  snapshot.mtime_s = commit_time_s_;
  snapshot.commit = outcome_.changeset;
  snapshot.bytes_max = context_.options().disk_budget;
  // With submodules or LFS the files are those of the checkout.
  const GitOptions& git = context_.options().git;
  SnapshotResult made;
  if (git.submodules || git.lfs) {
    WatchedTree tree(open_folder_tree(tree_folder_), steady_clock::now() + context_.options().limits.snapshot,
                     [this] { return must_stop(); });
    made = make_snapshot(tree, snapshot);
  } else {
    tree_->set_deadline(steady_clock::now() + context_.options().limits.snapshot);
    made = make_snapshot(*tree_, snapshot);
  }
  outcome_.files = made.files + made.links;
  outcome_.tree_bytes = made.content_bytes;
  outcome_.snapshot_sha256 = made.sha256;
  for (const std::string& refused : made.refused) log_.add("snapshot: left out " + refused + "\n");
}

void RepositoryRun::inventory() {
  InventoryOptions inventory;
  inventory.file = folder_ + "/inventory.jsonl.zst";
  inventory.origin = repository_.origin;
  inventory.repository = repository_.path;
  inventory.branch = outcome_.branch;
  inventory.changeset = outcome_.changeset;
  inventory.ctags = ctags_;
  tree_->set_deadline(steady_clock::now() + context_.options().limits.inventory);
  InventoryResult made = make_inventory(*tree_, inventory);
  outcome_.files = std::max(outcome_.files, made.files);
  for (const std::string& note : made.notes) log_.add("inventory: " + note + "\n");
}

void RepositoryRun::publish() {
  const RunOptions& options = context_.options();
  Publisher& publisher = context_.publisher_for(repository_);
  // Maven's layout: group, artifact, version; files begin with artifact and version.
  base::Civil at = base::to_civil(commit_time_s_ * 1000);
  std::string version = fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}-{}", at.year, at.month, at.day, at.hour,
                                    at.minute, at.second, outcome_.changeset.substr(0, 12));
  std::string name = repository_.path.substr(repository_.path.rfind('/') + 1);
  std::string prefix = repository_.origin + "/" + repository_.path + "/" + version;
  auto put = [&](const std::string& suffix, const std::string& path) {
    if (must_stop()) throw base::TransientError("stopped", "stopped");
    publisher.put_file(prefix + "/" + name + "-" + version + suffix, path);
    outcome_.published_bytes += fs::file_size(path);
  };
  if (options.snapshot) put("-snapshot.tar.zst", folder_ + "/snapshot.tar.zst");
  if (options.inventory) put("-inventory.jsonl.zst", folder_ + "/inventory.jsonl.zst");
  for (const std::string& artifact : find_artifacts(tree_folder_, plan_.artifacts))
    put("-" + base::replace_all(artifact, "/", "_"), tree_folder_ + "/" + artifact);
  outcome_.publish_uri = publisher.uri(prefix);
  if (options.inventory && context_.dataset()) context_.dataset()->add(folder_ + "/inventory.jsonl.zst");
}

}  // namespace millrace::ingest

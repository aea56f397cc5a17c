// One repository from clone to publication.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "workloads/ingest/ctags.h"
#include "workloads/ingest/disk_budget.h"
#include "workloads/ingest/git_tree.h"
#include "workloads/ingest/inventory_dataset.h"
#include "workloads/ingest/records.h"
#include "workloads/ingest/remote_refs.h"
#include "workloads/ingest/run.h"

namespace millrace::ingest {

// What all repositories of a run share. Thread-safe.
class RunContext {
 public:
  virtual ~RunContext() = default;
  virtual const RunOptions& options() const = 0;
  virtual const Git& git() const = 0;
  virtual const Logins& logins() const = 0;
  virtual http::Client& http() const = 0;
  virtual base::TimeMs now_ms() const = 0;
  // Of a row with a publishUri of its own, else of the run.
  virtual Publisher& publisher_for(const Repository& repository) = 0;
  virtual InventoryDataset* dataset() = 0;
  virtual bool must_stop() const = 0;
};

// Adds a credential line for this repository where its URL carries a login; the URL is without it then.
class RepositoryRun {
 public:
  // `folder`: its own, of mode 0700, for everything it writes. `share`: what it may take of the disk.
  RepositoryRun(RunContext& context, const Repository& repository, std::string folder,
                DiskBudget::Share& share, Ctags* ctags);

  // Never throws for what is wrong with the repository: that is in the outcome.
  Outcome run();
  const LogText& log() const { return log_; }
  // It was told to end because all together took too much disk.
  bool evicted() const { return share_.evicted(); }

 private:
  template <typename Body>
  void step(Step which, const Body& body);
  bool must_stop();
  void measure();
  GitLimits git_limits(std::chrono::milliseconds time);
  void clone();
  void clone_from(std::string url);
  void open_tree(const std::string& git_folder, const std::vector<std::string>& revisions);
  void build();
  void snapshot();
  void inventory();
  void publish();

  RunContext& context_;
  const Repository& repository_;
  const std::string folder_, home_, tree_folder_;
  DiskBudget::Share& share_;
  Ctags* ctags_;
  std::unique_ptr<Git> own_git_;  // where its URL has a login
  const Git* git_;
  LogText log_;
  Outcome outcome_;
  BuildChoice choice_;
  BuildPlan plan_;
  std::unique_ptr<GitTree> tree_;
  int64_t commit_time_s_ = 0;
  std::chrono::steady_clock::time_point next_measure_;
};

// SHA-256 over what decides, for one commit, what is published and where: equal keys need not be built again.
std::string build_key(const RunOptions& options, const Repository& repository);

// What the remote has now where that can be asked. Throws as Git::ls_remote.
RemoteHead remote_head(RunContext& context, const Repository& repository, const std::string& home);

}  // namespace millrace::ingest

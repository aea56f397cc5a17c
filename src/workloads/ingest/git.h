// How git is run on remotes and repositories that may be hostile: without hooks, prompts, configuration of
// others, and with few protocols; credentials only in files of mode 0600 and in the environment of git.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/child_process.h"

namespace millrace::ingest {

enum class Transport : uint8_t { kHttp, kSsh, kLocal, kOther };
// By the form of the URL: "https://…", "ssh://…" and "user@host:path", "file:///…" and paths; all else is
// other.
Transport transport_of(std::string_view url);
// The absolute path of a local one: percent-decoded when it is a file:// URL.
std::string local_path(std::string_view url);
// The folder with objects and HEAD of a local repository, bare or with a work tree. Nothing when there is
// none that can be read as it stands.
std::optional<std::string> git_folder_at(const std::string& path);

struct GitOptions {
  std::string private_folder;  // of mode 0700, for what must not be seen; must be there
  // Lines as of git-credentials(7)'s store, for a host each; empty: none. git is only given them: a remote
  // that refuses one does not take it from the others.
  std::string credentials_file;
  std::string own_credentials_file;  // the same, asked first: of one repository
  std::string ssh_key_file;          // mode 0600; empty: none
  std::string known_hosts_file;      // empty: that of the user and of the system
  bool ssh_accept_new = false;       // hosts never seen are trusted
  bool allow_local = false;          // file:// and paths
  std::string ca_file;
  std::string filter;  // of partial clones, as "blob:none"
  unsigned depth = 1;  // 0: the whole history
  bool submodules = false, lfs = false;
  uint64_t memory_bytes_max = 0;  // of each process; 0: no limit
  uint64_t file_bytes_max = 0;    // of each file that it writes; 0: no limit
};

// What the run says while git works.
struct GitLimits {
  std::chrono::milliseconds time{0};
  std::function<bool()> must_stop;
  std::function<void(std::string_view)> log;  // what git says, and what was run
};

struct RemoteHead {
  std::string commit;  // hexadecimal; empty: an empty repository
  std::string branch;  // "main"; empty when HEAD is no branch
  // It was the branch that was asked for by name, or else a tag of that name, at `tag`. NotFoundError
  // ("no-branch") when there is neither.
  void is_named(const std::string& name, const std::string& tag);
};

// Thread-safe. Failures are typed: NotFoundError (no such repository, code "not-found"; branch, "no-branch";
// commit, "no-commit"), DeniedError ("denied", "protocol"), TransientError ("network", "timeout", "stopped",
// "disk"), CorruptError ("fsck", "too-large"), InternalError ("exit-N"). The message is what git said last.
class Git {
 public:
  explicit Git(GitOptions options);

  // Environment of every git: nothing of ours but PATH, proxies and locale.
  std::vector<std::string> environment(const std::string& home) const;
  // A git command in `folder`.
  base::ChildOptions command(const std::vector<std::string>& arguments, const std::string& folder,
                             const std::string& home) const;
  // `git cat-file --batch` on the repository in `git_folder`, which fetches nothing.
  base::ChildOptions object_reader(const std::string& git_folder, const std::string& home) const;

  // What `branch` (empty: HEAD) of the remote is now, by one `git ls-remote`.
  RemoteHead ls_remote(const std::string& url, const std::string& branch, const std::string& home,
                       const GitLimits& limits) const;

  struct Wanted {
    std::string url, branch, changeset;
    bool checkout = false;  // a work tree with .git in it, else a bare repository
  };
  struct Clone {
    std::string git_folder;  // with HEAD
    std::string commit, branch;
  };
  // Into `folder`, which must not be there.
  Clone clone(const Wanted& wanted, const std::string& folder, const std::string& home,
              const GitLimits& limits) const;

  const GitOptions& options() const { return options_; }

 private:
  base::ChildRun run(const std::vector<std::string>& arguments, const std::string& folder,
                     const std::string& home, const GitLimits& limits, bool local_allowed = true) const;
  std::vector<std::pair<std::string, std::string>> settings() const;

  GitOptions options_;
};

// The typed error for a git that ended badly.
[[noreturn]] void throw_git_error(const base::ChildRun& run, std::string_view what);

// HEAD and branches as they stand in the files of a repository: the branch HEAD names (empty when it names a
// commit) and the commit of a ref (empty when there is none).
std::string head_branch(const std::string& git_folder);
std::string commit_of_ref(const std::string& git_folder, const std::string& ref);

}  // namespace millrace::ingest

// The tree of a commit read out of a repository by one `git cat-file --batch`: no work tree is written.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/child_process.h"
#include "workloads/ingest/tree.h"

namespace millrace::ingest {

struct GitTreeLimits {
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  std::function<bool()> must_stop;    // asked while waiting for git
  uint64_t entries_max = 5'000'000;   // a tree of trees can name any number of files in a few kilobytes
  size_t tree_bytes_max = 64u << 20;  // of one folder
  unsigned depth_max = 512;
  size_t path_bytes_max = 16 * 1024;
};

class GitTree final : public Tree {
 public:
  // `reader`: Git::object_reader(). One process for the life of this object.
  GitTree(base::ChildOptions reader, GitTreeLimits limits);
  ~GitTree() override;

  struct Commit {
    std::string commit, tree;  // hexadecimal
    int64_t time_s = 0;        // of the committer
  };
  // Chooses what visit() shows: the first of these revisions that is there ("HEAD", "refs/heads/main", a
  // commit). Throws NotFoundError when none is (code "no-commit"), CorruptError when it is no commit.
  const Commit& open(const std::vector<std::string>& revisions);
  // The next visits have until then. Steps have limits of their own.
  void set_deadline(std::chrono::steady_clock::time_point deadline) { limits_.deadline = deadline; }

  // Throws as Tree; CorruptError also for what is beyond the limits (code "too-large") and for missing
  // objects (code "fsck").
  void visit(const Visit& visit) override;

 private:
  struct Header {
    std::string id, type;
    uint64_t size = 0;
    bool missing = false;
  };
  void start();
  void request(std::string_view object);
  Header read_header();
  size_t read_some(char* out, size_t size);
  std::string read_all(const Header& header, size_t bytes_max);
  void end_of_object();
  void fill();
  void visit_tree(const std::string& tree, const std::string& prefix, unsigned depth, const Visit& visit);

  const base::ChildOptions reader_;
  GitTreeLimits limits_;
  std::unique_ptr<base::ChildProcess> process_;
  std::string buffer_;
  size_t at_ = 0;
  uint64_t entries_ = 0;
  Commit commit_;
};

}  // namespace millrace::ingest

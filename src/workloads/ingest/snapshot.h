// The files of a commit as one tar.zst: the same commit gives the same bytes on every machine.
//
// POSIX.1-2001 pax interchange format over ustar: entries in the order of the tree, owner 0/0 without names,
// modes 0644, 0755 and 0777 (links), all with one time, extended headers only for what ustar cannot hold, and
// no folders but submodules, as empty ones. Names are bytes as they are in the tree. The compressed bytes are
// those of one version of libzstd; `tar_sha256` does not depend on it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/ingest/tree.h"

namespace millrace::ingest {

struct SnapshotOptions {
  std::string file = {};  // written whole or not at all, mode 0600, not synced; "" with `sink`
  std::function<void(std::string_view bytes)> sink = {};  // instead of `file`: the compressed bytes, in order
  int64_t mtime_s = 0;      // of every entry, seconds since the epoch: the time of the commit
  std::string commit = {};  // noted as `git archive` notes it (git get-tar-commit-id); may be empty
  int level = 3;            // of zstd
  uint64_t bytes_max = 0;   // of the files' content; more is a CorruptError, code "too-large". 0: no limit
};

struct SnapshotResult {
  uint64_t files = 0, links = 0, submodules = 0;
  uint64_t content_bytes = 0;         // of the files
  uint64_t tar_bytes = 0, bytes = 0;  // bytes: compressed
  std::string sha256, tar_sha256;     // hexadecimal
  // Devices, sockets and pipes are in no snapshot: how many there were, and the first 100 as "path (what)".
  uint64_t refused_count = 0;
  std::vector<std::string> refused;
};

// Constant memory (some 4 MiB). Throws what the tree throws, TransientError when a file changed its size
// meanwhile (code "changed") or nothing can be written, CorruptError for names that no tar can hold.
SnapshotResult make_snapshot(Tree& tree, const SnapshotOptions& options);
SnapshotResult make_snapshot(const std::string& tree_folder, const SnapshotOptions& options);

}  // namespace millrace::ingest

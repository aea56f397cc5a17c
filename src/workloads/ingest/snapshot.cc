#include "workloads/ingest/snapshot.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "workloads/ingest/tar_writer.h"
#include "workloads/ingest/zstd_output.h"
#include "workloads/text.h"

namespace millrace::ingest {
namespace {

constexpr size_t kRefusedNamed = 100;

void copy_content(const TreeEntry& entry, const Tree::Read& read, TarWriter& tar) {
  std::vector<char> buffer(std::min<uint64_t>(std::max<uint64_t>(entry.size, 1), 64 << 10));
  uint64_t left = entry.size;
  while (left > 0) {
    const size_t got = read(buffer.data(), std::min<uint64_t>(left, buffer.size()));
    if (got == 0) break;
    tar.content({buffer.data(), got});
    left -= got;
  }
  if (left > 0)
    throw base::TransientError(workloads::printable(entry.path) + " became shorter while it was read",
                               "changed");
}

}  // namespace

SnapshotResult make_snapshot(Tree& tree, const SnapshotOptions& options) {
  SnapshotResult result;
  ZstdOutput output(options.file, options.sink, options.level);
  base::Digest tar_digest(base::Digest::Algorithm::kSha256);
  TarWriter tar(
      [&](std::string_view bytes) {
        tar_digest.update(bytes);
        output.write(bytes);
      },
      options.mtime_s);
  if (!options.commit.empty()) tar.comment(options.commit);
  tree.visit([&](const TreeEntry& entry, const Tree::Read& read) {
    switch (entry.kind) {
      case TreeEntry::Kind::kFile:
      case TreeEntry::Kind::kExecutable:
        ++result.files;
        result.content_bytes += entry.size;
        if (options.bytes_max != 0 && result.content_bytes > options.bytes_max)
          throw base::CorruptError(
              "the tree has more than " + base::human_bytes(options.bytes_max) + " of files", "too-large");
        tar.file(entry.path, entry.size, entry.kind == TreeEntry::Kind::kExecutable);
        copy_content(entry, read, tar);
        return;
      case TreeEntry::Kind::kSymlink:
        ++result.links;
        return tar.link(entry.path, entry.link);
      case TreeEntry::Kind::kSubmodule:
        ++result.submodules;
        return tar.folder(entry.path, entry.link.empty() ? "" : "submodule " + entry.link);
      case TreeEntry::Kind::kOther:
        if (result.refused_count++ < kRefusedNamed)
          result.refused.push_back(workloads::printable(entry.path) +
                                   (entry.link.empty() ? "" : " (" + entry.link + ")"));
        return;
    }
  });
  tar.finish();
  output.finish();
  result.tar_bytes = tar.bytes();
  result.tar_sha256 = base::hex(tar_digest.finish());
  result.bytes = output.bytes();
  result.sha256 = output.sha256();
  return result;
}

SnapshotResult make_snapshot(const std::string& tree_folder, const SnapshotOptions& options) {
  return make_snapshot(*open_folder_tree(tree_folder), options);
}

}  // namespace millrace::ingest

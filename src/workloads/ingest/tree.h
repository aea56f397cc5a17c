// The files of one commit, as the snapshot and the inventory read them: from a folder, or straight from a git
// repository without ever writing them out.
//
// Who calls what (the two built-in build steps are called by the run, one after the other, on the same tree):
//   snapshot.h:   SnapshotResult make_snapshot(const std::string& tree_folder, const SnapshotOptions&);
//                 SnapshotResult make_snapshot(Tree& tree, const SnapshotOptions&);
//   inventory.h:  InventoryResult make_inventory(const std::string& tree_folder, const InventoryOptions&);
//                 InventoryResult make_inventory(Tree& tree, const InventoryOptions&);
// The first of each pair is the second on open_folder_tree(tree_folder).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace millrace::ingest {

struct TreeEntry {
  enum class Kind : uint8_t {
    kFile,
    kExecutable,
    kSymlink,    // `link` is its target: bytes, never followed
    kSubmodule,  // `link` is its commit; nothing below it
    kOther,      // folders only: a device, socket or FIFO; has no content
  };
  std::string
      path;  // bytes, relative, parts between '/'; no part is empty, ".", ".." or ".git" (in any case)
  Kind kind = Kind::kFile;
  uint64_t size = 0;  // bytes of a file
  std::string link;
};

// One thread at a time.
class Tree {
 public:
  virtual ~Tree() = default;
  // Gives up to `size` bytes of the entry's content, 0 at its end. May be left before the end, or not called.
  using Read = std::function<size_t(char* out, size_t size)>;
  using Visit = std::function<void(const TreeEntry& entry, const Read& read)>;
  // Every entry once, in ascending byte order of paths (that of git's index), in constant memory; may be
  // called again. Entries whose path cannot be (a part "..") throw CorruptError: such a tree is hostile.
  // Throws TransientError when a time limit or the end of the job came in between.
  virtual void visit(const Visit& visit) = 0;
};

// A work tree: what git would track, so not what is below a folder or file named .git. Links are not
// followed, also not the folder's own parts. (folder_tree.cc, beside snapshot.cc)
std::unique_ptr<Tree> open_folder_tree(const std::string& folder);

}  // namespace millrace::ingest

// Without this: snapshots lose or change files, differ from machine to machine, or follow links out of the
// tree.
#include "workloads/ingest/snapshot.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/hash.h"
#include "tests/support/temporary_folder.h"
#include "tests/workloads/ingest/tree_samples.h"
#include "workloads/ingest/git.h"
#include "workloads/ingest/git_tree.h"
#include "workloads/ingest/tar_writer.h"

namespace millrace::ingest {
namespace {

SnapshotResult snapshot(const std::string& folder, const std::string& file) {
  return make_snapshot(folder, {.file = file, .mtime_s = 1'700'000'000, .commit = std::string(40, 'a')});
}

// Would break: what users unpack is not what was committed; what was stored yesterday cannot be compared.
TEST(Snapshot, OfRandomTreesIsWhatGitChecksOutAndAlwaysTheSame) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    testing::TemporaryFolder folder;
    make_random_tree(folder / "made", seed);
    git(folder.path(), "init -q made");
    git(folder / "made", "add -A && git -C '" + (folder / "made") +
                             "' -c user.name=T -c user.email=t@example.com commit -q --allow-empty -m x");
    git(folder.path(), "clone -q made checkout");
    const SnapshotResult first = snapshot(folder / "checkout", folder / "first.tar.zst");
    const SnapshotResult second = snapshot(folder / "made", folder / "second.tar.zst");
    EXPECT_EQ(first.sha256, second.sha256);
    // The same straight out of the repository, where no file was ever written.
    GitOptions options;
    options.private_folder = folder.path();
    Git reader(options);
    GitTree tree(reader.object_reader(folder / "made/.git", folder.path()), {});
    tree.open({"HEAD"});
    const SnapshotResult third = make_snapshot(
        tree, {.file = folder / "third.tar.zst", .mtime_s = 1'700'000'000, .commit = std::string(40, 'a')});
    EXPECT_EQ(first.sha256, third.sha256);
    EXPECT_EQ(first.tar_sha256, second.tar_sha256);
    const std::string bytes = read_whole(folder / "first.tar.zst");
    EXPECT_EQ(first.sha256, base::sha256_hex(bytes));
    EXPECT_EQ(first.bytes, bytes.size());
    std::filesystem::create_directory(folder / "out");
    // Also no warning: headers that GNU tar does not know would give one.
    EXPECT_EQ(shell("tar --zstd -C '" + (folder / "out") + "' -xf '" + (folder / "first.tar.zst") + "'"), "");
    const auto wanted = contents_of(folder / "checkout");
    EXPECT_EQ(contents_of(folder / "out"), wanted);
    EXPECT_EQ(first.files + first.links, wanted.size());
    EXPECT_EQ(shell("zstd -dc '" + (folder / "first.tar.zst") + "' | git get-tar-commit-id"),
              std::string(40, 'a') + "\n");
    const std::string tar = shell("zstd -dc '" + (folder / "first.tar.zst") + "'");
    EXPECT_EQ(tar.size(), first.tar_bytes);
    EXPECT_EQ(base::sha256_hex(tar), first.tar_sha256);
  }
}

// Would break: sockets and devices of a build end up as files, or disappear without a word; repositories
// within the tree bring their history along.
TEST(Snapshot, NamesWhatItDoesNotTake) {
  testing::TemporaryFolder folder;
  const std::string tree = folder / "tree";
  write_file(tree + "/kept", "x");
  write_file(tree + "/.git/config", "secret");
  write_file(tree + "/sub/.GIT", "gitdir: elsewhere");
  ASSERT_EQ(mkfifo((tree + "/pipe").c_str(), 0600), 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (tree + "/s").copy(address.sun_path, sizeof address.sun_path - 1);
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const SnapshotResult result = snapshot(tree, folder / "s.tar.zst");
  close(listener);
  EXPECT_EQ(result.refused, (std::vector<std::string>{"pipe (pipe)", "s (socket)"}));
  EXPECT_EQ(result.refused_count, 2u);
  EXPECT_EQ(shell("tar --zstd -tf '" + (folder / "s.tar.zst") + "'"), "kept\n");
}

// Would break: a repository that is too large, or a disk that is full, leaves half a snapshot that looks
// whole.
TEST(Snapshot, WholeOrNotAtAll) {
  testing::TemporaryFolder folder;
  write_file(folder / "tree/a", std::string(1000, 'a'));
  write_file(folder / "tree/b", std::string(1000, 'b'));
  SnapshotOptions options{.file = folder / "s.tar.zst", .bytes_max = 1999};
  try {
    make_snapshot(folder / "tree", options);
    ADD_FAILURE() << "too large, and yet made";
  } catch (const base::CorruptError& error) {
    EXPECT_EQ(error.code(), "too-large");
  }
  EXPECT_EQ(contents_of(folder.path()).size(), 2u);
  options.bytes_max = 2000;
  EXPECT_EQ(make_snapshot(folder / "tree", options).content_bytes, 2000u);
  options.file = "/dev/full/x";
  EXPECT_THROW(make_snapshot(folder / "tree", options), base::Error);
  EXPECT_THROW(make_snapshot(folder / "nothing", options), base::NotFoundError);
}

TreeEntry entry(std::string path, TreeEntry::Kind kind, uint64_t size, std::string link = "") {
  return {.path = std::move(path), .kind = kind, .size = size, .link = std::move(link)};
}

// A tree that never was on a disk.
class MadeUpTree final : public Tree {
 public:
  explicit MadeUpTree(std::vector<TreeEntry> entries) : entries_(std::move(entries)) {}
  void visit(const Visit& visit) override {
    for (const TreeEntry& entry : entries_) {
      uint64_t left = given_ == 0 ? entry.size : given_;
      visit(entry, [&](char* out, size_t size) {
        const size_t now = std::min<uint64_t>(size, left);
        std::fill_n(out, now, 'z');
        left -= now;
        return now;
      });
    }
  }
  uint64_t given_ = 0;  // bytes of each file, whatever its entry says; 0: as it says

 private:
  std::vector<TreeEntry> entries_;
};

// Would break: files beyond 4 GiB (32 bits) and beyond 8 GiB (what ustar can say) would be cut.
TEST(Snapshot, LargeFiles) {
  testing::TemporaryFolder folder;
  const std::string file = folder / "large.tar";
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_GE(fd, 0);
  off_t at = 0;
  const std::string piece(1 << 20, 'z');
  TarWriter tar(
      [&](std::string_view bytes) {
        // A sparse file: the content itself is a hole.
        if (bytes.data() != piece.data() && pwrite(fd, bytes.data(), bytes.size(), at) < 0) abort();
        at += static_cast<off_t>(bytes.size());
      },
      0);
  for (const uint64_t size : {(4ull << 30) + 1, (8ull << 30) + 5}) {
    tar.file("of-" + std::to_string(size), size, false);
    for (uint64_t left = size; left > 0;) {
      const uint64_t now = std::min<uint64_t>(left, piece.size());
      tar.content(std::string_view(piece).substr(0, now));
      left -= now;
    }
  }
  tar.file("behind", 0, true);
  tar.finish();
  close(fd);
  EXPECT_EQ(tar.bytes(), static_cast<uint64_t>(at));
  EXPECT_EQ(shell("tar --numeric-owner --utc -tvf '" + file + "'"),
            "-rw-r--r-- 0/0      4294967297 1970-01-01 00:00 of-4294967297\n"
            "-rw-r--r-- 0/0      8589934597 1970-01-01 00:00 of-8589934597\n"
            "-rwxr-xr-x 0/0               0 1970-01-01 00:00 behind\n");
}

// Would break: submodules would be forgotten.
TEST(Snapshot, Submodules) {
  MadeUpTree tree({entry("module", TreeEntry::Kind::kSubmodule, 0, std::string(40, '1')),
                   entry("other", TreeEntry::Kind::kExecutable, 3)});
  testing::TemporaryFolder folder;
  const SnapshotResult result = make_snapshot(tree, {.file = folder / "s.tar.zst", .mtime_s = -5});
  EXPECT_EQ(result.submodules, 1u);
  EXPECT_EQ(shell("tar --zstd --numeric-owner --utc -tvf '" + (folder / "s.tar.zst") + "'"),
            "drwxr-xr-x 0/0               0 1970-01-01 00:00 module/\n"
            "-rwxr-xr-x 0/0               3 1970-01-01 00:00 other\n");
}

// Would break: a file that shrinks under the reader would give a snapshot with another's bytes in it.
TEST(Snapshot, FilesThatShrink) {
  MadeUpTree tree({entry("a", TreeEntry::Kind::kFile, 10)});
  tree.given_ = 4;
  testing::TemporaryFolder folder;
  EXPECT_THROW(make_snapshot(tree, {.file = folder / "s.tar.zst"}), base::TransientError);
  EXPECT_FALSE(std::filesystem::exists(folder / "s.tar.zst"));
  MadeUpTree unnamed({entry(std::string("a\0b", 3), TreeEntry::Kind::kFile, 0)});
  EXPECT_THROW(make_snapshot(unnamed, {.file = folder / "s.tar.zst"}), base::CorruptError);
}

}  // namespace
}  // namespace millrace::ingest

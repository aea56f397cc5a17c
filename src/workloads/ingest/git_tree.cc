#include "workloads/ingest/git_tree.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "workloads/text.h"

namespace millrace::ingest {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr size_t kBufferBytes = 64 * 1024;
constexpr size_t kHeaderMax = 8 * 1024;
constexpr size_t kCommitMax = 1u << 20;
constexpr size_t kLinkMax = 64 * 1024;
// Requests sent ahead: their lines fit into the pipe whatever git does meanwhile.
constexpr size_t kAhead = 128;

struct RawEntry {
  unsigned mode = 0;
  std::string_view name;
  std::string id;  // hexadecimal
};

bool is_forbidden(std::string_view name) {
  return name.empty() || name == "." || name == ".." || name.find('/') != std::string_view::npos ||
         base::equals_ignore_case(name, ".git");
}

// "tree" objects: <mode in octal> SP <name> NUL <id in binary>, again and again.
std::vector<RawEntry> parse_tree(std::string_view bytes, size_t id_bytes) {
  std::vector<RawEntry> entries;
  while (!bytes.empty()) {
    size_t space = bytes.find(' '), end = bytes.find('\0');
    if (space == std::string_view::npos || end == std::string_view::npos || space > end ||
        bytes.size() < end + 1 + id_bytes)
      throw base::CorruptError("a tree of the repository is damaged", "fsck");
    RawEntry entry;
    for (char c : bytes.substr(0, space)) {
      if (c < '0' || c > '7' || entry.mode > 0777777)
        throw base::CorruptError("a tree of the repository is damaged", "fsck");
      entry.mode = entry.mode * 8 + static_cast<unsigned>(c - '0');
    }
    entry.name = bytes.substr(space + 1, end - space - 1);
    entry.id = base::hex(bytes.substr(end + 1, id_bytes));
    entries.push_back(std::move(entry));
    bytes.remove_prefix(end + 1 + id_bytes);
  }
  return entries;
}

constexpr unsigned kTypeMask = 0170000, kFolder = 0040000, kLink = 0120000, kCommit = 0160000;

}  // namespace

GitTree::GitTree(base::ChildOptions reader, GitTreeLimits limits)
    : reader_(std::move(reader)), limits_(std::move(limits)) {}

GitTree::~GitTree() = default;

void GitTree::start() {
  process_ = std::make_unique<base::ChildProcess>(
      reader_, base::ChildProcess::kInput | base::ChildProcess::kOutput | base::ChildProcess::kErrors);
  buffer_.clear();
  at_ = 0;
}

void GitTree::request(std::string_view object) {
  std::string line = std::string(object) + "\n";
  std::string_view rest = line;
  while (!rest.empty()) {
    ssize_t n = process_->write_input(rest);
    if (n > 0) {
      rest.remove_prefix(static_cast<size_t>(n));
      continue;
    }
    if (errno != EAGAIN && errno != EINTR) return;  // it has ended: reading says why
    pollfd room{process_->input(), POLLOUT, 0};
    poll(&room, 1, 100);
  }
}

// More bytes behind what is in the buffer.
void GitTree::fill() {
  if (at_ == buffer_.size()) {
    buffer_.clear();
    at_ = 0;
  } else if (at_ > kBufferBytes) {
    buffer_.erase(0, at_);
    at_ = 0;
  }
  size_t before = buffer_.size();
  while (true) {
    // Also when there is always more to read: a small repository can hold files without end.
    auto now = steady_clock::now();
    if (limits_.must_stop && limits_.must_stop()) throw base::TransientError("stopped", "stopped");
    if (now >= limits_.deadline) throw base::TransientError("reading the tree took too long", "timeout");
    buffer_.resize(before + kBufferBytes);
    ssize_t n = ::read(process_->output(), buffer_.data() + before, kBufferBytes);
    int error = errno;
    buffer_.resize(before + static_cast<size_t>(std::max<ssize_t>(n, 0)));
    if (n > 0) return;
    if (n == 0) {
      std::string said(4096, '\0');
      ssize_t length = ::read(process_->errors(), said.data(), said.size());
      said.resize(static_cast<size_t>(std::max<ssize_t>(length, 0)));
      std::string message = workloads::printable(base::trim(said));
      std::string end = process_->end().text();
      process_.reset();
      throw base::CorruptError("git cat-file: " + (message.empty() ? end : message), "fsck");
    }
    if (error != EAGAIN && error != EINTR)
      throw base::TransientError(base::system_message("read from git cat-file", error));
    auto wait = std::min<steady_clock::duration>(limits_.deadline - now, milliseconds(250));
    pollfd ready{process_->output(), POLLIN, 0};
    poll(&ready, 1, static_cast<int>(std::chrono::duration_cast<milliseconds>(wait).count()) + 1);
  }
}

// "<id> SP <type> SP <size> LF", or "<what was asked> SP missing LF".
GitTree::Header GitTree::read_header() {
  size_t end;
  while ((end = buffer_.find('\n', at_)) == std::string::npos) {
    if (buffer_.size() - at_ > kHeaderMax)
      throw base::CorruptError("git cat-file answers what it should not", "fsck");
    fill();
  }
  std::string_view line = std::string_view(buffer_).substr(at_, end - at_);
  Header header;
  std::vector<std::string_view> words = base::split(line, ' ');
  if (words.size() == 3) {
    auto size = base::parse_number<uint64_t>(words[2]);
    header.id = words[0];
    header.type = words[1];
    if (!size) throw base::CorruptError("git cat-file answers what it should not", "fsck");
    header.size = *size;
  } else {
    header.missing = true;
    header.id = line;
  }
  at_ = end + 1;
  return header;
}

size_t GitTree::read_some(char* out, size_t size) {
  if (at_ == buffer_.size()) fill();
  size_t n = std::min(size, buffer_.size() - at_);
  std::memcpy(out, buffer_.data() + at_, n);
  at_ += n;
  return n;
}

std::string GitTree::read_all(const Header& header, size_t bytes_max) {
  if (header.size > bytes_max)
    throw base::CorruptError("an object of the repository has " + std::to_string(header.size) + " bytes",
                             "too-large");
  std::string content(header.size, '\0');
  for (size_t have = 0; have < content.size();)
    have += read_some(content.data() + have, content.size() - have);
  end_of_object();
  return content;
}

void GitTree::end_of_object() {
  char line_feed = 0;
  read_some(&line_feed, 1);
  if (line_feed != '\n') throw base::CorruptError("git cat-file answers what it should not", "fsck");
}

const GitTree::Commit& GitTree::open(const std::vector<std::string>& revisions) {
  start();
  for (const std::string& revision : revisions) {
    if (revision.find_first_of("\n\r") != std::string::npos || revision.find('\0') != std::string::npos)
      continue;
    request(revision + "^{commit}");
    Header header = read_header();
    if (header.missing) continue;
    if (header.type != "commit") throw base::CorruptError("'" + revision + "' is no commit", "no-commit");
    std::string text = read_all(header, kCommitMax);
    commit_ = {header.id, "", 0};
    for (std::string_view line : base::split(text, '\n')) {
      if (line.empty()) break;
      if (line.starts_with("tree ")) commit_.tree = line.substr(5);
      if (line.starts_with("committer ")) {
        // "name <mail> seconds zone"; a damaged one has no time.
        size_t mail = line.rfind("> ");
        if (mail == std::string_view::npos) continue;
        std::string_view rest = line.substr(mail + 2);
        commit_.time_s = base::parse_number<int64_t>(rest.substr(0, rest.find(' '))).value_or(0);
      }
    }
    if (!base::unhex(commit_.tree) || commit_.tree.size() != header.id.size())
      throw base::CorruptError("the commit names no tree", "fsck");
    return commit_;
  }
  throw base::NotFoundError("there is no such commit, branch or tag in the repository", "no-commit");
}

void GitTree::visit(const Visit& visit) {
  if (!process_) start();
  entries_ = 0;
  try {
    visit_tree(commit_.tree, "", 0, visit);
  } catch (...) {
    process_.reset();  // what it still says belongs to nothing
    throw;
  }
}

void GitTree::visit_tree(const std::string& tree, const std::string& prefix, unsigned depth,
                         const Visit& visit) {
  if (depth > limits_.depth_max) throw base::CorruptError("folders are nested too deep", "too-large");
  request(tree);
  Header header = read_header();
  if (header.missing || header.type != "tree")
    throw base::CorruptError("tree " + tree + " is not in the repository", "fsck");
  const std::string bytes = read_all(header, limits_.tree_bytes_max);
  const std::vector<RawEntry> entries = parse_tree(bytes, tree.size() / 2);

  auto has_content = [](const RawEntry& entry) {
    unsigned type = entry.mode & kTypeMask;
    return type != kFolder && type != kCommit;
  };
  size_t asked = 0;  // entries before it were asked for, as far as they have content
  for (size_t i = 0; i < entries.size(); ++i) {
    const RawEntry& entry = entries[i];
    if (is_forbidden(entry.name))
      throw base::CorruptError("the tree has an entry '" +
                                   workloads::printable(prefix + std::string(entry.name)) +
                                   "', which no file may be named",
                               "bad-name");
    if (++entries_ > limits_.entries_max)
      throw base::CorruptError("the tree has more than " + std::to_string(limits_.entries_max) + " files",
                               "too-large");
    TreeEntry shown;
    shown.path = prefix + std::string(entry.name);
    if (shown.path.size() > limits_.path_bytes_max)
      throw base::CorruptError("a path is too long", "too-large");
    unsigned type = entry.mode & kTypeMask;
    if (type == kFolder) {
      visit_tree(entry.id, shown.path + "/", depth + 1, visit);
      continue;
    }
    if (type == kCommit) {
      shown.kind = TreeEntry::Kind::kSubmodule;
      shown.link = entry.id;
      visit(shown, [](char*, size_t) { return size_t{0}; });
      continue;
    }
    // Ahead up to the next folder, whose answer must be the next one then.
    if (asked <= i) {
      std::string lines;
      for (asked = i; asked < entries.size() && asked < i + kAhead && has_content(entries[asked]); ++asked)
        lines += (lines.empty() ? "" : "\n") + entries[asked].id;
      request(lines);
    }
    Header object = read_header();
    if (object.missing || object.type != "blob")
      throw base::CorruptError("'" + workloads::printable(shown.path) + "' is not in the repository", "fsck");
    if (type == kLink) {
      shown.kind = TreeEntry::Kind::kSymlink;
      shown.link = read_all(object, kLinkMax);
      visit(shown, [](char*, size_t) { return size_t{0}; });
      continue;
    }
    shown.kind = (entry.mode & 0100) != 0 ? TreeEntry::Kind::kExecutable : TreeEntry::Kind::kFile;
    shown.size = object.size;
    uint64_t left = object.size;
    auto read = [&](char* out, size_t size) {
      size_t n = left == 0 ? 0 : read_some(out, static_cast<size_t>(std::min<uint64_t>(size, left)));
      left -= n;
      return n;
    };
    visit(shown, read);
    char rest[4096];
    while (read(rest, sizeof rest) > 0) {
    }
    end_of_object();
  }
}

}  // namespace millrace::ingest

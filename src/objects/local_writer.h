// A plain folder written as if it were a bucket: keys are paths below it, and never lead out of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace millrace::objects {

// How the names of files begin that are not complete yet (or never will be, after a crash).
inline constexpr std::string_view kUnfinishedFilePrefix = ".millrace-copy-";

// Thread-safe. Folders are made as they are needed, the root too; symbolic links to folders below the root
// are not followed. Errors: UsageError (code "UnsafeKey") for a key that no path stands for: empty, with an
// empty segment, "." or "..", NUL, or a segment above 255 bytes; ConflictError (code "KeyCollision") where a
// file is in the way of a folder or the other way round; DeniedError; TransientError for the rest (a full
// disk).
class LocalWriter {
 public:
  explicit LocalWriter(std::string root) : root_path_(std::move(root)) {}

  // A file under another name in the folder where it will be, empty at first. Gone with this object unless it
  // was published; one that a killed program left behind is not locked any more (see remove_unfinished).
  class NewFile {
   public:
    ~NewFile();
    NewFile(NewFile&&) noexcept = default;
    int fd() const { return file_.get(); }
    // Gives it its name, in the place of the file that has it now. `mtime_ns`: nanoseconds since the epoch,
    // 0: now.
    void publish(int64_t mtime_ns);

   private:
    friend class LocalWriter;
    NewFile() = default;
    base::UniqueFd folder_, file_;
    std::string name_, draft_, shown_;
  };

  NewFile create(std::string_view key);
  // The whole of `body` under `key`, complete or not at all.
  void put(std::string_view key, std::string_view body);
  void make_folder(std::string_view key);
  // Fine when there is no such file.
  void remove(std::string_view key);
  // Takes away what killed programs left in the root itself; only the first call looks.
  void remove_leftovers();
  // Everything written so far is on the disk afterwards.
  void sync();
  bool written() const { return written_.load(); }  // something was begun since the last sync()
  const std::string& path() const { return root_path_; }

 private:
  int root();
  base::UniqueFd folder_of(std::string_view key, bool make, std::string& name);
  std::string shown(std::string_view key) const { return root_path_ + "/" + std::string(key); }

  const std::string root_path_;
  std::mutex mutex_;
  base::UniqueFd root_;
  std::atomic<bool> written_ = false, looked_for_leftovers_ = false;
};

// Takes away what a program that was killed left of a file in the open folder `folder`: `name` begins with
// kUnfinishedFilePrefix. False: somebody is writing it.
bool remove_unfinished(int folder, const std::string& name);

}  // namespace millrace::objects

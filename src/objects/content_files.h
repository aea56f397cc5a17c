// The content files of the directory store: immutable, one a content, written in incoming/ and moved to
// content/ once the index knows them.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "objects/records.h"

namespace millrace::objects {

// Thread-safe. Errors: TransientError ("DiskFull" when there is no room), NotFoundError.
class ContentFiles {
 public:
  // Creates the folders below `folder` as needed.
  explicit ContentFiles(std::string folder);

  // A new empty file in incoming/, open for writing.
  base::UniqueFd create(ContentId content);
  // Makes `content` another name of `source`'s bytes, in incoming/, without copying them. False when the file
  // system cannot (too many links), NotFoundError when the source is gone.
  bool link(ContentId source, ContentId content);
  // Makes names in incoming/ survive a power cut; the caller has synced the files' data.
  void sync_names();
  // Moves a file to its final place; it may be read under either name meanwhile.
  void publish(ContentId content);
  void remove(ContentId content);
  // Open for reading. NotFoundError when it was removed.
  base::UniqueFd open(ContentId content) const;
  void for_each_incoming(const std::function<void(ContentId)>& visit);

 private:
  std::string folder_;
  base::UniqueFd incoming_, content_;
};

// Writes all of `bytes`; throws TransientError, code "DiskFull" when there is no room.
void write_all(int fd, std::string_view bytes);
// Appends `length` bytes of `source` from `offset`, inside the kernel where it can.
void append_from(int fd, int source, uint64_t offset, uint64_t length);
// fdatasync; throws TransientError.
void sync_data(int fd);

}  // namespace millrace::objects

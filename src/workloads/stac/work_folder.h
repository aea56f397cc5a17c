// The folder in which a run keeps what it has fetched, so that the next one of the same job goes on there.
#pragma once

#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace millrace::stac {

// Where work folders are by default: $TMPDIR/millrace-stac-UID, made for this user alone. Throws DeniedError
// when something else has that name.
std::string default_work();

// One run at a time.
class WorkFolder {
 public:
  // `identity`: whatever makes the items of one run different from those of another. Throws ConflictError
  // (code "Locked") while another process works there, DeniedError, TransientError.
  WorkFolder(const std::string& parent, std::string_view identity);
  const std::string& path() const { return path_; }
  // With everything in it. Errors are of no consequence: it is only room.
  void remove();

 private:
  std::string path_;
  base::UniqueFd lock_;
};

}  // namespace millrace::stac

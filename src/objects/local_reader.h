// A plain folder read as if it were a bucket: keys are paths below it.
#pragma once

#include <memory>
#include <string>

#include "objects/store.h"

namespace millrace::objects {

// Opens `folder`. Throws NotFoundError when it is not there or is no folder, DeniedError when it may not be
// read.
//
// Listing: regular files, and symbolic links to regular files, in the order of the directories; links to
// folders are not entered (so that no loop is possible and nothing is listed twice), sockets, pipes and
// devices are no objects. Memory does not grow with the number of files; open directories are limited,
// whatever the depth. list() throws at the first folder that cannot be read; list_tolerant() reports it and
// goes on. Reading: `etag` must be empty (plain files have none), a key with a ".." segment is NotFoundError.
std::unique_ptr<ObjectReader> open_local(const std::string& folder);

}  // namespace millrace::objects

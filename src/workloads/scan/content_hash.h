// The SHA-256 of whole objects, for finding copies and files that were renamed.
#pragma once

#include <string>

#include "objects/store.h"

namespace millrace::scan {

// In hexadecimal, read in pieces of 1 MiB. Throws ChangedError when it is not the object of `object` any
// more, or a plain file became another one meanwhile; else what the store throws.
std::string content_sha256(objects::ObjectReader& reader, const objects::ObjectInfo& object);

}  // namespace millrace::scan

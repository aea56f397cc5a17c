// Files and objects by their location: what of them the job needs.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "objects/store.h"

namespace millrace::stac {

// `name` below a folder or prefix.
objects::Location below(objects::Location place, const std::string& name);
// "s3://bucket/key" or the path.
std::string shown(const objects::Location& location);
// Makes the folders of a local file; nothing to do in a bucket.
void make_folders_of(const objects::Location& file);
// Nothing when there is no such object or file; else what is known of it.
std::optional<objects::ObjectInfo> find_object(const objects::Location& location);
// The whole of it; nothing when it is not there. Throws CorruptError when it is longer than `bytes_max`.
std::optional<std::string> read_object(const objects::Location& location, uint64_t bytes_max);
// The same piece by piece, in constant memory. False when it is not there.
bool read_pieces(const objects::Location& location, const std::function<void(std::string_view)>& sink);
// Fine when it is not there.
void remove_object(const objects::Location& location);

}  // namespace millrace::stac

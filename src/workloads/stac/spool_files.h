// Files of a spool: names, whole reads and writes. Internal to it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "workloads/stac/item_store.h"

namespace millrace::stac {

inline std::string lines_path(const std::string& folder, const std::string& chunk) {
  return folder + "/" + chunk + ".ndjson";
}
inline std::string index_path(const std::string& folder, const std::string& chunk) {
  return folder + "/" + chunk + ".index";
}

// NotFoundError, DeniedError or TransientError.
[[noreturn]] void raise_errno(const std::string& what, int error);
base::UniqueFd open_file(const std::string& path, int flags);
void write_all(int file, std::string_view bytes, const std::string& shown);
// False when the file ends before that.
bool read_at(int file, uint64_t offset, char* out, size_t length);
// From the start of the file; what is no whole record at its end is left out.
std::vector<ItemRecord> read_records(int file, const std::string& shown);
void sync_folder(const std::string& folder);

}  // namespace millrace::stac

// JSON lines, JSON objects one after the other, or an array of them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/load/byte_stream.h"
#include "workloads/load/row.h"

namespace millrace::load {

// Cells are the members `names` in their order: texts of strings (quoted), numbers exactly as written,
// objects and arrays as JSON; a member that is not there is NULL. A row with another member has a problem
// unless `unknown_fine`. Numbers keep all their digits.
std::unique_ptr<RowReader> read_json(std::unique_ptr<ByteStream> stream, std::vector<std::string> names,
                                     bool unknown_fine);

// Names of the members in the order in which they come up first. An object that is cut off is passed over.
std::vector<std::string> json_names(std::string_view front);
std::vector<std::string> json_names(ByteStream& stream);

}  // namespace millrace::load

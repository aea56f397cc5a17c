// What a catalogue holds, for people.
#pragma once

#include <string>
#include <string_view>

#include "sql/connection.h"

namespace millrace::scan {

// The last scan, files by type, the ten newest files, what could not be read and why, and what .blend files
// miss; some dozen lines, ending in a line break. `database` is shown as where all this is (a URL without
// password). Control characters in names are escaped.
std::string render_summary(sql::Connection& connection, std::string_view database);

}  // namespace millrace::scan

// The catalogue as one HTML page: no scripts, nothing fetched from anywhere, light and dark.
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"
#include "sql/connection.h"

namespace millrace::scan {

// Writes the page to `destination`, a file or s3://BUCKET/KEY, whole or not at all. `database` is shown (a
// URL without password); an empty title becomes the root of the last scan. Lists are bounded and say how much
// they leave out; thumbnails are embedded up to kThumbnailBytesMax in all. Texts are escaped. Throws what the
// database and objects::NewObject throw.
void write_html_report(sql::Connection& connection, std::string_view database, const std::string& title,
                       const std::string& destination, const base::Clock& clock);

inline constexpr size_t kThumbnailBytesMax = 6 << 20;

}  // namespace millrace::scan

// The settings of `scan` from the environment, under the names that the original scanner had.
#pragma once

#include <functional>
#include <string>

#include "workloads/scan/scan.h"

namespace millrace::scan {

// Gives the value of a variable, null when it is not set: std::getenv, or a test's own.
using Getenv = std::function<const char*(const char*)>;

// Fills what the environment says; flags given by the user are put over it afterwards.
//   STORAGE_TYPE       local (default) or s3: which of the following is the source
//   DATA_PATH          the folder for local; /data when not set
//   ASSET_BUCKET_NAME  the bucket for s3; S3_BUCKET_NAME is the older name
//   S3_PREFIX          what to scan of the bucket; all when not set
//   DATABASE_URL       sqlite:///./db/metadata.db when not set
//   SCANNER_WORKERS    threads
//   OVERRIDE_EXISTING  true: read every file again; false or not set: only new and changed ones
//   DETECT_SEQUENCES   false: no sequences
//   MIN_SEQUENCE_LENGTH, MIN_PADDING   files of a sequence, digits of its numbers
// Empty values count as not set. Throws UsageError for values that make no sense.
// `source_given`: the user named a source, so the first four are not looked at.
ScanOptions options_from_environment(const Getenv& getenv, bool source_given);

// "2026-11-21", "2026-11-21T14:00:00Z", or how long ago: "90m", "12h", "7d", "4w". Throws UsageError.
base::TimeMs parse_since(std::string_view text, base::TimeMs now);
// "10", "2.5%". Throws UsageError.
ErrorLimit parse_error_limit(std::string_view text);

}  // namespace millrace::scan

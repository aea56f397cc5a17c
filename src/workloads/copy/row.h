// One row of a list: what is copied where, and how.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "objects/store.h"
#include "workloads/copy/filter.h"

namespace millrace::copy {

struct RowOptions {
  bool remove_extra = false;        // what only the destination has goes, after everything was copied
  std::vector<FilterRule> filters;  // the last that matches decides
  std::string acl;                  // a canned ACL; "keep": as the source's; empty: none is sent
  std::string storage_class;        // empty: as the source's
};

struct Row {
  uint64_t line = 0;                // of the list; 0: from the command line
  std::string source, destination;  // as written
  objects::Location from, to;
  RowOptions options;
  bool single = false;  // known to be one object and no prefix
};

// "s3://BUCKET/KEY" or a path, for messages.
std::string shown(const objects::Location& location);

// Reads both locations. Throws UsageError for what cannot be one: another scheme, no bucket, a bucket name
// with characters that no bucket can have, a key above 1,024 bytes or that is no UTF-8.
void parse_locations(Row& row);

}  // namespace millrace::copy

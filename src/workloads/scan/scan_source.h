// What a scan is pointed at: a folder, or a bucket and a prefix.
#pragma once

#include <memory>
#include <string>

#include "objects/store.h"
#include "workloads/scan/extract.h"

namespace millrace::scan {

struct OpenedSource {
  std::unique_ptr<objects::ObjectReader> reader;
  ScanContext context;
  std::string prefix;  // of keys
};

// Throws as objects::parse_location() and open_reader().
OpenedSource open_source(const std::string& source);

}  // namespace millrace::scan

// STAC Collections as their source describes them, for the footer of a file.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "workloads/stac/stac_job.h"

namespace millrace::stac {

// Asks for each collection once. A STAC API gives them whole; CMR has title and summary; files nothing. One
// that cannot be had is left out and counted in the result (collections_not_described): no month waits for
// it. One thread.
class SourceCollections {
 public:
  explicit SourceCollections(StacJob& job) : job_(job) {}
  // Those that are known, by name, as GeoParquetOptions::collections. Throws what check_stop() throws.
  std::map<std::string, std::string> of(const std::vector<std::string>& names);

 private:
  std::string fetch(const std::string& name);

  StacJob& job_;
  std::map<std::string, std::string> known_;  // empty: not described
  size_t bytes_ = 0;
};

}  // namespace millrace::stac

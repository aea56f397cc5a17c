// Links to the items of one day, kept where a later run finds them: in the original's layout,
// PLACE/links/HLSL30_2.0/2024/06/2024-06-01.json, each a JSON array of URLs. Those of a box are apart, in
// PLACE/links/box=W,S,E,N/HLSL30_2.0/…: a list does not say for which box it was made, and one that was made
// for another must not be taken for a day.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "objects/store.h"
#include "workloads/stac/box.h"
#include "workloads/stac/month.h"

namespace millrace::stac {

// Thread-safe.
class LinkCache {
 public:
  // `place`: a folder or s3://BUCKET[/PREFIX]. Throws UsageError.
  LinkCache(const std::string& place, const std::optional<Box>& box);

  objects::Location file_of(const std::string& collection, const Day& day) const;
  // Nothing when there is none. Throws CorruptError for one that is no list of links.
  std::optional<std::vector<std::string>> load(const std::string& collection, const Day& day) const;
  void save(const std::string& collection, const Day& day, const std::vector<std::string>& links) const;

 private:
  objects::Location place_;
  std::string folder_;
};

}  // namespace millrace::stac

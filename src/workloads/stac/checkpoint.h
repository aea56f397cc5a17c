// Days that were fetched, kept outside of this machine: an attempt on another one goes on with them.
//   PLACE/0123456789abcdef/HLSL30_2.0.2024-06-01.ndjson.zst    the items, one a line
//   PLACE/0123456789abcdef/HLSL30_2.0.2024-06-01.sources       for each line its month, source and revision;
//   written last
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "objects/store.h"
#include "workloads/stac/item_store.h"

namespace millrace::stac {

// Thread-safe for different chunks.
class Checkpoint {
 public:
  // `place`: a folder or s3://BUCKET[/PREFIX]; `identity` as of WorkFolder. Throws UsageError.
  Checkpoint(const std::string& place, std::string_view identity);
  // Makes the chunk in the spool, which must not have it, and finishes it. False when there is none, or one
  // that was not written to its end. Throws DeniedError, TransientError.
  bool restore(ItemSpool& spool, const std::string& chunk) const;
  // Of a finished chunk; replaces what is there.
  void save(const ItemSpool& spool, const std::string& chunk) const;
  void remove(const std::vector<std::string>& chunks) const;

 private:
  objects::Location file_of(const std::string& chunk, const char* suffix) const;
  objects::Location folder_;
};

}  // namespace millrace::stac

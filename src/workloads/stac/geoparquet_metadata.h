// The texts in a file's footer: `geo` (GeoParquet 1.1.0), `stac-geoparquet` (1.0.0) and how Millrace reads
// the columns back.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/stac/item_schema.h"
#include "workloads/stac/row_facts.h"

namespace millrace::stac {

std::string geo_metadata(const ItemSchema& schema, const RowFacts& facts);
// `names`: of the collections in `facts`; `documents`: those that are known, by name, as JSON objects. What
// one lacks is made from its items: id, extent, no licence known.
std::string stac_metadata(const std::vector<std::string>& names, const RowFacts& facts,
                          const std::map<std::string, std::string>& documents);
std::string mapping_metadata(const ItemSchema& schema, const RowFacts& facts);

// Facts that make each of these texts as long as it can get.
RowFacts longest_facts(const ItemSchema& schema, size_t collections);

// Parquet's footer is written with the rows, before what it must say is known: texts of a length that cannot
// be anything else are written, and replaced in the finished file.
class FooterText {
 public:
  explicit FooterText(size_t length);
  const std::string& placeholder() const { return placeholder_; }
  // `text` in its place, with blanks behind it. Throws InternalError when it does not fit, or when the
  // placeholder is not exactly once in the last `footer_bytes` of the file, and TransientError.
  void replace(int fd, uint64_t footer_at, std::string_view footer, std::string_view text) const;

 private:
  std::string placeholder_;
};

}  // namespace millrace::stac

// Granules of a day from NASA's Common Metadata Repository (search/granules.json).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "workloads/stac/box.h"
#include "workloads/stac/http_source.h"
#include "workloads/stac/item_store.h"
#include "workloads/stac/month.h"

namespace millrace::stac {

inline constexpr const char* kCmrEndpoint = "https://cmr.earthdata.nasa.gov";

// What is asked for, and how its items are named.
struct CmrCollection {
  std::string name;   // "HLSL30_2.0": of folders, and the `collection` of items that lack one
  std::string query;  // "collection_concept_id%5B%5D=C2021957657-LPCLOUD"
  Day origin;         // no granule is older
};
// HLSL30 or HLSS30 (also as HLSL30_2.0), a concept id ("C123-PROVIDER"), else a short name. Throws
// UsageError.
CmrCollection cmr_collection(std::string_view text);

struct GranuleLink {
  std::string url;      // of the STAC item
  std::string granule;  // its title, which is the item's id; empty when it is not known
  int64_t updated_us = kNoTime;
};

struct GranuleDay {
  std::vector<GranuleLink> links;
  std::vector<std::string> without_link;  // granules of the day that name no STAC item
  uint64_t hits = 0;                      // as CMR counts them
  uint64_t seen = 0;                      // different granules that came
  uint64_t elsewhere = 0;                 // that begin on another day, which brings them
};

struct CmrSearch {
  std::string endpoint = kCmrEndpoint;
  unsigned page_size = 2000;
  std::string protocol = "https";  // of the links: https or s3
  std::optional<Box> box;
};

// All granules of the collection that begin on that day, by search-after paging. CMR takes both ends of a
// range as part of it and finds what overlaps, so the day is asked for up to the next midnight, and what
// begins elsewhere is left out. Throws CorruptError: CountMismatch (fewer granules came than CMR-Hits says,
// in each of three searches), NoHits (it says nothing), TooManyPages, RepeatedPage (a page brought nothing
// new), BrokenJson; and what HttpSource throws. Thread-safe.
GranuleDay search_granules(HttpSource& source, const CmrSearch& search, const CmrCollection& collection,
                           const Day& day);

}  // namespace millrace::stac

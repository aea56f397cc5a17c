// Items of a day from a STAC API (its /search; STAC API 1.0, item search).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/stac/box.h"
#include "workloads/stac/http_source.h"
#include "workloads/stac/month.h"

namespace millrace::stac {

struct ApiSearch {
  std::string url;       // of the API, or of its /search
  bool post = true;      // else GET
  unsigned limit = 100;  // items a page; servers may give fewer
  std::vector<std::string> collections;
  std::optional<Box> box;
};

struct ApiDay {
  uint64_t matched = 0;  // as the server counts (numberMatched, context.matched); 0 also where it does not
  uint64_t seen = 0;     // different items that came
  uint64_t pages = 0;
};

// Gives every item that the server finds in that day to `visit`, as it stands in the page, each (collection,
// id) once, and again where it came with other words: also items that only overlap the day, which the caller
// must leave to theirs. Follows `next` links with their method, body, merge and headers. A box across the
// antimeridian is two searches, in which an item may come twice. Throws CorruptError: CountMismatch (fewer
// came than the server says), RepeatedPage, BrokenJson, TooManyPages; and what HttpSource throws.
// Thread-safe.
ApiDay search_items(HttpSource& source, const ApiSearch& search, const Day& day,
                    const std::function<void(std::string_view item)>& visit);

// The request behind a `next` link: `link` as JSON, found in the answer to `request`.
http::ClientRequest next_request(const http::ClientRequest& request, std::string_view link);

}  // namespace millrace::stac

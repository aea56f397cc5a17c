#include "workloads/stac/cmr.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "base/url.h"
#include "workloads/stac/timestamp.h"

namespace millrace::stac {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr int kSearchesMax = 3;
constexpr size_t kGranulesMax = 10'000'000;  // of a day: its names are held

std::string concept_query(std::string_view id) {
  return "collection_concept_id%5B%5D=" + base::percent_encode(id);
}

// What one page says of one granule.
struct Entry {
  std::string id, title;
  int64_t start_us = kNoTime, updated_us = kNoTime;
  std::string link;
};

int64_t time_or_none(std::string_view text) { return parse_time_us(text).value_or(kNoTime); }

void read_links(ondemand::array links, const std::string& scheme, Entry& entry) {
  for (ondemand::object link : links) {
    std::string_view href;
    if (link["href"].get_string().get(href) != simdjson::SUCCESS) continue;
    if (entry.link.empty() && href.starts_with(scheme) && href.ends_with("stac.json")) entry.link = href;
  }
}

std::vector<Entry> read_page(std::string& body, const CmrSearch& search) {
  // A catalogue that is asked without TLS may have items without TLS.
  const bool plain = search.protocol == "https" && search.endpoint.starts_with("http://");
  const std::string scheme = plain ? "http" : search.protocol + "://";
  std::vector<Entry> entries;
  try {
    body.reserve(body.size() + simdjson::SIMDJSON_PADDING);
    ondemand::parser parser;
    ondemand::document document = parser.iterate(body);
    for (ondemand::object object : document["feed"]["entry"].get_array()) {
      Entry entry;
      for (ondemand::field field : object) {
        std::string_view key = field.unescaped_key();
        if (key == "id")
          entry.id = std::string_view(field.value().get_string());
        else if (key == "title")
          entry.title = std::string_view(field.value().get_string());
        else if (key == "time_start")
          entry.start_us = time_or_none(field.value().get_string());
        else if (key == "updated")
          entry.updated_us = time_or_none(field.value().get_string());
        else if (key == "links")
          read_links(field.value().get_array(), scheme, entry);
      }
      if (entry.id.empty()) throw base::CorruptError("CMR names a granule without id", "WrongType");
      entries.push_back(std::move(entry));
    }
  } catch (const simdjson::simdjson_error& error) {
    throw base::CorruptError(std::string("CMR's answer is no list of granules: ") + error.what(),
                             "BrokenJson");
  }
  return entries;
}

std::string url_of(const CmrSearch& search, const CmrCollection& collection, const Day& day) {
  std::string endpoint = search.endpoint;
  while (endpoint.ends_with('/')) endpoint.pop_back();
  std::string url = endpoint + "/search/granules.json?" + collection.query;
  if (search.box) url += "&bounding_box=" + base::percent_encode(search.box->text);
  return url + "&temporal%5B%5D=" + base::percent_encode(day.window(",")) +
         "&page_size=" + std::to_string(search.page_size);
}

GranuleDay search_once(HttpSource& source, const CmrSearch& search, const CmrCollection& collection,
                       const Day& day) {
  GranuleDay out;
  http::ClientRequest request;
  request.url = url_of(search, collection, day);
  request.headers.add("Accept", "application/json");
  std::unordered_set<std::string> seen;
  for (;;) {
    http::ClientResponse response = source.request(request);
    // The number may grow while pages are read; what was promised once must come.
    auto hits = base::parse_number<uint64_t>(response.headers.get("cmr-hits"));
    if (!hits)
      throw base::CorruptError("the answer to " + request.url.substr(0, request.url.find('?')) +
                                   " does not say how many granules there are (CMR-Hits)",
                               "NoHits");
    out.hits = std::max(out.hits, *hits);
    std::vector<Entry> entries;
    for (int attempt = 1;; ++attempt) {
      try {
        entries = read_page(response.body, search);
        break;
      } catch (const base::CorruptError& error) {
        if (error.code() != "BrokenJson" || attempt == kSearchesMax) throw;
        response = source.request(request);
      }
    }
    size_t before = seen.size();
    for (Entry& entry : entries) {
      if (!seen.insert(entry.id).second) continue;
      if (entry.start_us != kNoTime && !day.has(entry.start_us)) {
        ++out.elsewhere;
      } else if (entry.link.empty()) {
        out.without_link.push_back(entry.title.empty() ? entry.id : entry.title);
      } else {
        out.links.push_back({std::move(entry.link), std::move(entry.title), entry.updated_us});
      }
    }
    std::string after(response.headers.get("cmr-search-after"));
    if (after.empty() || entries.empty()) break;
    if (seen.size() > kGranulesMax)
      throw base::CorruptError("CMR gives more than " + std::to_string(kGranulesMax) + " granules of " +
                                   collection.name + " on " + day.text(),
                               "TooManyPages");
    if (seen.size() == before)
      throw base::CorruptError("CMR gives the same page again and again (" + collection.name + ", " +
                                   day.text() + ", behind " + std::to_string(seen.size()) + " granules)",
                               "RepeatedPage");
    request.headers.set("CMR-Search-After", after);
  }
  out.seen = seen.size();
  return out;
}

}  // namespace

CmrCollection cmr_collection(std::string_view text) {
  struct Known {
    std::string_view name, version, concept_id;
    Day origin;
  };
  static constexpr std::array<Known, 2> kKnown = {
      {{"HLSL30", "_2.0", "C2021957657-LPCLOUD", {2013, 4, 11}},
       {"HLSS30", "_2.0", "C2021957295-LPCLOUD", {2015, 11, 28}}}};
  for (const Known& known : kKnown) {
    std::string name = std::string(known.name) + std::string(known.version);
    if (text == known.name || text == name || text == known.concept_id)
      return {name, concept_query(known.concept_id), known.origin};
  }
  if (text.empty() || text.find_first_of("/\\ \t\r\n") != std::string_view::npos || text == "." ||
      text == "..")
    throw base::UsageError("--collection '" + std::string(text) + "' can be no collection");
  size_t dash = text.find('-');
  bool is_concept = text[0] == 'C' && dash != std::string_view::npos &&
                    base::parse_number<uint64_t>(text.substr(1, dash - 1)).has_value();
  return {std::string(text),
          is_concept ? concept_query(text) : "short_name%5B%5D=" + base::percent_encode(text),
          {}};
}

GranuleDay search_granules(HttpSource& source, const CmrSearch& search, const CmrCollection& collection,
                           const Day& day) {
  for (int attempt = 1;; ++attempt) {
    GranuleDay found = search_once(source, search, collection, day);
    if (found.seen >= found.hits) return found;
    if (attempt == kSearchesMax)
      throw base::CorruptError("CMR says that there are " + std::to_string(found.hits) + " granules of " +
                                   collection.name + " on " + day.text() + ", but " +
                                   std::to_string(found.seen) + " came",
                               "CountMismatch");
  }
}

}  // namespace millrace::stac

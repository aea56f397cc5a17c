#include "workloads/stac/source_collections.h"

#include "base/json.h"
#include "base/url.h"
#include "workloads/stac/cmr.h"

namespace millrace::stac {
namespace {

namespace json = base::json;

// They are in the footer, which every reader reads.
constexpr size_t kBytesMax = 1 << 20, kAllBytesMax = 16 << 20;

std::string without_end(std::string url, std::string_view end) {
  if (url.ends_with(end)) url.resize(url.size() - end.size());
  while (url.ends_with('/')) url.pop_back();
  return url;
}

json::value get(HttpSource& source, const std::string& url) {
  http::ClientRequest request;
  request.url = url;
  request.headers.add("Accept", "application/json");
  const std::string body = source.request(request).body;
  if (body.size() > kBytesMax) throw base::CorruptError(url + " is too large for a footer", "TooLarge");
  return base::parse_json(body);
}

// GET /collections/ID (STAC API, collections).
json::object of_api(HttpSource& source, const std::string& api, const std::string& name) {
  std::string root = api;
  while (root.ends_with('/')) root.pop_back();
  json::value value =
      get(source, without_end(std::move(root), "/search") + "/collections/" + base::percent_encode(name));
  if (!value.is_object() || base::find_string(value.as_object(), "id") != name)
    throw base::CorruptError("that is not the Collection " + name, "WrongType");
  return std::move(value.as_object());
}

// CMR's collection search: what of its answer a STAC Collection has.
json::object of_cmr(HttpSource& source, const std::string& endpoint, const std::string& name) {
  // The same parameter, without the word before it.
  std::string query = cmr_collection(name).query;
  constexpr std::string_view kOfGranules = "collection_";
  if (query.starts_with(kOfGranules)) query.erase(0, kOfGranules.size());
  json::value value = get(source, without_end(endpoint, "/") + "/search/collections.json?" + query);
  const json::object* feed = value.is_object() ? base::find_object(value.as_object(), "feed") : nullptr;
  const json::value* entries = feed ? feed->if_contains("entry") : nullptr;
  if (!entries || !entries->is_array() || entries->as_array().size() != 1 ||
      !entries->as_array()[0].is_object())
    throw base::CorruptError("CMR does not name one collection of the name " + name, "WrongType");
  const json::object& entry = entries->as_array()[0].as_object();
  json::object out;
  if (auto title = base::find_string(entry, "title")) out["title"] = *title;
  if (auto summary = base::find_string(entry, "summary")) out["description"] = *summary;
  return out;
}

}  // namespace

std::string SourceCollections::fetch(const std::string& name) {
  const JobOptions& options = job_.options;
  try {
    json::object found = options.source == SourceKind::kCmr
                             ? of_cmr(job_.http, options.input.empty() ? kCmrEndpoint : options.input, name)
                             : of_api(job_.http, options.input, name);
    std::string text = json::serialize(found);
    if (bytes_ + text.size() > kAllBytesMax)
      throw base::CorruptError("the Collections are too large for a footer", "TooLarge");
    bytes_ += text.size();
    return text;
  } catch (const base::Error&) {
    job_.check_stop();
    job_.result.count("collections_not_described");
    return {};
  }
}

std::map<std::string, std::string> SourceCollections::of(const std::vector<std::string>& names) {
  std::map<std::string, std::string> out;
  if (job_.options.source == SourceKind::kFiles) return out;
  for (const std::string& name : names) {
    auto found = known_.find(name);
    if (found == known_.end()) found = known_.emplace(name, fetch(name)).first;
    if (!found->second.empty()) out.insert(*found);
  }
  return out;
}

}  // namespace millrace::stac

#include "workloads/stac/stac_api.h"

#include <simdjson.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/url.h"

namespace millrace::stac {
namespace {

namespace json = base::json;
namespace ondemand = simdjson::ondemand;

constexpr uint64_t kPagesMax = 1'000'000;

struct Page {
  std::vector<std::string_view> items;  // in the body
  std::vector<uint64_t> identities;
  std::optional<uint64_t> matched;
  std::string next;  // the link as JSON; empty: this was the last page
};

std::string_view text_or_empty(ondemand::object& object, const char* name) {
  std::string_view text;
  return object[name].get_string().get(text) == simdjson::SUCCESS ? text : std::string_view{};
}

Page read_page(std::string& body) {
  Page page;
  try {
    body.reserve(body.size() + simdjson::SIMDJSON_PADDING);
    ondemand::parser parser;
    ondemand::document document = parser.iterate(body);
    bool has_features = false;
    for (ondemand::field field : document.get_object()) {
      std::string_view key = field.unescaped_key();
      uint64_t number = 0;
      if (key == "features") {
        has_features = true;
        for (ondemand::object feature : field.value().get_array()) {
          std::string identity(text_or_empty(feature, "collection"));
          identity += '\0';
          identity += text_or_empty(feature, "id");
          feature.reset().value();
          page.items.push_back(feature.raw_json());
          page.identities.push_back(base::xxh3(identity));
        }
      } else if (key == "links") {
        for (ondemand::object link : field.value().get_array()) {
          if (text_or_empty(link, "rel") != "next") continue;
          link.reset().value();
          page.next = std::string_view(link.raw_json());
        }
      } else if (key == "numberMatched") {
        if (field.value().get_uint64().get(number) == simdjson::SUCCESS) page.matched = number;
      } else if (key == "context") {
        if (field.value()["matched"].get_uint64().get(number) == simdjson::SUCCESS) page.matched = number;
      }
    }
    if (!has_features) throw base::CorruptError("the answer has no features", "WrongType");
  } catch (const simdjson::simdjson_error& error) {
    throw base::CorruptError(std::string("the answer is no page of items: ") + error.what(), "BrokenJson");
  }
  return page;
}

http::ClientRequest first_request(const ApiSearch& search, const std::optional<Box>& box, const Day& day) {
  http::ClientRequest request;
  std::string url = search.url;
  while (url.ends_with('/')) url.pop_back();
  if (!url.ends_with("/search")) url += "/search";
  const std::string datetime = day.window("/");
  request.headers.add("Accept", "application/geo+json, application/json;q=0.9");
  if (search.post) {
    json::object body;
    json::array collections;
    for (const std::string& collection : search.collections) collections.emplace_back(collection);
    if (!collections.empty()) body["collections"] = std::move(collections);
    if (box) body["bbox"] = {box->west, box->south, box->east, box->north};
    body["datetime"] = datetime;
    body["limit"] = search.limit;
    request.method = "POST";
    request.url = url;
    request.headers.add("Content-Type", "application/json");
    request.body = json::serialize(body);
    return request;
  }
  url += "?datetime=" + base::percent_encode(datetime) + "&limit=" + std::to_string(search.limit);
  if (!search.collections.empty())
    url += "&collections=" + base::percent_encode(base::join(search.collections, ","));
  if (box) url += "&bbox=" + base::percent_encode(box->text);
  request.url = url;
  return request;
}

ApiDay search_half(HttpSource& source, const ApiSearch& search, const std::optional<Box>& box, const Day& day,
                   const std::function<void(std::string_view)>& visit) {
  ApiDay out;
  http::ClientRequest request = first_request(search, box, day);
  std::unordered_map<uint64_t, uint64_t> seen;  // with what they looked like
  for (;;) {
    http::ClientResponse response = source.request(request);
    Page page = read_page(response.body);
    // Also where a later page says less: what was promised once must come.
    if (page.matched) out.matched = std::max(out.matched, *page.matched);
    size_t before = seen.size();
    for (size_t i = 0; i < page.items.size(); ++i) {
      const uint64_t look = base::xxh3(page.items[i]);
      auto [found, fresh] = seen.try_emplace(page.identities[i], look);
      // One that is revised while pages are read may come again, and then it is the second that counts.
      if (fresh || std::exchange(found->second, look) != look) visit(page.items[i]);
    }
    if (++out.pages > kPagesMax)
      throw base::CorruptError(search.url + ": more than " + std::to_string(kPagesMax) + " pages",
                               "TooManyPages");
    if (page.next.empty()) break;
    if (seen.size() == before)
      throw base::CorruptError(search.url + ": a page of " + day.text() + " brought nothing new (behind " +
                                   std::to_string(seen.size()) + " items), and there is a next one",
                               "RepeatedPage");
    request = next_request(request, page.next);
  }
  out.seen = seen.size();
  if (out.seen < out.matched)
    throw base::CorruptError(search.url + " says that " + std::to_string(out.matched) + " items match " +
                                 day.text() + ", but " + std::to_string(out.seen) + " came",
                             "CountMismatch");
  return out;
}

}  // namespace

http::ClientRequest next_request(const http::ClientRequest& request, std::string_view link) {
  json::value value = base::parse_json(link);
  const json::object& object = value.as_object();
  auto href = base::find_string(object, "href");
  if (!href) throw base::CorruptError("a next link without href", "WrongType");
  http::ClientRequest next;
  next.url = resolve_reference(request.url, *href);
  next.headers = request.headers;
  next.method =
      base::equals_ignore_case(base::find_string(object, "method").value_or("GET"), "POST") ? "POST" : "GET";
  if (const json::object* headers = base::find_object(object, "headers"))
    for (const auto& header : *headers) {
      if (header.value().is_string()) next.headers.set(header.key(), std::string(header.value().as_string()));
    }
  if (next.method == "GET") return next;
  next.headers.set("Content-Type", "application/json");
  const json::object* body = base::find_object(object, "body");
  json::object whole;
  // Without `merge` the link's body is the whole body; without a body the request is sent as it was.
  if (!body || base::find_bool(object, "merge").value_or(false)) {
    if (!request.body.empty()) whole = base::parse_json(request.body).as_object();
  }
  if (body)
    for (const auto& member : *body) whole[member.key()] = member.value();
  next.body = json::serialize(whole);
  return next;
}

ApiDay search_items(HttpSource& source, const ApiSearch& search, const Day& day,
                    const std::function<void(std::string_view item)>& visit) {
  if (!search.box) return search_half(source, search, std::nullopt, day, visit);
  ApiDay out;
  for (const Box& half : search.box->halves()) {
    ApiDay one = search_half(source, search, half, day, visit);
    out.matched += one.matched;
    out.seen += one.seen;
    out.pages += one.pages;
  }
  return out;
}

}  // namespace millrace::stac

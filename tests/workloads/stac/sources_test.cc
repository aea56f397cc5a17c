// CMR and STAC APIs over a server of this process.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <random>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/time.h"
#include "base/url.h"
#include "http/server.h"
#include "tests/workloads/stac/made_item.h"
#include "workloads/stac/cmr.h"
#include "workloads/stac/http_source.h"
#include "workloads/stac/stac_api.h"
#include "workloads/stac/timestamp.h"

namespace millrace::stac {
namespace {

namespace json = base::json;
using testing::text_of;

struct Granule {
  std::string id;
  int64_t start_us, end_us;
};

// Answers as CMR and as a STAC API, from the same granules; may be busy now and then.
class Catalogue final : public http::RequestHandler {
 public:
  explicit Catalogue(unsigned seed) : random_(seed) {
    http::ServerOptions options;
    options.port = 0;
    server_ = std::make_unique<http::Server>(options, *this);
  }
  std::string url() const { return fmt::format("http://127.0.0.1:{}", server_->port()); }

  std::unique_ptr<http::BodySink> open(const http::RequestHead&) override { return nullptr; }
  http::Response failed(const http::RequestHead&, std::exception_ptr) override {
    http::Response response;
    response.status = 500;
    return response;
  }
  void handle(http::Request request, http::Respond respond) override {
    http::Response response;
    {
      std::lock_guard lock(mutex_);
      ++requests;
      if (busy_share > 0 && random_() % 100 < busy_share) {
        response.status = std::array{429, 500, 502, 503}[random_() % 4];
        if (random_() % 2) response.headers.add("Retry-After", "0");
      } else if (request.head.path == "/search/granules.json") {
        cmr(request.head, response);
      } else {
        api(request, response);
      }
    }
    respond(std::move(response));
  }

  std::vector<Granule> granules;
  size_t page_size = 3;
  unsigned busy_share = 0;  // percent
  int hits_more = 0;
  bool get_only_next = false, merge = true;
  uint64_t requests = 0;

 private:
  // Both ends are part of it, and what overlaps counts: as CMR and STAC have it.
  std::vector<Granule> between(std::string_view window, char separator) const {
    size_t middle = window.find(separator);
    int64_t begin = parse_time_us(window.substr(0, middle)).value(),
            end = parse_time_us(window.substr(middle + 1)).value();
    std::vector<Granule> found;
    for (const Granule& granule : granules)
      if (granule.start_us <= end && granule.end_us >= begin) found.push_back(granule);
    return found;
  }

  void cmr(const http::RequestHead& head, http::Response& response) {
    std::map<std::string, std::string> query;
    for (const auto& [name, value] : base::parse_query(head.query)) query[name] = value;
    std::vector<Granule> found = between(query.at("temporal[]"), ',');
    size_t at = head.headers.has("cmr-search-after")
                    ? std::stoul(std::string(head.headers.get("cmr-search-after")))
                    : 0;
    size_t end = std::min({at + page_size, at + std::stoul(query.at("page_size")), found.size()});
    json::array entries;
    for (size_t i = at; i < end; ++i)
      entries.push_back(
          {{"id", "G" + found[i].id},
           {"title", found[i].id},
           // To the millisecond, as CMR has it.
           {"time_start", base::iso8601(found[i].start_us / 1000, true)},
           {"links", json::array{{{"href", "https://example.org/" + found[i].id + ".tif"}},
                                 {{"href", "https://example.org/" + found[i].id + "_stac.json"}}}}});
    response.headers.add("CMR-Hits", std::to_string(static_cast<int>(found.size()) + hits_more));
    if (end > at) response.headers.add("CMR-Search-After", std::to_string(end));
    response.body = json::serialize(json::object{{"feed", {{"entry", std::move(entries)}}}});
  }

  void api(const http::Request& request, http::Response& response) {
    json::object asked;
    if (request.head.method == "POST")
      asked = base::parse_json(request.body).as_object();
    else
      for (const auto& [name, value] : base::parse_query(request.head.query)) asked[name] = value;
    std::vector<Granule> found = between(base::find_string(asked, "datetime").value(), '/');
    size_t at = asked.contains("token") ? std::stoul(std::string(asked.at("token").as_string())) : 0;
    size_t end = std::min(at + page_size, found.size());
    std::string features;
    for (size_t i = at; i < end; ++i)
      features +=
          (i > at ? "," : "") + text_of({.id = found[i].id, .datetime = time_text(found[i].start_us)});
    json::object next;
    if (end < found.size()) {
      if (request.head.method == "POST" && !get_only_next) {
        json::object body{{"token", std::to_string(end)}};
        if (!merge) body["datetime"] = asked["datetime"];
        next = {
            {"rel", "next"}, {"href", "/other/search"}, {"method", "POST"}, {"merge", merge}, {"body", body}};
      } else {
        next = {{"rel", "next"},
                {"href", "?token=" + std::to_string(end) + "&datetime=" +
                             base::percent_encode(base::find_string(asked, "datetime").value())}};
      }
    }
    response.body = fmt::format(
        R"({{"type":"FeatureCollection","features":[{}],"links":[{{"rel":"self","href":"x"}}{}],"context":{{"matched":{}}}}})",
        features, next.empty() ? "" : "," + json::serialize(next),
        static_cast<int>(found.size()) + hits_more);
  }

  std::mutex mutex_;
  std::mt19937 random_;
  std::unique_ptr<http::Server> server_;
};

HttpOptions quick() {
  HttpOptions options;
  options.pause = std::chrono::milliseconds(1);
  options.pause_max = std::chrono::milliseconds(5);
  options.attempts_max = 40;
  return options;
}

constexpr int64_t kSecond = 1'000'000;

// Around a month, many of them at midnights and in the last seconds of days; some last over midnight.
std::vector<Granule> some_granules(const Month& month, std::mt19937& random) {
  std::vector<Day> days = month.days();
  std::vector<Granule> granules;
  for (size_t i = 0, count = random() % 120; i < count; ++i) {
    const Day& day = days[random() % days.size()];
    int64_t at = day.begin_us();
    switch (random() % 5) {
      case 0:
        break;
      case 1:
        at += 86'400 * kSecond - 1000;
        break;
      case 2:
        at += 86'399 * kSecond + random() % kSecond;
        break;
      case 3:
        at -= random() % (2 * kSecond);
        break;
      default:
        at += static_cast<int64_t>(random() % 86'400) * kSecond;
    }
    at -= (at % 1000 + 1000) % 1000;  // what CMR does not tell cannot matter
    int64_t length = random() % 3 ? 0 : static_cast<int64_t>(random() % 100'000) * kSecond;
    granules.push_back({fmt::format("granule{}", i), at, at + length});
  }
  std::shuffle(granules.begin(), granules.end(), random);
  return granules;
}

// Without this granules at the edges of days and pages are lost, or are in two months.
TEST(Sources, EveryGranuleIsInOneDayWhateverThePages) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  Catalogue catalogue(seed);
  HttpSource source(quick());
  for (int round = 0; round < 6; ++round) {
    const Month month{2000 + static_cast<int>(random() % 30), static_cast<unsigned>(1 + random() % 12)};
    catalogue.granules = some_granules(month, random);
    catalogue.page_size = 1 + random() % 7;
    catalogue.busy_share = random() % 2 ? 0 : 20;
    catalogue.get_only_next = random() % 2;
    catalogue.merge = random() % 2;
    std::multiset<std::string> expected, from_cmr, from_api;
    for (const Granule& granule : catalogue.granules)
      if (month_of(granule.start_us) == month) expected.insert(granule.id);
    CmrSearch cmr;
    cmr.endpoint = catalogue.url();
    ApiSearch api;
    api.url = catalogue.url() + "/api/";
    api.post = random() % 2;
    for (const Day& day : month.days()) {
      GranuleDay found = search_granules(source, cmr, cmr_collection("HLSL30"), day);
      EXPECT_EQ(found.seen, found.hits);
      for (const GranuleLink& link : found.links) {
        from_cmr.insert(link.granule);
        EXPECT_EQ(link.url, "https://example.org/" + link.granule + "_stac.json");
      }
      search_items(source, api, day, [&](std::string_view item) {
        json::value value = base::parse_json(item);
        const auto& properties = value.at("properties").as_object();
        if (day.has(parse_time_us(base::find_string(properties, "datetime").value()).value()))
          from_api.insert(std::string(value.at("id").as_string()));
      });
    }
    EXPECT_EQ(from_cmr, expected) << month.text();
    EXPECT_EQ(from_api, expected) << month.text();
  }
}

// Without this a server that has lost granules is believed.
TEST(Sources, ACountThatIsNotReachedIsAnError) {
  Catalogue catalogue(1);
  HttpSource source(quick());
  const Day day{2024, 6, 3};
  catalogue.granules = {{"a", day.begin_us(), day.begin_us()}, {"b", day.begin_us() + 5, day.begin_us() + 5}};
  CmrSearch cmr;
  cmr.endpoint = catalogue.url();
  ApiSearch api;
  api.url = catalogue.url();
  catalogue.hits_more = 1;
  for (int i = 0; i < 2; ++i) {
    try {
      if (i == 0)
        search_granules(source, cmr, cmr_collection("HLSL30"), day);
      else
        search_items(source, api, day, [](std::string_view) {});
      FAIL();
    } catch (const base::CorruptError& error) {
      EXPECT_EQ(error.code(), "CountMismatch");
    }
  }
  catalogue.hits_more = -1;  // more than it says: nothing is lost
  EXPECT_EQ(search_granules(source, cmr, cmr_collection("HLSL30"), day).links.size(), 2U);
}

// Without this the second page is asked for in a way that the server does not know.
TEST(Sources, NextLinks) {
  http::ClientRequest first;
  first.method = "POST";
  first.url = "https://host/a/search?x=1";
  first.headers.add("Content-Type", "application/json");
  first.body = R"({"limit":1,"collections":["c"]})";
  auto next = [&](std::string_view link) { return next_request(first, link); };
  EXPECT_EQ(next(R"({"href":"https://other/s?t=2"})").url, "https://other/s?t=2");
  EXPECT_EQ(next(R"({"href":"/b?t=2"})").url, "https://host/b?t=2");
  EXPECT_EQ(next(R"({"href":"?t=2"})").url, "https://host/a/search?t=2");
  EXPECT_EQ(next(R"({"href":"items?t=2"})").url, "https://host/a/items?t=2");
  EXPECT_EQ(next(R"({"href":"/b"})").method, "GET");
  EXPECT_EQ(next(R"({"href":"/b"})").body, "");
  EXPECT_EQ(next(R"({"href":"/b","method":"post"})").body, first.body);
  EXPECT_EQ(next(R"({"href":"/b","method":"POST","body":{"token":"t"}})").body, R"({"token":"t"})");
  EXPECT_EQ(next(R"({"href":"/b","method":"POST","merge":true,"body":{"token":"t","limit":2}})").body,
            R"({"limit":2,"collections":["c"],"token":"t"})");
  EXPECT_EQ(next(R"({"href":"/b","headers":{"Search-After":"x"}})").headers.get("search-after"), "x");
  EXPECT_THROW(next(R"({"rel":"next"})"), base::CorruptError);
}

// Without this a server's wish to be left alone is misread.
TEST(Sources, RetryAfter) {
  const int64_t now = base::parse_http_date("Sat, 21 Nov 2026 14:18:25 GMT").value();
  EXPECT_EQ(retry_after("120", now)->count(), 120'000);
  EXPECT_EQ(retry_after(" 0 ", now)->count(), 0);
  EXPECT_EQ(retry_after("Sat, 21 Nov 2026 14:18:35 GMT", now)->count(), 10'000);
  EXPECT_EQ(retry_after("Sat, 21 Nov 2026 14:18:05 GMT", now)->count(), 0);
  EXPECT_FALSE(retry_after("soon", now));
  EXPECT_FALSE(retry_after("-5", now));
}

// Without this links are fetched twice or not at all, or what one of them throws is lost.
TEST(Sources, EveryLinkIsFetchedOnceAndErrorsAreTold) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  Catalogue catalogue(seed);
  catalogue.busy_share = 25;
  HttpSource source(quick());
  const Day day{2024, 6, 3};
  std::vector<std::string> links;
  for (int i = 0; i < 300; ++i) {
    catalogue.granules.push_back({std::to_string(i), day.begin_us(), day.begin_us()});
    links.push_back(
        fmt::format("{}/search?n={}&datetime={}", catalogue.url(), i, base::percent_encode(day.window("/"))));
  }
  std::vector<int> bodies(links.size()), errors(links.size());
  source.fetch_all(
      links, 7,
      [&](size_t i, std::string&) {
        ++bodies[i];
        if (i % 10 == 3) throw base::CorruptError("broken", i % 20 == 3 ? "BrokenJson" : "NoGeometry");
      },
      [&](size_t i, const base::Error& error) {
        EXPECT_EQ(error.kind(), base::ErrorKind::kCorrupt);
        ++errors[i];
      });
  for (size_t i = 0; i < links.size(); ++i) {
    EXPECT_EQ(bodies[i], i % 20 == 3 ? 3 : 1) << i;
    EXPECT_EQ(errors[i], i % 10 == 3 ? 1 : 0) << i;
  }
  EXPECT_THROW(source.fetch_all(
                   links, 7, [](size_t, std::string&) { throw base::TransientError("the disk is full"); },
                   [](size_t, const base::Error&) { FAIL(); }),
               base::TransientError);
}

}  // namespace
}  // namespace millrace::stac

// The days of a month from CMR: links found or kept, items fetched, day by day.
#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "workloads/stac/cmr.h"
#include "workloads/stac/item.h"
#include "workloads/stac/link_cache.h"
#include "workloads/stac/places.h"
#include "workloads/stac/stac_job.h"

namespace millrace::stac {
namespace {

constexpr size_t kSyncItems = 2000;  // fetched between two moments at which they are safe
// CMR says when it took a granule, a file when it was written: clocks and the time that writing took lie
// between.
constexpr int64_t kMergeMarginUs = 2LL * 86'400'000'000;

struct Task {
  CmrCollection collection;
  Day day;
  std::string name() const { return collection.name + " " + day.text(); }
  std::string chunk() const { return collection.name + "." + day.text(); }
};

// "HLS.S30.T01WEV.2024153T000609.v2.0" of ".../HLS.S30.T01WEV.2024153T000609.v2.0_stac.json".
std::string granule_of(const std::string& url) {
  std::string name = url.substr(url.rfind('/') + 1);
  constexpr std::string_view kSuffix = "_stac.json";
  return name.ends_with(kSuffix) ? name.substr(0, name.size() - kSuffix.size()) : std::string();
}

class GranuleDays {
 public:
  GranuleDays(StacJob& job, ItemSpool* spool, const Existing* existing)
      : job_(job), spool_(spool), existing_(existing) {
    const JobOptions& options = job.options;
    if (!options.input.empty()) search_.endpoint = options.input;
    if (options.page_size > 0) search_.page_size = options.page_size;
    search_.protocol = options.protocol;
    search_.box = options.box;
    for (const std::string& name : options.collections) collections_.push_back(cmr_collection(name));
    if (!options.links.empty()) cache_.emplace(options.links, options.box);
  }

  std::vector<Task> tasks(const Month& month) const {
    std::vector<Task> tasks;
    const int64_t now_us = job_.clock.now_ms() * 1000;
    for (const Day& day : month.days())
      for (const CmrCollection& collection : collections_)
        if (day >= collection.origin && day.begin_us() <= now_us) tasks.push_back({collection, day});
    return tasks;
  }

  void keep_links(const Task& task) {
    if (std::optional<GranuleDay> day = links_of(task)) {
      job_.result.count("links", static_cast<int64_t>(day->links.size()));
      ++job_.days_done;
    }
  }

  void fetch_day(const Task& task);

  Gathered gathered() {
    Gathered out;
    out.listed = std::move(listed_);
    out.missing = missing_;
    out.failed_days = failed_days_;
    return out;
  }

 private:
  std::optional<GranuleDay> links_of(const Task& task);
  std::optional<GranuleDay> kept_links(const Task& task) const;
  static size_t drop_stale(const GranuleDay& day, ItemChunk& chunk);
  void note_listed(const Task& task, const GranuleDay& day);
  void fetch_links(const Task& task, const std::vector<GranuleLink>& links, ItemChunk& chunk);

  StacJob& job_;
  ItemSpool* spool_;
  const Existing* existing_;
  CmrSearch search_;
  std::vector<CmrCollection> collections_;
  std::optional<LinkCache> cache_;
  std::atomic<uint64_t> missing_{0}, failed_days_{0};
  std::mutex mutex_;
  std::vector<uint64_t> listed_;
};

std::optional<GranuleDay> GranuleDays::kept_links(const Task& task) const {
  const JobOptions& options = job_.options;
  if (!cache_ || !(options.require_complete_links || (options.skip_existing && !job_.is_recent(task.day))))
    return std::nullopt;
  std::optional<std::vector<std::string>> urls = cache_->load(task.collection.name, task.day);
  if (!urls) {
    if (options.require_complete_links)
      throw base::NotFoundError(
          "there is no list of links of that day: " + shown(cache_->file_of(task.collection.name, task.day)),
          "NoLinks");
    return std::nullopt;
  }
  GranuleDay day;
  for (std::string& url : *urls) {
    std::string granule = granule_of(url);
    day.links.push_back({std::move(url), std::move(granule), kNoTime});
  }
  day.hits = day.seen = day.links.size();
  job_.result.count("days_from_kept_links");
  return day;
}

// Nothing when the day failed.
std::optional<GranuleDay> GranuleDays::links_of(const Task& task) {
  try {
    if (std::optional<GranuleDay> kept = kept_links(task)) return kept;
    GranuleDay day = search_granules(job_.http, search_, task.collection, task.day);
    job_.result.count("granules", static_cast<int64_t>(day.seen - day.elsewhere));
    for (const std::string& granule : day.without_link) {
      ++missing_;
      job_.item_missing(
          granule,
          base::NotFoundError("CMR names no " + search_.protocol + " link to a STAC item of it", "NoLink"));
    }
    // A list in which some are missing must not be taken for the day.
    if (cache_ && day.without_link.empty()) {
      std::vector<std::string> urls;
      for (const GranuleLink& link : day.links) urls.push_back(link.url);
      cache_->save(task.collection.name, task.day, urls);
    }
    return day;
  } catch (const base::Error& error) {
    job_.check_stop();
    ++failed_days_;
    job_.day_failed(task.name(), error);
    return std::nullopt;
  }
}

// What an earlier run fetched and the catalogue has taken anew since, or does not list any more.
size_t GranuleDays::drop_stale(const GranuleDay& day, ItemChunk& chunk) {
  if (chunk.kept().empty()) return 0;
  std::unordered_map<uint64_t, int64_t> revisions;
  for (const GranuleLink& link : day.links) revisions[source_of(link.url)] = link.updated_us;
  return chunk.keep_only([&](const ItemRecord& record) {
    auto found = revisions.find(record.source);
    return found != revisions.end() && (found->second == kNoTime || found->second == record.revision_us);
  });
}

void GranuleDays::note_listed(const Task& task, const GranuleDay& day) {
  if (existing_->identities.empty()) return;
  std::lock_guard lock(mutex_);
  for (const GranuleLink& link : day.links)
    if (!link.granule.empty()) listed_.push_back(identity_of(task.collection.name, link.granule));
}

void GranuleDays::fetch_day(const Task& task) {
  std::optional<GranuleDay> day = links_of(task);
  job_.restore(*spool_, task.chunk());
  ItemChunk chunk = spool_->begin(task.chunk());
  bool grown = false;
  if (day) {
    const size_t stale = drop_stale(*day, chunk);
    if (stale > 0) job_.result.count("revised_or_gone", static_cast<int64_t>(stale));
    grown = stale > 0;
    std::unordered_set<uint64_t> kept;
    for (const ItemRecord& record : chunk.kept()) kept.insert(record.source);
    note_listed(task, *day);
    std::vector<GranuleLink> wanted;
    uint64_t there = 0;
    for (GranuleLink& link : day->links) {
      if (kept.contains(source_of(link.url))) continue;
      if (!link.granule.empty() && existing_->has(task.collection.name, link.granule) &&
          (link.updated_us == kNoTime || link.updated_us < existing_->written_us - kMergeMarginUs)) {
        ++there;
        continue;
      }
      wanted.push_back(std::move(link));
    }
    if (there > 0) job_.result.count("already_in_file", static_cast<int64_t>(there));
    uint64_t from_before = day->links.size() - wanted.size() - there;
    if (from_before > 0) job_.result.count("kept_from_earlier_run", static_cast<int64_t>(from_before));
    job_.listed += day->links.size();
    job_.done += day->links.size() - wanted.size();
    grown |= !wanted.empty();
    try {
      fetch_links(task, wanted, chunk);
    } catch (...) {
      try {
        chunk.sync();
      } catch (const base::Error&) {
        // What ended the day is what must be heard; what could not be kept is fetched again.
      }
      throw;
    }
    ++job_.days_done;
  }
  chunk.finish();
  if (grown) job_.keep(*spool_, task.chunk());
}

void GranuleDays::fetch_links(const Task& task, const std::vector<GranuleLink>& links, ItemChunk& chunk) {
  std::vector<std::string> urls;
  for (const GranuleLink& link : links) urls.push_back(link.url);
  const uint32_t month = static_cast<uint32_t>(task.day.year) * 100 + task.day.month;
  ItemChecker checker;
  size_t unsafe = 0, fetched = 0;
  job_.http.fetch_all(
      urls, job_.options.concurrent_per_day,
      [&](size_t i, std::string& body) {
        const CheckedItem& item = checker.check(body, task.collection.name);
        if (!links[i].granule.empty() && item.id != links[i].granule)
          throw base::CorruptError("the item there is '" + item.id + "', not '" + links[i].granule + "'",
                                   "WrongItem");
        chunk.add(item, month, source_of(urls[i]), links[i].updated_us);
        job_.item_came();
        ++job_.done;
        ++fetched;
        if (++unsafe == kSyncItems) {
          chunk.sync();
          unsafe = 0;
        }
      },
      [&](size_t i, const base::Error& error) {
        ++missing_;
        job_.item_missing(urls[i], error);
      });
  job_.result.count("fetched", static_cast<int64_t>(fetched));
}

}  // namespace

Gathered gather_granules(StacJob& job, ItemSpool& spool, const Month& month, const Existing& existing) {
  GranuleDays days(job, &spool, &existing);
  std::vector<Task> tasks = days.tasks(month);
  job.days += tasks.size();
  job.for_each(tasks.size(), job.options.concurrent_days, [&](size_t i) { days.fetch_day(tasks[i]); });
  Gathered out = days.gathered();
  for (const Task& task : tasks) out.chunks.push_back(task.chunk());
  return out;
}

void keep_links(StacJob& job) {
  GranuleDays days(job, nullptr, nullptr);
  std::vector<Task> tasks;
  for (const Month& month : job.options.months)
    for (Task& task : days.tasks(month))
      if (job.options.shard.has(task.name())) tasks.push_back(std::move(task));
  job.days += tasks.size();
  job.for_each(tasks.size(), job.options.concurrent_days, [&](size_t i) { days.keep_links(tasks[i]); });
}

}  // namespace millrace::stac

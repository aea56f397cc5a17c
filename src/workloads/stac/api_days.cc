// The days of a month from a STAC API: pages of items, day by day.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/durable_file.h"
#include "base/json.h"
#include "workloads/stac/item.h"
#include "workloads/stac/spool_files.h"
#include "workloads/stac/stac_api.h"
#include "workloads/stac/stac_job.h"
#include "workloads/text.h"

namespace millrace::stac {
namespace {

constexpr int kSearchesMax = 3;
constexpr size_t kShownBytes = 200;
constexpr int64_t kFreshMs = 86'400'000;

std::string chunk_of(const Day& day) { return "api." + day.text(); }

// The name of an item that is broken, as far as it can be read.
std::string name_of(std::string_view item) {
  try {
    base::json::value value = base::parse_json(item);
    if (value.is_object())
      if (auto id = base::find_string(value.as_object(), "id")) return std::string(*id);
  } catch (const base::CorruptError&) {
  }
  return workloads::shortened(std::string(item), kShownBytes);
}

struct Broken {
  std::string name;
  base::CorruptError error;
};

// One day, as far as it came.
struct DayItems {
  uint64_t added = 0, elsewhere = 0;
  std::vector<Broken> broken;
};

class ApiDays {
 public:
  ApiDays(StacJob& job, ItemSpool& spool) : job_(job), spool_(spool) {
    const JobOptions& options = job.options;
    search_.url = options.input;
    search_.post = options.post;
    if (options.page_size > 0) search_.limit = options.page_size;
    search_.collections = options.collections;
    search_.box = options.box;
  }

  void fetch_day(const Day& day, const Month& month) {
    const std::string chunk = chunk_of(day), marker = spool_.folder() + "/" + chunk + ".broken";
    job_.restore(spool_, chunk);
    // A day in which items were broken is asked for again: else a second run would not know of them.
    if (spool_.has(chunk) && access(marker.c_str(), F_OK) != 0 && is_fresh(chunk, day)) {
      uint64_t kept = spool_.records_of(chunk).size();
      job_.result.count("kept_from_earlier_run", static_cast<int64_t>(kept));
      job_.listed += kept;
      job_.done += kept;
      ++job_.days_done;
      return;
    }
    for (int attempt = 1;; ++attempt) {
      spool_.remove(chunk);
      unlink(marker.c_str());
      try {
        DayItems items = fetch_once(day, month);
        for (const Broken& broken : items.broken) {
          ++missing_;
          job_.item_missing(broken.name, broken.error);
        }
        job_.result.count("fetched", static_cast<int64_t>(items.added));
        if (items.elsewhere > 0) job_.result.count("of_another_day", static_cast<int64_t>(items.elsewhere));
        if (items.broken.empty()) job_.keep(spool_, chunk);
        ++job_.days_done;
        return;
      } catch (const base::CorruptError& error) {
        job_.check_stop();
        if (attempt < kSearchesMax) continue;
        fail(day, error);
        return;
      } catch (const DayError& failed) {
        job_.check_stop();
        fail(day, failed.error);
        return;
      }
    }
  }

  Gathered gathered() const {
    Gathered out;
    out.missing = missing_;
    out.failed_days = failed_days_;
    return out;
  }

 private:
  // An answer of the server, told apart from what goes wrong on this side (a full disk).
  struct DayError {
    base::Error error;
  };

  // An API does not say what of a day was revised, but by giving all of it again: kept days are for attempts
  // that follow one another, and not for what was fetched before the day was over.
  bool is_fresh(const std::string& chunk, const Day& day) const {
    const std::string path = index_path(spool_.folder(), chunk);
    struct stat facts{};
    if (stat(path.c_str(), &facts) != 0) raise_errno("look at " + path, errno);
    const int64_t written_ms = int64_t{facts.st_mtim.tv_sec} * 1000 + facts.st_mtim.tv_nsec / 1'000'000;
    return written_ms >= day.end_us() / 1000 && written_ms > job_.clock.now_ms() - kFreshMs;
  }

  void fail(const Day& day, const base::Error& error) {
    spool_.remove(chunk_of(day));
    // First: an empty day without it would be one that has nothing.
    base::write_durably(spool_.folder() + "/" + chunk_of(day) + ".broken", "");
    spool_.begin(chunk_of(day)).finish();
    ++failed_days_;
    job_.day_failed(day.text(), error);
  }

  DayItems fetch_once(const Day& day, const Month& month) {
    DayItems out;
    ItemChunk chunk = spool_.begin(chunk_of(day));
    ItemChecker checker;
    const std::string otherwise = search_.collections.size() == 1 ? search_.collections[0] : "";
    std::exception_ptr ours;
    try {
      search_items(job_.http, search_, day, [&](std::string_view text) {
        const CheckedItem* item = nullptr;
        try {
          item = &checker.check(text, otherwise);
        } catch (const base::CorruptError& error) {
          out.broken.push_back({name_of(text), error});
          return;
        }
        // Found because it overlaps the day; the day in which it begins brings it.
        if (!day.has(item->record.datetime_us)) {
          ++out.elsewhere;
          return;
        }
        try {
          chunk.add(*item, month.number());
        } catch (...) {
          ours = std::current_exception();
          throw;
        }
        ++out.added;
        ++job_.listed;
        ++job_.done;
      });
    } catch (const base::CorruptError&) {
      if (ours) std::rethrow_exception(ours);
      throw;
    } catch (const base::Error& error) {
      if (ours) std::rethrow_exception(ours);
      throw DayError{error};
    }
    if (!out.broken.empty()) base::write_durably(spool_.folder() + "/" + chunk_of(day) + ".broken", "");
    chunk.finish();
    return out;
  }

  StacJob& job_;
  ItemSpool& spool_;
  ApiSearch search_;
  std::atomic<uint64_t> missing_{0}, failed_days_{0};
};

}  // namespace

Gathered gather_api_items(StacJob& job, ItemSpool& spool, const Month& month) {
  ApiDays days(job, spool);
  std::vector<Day> wanted = month.days();
  job.days += wanted.size();
  job.for_each(wanted.size(), job.options.concurrent_days,
               [&](size_t i) { days.fetch_day(wanted[i], month); });
  Gathered out = days.gathered();
  for (const Day& day : wanted) out.chunks.push_back(chunk_of(day));
  return out;
}

}  // namespace millrace::stac

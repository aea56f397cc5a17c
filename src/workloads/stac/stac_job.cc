#include "workloads/stac/stac_job.h"

#include <exception>
#include <thread>

#include "base/hash.h"

namespace millrace::stac {
namespace {

constexpr int kRefusedInARowMax = 50;

HttpOptions http_options(const JobOptions& options, std::function<void()> check_stop) {
  HttpOptions out;
  out.client_id = options.client_id;
  out.connections = size_t{options.concurrent_days} * options.concurrent_per_day;
  out.attempts_max = options.attempts_max;
  out.pause = options.retry_pause;
  out.check_stop = std::move(check_stop);
  return out;
}

}  // namespace

uint64_t identity_of(std::string_view collection, std::string_view id) {
  std::string key(collection);
  key.append(1, '\0').append(id);
  return base::xxh3(key);
}

bool Existing::has(std::string_view collection, std::string_view id) const {
  return std::binary_search(identities.begin(), identities.end(), identity_of(collection, id));
}

StacJob::StacJob(const JobOptions& o, const base::Clock& c, workloads::JobResult& r)
    : options(o), clock(c), result(r), http(http_options(o, [this] { check_stop(); })) {}

void StacJob::check_stop() const {
  if (options.stop && options.stop->load())
    throw base::TransientError("interrupted; what was fetched is kept for the next run");
  if (ended_) throw base::TransientError("stopped, because another part of the job could not go on");
}

void StacJob::for_each(size_t count, unsigned threads, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  std::exception_ptr thrown;
  std::mutex mutex;
  auto loop = [&] {
    try {
      for (size_t i; !ended_ && (i = next++) < count;) work(i);
    } catch (...) {
      std::lock_guard lock(mutex);
      if (!thrown) thrown = std::current_exception();
      ended_ = true;
    }
  };
  std::vector<std::thread> pool;
  for (size_t t = 0; t < std::min<size_t>(threads, count); ++t) pool.emplace_back(loop);
  for (std::thread& thread : pool) thread.join();
  if (thrown) std::rethrow_exception(thrown);
}

bool StacJob::is_recent(const Day& day) const {
  return day.end_us() / 1000 > clock.now_ms() - int64_t{options.refresh_days} * 86'400'000;
}

void StacJob::item_missing(const std::string& name, const base::Error& error) {
  result.item_failed(name, error.what(), error.code());
  if (error.kind() == base::ErrorKind::kDenied) {
    if (++refused_in_a_row_ >= kRefusedInARowMax)
      throw base::DeniedError(std::to_string(kRefusedInARowMax) +
                                  " items in a row were refused, the last with: " + error.what() +
                                  "; what was fetched before is kept for the next run",
                              error.code());
  } else {
    refused_in_a_row_ = 0;
  }
}

void StacJob::day_failed(const std::string& name, const base::Error& error) {
  result.item_failed(name, error.what(), error.code());
}

void StacJob::restore(ItemSpool& spool, const std::string& chunk) {
  if (checkpoint && !spool.has_any(chunk) && checkpoint->restore(spool, chunk))
    result.count("days_from_checkpoint");
}

void StacJob::keep(const ItemSpool& spool, const std::string& chunk) {
  if (!checkpoint) return;
  try {
    checkpoint->save(spool, chunk);
  } catch (const base::Error& error) {
    result.count("days_without_checkpoint");
    result.detail("checkpoint_error", error.what());
  }
}

void StacJob::set_phase(const std::string& phase) {
  std::lock_guard lock(mutex_);
  phase_ = phase;
}

StacProgress StacJob::progress() const {
  StacProgress now;
  {
    std::lock_guard lock(mutex_);
    now.phase = phase_;
  }
  now.days = days, now.days_done = days_done, now.listed = listed, now.done = done;
  now.failed = static_cast<uint64_t>(result.failed_count());
  return now;
}

}  // namespace millrace::stac

#include "services/job_feed.h"

#include <utility>
#include <vector>

namespace millrace::services {
namespace {

constexpr char kFeed[] = "jobs";
constexpr size_t kPage = 1000;

}  // namespace

void JobFeed::catch_up(engine::Store& store) {
  int64_t after = hub_.cursor(kFeed);
  for (;;) {
    std::vector<engine::JobNotice> page = store.notices_after(after, kPage);
    if (page.empty()) return;
    after = page.back().seq;
    for (engine::JobNotice& notice : page) tell(std::move(notice));
  }
}

void JobFeed::tell(engine::JobNotice notice) {
  events::EventFields fields;
  fields.source = events::kBatchSource;
  fields.detail_type = std::move(notice.detail_type);
  fields.resources = std::move(notice.resources);
  fields.detail = std::move(notice.detail);
  fields.time = hub_.clock().now_ms();
  std::vector<events::Event> told;
  told.push_back(events::make_event(fields, hub_.place()));
  told.back().passing = true;
  hub_.accept_from(kFeed, notice.seq, std::move(told),
                   [&driver = driver_, seq = notice.seq](base::json::object, std::exception_ptr error) {
                     if (!error) driver.notices_heard(seq);
                   });
}

}  // namespace millrace::services

// What is told about jobs is kept with the commit that made it true, until whoever is told has made it
// durable.
#include "engine/store.h"

namespace millrace::engine {

void Store::commit_notices(const Notices& notices) {
  if (notices.heard > 0)
    connection_->prepare("DELETE FROM notices WHERE seq <= $1")->bind(1, notices.heard).run();
  if (notices.made.empty()) return;
  auto put =
      connection_->prepare("INSERT INTO notices(seq, type, resources, detail) VALUES ($1, $2, $3, $4)");
  for (const JobNotice* notice : notices.made) {
    json::array resources(notice->resources.begin(), notice->resources.end());
    put->bind(1, notice->seq).bind(2, notice->detail_type).bind(3, json::serialize(resources));
    put->bind(4, notice->detail).run();
  }
}

std::vector<JobNotice> Store::notices_after(int64_t seq, size_t most) {
  auto rows = connection_->prepare(
      "SELECT seq, type, resources, detail FROM notices WHERE seq > $1 ORDER BY seq LIMIT $2");
  rows->bind(1, seq).bind(2, static_cast<int64_t>(most));
  std::vector<JobNotice> out;
  while (rows->step()) {
    JobNotice notice;
    notice.seq = rows->int64(0);
    notice.detail_type = rows->text(1);
    const json::value resources = base::parse_json(rows->text(2));
    for (const json::value& resource : resources.as_array())
      notice.resources.emplace_back(base::view(resource.as_string()));
    notice.detail = rows->text(3);
    out.push_back(std::move(notice));
  }
  return out;
}

int64_t Store::last_notice() {
  auto row = connection_->prepare("SELECT seq FROM sqlite_sequence WHERE name = 'notices'");
  return row->step() ? row->int64(0) : 0;
}

}  // namespace millrace::engine

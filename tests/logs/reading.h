// What the tests of logs share: a folder, a time, and reading a stream page by page.
#pragma once

#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "logs/log_store.h"
#include "tests/support/temporary_folder.h"

namespace millrace::logs {

inline constexpr base::TimeMs kNow = 1'800'000'000'000;

class Folder {
 public:
  std::string path() const { return folder_.path().string(); }

 private:
  millrace::testing::TemporaryFolder folder_;
};

inline void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// Every event of a stream, from its head, following the forward tokens until one comes back.
inline std::vector<Event> read_all(LogStore& store, const std::string& group, const std::string& stream,
                                   size_t page_size) {
  GetQuery query{.group = group,
                 .stream = stream,
                 .from = std::nullopt,
                 .until = std::nullopt,
                 .from_head = true,
                 .limit = page_size,
                 .token = ""};
  std::vector<Event> events;
  for (;;) {
    GetPage page = store.get_events(query);
    for (Event& event : page.events) events.push_back(std::move(event));
    if (page.forward == query.token || (page.events.empty() && query.token.empty())) return events;
    query.token = page.forward;
  }
}

}  // namespace millrace::logs

// Finds out what changed in a bucket elsewhere by listing it again and again, and remembers it until it was
// told.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "objects/events.h"
#include "objects/store.h"
#include "sql/connection.h"

namespace millrace::events {

// What was seen and what is to be told are one SQLite file; each look is one transaction of it, so a crash
// forgets neither. Memory does not grow with the bucket. Not thread-safe; errors are those of the reader and
// of sql::Connection.
class ListingWatch {
 public:
  // Throws ConflictError when another process has the file.
  explicit ListingWatch(const std::string& path);
  ~ListingWatch();

  // Drawn when the file was made: numbers of changes mean something together with it only.
  int64_t id() const { return id_; }

  // Lists `prefix` of the bucket behind `reader`, which must list in ascending order of keys, and notes what
  // is new, changed (by ETag, size or time) or gone since the last look. What is there at the very first look
  // is only noted when `existing`. Returns how many changes there were. When the listing breaks off, nothing
  // was seen.
  size_t look(objects::ObjectReader& reader, const std::string& bucket, const std::string& prefix,
              base::TimeMs now, bool existing);

  // Changes to be told, after number `after`, in order; at most `limit`.
  std::vector<objects::ObjectEvent> changes(int64_t after, size_t limit);
  void forget(int64_t until);  // inclusive: they were told

 private:
  class Seen;
  void note(objects::ObjectEvent event);

  std::unique_ptr<sql::Connection> connection_;
  int64_t id_ = 0;
};

}  // namespace millrace::events

// A listing read object by object, in the byte order of its keys: what is merged with another one.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/worker_pool.h"
#include "objects/local_writer.h"
#include "objects/s3_client.h"
#include "objects/store.h"

namespace millrace::copy {

// One thread at a time. Errors are thrown: a listing that ends is complete.
class Listing {
 public:
  virtual ~Listing() = default;
  // Gives the next object with its key relative to the listing's root; false at the end.
  virtual bool next(objects::ObjectInfo& out) = 0;
  // From now on the listing ends at `until`, which no key given so far lies behind.
  virtual void shorten(const std::string& until) = 0;
};

// Keys behind `after` and up to and including `until` (both relative, empty: no bound).
struct KeyRange {
  std::string after, until;
};

// The objects below a prefix, a page at a time with the next one on its way (fetched in `pool`).
std::unique_ptr<Listing> list_bucket(std::shared_ptr<objects::S3Client> client, std::string prefix,
                                     KeyRange range, base::WorkerPool& pool);

// The files below a folder, as objects::open_local() sees them but in order, which costs the names of the
// folders on the way. `unreadable` is told what could not be listed. A folder that is not there is empty.
// Files that a copy is writing are passed over; those of one that was killed are taken away, if asked for.
using Unreadable = std::function<void(const std::string& key, const base::Error& error)>;
enum class Leftovers { kKeep, kRemove };
std::unique_ptr<Listing> list_folder(const std::string& folder, KeyRange range, Unreadable unreadable,
                                     Leftovers leftovers = Leftovers::kKeep);

// How the names of unfinished files begin.
inline constexpr std::string_view kUnfinishedPrefix = objects::kUnfinishedFilePrefix;

}  // namespace millrace::copy

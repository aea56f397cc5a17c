// The decision what to do with each key: two sorted listings read side by side, in constant memory.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "objects/store.h"
#include "workloads/copy/filter.h"
#include "workloads/copy/listing.h"

namespace millrace::copy {

enum class Compare {
  kTime,      // copy when the size differs or the source is newer: `aws s3 sync`
  kSizeOnly,  // when the size differs
  kChecksum,  // when the size or the content differs
};

struct MergeRules {
  Compare compare = Compare::kTime;
  std::vector<FilterRule> filters;
  bool markers = false;      // objects of no bytes whose key ends in '/' count, too
  bool exact_times = false;  // a destination that is newer is copied, too: files get the time of their source
  bool thaw = false;         // archived objects were restored: copy them
  // Where one side lies within the other (which has to be allowed): keys of that side that begin so are not
  // of the row; empty: it does not. Otherwise a copy into its own source would copy its copies, and a
  // deletion around its source would take that.
  std::string source_hole, destination_hole;
};

enum class Decision {
  kCopy,
  kSkip,      // the destination has it
  kInspect,   // only their stored checksums can tell whether they differ
  kArchived,  // in an archive class: S3 does not give it out
  kExtra,     // only the destination has it
};

// Told what becomes of each key, in order. `source` is null for kExtra, `destination` where there is none.
// Returns false to stop.
using OnDecision = std::function<bool(Decision, const char* why, const objects::ObjectInfo* source,
                                      const objects::ObjectInfo* destination)>;

struct MergeCounts {
  uint64_t source_listed = 0;                            // with folder markers
  uint64_t source_objects = 0, destination_objects = 0;  // with excluded ones, without markers
};

// Asked now and then with the greatest key that either listing has given: may name a later key, at which both
// then end (somebody else does the rest).
using OnPause = std::function<std::optional<std::string>(const std::string& behind)>;

// Throws what the listings throw, and CorruptError when one of them is not in order: then what seems to be
// missing may be there, and nothing may be deleted.
MergeCounts merge(Listing& source, Listing& destination, const MergeRules& rules, const OnDecision& decided,
                  const OnPause& pause = {});

// What becomes of one object, from both sides; `why` in words.
Decision decide(const objects::ObjectInfo& source, const objects::ObjectInfo* destination,
                const MergeRules& rules, const char*& why);

// "0123…" as S3 makes it of the content alone: an MD5, not of parts.
bool is_md5(std::string_view etag);

}  // namespace millrace::copy

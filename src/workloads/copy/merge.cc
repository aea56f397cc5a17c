#include "workloads/copy/merge.h"

#include <algorithm>

#include "base/error.h"

namespace millrace::copy {
namespace {

using objects::ObjectInfo;

constexpr uint64_t kPauseKeys = 4000;  // of the source, between two questions

// One side of the merge: the object at hand, and a check that the next one follows it.
class Side {
 public:
  Side(Listing& listing, const MergeRules& rules, const std::string& hole)
      : listing_(listing), rules_(rules), hole_(hole) {}

  // Goes to the next object that counts.
  void advance() {
    for (;;) {
      std::swap(last_, object_.key);
      has_ = listing_.next(object_);
      if (!has_) return;
      if (listed_ > 0 && object_.key <= last_)
        throw base::CorruptError("a listing is not in order: '" + object_.key + "' came after '" + last_ +
                                 "'");
      ++listed_;
      if (!hole_.empty() && object_.key.starts_with(hole_)) continue;
      bool marker = object_.size == 0 && (object_.key.empty() || object_.key.ends_with('/'));
      if (!marker) ++objects_;
      if (marker && !rules_.markers) continue;
      if (!rules_.filters.empty() && !takes(rules_.filters, object_.key)) continue;
      return;
    }
  }
  bool has() const { return has_; }
  const ObjectInfo& object() const { return object_; }
  uint64_t listed() const { return listed_; }
  uint64_t objects() const { return objects_; }

 private:
  Listing& listing_;
  const MergeRules& rules_;
  const std::string& hole_;
  ObjectInfo object_;
  std::string last_;
  bool has_ = false;
  uint64_t listed_ = 0, objects_ = 0;
};

bool is_archived(const ObjectInfo& object) {
  return object.storage_class == "GLACIER" || object.storage_class == "DEEP_ARCHIVE";
}

}  // namespace

bool is_md5(std::string_view etag) {
  return etag.size() == 32 && etag.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Decision decide(const ObjectInfo& source, const ObjectInfo* destination, const MergeRules& rules,
                const char*& why) {
  auto copy = [&](const char* reason) {
    why = reason;
    return is_archived(source) && !rules.thaw ? Decision::kArchived : Decision::kCopy;
  };
  if (!destination) return copy("new");
  if (source.size != destination->size) return copy("size differs");
  why = "same size";
  switch (rules.compare) {
    case Compare::kSizeOnly:
      return Decision::kSkip;
    case Compare::kTime:
      if (source.last_modified > destination->last_modified) return copy("source is newer");
      if (rules.exact_times && source.last_modified != destination->last_modified)
        return copy("times differ");
      why = "same size, not older";
      return Decision::kSkip;
    case Compare::kChecksum:
      why = "same size and ETag";
      if (!source.etag.empty() && source.etag == destination->etag) return Decision::kSkip;
      why = "same size";
      // Even two MD5s may differ for the same bytes: encrypted objects have ETags that are none.
      return is_archived(source) && !rules.thaw ? Decision::kArchived : Decision::kInspect;
  }
  return Decision::kCopy;
}

MergeCounts merge(Listing& source_listing, Listing& destination_listing, const MergeRules& rules,
                  const OnDecision& decided, const OnPause& pause) {
  Side source(source_listing, rules, rules.source_hole);
  Side destination(destination_listing, rules, rules.destination_hole);
  source.advance();
  destination.advance();
  bool more = true;
  uint64_t pause_at = kPauseKeys;
  while (more && (source.has() || destination.has())) {
    if (pause && source.listed() >= pause_at && source.has()) {
      pause_at = source.listed() + kPauseKeys;
      const std::string& there = destination.has() ? destination.object().key : source.object().key;
      if (auto until = pause(std::max(source.object().key, there))) {
        source_listing.shorten(*until);
        destination_listing.shorten(*until);
      }
    }
    int order = !source.has()        ? 1
                : !destination.has() ? -1
                                     : source.object().key.compare(destination.object().key);
    if (order > 0) {
      more = decided(Decision::kExtra, "only the destination has it", nullptr, &destination.object());
      destination.advance();
      continue;
    }
    const ObjectInfo* there = order == 0 ? &destination.object() : nullptr;
    const char* why = "";
    Decision decision = decide(source.object(), there, rules, why);
    more = decided(decision, why, &source.object(), there);
    source.advance();
    if (there) destination.advance();
  }
  return {source.listed(), source.objects(), destination.objects()};
}

}  // namespace millrace::copy

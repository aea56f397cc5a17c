// What a run has done already, kept where a run that was killed or failed can go on from.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "workloads/copy/listing.h"
#include "workloads/copy/open_uploads.h"

namespace millrace::copy {

// Of one row that was begun: what is left of it.
struct RowLeft {
  std::vector<KeyRange> ranges;     // not listed to their ends
  std::vector<std::string> failed;  // relative keys that were behind already, but could not be copied
  bool operator==(const RowLeft&) const = default;
};
inline bool operator==(const KeyRange& a, const KeyRange& b) {
  return a.after == b.after && a.until == b.until;
}

struct JournalState {
  std::string fingerprint;                      // of the list and the options that change what is done
  std::vector<std::pair<size_t, size_t>> done;  // first and last row, ascending
  std::map<size_t, RowLeft> rows;               // begun and not done; others begin anew
  std::vector<OpenUpload> uploads;
};

// A file, or an object in a bucket, that is replaced as a whole: complete or as it was before. One thread.
class Journal {
 public:
  explicit Journal(std::string location) : location_(std::move(location)) {}
  const std::string& location() const { return location_; }
  // Nothing when there is none. Throws CorruptError for one that cannot be read.
  std::optional<JournalState> load() const;
  // On the disk (or acknowledged by the bucket) when this returns.
  void save(const JournalState& state) const;
  void remove() const;

 private:
  objects::S3Client& bucket(const std::string& name) const;
  const std::string location_;
  mutable std::unique_ptr<objects::S3Client> client_;
};

std::string journal_text(const JournalState& state);
JournalState parse_journal(const std::string& text);

// `--journal` without a place: in the user's state folder ($XDG_STATE_HOME, ~/.local/state), by fingerprint.
// Empty when there is no such folder.
std::string default_journal(const std::string& fingerprint);

}  // namespace millrace::copy

// Uploads in parts that are under way, so that a run that is killed leaves none behind: the next one goes on
// with them, or takes them away.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "objects/s3_client.h"

namespace millrace::copy {

struct OpenUpload {
  std::string bucket, key;
  std::string id;       // empty: it was about to begin
  std::string version;  // of what is copied: only the same goes on
  base::TimeMs begun = 0;
  bool operator==(const OpenUpload&) const = default;
};

// Thread-safe.
class OpenUploads {
 public:
  // `save` makes what all() gives durable; called before an upload is created and when its id is known.
  OpenUploads(std::function<void()> save, const base::Clock& clock, const std::atomic<bool>& stopping)
      : save_(std::move(save)), clock_(clock), stopping_(stopping) {}

  void adopt(std::vector<OpenUpload> earlier);  // of an earlier run; before anything else
  std::vector<OpenUpload> all() const;

  // Does `work`, which stores `key` with `parts` and may do so in parts: with an upload of an earlier run
  // where there is one. What fails is aborted; what is only interrupted is kept.
  void during(objects::S3Client& client, const std::string& key, const std::string& version,
              objects::PartsOptions& parts, const std::function<void()>& work);

  // What earlier runs left and nobody took. `client_of` gives that of a bucket. Tells `left` of those that
  // could not be aborted; they stay.
  void abort_rest(
      const std::function<std::shared_ptr<objects::S3Client>(const std::string& bucket)>& client_of,
      const std::function<void(const OpenUpload&, const base::Error&)>& left);

 private:
  static void abort(objects::S3Client& client, const OpenUpload& upload);
  // An earlier one of that key, out of those nobody took.
  std::optional<OpenUpload> take(const std::string& bucket, const std::string& key);
  void keep(OpenUpload upload);
  void forget(const OpenUpload& upload);

  const std::function<void()> save_;
  const base::Clock& clock_;
  const std::atomic<bool>& stopping_;
  mutable std::mutex mutex_;
  std::vector<OpenUpload> earlier_, current_;  // few: large objects in flight
};

}  // namespace millrace::copy

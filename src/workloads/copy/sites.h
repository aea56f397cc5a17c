// The two sides of a row: a prefix of a bucket, or a folder.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/worker_pool.h"
#include "objects/local_writer.h"
#include "objects/s3_client.h"
#include "workloads/copy/listing.h"

namespace millrace::copy {

// How one side's buckets are reached; empty: from the environment, as the AWS CLI does.
struct ServiceOptions {
  std::string profile, endpoint, region;
  bool operator==(const ServiceOptions&) const = default;
};

// Keys of a site are relative to its prefix or folder.
struct Site {
  std::shared_ptr<objects::S3Client> client;     // of a bucket; null: a folder
  std::shared_ptr<objects::LocalWriter> folder;  // else
  std::string prefix;                            // of the bucket's keys

  bool is_s3() const { return client != nullptr; }
  std::string key(const std::string& relative) const { return prefix + relative; }
  // Where a file is, for reading.
  std::string path(const std::string& relative) const { return folder->path() + "/" + relative; }
  std::string url(const std::string& relative) const;
  std::unique_ptr<Listing> list(KeyRange range, base::WorkerPool& pool, Unreadable unreadable,
                                Leftovers leftovers = Leftovers::kKeep) const;
};

// Opens sites and keeps what they share: one HTTP client, one client a bucket, one writer a folder.
// Thread-safe.
class Sites {
 public:
  struct Shared {
    std::shared_ptr<objects::S3Traffic> traffic;
    std::shared_ptr<objects::RequestGate> gate;
    size_t connections_max = 64;
    uint64_t multipart_threshold = 1ull << 30;  // copies above it go in parts; at most 5 GiB
  };
  Sites(ServiceOptions source, ServiceOptions destination, Shared shared);

  Site bucket(bool source, const std::string& name, std::string prefix);
  Site folder(const std::string& path);
  // True when a server can copy from one side to the other by itself.
  bool same_service() const { return same_service_; }
  bool same_credentials() const { return options_[0].profile == options_[1].profile; }
  // Everything written to folders so far is on the disk afterwards.
  void sync_folders();

 private:
  const objects::S3ClientOptions& base_of(bool source);

  const ServiceOptions options_[2];  // of the source, of the destination
  const Shared shared_;
  bool same_service_ = true;
  std::mutex mutex_;
  std::optional<objects::S3ClientOptions> bases_[2];
  std::map<std::string, std::shared_ptr<objects::S3Client>> clients_[2];
  std::map<std::string, std::shared_ptr<objects::LocalWriter>> folders_;
};

}  // namespace millrace::copy

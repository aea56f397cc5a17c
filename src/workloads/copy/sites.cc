#include "workloads/copy/sites.h"

#include <algorithm>
#include <vector>

#include "workloads/text.h"

namespace millrace::copy {
namespace {

constexpr int kAttempts = 8;  // a storm of 503 may last half a minute
constexpr uint64_t kSingleCopyMax = 5ull << 30;
constexpr uint64_t kCopyPartMin = 5ull << 20;  // S3's own limits
// Clients and folders kept open: rows of thousands of buckets or folders must not run out of anything.
constexpr size_t kKeptMax = 256;

}  // namespace

std::string Site::url(const std::string& relative) const {
  return is_s3() ? client->url() + "/" + key(relative) : path(relative);
}

std::unique_ptr<Listing> Site::list(KeyRange range, base::WorkerPool& pool, Unreadable unreadable,
                                    Leftovers leftovers) const {
  if (is_s3()) return list_bucket(client, prefix, std::move(range), pool);
  return list_folder(folder->path(), std::move(range), std::move(unreadable), leftovers);
}

Sites::Sites(ServiceOptions source, ServiceOptions destination, Shared shared)
    : options_{std::move(source), std::move(destination)}, shared_(std::move(shared)) {
  if (options_[0] == options_[1]) return;
  // Only now does anything have to be read to know whether both lead to the same servers.
  same_service_ = base_of(true).endpoint == base_of(false).endpoint;
}

const objects::S3ClientOptions& Sites::base_of(bool source) {
  std::lock_guard lock(mutex_);
  size_t side = source ? 0 : 1;
  if (side == 1 && options_[0] == options_[1]) side = 0;
  if (!bases_[side]) {
    const ServiceOptions& wanted = options_[side];
    objects::S3ClientOptions options = objects::s3_options_from_environment("", wanted.profile);
    if (!wanted.endpoint.empty()) options.endpoint = wanted.endpoint;
    if (!wanted.region.empty()) options.region = wanted.region;
    options.client = std::make_shared<http::Client>(shared_.connections_max);
    options.traffic = shared_.traffic;
    options.gate = shared_.gate;
    options.attempts_max = kAttempts;
    options.copy_single_bytes_max = std::min(shared_.multipart_threshold, kSingleCopyMax);
    options.copy_part_bytes = std::clamp(shared_.multipart_threshold, kCopyPartMin, options.copy_part_bytes);
    bases_[side] = std::move(options);
  }
  return *bases_[side];
}

Site Sites::bucket(bool source, const std::string& name, std::string prefix) {
  objects::S3ClientOptions options = base_of(source);
  std::lock_guard lock(mutex_);
  auto& clients = clients_[source || options_[0] == options_[1] ? 0 : 1];
  if (clients.size() >= kKeptMax && !clients.contains(name)) clients.clear();  // rows keep theirs
  auto& client = clients[name];
  if (!client) {
    options.bucket = name;
    client = std::make_shared<objects::S3Client>(std::move(options));
  }
  return {client, nullptr, std::move(prefix)};
}

Site Sites::folder(const std::string& path) {
  std::lock_guard lock(mutex_);
  std::string text = path.empty() ? "." : path;
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  if (folders_.size() >= kKeptMax && !folders_.contains(text)) folders_.clear();
  auto& writer = folders_[text];
  if (!writer) writer = std::make_shared<objects::LocalWriter>(text);
  return {nullptr, writer, ""};
}

void Sites::sync_folders() {
  std::vector<std::shared_ptr<objects::LocalWriter>> writers;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [path, writer] : folders_) writers.push_back(writer);
  }
  for (const auto& writer : writers)
    if (writer->written()) writer->sync();
}

}  // namespace millrace::copy

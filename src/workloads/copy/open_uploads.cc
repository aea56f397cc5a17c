#include "workloads/copy/open_uploads.h"

#include <algorithm>

#include "base/error.h"

namespace millrace::copy {
namespace {

// A server's clock may differ that much from ours, or it refuses our signatures.
constexpr base::TimeMs kSkewMs = 15 * 60 * 1000;

auto of(const std::string& bucket, const std::string& key) {
  return [&](const OpenUpload& upload) { return upload.bucket == bucket && upload.key == key; };
}

}  // namespace

void OpenUploads::adopt(std::vector<OpenUpload> earlier) {
  std::lock_guard lock(mutex_);
  earlier_ = std::move(earlier);
}

std::vector<OpenUpload> OpenUploads::all() const {
  std::lock_guard lock(mutex_);
  std::vector<OpenUpload> all = current_;
  all.insert(all.end(), earlier_.begin(), earlier_.end());
  return all;
}

std::optional<OpenUpload> OpenUploads::take(const std::string& bucket, const std::string& key) {
  std::lock_guard lock(mutex_);
  auto found = std::find_if(earlier_.begin(), earlier_.end(), of(bucket, key));
  if (found == earlier_.end()) return std::nullopt;
  OpenUpload upload = std::move(*found);
  earlier_.erase(found);
  current_.push_back(upload);
  return upload;
}

void OpenUploads::keep(OpenUpload upload) {
  std::lock_guard lock(mutex_);
  auto found = std::find_if(current_.begin(), current_.end(), of(upload.bucket, upload.key));
  if (found == current_.end())
    current_.push_back(std::move(upload));
  else
    *found = std::move(upload);
}

void OpenUploads::forget(const OpenUpload& upload) {
  std::lock_guard lock(mutex_);
  std::erase_if(current_, of(upload.bucket, upload.key));
}

void OpenUploads::abort(objects::S3Client& client, const OpenUpload& upload) {
  if (!upload.id.empty()) return client.abort_upload(upload.key, upload.id);
  // Killed between asking for it and writing its id down: it is of this key, and younger than that.
  for (const std::string& id : client.uploads_of(upload.key, upload.begun - kSkewMs))
    client.abort_upload(upload.key, id);
}

void OpenUploads::during(objects::S3Client& client, const std::string& key, const std::string& version,
                         objects::PartsOptions& parts, const std::function<void()>& work) {
  OpenUpload upload{client.options().bucket, key, "", version, 0};
  if (auto earlier = take(upload.bucket, key)) {
    if (!earlier->id.empty() && earlier->version == version) {
      upload = *earlier;
      parts.resume = upload.id;
    } else {
      abort(client, *earlier);
      forget(*earlier);
    }
  }
  parts.beginning = [&] {
    upload.id.clear();
    upload.begun = clock_.now_ms();
    keep(upload);
    save_();
  };
  parts.begun = [&](const std::string& id) {
    upload.id = id;
    keep(upload);
    save_();
  };
  try {
    work();
  } catch (const base::Error& error) {
    if (stopping_ || error.code() == "Interrupted") throw;
    if (upload.begun != 0) {
      try {
        abort(client, upload);
        forget(upload);
      } catch (const base::Error&) {
        // What went wrong first is what counts. The note stays: a later run tries again.
      }
    }
    throw;
  }
  forget(upload);
}

void OpenUploads::abort_rest(
    const std::function<std::shared_ptr<objects::S3Client>(const std::string& bucket)>& client_of,
    const std::function<void(const OpenUpload&, const base::Error&)>& left) {
  std::vector<OpenUpload> rest;
  {
    std::lock_guard lock(mutex_);
    rest = earlier_;
  }
  for (const OpenUpload& upload : rest) {
    try {
      abort(*client_of(upload.bucket), upload);
    } catch (const base::Error& error) {
      left(upload, error);
      continue;
    }
    std::lock_guard lock(mutex_);
    std::erase(earlier_, upload);
  }
}

}  // namespace millrace::copy

#include <condition_variable>
#include <mutex>
#include <optional>

#include "workloads/copy/listing.h"

namespace millrace::copy {
namespace {

class BucketListing final : public Listing {
 public:
  BucketListing(std::shared_ptr<objects::S3Client> client, std::string prefix, KeyRange range,
                base::WorkerPool& pool)
      : client_(std::move(client)), prefix_(std::move(prefix)), range_(std::move(range)), pool_(pool) {
    if (!range_.after.empty()) start_after_ = prefix_ + range_.after;
    fetch("");
  }
  // The pool's thread uses what is in here.
  ~BucketListing() override { wait(); }

  bool next(objects::ObjectInfo& out) override {
    while (at_ == page_.objects.size()) {
      if (last_) return false;
      wait();
      if (error_) std::rethrow_exception(error_);
      page_ = std::move(arrived_);
      at_ = 0;
      // A page that ends behind the range is the last that matters.
      bool beyond = !range_.until.empty() && !page_.objects.empty() && is_behind(page_.objects.back().key);
      if (page_.next.empty() || beyond)
        last_ = true;
      else
        fetch(page_.next);
    }
    objects::ObjectInfo& info = page_.objects[at_++];
    if (!range_.until.empty() && is_behind(info.key)) {
      at_ = page_.objects.size();
      last_ = true;
      return false;
    }
    out = std::move(info);
    if (!out.key.starts_with(prefix_))
      throw base::CorruptError("list " + client_->url() + ": a key without the prefix that was asked for");
    out.key.erase(0, prefix_.size());
    return true;
  }
  void shorten(const std::string& until) override { range_.until = until; }

 private:
  bool is_behind(const std::string& key) const {
    return std::string_view(key).substr(std::min(prefix_.size(), key.size())) > range_.until;
  }

  void fetch(std::string token) {
    {
      std::lock_guard lock(mutex_);
      fetching_ = true;
    }
    token_ = std::move(token);
    pool_.post([this] {
      objects::ListedPage page;
      std::exception_ptr error;
      try {
        page = client_->list_page({.prefix = prefix_,
                                   .delimiter = {},
                                   .start_after = token_.empty() ? std::string_view(start_after_) : "",
                                   .token = token_});
      } catch (...) {
        error = std::current_exception();
      }
      std::lock_guard lock(mutex_);
      arrived_ = std::move(page);
      error_ = error;
      fetching_ = false;
      done_.notify_all();
    });
  }

  void wait() {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return !fetching_; });
  }

  std::shared_ptr<objects::S3Client> client_;
  const std::string prefix_;
  KeyRange range_;
  base::WorkerPool& pool_;
  std::string start_after_, token_;
  objects::ListedPage page_;
  size_t at_ = 0;
  bool last_ = false;
  std::mutex mutex_;
  std::condition_variable done_;
  bool fetching_ = false;
  objects::ListedPage arrived_;
  std::exception_ptr error_;
};

}  // namespace

std::unique_ptr<Listing> list_bucket(std::shared_ptr<objects::S3Client> client, std::string prefix,
                                     KeyRange range, base::WorkerPool& pool) {
  return std::make_unique<BucketListing>(std::move(client), std::move(prefix), std::move(range), pool);
}

}  // namespace millrace::copy

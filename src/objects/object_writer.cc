#include <fcntl.h>

#include <future>

#include "base/error.h"
#include "base/hash.h"
#include "objects/directory_store.h"
#include "objects/store_errors.h"

namespace millrace::objects {
namespace {
constexpr size_t kBufferBytes = 128 * 1024;
// Write-back begins while the body still arrives, so that the sync at its end finds little to do.
constexpr uint64_t kWriteBackBytes = 8 * 1024 * 1024;
}  // namespace

ObjectWriter::ObjectWriter(DirectoryStore& store, Integrity integrity)
    : store_(store), integrity_(std::move(integrity)), md5_(base::Digest::Algorithm::kMd5) {
  if (integrity_.algorithm) checksum_.emplace(*integrity_.algorithm);
}

ObjectWriter::~ObjectWriter() {
  if (file_) store_.files_.remove(content_);
}

void ObjectWriter::write(std::string_view bytes) {
  size_ += bytes.size();
  if (size_ > store_.options_.put_bytes_max) throw entity_too_large();
  md5_.update(bytes);
  if (checksum_) checksum_->update(bytes);
  if (!file_ && size_ > store_.options_.inline_bytes_max) {
    ContentId content = store_.next_content();
    file_ = std::make_shared<base::UniqueFd>(store_.files_.create(content));
    content_ = content;
  }
  if (!file_ || buffer_.size() + bytes.size() < kBufferBytes) {
    buffer_ += bytes;
    return;
  }
  spill();
  write_all(file_->get(), bytes);
  unsynced_ += bytes.size();
  if (unsynced_ >= kWriteBackBytes) {
    sync_file_range(file_->get(), 0, 0, SYNC_FILE_RANGE_WRITE);
    unsynced_ = 0;
  }
}

void ObjectWriter::spill() {
  write_all(file_->get(), buffer_);
  unsynced_ += buffer_.size();
  buffer_.clear();
}

PutResult ObjectWriter::seal() {
  PutResult result;
  std::string md5 = md5_.finish();
  if (!integrity_.md5.empty() && integrity_.md5 != md5) throw bad_md5();
  result.etag = base::hex(md5);
  result.size = size_;
  if (checksum_) {
    std::string computed = checksum_->finish();
    if (!integrity_.checksum.empty() && integrity_.checksum != computed)
      throw bad_checksum(checksum_name(*integrity_.algorithm));
    result.checksum = Checksum{*integrity_.algorithm, false, base::base64(computed)};
  }
  if (file_) {
    spill();
    sync_data(file_->get());
  }
  result.modified = store_.now();
  return result;
}

void ObjectWriter::finish(Done done) {
  auto result = std::make_shared<PutResult>(seal());
  ContentId content = file_ ? content_ : size_ == 0 ? 0 : -store_.next_content();
  // From here the file belongs to the change: the writer may be gone before it is committed.
  bool has_file = file_ != nullptr;
  file_.reset();
  store_.commits_->submit(
      [apply = std::move(apply_), content, result, data = std::move(buffer_)](Commit& commit) {
        if (content < 0) commit.index.insert_inline(content, data);
        commit.adopt(content);
        apply(commit, content, *result);
      },
      [&store = store_, content, has_file, result, done = std::move(done)](std::exception_ptr error) {
        if (error && has_file) store.files_.remove(content);
        done(std::move(*result), error);
      });
}

PutResult ObjectWriter::finish() {
  std::promise<PutResult> finished;
  finish([&](PutResult result, std::exception_ptr error) {
    if (error)
      finished.set_exception(error);
    else
      finished.set_value(std::move(result));
  });
  return finished.get_future().get();
}

}  // namespace millrace::objects

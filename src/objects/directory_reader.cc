// A bucket of the directory store as an ObjectReader, for jobs inside the engine's own process.
#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "objects/directory_store.h"
#include "objects/store_errors.h"

namespace millrace::objects {
namespace {

class DirectoryReader final : public ObjectReader {
 public:
  DirectoryReader(DirectoryStore& store, std::string bucket) : store_(store), bucket_(std::move(bucket)) {}

  void list(std::string_view prefix, const std::function<bool(const ObjectInfo&)>& visit) override {
    ListSpec spec;
    spec.prefix = prefix;
    for (;;) {
      ListPage page = store_.list(bucket_, spec);
      for (ListedObject& object : page.objects) {
        ObjectInfo info{std::move(object.key), object.size, std::move(object.etag), object.modified, 0};
        if (!visit(info)) return;
      }
      if (!page.truncated) return;
      spec.from = page.next_from;
    }
  }

  ObjectInfo head(std::string_view key) override {
    ObjectRecord record = store_.head(bucket_, key);
    return {std::string(key), record.size, record.etag, record.modified, 0};
  }

  size_t read(std::string_view key, uint64_t offset, char* out, size_t length,
              std::string_view etag) override {
    OpenObject object = store_.open(bucket_, key);
    if (!etag.empty() && etag != object.record.etag) throw precondition_failed();
    if (offset >= object.record.size) return 0;
    length = static_cast<size_t>(std::min<uint64_t>(length, object.record.size - offset));
    if (!object.file) {
      object.data.copy(out, length, offset);
      return length;
    }
    for (size_t got = 0; got < length;) {
      ssize_t n = pread(object.file.get(), out + got, length - got, static_cast<off_t>(offset + got));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw base::TransientError(base::system_message("read an object", errno));
      if (n == 0) throw base::CorruptError("a content file is shorter than the index says");
      got += static_cast<size_t>(n);
    }
    return length;
  }

  std::string url() const override { return "s3://" + bucket_; }

 private:
  DirectoryStore& store_;
  std::string bucket_;
};

}  // namespace

std::unique_ptr<ObjectReader> DirectoryStore::reader(const std::string& name) {
  bucket(name);
  return std::make_unique<DirectoryReader>(*this, name);
}

}  // namespace millrace::objects

#include "objects/store.h"

namespace millrace::objects {
namespace {

// Stores where every read is a request of its own.
class AskedAnew final : public ObjectHandle {
 public:
  AskedAnew(ObjectReader& reader, std::string_view key, std::string_view etag)
      : reader_(reader), key_(key), etag_(etag) {}
  size_t read(uint64_t offset, char* out, size_t length) override {
    return reader_.read(key_, offset, out, length, etag_);
  }

 private:
  ObjectReader& reader_;
  std::string key_, etag_;
};

}  // namespace

std::unique_ptr<ObjectHandle> ObjectReader::open_object(std::string_view key, std::string_view etag) {
  return std::make_unique<AskedAnew>(*this, key, etag);
}

}  // namespace millrace::objects

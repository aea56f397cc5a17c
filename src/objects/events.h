// What happened to an object, told once it is durable and visible.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"

namespace millrace::objects {

struct ObjectEvent {
  enum class Kind { kCreated, kDeleted };
  Kind kind = Kind::kCreated;
  std::string reason;  // PutObject, POST Object, CopyObject, CompleteMultipartUpload, DeleteObject
  std::string bucket;
  std::string key;    // bytes
  uint64_t size = 0;  // bytes; 0 when deleted
  std::string etag;   // without quotes; empty when deleted
  base::TimeMs time = 0;
  int64_t sequence = 0;  // rises with every change of any object
  // Who asked, as the caller of the store gave it.
  std::string requester, source_address, request_id;
  std::string version_id;      // empty in a bucket that never kept versions
  bool delete_marker = false;  // kDeleted: the object was hidden behind this marker, not deleted
  std::string details;         // Requester::details
};

}  // namespace millrace::objects

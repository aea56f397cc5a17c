// How records stand in rows of the index. Internal to the index.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "objects/records.h"
#include "sql/connection.h"

namespace millrace::objects {

// Headers as one blob. Neither names nor values of headers can hold a NUL.
std::string pack(const StoredHeaders& headers);
StoredHeaders unpack(std::string_view packed);

void bind_checksum(sql::Statement& s, int parameter, const std::optional<Checksum>& checksum);
std::optional<Checksum> read_checksum(sql::Statement& s, int column);

// Parameters 1 to 11: bucket,key,content,size,etag,modified,checksum,sequence,headers,parts,null_version.
void bind_object(sql::Statement& s, int64_t bucket, std::string_view key, const ObjectRecord& object);
// Columns 0 to 8: content,size,etag,modified,checksum,sequence,headers,parts,null_version.
ObjectRecord read_object(sql::Statement& s);

// The x-amz-storage-class among packed headers, empty for STANDARD; cheaper than unpacking them all.
std::string storage_class_in(std::string_view packed);

// Ends a statement whatever happens: an open read would keep the WAL from being checkpointed.
class Running {
 public:
  explicit Running(sql::Statement& statement) : statement_(statement) {}
  ~Running() { statement_.reset(); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  sql::Statement& statement_;
};

}  // namespace millrace::objects

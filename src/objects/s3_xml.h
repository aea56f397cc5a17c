// The small documents of S3 as its client reads and writes them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace millrace::objects {

struct S3Error {
  std::string code, message, region;
};
// What an <Error> document says; all empty when it is none.
S3Error error_in(const std::string& body);

// Text for an element; a CR as a reference, since a parser would take it for a line break.
std::string escaped_xml(std::string_view text);
// False for text with control characters, which no XML 1.0 document can hold.
bool fits_xml(std::string_view text);

std::string without_etag_quotes(std::string_view etag);

// The text of the first child of the root element with that name; empty when there is none.
std::string child_of_root(const std::string& body, const char* name);

// <CompleteMultipartUpload>, for parts 1, 2, … with these ETags (without quotes).
std::string complete_document(const std::vector<std::string>& etags);

// <Delete> for these keys, without answers for the deleted ones.
std::string delete_document(const std::vector<std::string>& keys);
struct DeleteError {
  std::string key, code, message;
};
std::vector<DeleteError> delete_errors(const std::string& body);

struct ListedPart {
  int number = 0;
  uint64_t size = 0;
  std::string etag, crc32;  // crc32: base64, empty when the server has none
};
struct PartsPage {
  std::vector<ListedPart> parts;
  bool truncated = false;
  std::string next;
};
PartsPage parts_page(const std::string& body);

struct ListedUpload {
  std::string key, id;
  base::TimeMs initiated = 0;
};
struct UploadsPage {
  std::vector<ListedUpload> uploads;
  bool truncated = false;
  std::string next_key, next_id;
};
UploadsPage uploads_page(const std::string& body);

}  // namespace millrace::objects

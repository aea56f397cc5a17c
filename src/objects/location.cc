#include "base/error.h"
#include "base/url.h"
#include "objects/local_reader.h"
#include "objects/s3_client.h"
#include "objects/store.h"

namespace millrace::objects {

Location parse_location(std::string_view url) {
  auto bad = [&](const char* why) {
    return base::UsageError("not a usable location: '" + std::string(url) + "' (" + why +
                            "); expected s3://BUCKET[/PREFIX], file:///PATH or a path");
  };
  Location location;
  if (url.empty()) throw bad("empty");
  if (url.starts_with("s3://")) {
    std::string_view rest = url.substr(5);
    size_t slash = rest.find('/');
    location.is_s3 = true;
    location.bucket = rest.substr(0, slash);
    if (location.bucket.empty()) throw bad("no bucket");
    if (slash != std::string_view::npos) location.path = rest.substr(slash + 1);
    return location;
  }
  if (url.starts_with("file://")) {
    std::string_view rest = url.substr(7);
    if (rest.starts_with("localhost/")) rest.remove_prefix(9);
    if (!rest.starts_with('/')) throw bad("a file URL has three slashes");
    location.path = base::percent_decode(rest);
    return location;
  }
  // "C++: a folder://x" is a path; "http://…" is most likely a mistake.
  size_t colon = url.find("://");
  if (colon != std::string_view::npos &&
      url.substr(0, colon).find_first_not_of(
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-") == std::string_view::npos)
    throw bad("unknown scheme");
  location.path = url;
  return location;
}

std::unique_ptr<ObjectReader> open_reader(const Location& location) {
  if (!location.is_s3) return open_local(location.path);
  std::unique_ptr<S3Client> client = open_s3(location.bucket);
  if (!client->bucket_exists())
    throw base::NotFoundError("there is no bucket " + location.bucket + " (s3://" + location.bucket + ")",
                              "NoSuchBucket");
  return client;
}

}  // namespace millrace::objects

#include "workloads/scan/scan_source.h"

#include <filesystem>

#include "objects/local_reader.h"

namespace millrace::scan {

OpenedSource open_source(const std::string& source) {
  objects::Location location = objects::parse_location(source);
  OpenedSource opened;
  if (location.is_s3) {
    opened.prefix = location.path;
    while (opened.prefix.ends_with('/')) opened.prefix.pop_back();
    if (!opened.prefix.empty()) opened.prefix += '/';
    opened.context.storage = "s3";
    opened.context.bucket = location.bucket;
    opened.context.base = "s3://" + location.bucket + "/";
    opened.reader = objects::open_reader(location);
  } else {
    namespace fs = std::filesystem;
    // The name that the user knows, links and all; only ".." needs the file system to mean anything.
    std::error_code error;
    fs::path path = fs::absolute(location.path, error);
    if (location.path.find("..") != std::string::npos) path = fs::canonical(location.path, error);
    if (error) path = location.path;
    std::string folder = path.lexically_normal().string();
    while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
    opened.context.storage = "local";
    opened.context.base = folder == "/" ? folder : folder + "/";
    opened.reader = objects::open_local(folder);
  }
  opened.context.root = opened.context.base + opened.prefix;
  return opened;
}

}  // namespace millrace::scan

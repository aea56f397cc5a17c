#include "workloads/stac/places.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "objects/s3_client.h"
#include "workloads/stac/spool_files.h"

namespace millrace::stac {
namespace {

constexpr size_t kPieceBytes = 1 << 20;

// The folder (or bucket) of a file, and its name in it.
std::pair<objects::Location, std::string> split(const objects::Location& file) {
  objects::Location folder = file;
  if (file.is_s3) {
    folder.path.clear();
    return {folder, file.path};
  }
  std::filesystem::path path(file.path);
  folder.path = path.has_parent_path() ? path.parent_path().string() : ".";
  return {folder, path.filename().string()};
}

}  // namespace

objects::Location below(objects::Location place, const std::string& name) {
  if (!place.path.empty() && !place.path.ends_with('/')) place.path += '/';
  place.path += name;
  return place;
}

std::string shown(const objects::Location& location) {
  return location.is_s3 ? "s3://" + location.bucket + "/" + location.path : location.path;
}

void make_folders_of(const objects::Location& file) {
  if (file.is_s3) return;
  std::filesystem::path folder = std::filesystem::path(file.path).parent_path();
  std::error_code error;
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (error) raise_errno("make " + folder.string(), error.value());
}

std::optional<objects::ObjectInfo> find_object(const objects::Location& location) {
  auto [folder, name] = split(location);
  try {
    return objects::open_reader(folder)->head(name);
  } catch (const base::NotFoundError& error) {
    if (error.code() == "NoSuchBucket") throw;
    return std::nullopt;
  }
}

std::optional<std::string> read_object(const objects::Location& location, uint64_t bytes_max) {
  auto [folder, name] = split(location);
  try {
    std::unique_ptr<objects::ObjectReader> reader = objects::open_reader(folder);
    objects::ObjectInfo info = reader->head(name);
    if (info.size > bytes_max)
      throw base::CorruptError(shown(location) + " has " + base::human_bytes(info.size) + ", more than " +
                               base::human_bytes(bytes_max));
    std::string text(info.size, '\0');
    text.resize(reader->read(name, 0, text.data(), text.size(), info.etag));
    return text;
  } catch (const base::NotFoundError& error) {
    if (error.code() == "NoSuchBucket") throw;
    return std::nullopt;
  }
}

bool read_pieces(const objects::Location& location, const std::function<void(std::string_view)>& sink) {
  try {
    if (location.is_s3) {
      objects::open_s3(location.bucket)->get(location.path, sink);
      return true;
    }
    auto [folder, name] = split(location);
    std::unique_ptr<objects::ObjectReader> reader = objects::open_reader(folder);
    std::string piece(kPieceBytes, '\0');
    uint64_t at = 0;
    for (size_t n = piece.size(); n == piece.size(); at += n) {
      n = reader->read(name, at, piece.data(), piece.size(), {});
      sink({piece.data(), n});
    }
    return true;
  } catch (const base::NotFoundError& error) {
    if (error.code() == "NoSuchBucket") throw;
    return false;
  }
}

void remove_object(const objects::Location& location) {
  if (location.is_s3) {
    objects::open_s3(location.bucket)->remove(location.path);
  } else if (unlink(location.path.c_str()) != 0 && errno != ENOENT) {
    raise_errno("remove " + location.path, errno);
  }
}

}  // namespace millrace::stac

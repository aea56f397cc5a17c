// Reads one file after the other and turns what it is into rows.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "workloads/scan/batch.h"
#include "workloads/scan/cached_source.h"
#include "workloads/scan/media_helper.h"

namespace millrace::scan {

// Raised whenever the readers learn something: files read by an older version are then read again.
inline constexpr int64_t kReaderVersion = 2;

// What all files of one scan share.
struct ScanContext {
  std::string storage;       // "local" or "s3"
  std::string bucket;        // empty for local
  std::string base;          // what stands before a key in file_path: "/folder/" or "s3://bucket/"
  std::string root;          // what is scanned, ending in "/": `base` and the prefix
  bool hash = false;         // read the whole of each file for its SHA-256
  std::string media_helper;  // the program for rare media and thumbnails; empty: there is none
  std::string thumbnails;    // the folder for them; empty: none are wanted
  int64_t scan_id = 0;
  std::string scan_date;  // database_time() of its start
};

// One per thread.
class Extractor {
 public:
  Extractor(objects::ObjectReader& reader, const ScanContext& context);

  // Appends the rows of one file. A file that cannot be read gets a row with status 'broken' and the reason;
  // one that is gone by now gets none. Never throws for what is wrong with a file.
  void extract(const Candidate& candidate, Batch& out);

 private:
  struct Reading;
  void read(const objects::ObjectInfo& object, Reading& reading);
  void hash(const objects::ObjectInfo& object, Reading& reading);
  void probe(std::string_view name, Reading& reading);
  void add_thumbnail(const objects::ObjectInfo& object, Reading& reading);

  objects::ObjectReader& reader_;
  const ScanContext& context_;
  CachedSource source_;
  std::unique_ptr<MediaHelper> helper_;
};

// "2026-11-21 14:18:25.123000": how SQLAlchemy's DateTime writes it, in UTC; empty outside the years 1 to
// 9999.
std::string database_time(base::TimeMs time);

}  // namespace millrace::scan

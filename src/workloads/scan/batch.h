// A few dozen files on their way from the readers to the database.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "objects/store.h"
#include "workloads/scan/media_type.h"
#include "workloads/scan/row_buffer.h"

namespace millrace::scan {

// A file of the listing that has to be read. `id`: its row, 0 when it has none yet.
struct Candidate {
  objects::ObjectInfo object;
  int64_t id = 0;
};

// What became of one file. `error` is set for files that count as failed.
struct FileOutcome {
  std::string path;  // as in files.file_path
  int64_t id = 0;    // 0: new
  FileType type = FileType::kOther;
  std::string error, code;
};

struct Batch {
  std::vector<FileOutcome> outcomes;  // one for each row of `files`
  RowBuffer files;
  // Rows of the tables that hang on `files`; the first value of each is an index into `outcomes` instead of
  // file_id.
  RowBuffer images, videos, audio, blend_files, blend_scenes, dependencies;

  std::vector<int64_t> unchanged;         // rows that only have to be marked as seen
  std::vector<FileOutcome> still_broken;  // those of `unchanged` that could not be read when they were
  std::vector<FileOutcome> unstorable;    // named as failed, without a row
  uint64_t skipped = 0;                   // listed, unknown and older than what is asked for
  uint64_t gone = 0;                      // listed, and removed before they were read: no row
  uint64_t bytes_read = 0, requests = 0;

  size_t row_bytes() const {
    size_t bytes = 0;
    for (const RowBuffer* rows :
         {&files, &images, &videos, &audio, &blend_files, &blend_scenes, &dependencies})
      bytes += rows->bytes();
    return bytes;
  }
};

}  // namespace millrace::scan

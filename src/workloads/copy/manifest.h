// The list of rows: a CSV file with a source and a destination on each line.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "workloads/copy/row.h"
#include "workloads/csv_reader.h"

namespace millrace::copy {

enum class Header { kAuto, kYes, kNo };

// Reads rows piece by piece. Columns 1 and 2 are source and destination, unless a header names them
// ("source", "destination"). Further columns that a header names set the row's options: delete (true/false),
// include and exclude (patterns, several with ';'; includes come after excludes), acl, storage_class. Without
// a header they are written "delete=true". Others are passed over.
//
// Header::kAuto: the first record is a header when neither of its first two fields has a '/'.
class ManifestReader {
 public:
  using OnRow = std::function<void(Row)>;
  using OnBad = workloads::CsvReader::OnBad;

  // `defaults`: options of rows that do not say otherwise. `own_options`: rows may say.
  ManifestReader(Header header, RowOptions defaults, bool own_options, OnRow on_row, OnBad on_bad);
  void feed(std::string_view bytes) { csv_.feed(bytes); }
  void finish() { csv_.finish(); }

 private:
  void take(workloads::CsvRecord record);
  void read_header(const workloads::CsvRecord& record);
  static void set_option(RowOptions& options, std::string_view name, std::string_view value);

  Header header_;
  RowOptions defaults_;
  bool own_options_;
  OnRow on_row_;
  OnBad on_bad_;
  bool first_ = true;
  size_t source_ = 0, destination_ = 1;
  std::vector<std::string> names_;  // of the columns, lower case; empty without a header
  workloads::CsvReader csv_;
};

// Reads a whole list: a file, "-" for standard input, or s3://BUCKET/KEY. Throws what keeps it from being
// read to its end.
void read_manifest(const std::string& location, ManifestReader& reader);

// True and false as people write them; UsageError for anything else.
bool parse_bool(std::string_view text, std::string_view what);

}  // namespace millrace::copy

// The list of repositories: repos.csv with a header, read piece by piece.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "workloads/csv_reader.h"
#include "workloads/ingest/repository.h"

namespace millrace::http {
class Client;
}

namespace millrace::ingest {

// A row that cannot be done as it stands. It keeps its number: rows are counted alike on every machine.
struct RowProblem {
  uint64_t row = 0, line = 0;
  std::string code;  // "bad-row", "missing-field", "duplicate"
  std::string what;
};

// Columns by name, in any order and case: cloneUrl, origin and path must be there; branch, changeset, build,
// publishUri, alternateCloneUrl (also several), org1 … orgN; all others are kept. Fields beyond the header's
// are a problem unless they are empty; missing ones are empty.
//
// A repository is origin, path and branch. A second row of the same one that asks for the same thing is done
// with the first (`duplicate_of`); one that asks for something else is a problem.
class RepositoryListReader {
 public:
  // `duplicate_of`: the row that does it, 0 for none. `problem`: null when there is none. Each row is told
  // once.
  using OnRow = std::function<void(Repository row, uint64_t duplicate_of, const RowProblem* problem)>;

  explicit RepositoryListReader(OnRow on_row);
  // Throw CorruptError for a header without the columns that must be there, and for UTF-16.
  void feed(std::string_view bytes) { csv_.feed(bytes); }
  // Also for a file without any header.
  void finish();
  uint64_t rows() const { return rows_; }

 private:
  enum class Column : uint8_t {
    kUnknown,
    kCloneUrl,
    kAlternate,
    kBranch,
    kChangeset,
    kOrigin,
    kPath,
    kBuild,
    kPublishUri,
    kOrganization
  };
  void take(const workloads::CsvRecord& record);
  void read_header(const workloads::CsvRecord& record);

  OnRow on_row_;
  std::vector<std::string> names_;
  std::vector<Column> columns_;
  uint64_t rows_ = 0;
  struct First {
    uint64_t row;
    uint64_t content;
  };
  std::unordered_map<std::string, First> seen_;  // by 16 bytes of a digest of key()
  workloads::CsvReader csv_;
};

// Reads a whole list: a file, "-" for standard input, s3://BUCKET/KEY, http:// or https://. Throws what keeps
// it from being read to its end. `take` gets its bytes in order.
void read_list(const std::string& location, const std::shared_ptr<http::Client>& client,
               const std::function<void(std::string_view bytes)>& take);

}  // namespace millrace::ingest

// SQL scripts as psql takes them, \copy included, in one transaction.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "workloads/load/load.h"

namespace millrace::load {

struct ScriptStatement {
  uint64_t line = 0;
  std::string sql;        // without the semicolon; of a \copy the COPY … FROM STDIN
  std::string copy_file;  // of a \copy: the file; else empty
};

// Cut at semicolons outside quotes, comments and dollar quotes; \copy ends with its line. Throws UsageError,
// with the line, for other commands of psql, and for statements that begin or end transactions.
std::vector<ScriptStatement> parse_script(std::string_view text);

// Runs the script against every database, each in one transaction that the first error ends. A file of \copy
// is `options.source` when that has its name, else a file beside the script. What statements say goes to
// options.say and into the result.
void run_script(const LoadOptions& options, const std::string& file, workloads::JobResult& result);

}  // namespace millrace::load

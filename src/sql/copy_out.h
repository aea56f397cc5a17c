// PostgreSQL's COPY … TO STDOUT: the fast way out.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "sql/connection.h"

namespace millrace::sql {

// While it is there its connection does nothing else. One thread at a time, which need not be the one of the
// connection as long as that waits. Throws as Connection does.
class CopyOut {
 public:
  // Before the end was read the command is cancelled, and with it the transaction it is in.
  virtual ~CopyOut() = default;
  // Appends the next piece, as the command's format has it; pieces may end anywhere. May block. False at the
  // end: the command is done.
  virtual bool read(std::string& bytes) = 0;
};

// `sql` is the whole command ("COPY (SELECT …) TO STDOUT WITH (FORMAT binary)"). Throws UsageError when the
// connection is not PostgreSQL's.
std::unique_ptr<CopyOut> copy_out(Connection& connection, std::string_view sql);

}  // namespace millrace::sql

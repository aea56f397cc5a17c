// PostgreSQL's COPY … FROM STDIN: the fast way in.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "sql/connection.h"

namespace millrace::sql {

// While it is there its connection does nothing else. One thread at a time, which need not be the one of the
// connection as long as that waits. Throws as Connection does.
class CopyIn {
 public:
  // Without finish() the command is broken off, and with it the transaction it is in.
  virtual ~CopyIn() = default;
  // Bytes as the command's format has them; pieces may end anywhere. May block.
  virtual void write(std::string_view bytes) = 0;
  // Rows that arrived.
  virtual int64_t finish() = 0;
};

// `sql` is the whole command ("COPY t FROM STDIN WITH (FORMAT binary)"). Throws UsageError when the
// connection is not PostgreSQL's.
std::unique_ptr<CopyIn> copy_in(Connection& connection, std::string_view sql);

}  // namespace millrace::sql

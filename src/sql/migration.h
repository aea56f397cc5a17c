// How a SQLite file gets from an older format to the newest.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "sql/connection.h"

namespace millrace::sql {

// How many of its steps the file has behind it (PRAGMA user_version); 0: it is new.
int64_t format_of(Connection& connection);

// Does what is missing of `steps` in one transaction; `made` belongs to it and runs when the file is new.
// Throws ConflictError, which names `path`, when the file has more steps behind it than there are.
void migrate(Connection& connection, const std::string& path, std::span<const char* const> steps,
             const std::function<void()>& made);

}  // namespace millrace::sql

// Conformance cases kept outside the source tree, in the folder that MILLRACE_CORPORA names. Tests that want
// them are skipped without it.
#pragma once

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "base/json.h"

namespace millrace::events {

// The lines of a file of JSON objects; empty when there is no such folder.
inline std::vector<base::json::object> corpus(const std::string& file) {
  std::vector<base::json::object> cases;
  const char* folder = std::getenv("MILLRACE_CORPORA");
  if (!folder) return cases;
  std::ifstream in(std::string(folder) + "/" + file);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) cases.push_back(base::parse_json(line).as_object());
  }
  return cases;
}

inline std::string text_of(const base::json::object& object, std::string_view name) {
  const auto found = base::find_string(object, name);
  return found ? std::string(*found) : "";
}

}  // namespace millrace::events

// The engine that runs on a data folder, to be asked by commands.
#pragma once

#include <string>

#include "cli/api_client.h"
#include "cli/data_folder.h"
#include "http/client.h"

namespace millrace::cli {

struct EngineConnection {
  // `data` may be empty: the default folder. Throws NotFoundError when no engine runs there.
  EngineConnection(const std::string& data, const std::string& region);

  DataFolder folder;
  std::string endpoint;
  http::Client http;
  ApiClient api;
};

// Runs the body of a command: its errors go to stderr after `name`, and decide about the exit code (2 for
// wrong usage, else 1). `region` is what the user said.
template <typename Body>
int run_command(const char* name, const std::string& region, const Body& body);

int report_error(const char* name, const std::string& region);

template <typename Body>
int run_command(const char* name, const std::string& region, const Body& body) {
  try {
    return body();
  } catch (...) {
    return report_error(name, region);
  }
}

}  // namespace millrace::cli

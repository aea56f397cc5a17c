#include "cli/engine_connection.h"

#include <fmt/format.h>

#include <cstdio>
#include <string_view>

#include "aws/api_error.h"
#include "base/error.h"
#include "services/identities.h"

namespace millrace::cli {

EngineConnection::EngineConnection(const std::string& data, const std::string& region)
    : folder(name_data_folder(data.empty() ? default_data_folder() : data)),
      endpoint(require_endpoint(folder)),
      api(http, endpoint, region, services::read_root_key(folder.keys())) {}

// Of the exception being handled.
int report_error(const char* name, const std::string& region) {
  try {
    throw;
  } catch (const base::UsageError& error) {
    fmt::print(stderr, "millrace {}: {}\n", name, error.what());
    return 2;
  } catch (const aws::ApiError& error) {
    const bool of_region = std::string_view(error.what()).find("region") != std::string_view::npos;
    fmt::print(stderr, "millrace {}: the engine answers: {}{}\n", name, error.what(),
               of_region
                   ? " `millrace serve` was given another --region than " + region + "; say the same one here"
                   : "");
    return 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "millrace {}: {}\n", name, error.what());
    return 1;
  }
}

}  // namespace millrace::cli

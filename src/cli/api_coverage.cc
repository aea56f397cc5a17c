// `millrace api-coverage`: which operations this version answers, as docs/api-coverage.md.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "aws/model.h"
#include "cli/commands.h"
#include "services/gateway.h"

namespace millrace::cli {

void add_api_coverage_command(CLI::App& app, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("api-coverage", "lists AWS's operations and which of them are implemented");
  command->callback([&exit_code] {
    std::string text = aws::coverage_markdown([](const aws::ServiceModel&, const aws::Operation& operation) {
      return services::Gateway::implements(operation);
    });
    exit_code = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? 0 : 1;
  });
}

}  // namespace millrace::cli

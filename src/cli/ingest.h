// What the subcommands of `millrace ingest` share: the JSON result, signals, and how they end.
#pragma once

#include <atomic>
#include <functional>
#include <string>

namespace CLI {
class App;
}
namespace millrace::workloads {
class JobResult;
}

namespace millrace::cli {

// Each adds itself below `ingest`.
void add_ingest_run(CLI::App& ingest, int& exit_code);
void add_ingest_submit(CLI::App& ingest, int& exit_code);
void add_ingest_report(CLI::App& ingest, int& exit_code);

// The value of a variable; "" when it is not set.
std::string variable(const char* name);
// True once SIGTERM or SIGINT came, after stop_on_signals().
std::atomic<bool>& stop_flag();
void stop_on_signals();
// Runs `body` with a result, writes that to `destination` (none: "") and as the last line of standard output,
// and gives the exit code: 2 when `body` throws UsageError, 1 for other errors, else that of the result.
int run_with_result(const std::string& command, const std::string& destination,
                    const std::function<void(workloads::JobResult& result)>& body);

}  // namespace millrace::cli

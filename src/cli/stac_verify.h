// A subcommand of `millrace stac`.
#pragma once

namespace CLI {
class App;
}

namespace millrace::cli {

// Adds `verify` to `stac`; sets `exit_code` when it is the one that was asked for.
void add_stac_verify_command(CLI::App& stac, int& exit_code);

}  // namespace millrace::cli

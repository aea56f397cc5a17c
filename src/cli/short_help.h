// The page of `millrace --help`: a line for each command, in groups.
#pragma once

namespace CLI {
class App;
}

namespace millrace::cli {

// Lists of commands show the first sentence of each. Call before commands are added, which inherit it.
void use_short_help(CLI::App& app);
// Puts the commands that were added into their groups.
void group_commands(CLI::App& app);

}  // namespace millrace::cli

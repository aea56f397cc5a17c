// The program's arguments, which everybody on the machine can read (ps, /proc/PID/cmdline).
#pragma once

#include <string>
#include <vector>

namespace millrace::cli {

// A copy of them. In the originals the passwords of URLs are overwritten: from then on `ps` shows "***". They
// can be seen for the moment before; DATABASE_URL and secrets never.
std::vector<std::string> take_arguments(int argc, char** argv);

}  // namespace millrace::cli

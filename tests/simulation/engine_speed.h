// How many commands the engine alone takes in a second, on one core: no disk, no network, no processes.
#pragma once

namespace millrace::simulation {

// Prints a line for each kind of load. Returns the exit code.
int measure_engine();

}  // namespace millrace::simulation

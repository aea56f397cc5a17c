// What happened in a simulated world, as lines for a reader.
#pragma once

#include <string>
#include <variant>

#include "engine/command.h"

namespace millrace::simulation {

std::string describe(const engine::Command& command);
std::string describe(const engine::Effect& effect);
// What a client was answered.
std::string describe(const std::variant<engine::json::object, engine::Refusal>& reply);

}  // namespace millrace::simulation

#include "cli/short_help.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <string>

namespace millrace::cli {
namespace {

constexpr size_t kNameColumn = 16;

class ShortFormatter final : public CLI::Formatter {
 public:
  std::string make_subcommand(const CLI::App* command) const override {
    std::string text = command->get_description();
    for (const char* end : {".\n", ". ", ": ", ":\n", " ("}) text = text.substr(0, text.find(end));
    while (!text.empty() && (text.back() == '.' || text.back() == '\n')) text.pop_back();
    for (char& c : text)
      if (c == '\n') c = ' ';
    if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
    std::string name = "  " + command->get_name();
    name.resize(std::max(name.size() + 2, kNameColumn), ' ');
    return name + text + "\n";
  }
};

struct Group {
  const char* title;
  std::array<const char*, 8> commands;
};
constexpr std::array kGroups = {
    Group{"The engine", {"try", "serve", "env", "doctor", "watch"}},
    Group{"What it does, and why", {"jobs", "why", "events", "rules", "iam"}},
    Group{"Jobs for data", {"scan", "load", "copy", "stac", "ingest", "catalog"}},
    Group{"More", {"objects", "completion", "api-coverage"}},
};

}  // namespace

void use_short_help(CLI::App& app) { app.formatter(std::make_shared<ShortFormatter>()); }

void group_commands(CLI::App& app) {
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    for (const Group& group : kGroups)
      for (const char* name : group.commands)
        if (name && command->get_name() == name) command->group(group.title);
}

}  // namespace millrace::cli

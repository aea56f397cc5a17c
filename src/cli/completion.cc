// `millrace completion`: what a shell needs to complete commands and options. Made from the options
// themselves, so that it cannot be out of date.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/strings.h"
#include "cli/commands.h"

namespace millrace::cli {
namespace {

constexpr char kHelp[] =
    R"help(Prints what your shell needs to complete millrace's commands and options with the Tab key.

Examples:
  eval "$(millrace completion bash)"                                     now; in ~/.bashrc: always
  eval "$(millrace completion zsh)"                                      in ~/.zshrc, after compinit
  millrace completion fish > ~/.config/fish/completions/millrace.fish
  millrace completion bash | sudo tee /etc/bash_completion.d/millrace    for everybody on this machine)help";

struct Level {
  std::string path;                   // "events tail", empty: the program itself
  std::vector<std::string> commands;  // below it
  std::vector<std::string> flags;     // options without a value
  std::vector<std::string> options;   // options with one
};

bool is_shown(const CLI::App& command) { return !command.get_group().empty(); }

void collect(const CLI::App& app, const std::string& path, std::vector<Level>& out) {
  Level level;
  level.path = path;
  auto all = [](const CLI::App*) { return true; };
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames())
      (option->get_expected_max() == 0 ? level.flags : level.options).push_back("--" + name);
  std::vector<const CLI::App*> below;
  for (const CLI::App* command : app.get_subcommands(all))
    if (is_shown(*command)) below.push_back(command);
  for (const CLI::App* command : below) level.commands.push_back(command->get_name());
  out.push_back(std::move(level));
  for (const CLI::App* command : below)
    collect(*command, path.empty() ? command->get_name() : path + " " + command->get_name(), out);
}

// One function for bash, and for zsh through its emulation: finds out which command the words before the
// cursor name, then offers what stands below it; a value of an option is a file's name.
std::string bash_script(const std::vector<Level>& levels) {
  std::string commands, options, valued;
  for (const Level& level : levels) {
    std::vector<std::string> both = level.flags;
    both.insert(both.end(), level.options.begin(), level.options.end());
    commands += fmt::format("    '{}') words='{}' ;;\n", level.path, base::join(level.commands, " "));
    options += fmt::format("    '{}') words='{}' ;;\n", level.path, base::join(both, " "));
    if (!level.options.empty())
      valued += fmt::format("    '{}') words='{}' ;;\n", level.path, base::join(level.options, " "));
  }
  auto look_up = [](const char* name, const std::string& cases) {
    return fmt::format(
        "{}() {{\n  local words=''\n  case \"$1\" in\n{}  esac\n  printf '%s' \"$words\"\n}}\n", name, cases);
  };
  return look_up("_millrace_commands", commands) + look_up("_millrace_options", options) +
         look_up("_millrace_valued", valued) + R"sh(_millrace() {
  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" path='' word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    case " $(_millrace_commands "$path") " in *" $word "*) path="${path:+$path }$word" ;; esac
  done
  COMPREPLY=()
  case " $(_millrace_valued "$path") " in *" $previous "*) COMPREPLY=($(compgen -f -- "$current")); return ;; esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$(_millrace_options "$path")" -- "$current")) ;;
    *) COMPREPLY=($(compgen -W "$(_millrace_commands "$path")" -- "$current"))
       [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current")) ;;
  esac
}
complete -o filenames -F _millrace millrace
)sh";
}

std::string fish_script(const CLI::App& app, const std::vector<Level>& levels) {
  auto quoted = [](std::string text) {
    text = text.substr(0, text.find('\n'));
    return "'" + base::replace_all(base::replace_all(text, "\\", "\\\\"), "'", "\\'") + "'";
  };
  std::string out =
      "function __millrace_at\n  set -l words (commandline -opc | string match -v -- '-*')[2..-1]\n"
      "  test (string join ' ' $words[1..(count $argv)]) = (string join ' ' $argv)\nend\n";
  for (const Level& level : levels) {
    const CLI::App* command = &app;
    for (std::string_view name : base::split(level.path, ' '))
      if (!name.empty()) command = command->get_subcommand(std::string(name));
    std::string at = level.path.empty() ? "__fish_use_subcommand" : "__millrace_at " + level.path;
    for (const std::string& name : level.commands)
      out += fmt::format("complete -c millrace -n '{}' -f -a {}\n", at, name);
    for (const CLI::Option* option : command->get_options())
      for (const std::string& name : option->get_lnames())
        out += fmt::format("complete -c millrace -n '{}' -l {}{} -d {}\n", at, name,
                           option->get_expected_max() == 0 ? "" : " -r", quoted(option->get_description()));
  }
  return out;
}

}  // namespace

void add_completion_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("completion", "what a shell needs to complete commands with Tab");
  command->description(kHelp);
  auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->callback([&app, shell, &exit_code] {
    std::vector<Level> levels;
    collect(app, "", levels);
    if (*shell == "zsh") fmt::print("autoload -Uz bashcompinit && bashcompinit\n");
    fmt::print("{}", *shell == "fish" ? fish_script(app, levels) : bash_script(levels));
    if (std::fflush(stdout) != 0) exit_code = 1;
  });
}

}  // namespace millrace::cli

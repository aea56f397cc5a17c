// `millrace events` and `millrace rules`: what happened, which rules matched, what became of it, and why not.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "base/time.h"
#include "cli/commands.h"
#include "cli/engine_connection.h"
#include "cli/job_facts.h"
#include "cli/printable.h"
#include "cli/table.h"

namespace millrace::cli {
namespace {

constexpr char kEventsHelp[] =
    R"help(Shows the events that came to the engine's event buses, and explains what rules made of them.

Examples:
  millrace events tail                       the latest events, and the rules that matched each
  millrace events tail --follow              also those to come, until Ctrl-C
  millrace events why 0d3f6c1e-… nightly     why rule nightly did or did not match that event: field by field
  millrace events test nightly event.json    would it match, and what would be asked of its targets; '-': standard input

A rule is NAME on the default bus, or BUS/NAME. Events that no rule matched are known for a while only.
Exit code: 0 shown (why, test: the rule matches); 1 no engine runs there, no such event or rule, or it does not match;
2 wrong usage.)help";

constexpr char kRulesHelp[] =
    R"help(Shows the rules of the event buses and the schedules, and how often they matched and were delivered.

MATCHED counts events (or firings), DELIVERED what reached a target, FAILED attempts that did not, DEAD deliveries that
were given up. PROBLEM is the latest failure, while nothing has arrived since.

Examples:
  millrace rules                                   all of them, one a line
  millrace rules describe nightly                  one rule: its pattern, targets, counts and latest deliveries
  millrace rules describe schedule:default/daily   the same of a schedule

Exit code: 0 shown; 1 no engine runs there, or no such rule; 2 wrong usage.)help";

constexpr auto kPoll = std::chrono::milliseconds(500);
constexpr int64_t kPageMax = 1000;

struct Arguments {
  std::string data, region = "us-east-1", event, rule, file;
  int64_t limit = 50;
  bool follow = false, json = false;
};

void add_engine_options(CLI::App& command, Arguments& arguments) {
  command.add_option("--data", arguments.data, "data folder [~/.local/share/millrace, or MILLRACE_DATA]");
  command.add_option("--region", arguments.region, "the region that the engine was given")
      ->capture_default_str();
  command.add_flag("--json", arguments.json, "the engine's answer instead of text");
}

void flush() {
  if (std::fflush(stdout) != 0) throw base::TransientError("the output cannot be written");
}

// "rule:default/nightly" as the user says it: nightly.
std::string owner_name(std::string owner) {
  owner = owner.substr(owner.find(':') + 1);
  return owner.starts_with("default/") ? owner.substr(8) : owner;
}

// "nightly: job 0d3f…", "nightly: open, 3 attempts: …".
std::string delivery_text(const json::object& delivery) {
  const std::string state = text_of(delivery, "state"), outcome = text_of(delivery, "outcome");
  const int64_t attempts = base::find_int(delivery, "attempts").value_or(0);
  std::string text = owner_name(text_of(delivery, "owner")) + ": ";
  if (state == "delivered") return text + outcome;
  text += state == "dead" ? "NOT DELIVERED" : attempts > 0 ? "to be tried again" : "under way";
  if (attempts > 1) text += fmt::format(" after {} attempts", attempts);
  if (!outcome.empty()) text += ": " + outcome;
  return text;
}

std::vector<std::string> event_row(const json::object& event) {
  std::vector<std::string> became, silent;
  for (const json::value& delivery : event.at("deliveries").as_array())
    became.push_back(delivery_text(delivery.as_object()));
  for (const json::value& rule : event.at("rules").as_array()) {
    const std::string name(base::view(rule.as_string()));
    const bool told = std::any_of(became.begin(), became.end(), [&](const std::string& text) {
      return text.find(name + ": ") != std::string::npos;
    });
    if (!told) became.push_back(name + " (has no target)");
  }
  const std::string what = became.empty() ? "no rule matched" : base::join(became, "; ");
  const std::string bus = text_of(event, "bus");
  std::string type = printable(text_of(event, "detail-type"));
  return {base::iso8601(base::find_int(event, "received").value_or(0), true),
          text_of(event, "id"),
          bus,
          printable(text_of(event, "source")),
          base::replace_all(type, " ", "_"),
          printable(what)};
}

void tail(Arguments& arguments) {
  EngineConnection engine(arguments.data, arguments.region);
  json::object answer = engine.api.own("events/tail", {{"after", 0}, {"limit", arguments.limit}});
  Table table({"RECEIVED", "EVENT", "BUS", "SOURCE", "TYPE", "RULES"});
  auto print_json = [](const json::object& events) {
    for (const json::value& event : events.at("events").as_array())
      fmt::print("{}\n", json::serialize(event));
  };
  if (arguments.json) {
    print_json(answer);
  } else if (!arguments.follow) {
    for (const json::value& event : answer.at("events").as_array()) table.add(event_row(event.as_object()));
    if (table.empty())
      fmt::print(stderr, "no events have come yet\n");
    else
      table.print();
  }
  auto print_lines = [](const json::object& events) {
    for (const json::value& event : events.at("events").as_array())
      fmt::print("{}\n", base::join(event_row(event.as_object()), " "));
  };
  if (arguments.follow && !arguments.json) print_lines(answer);
  flush();
  while (arguments.follow) {
    std::this_thread::sleep_for(kPoll);
    const int64_t last = base::find_int(answer, "last").value_or(0);
    answer = engine.api.own("events/tail", {{"after", last}, {"limit", kPageMax}});
    arguments.json ? print_json(answer) : print_lines(answer);
    flush();
  }
}

// Prints the fields that fail. Returns the exit code.
int print_explanation(const json::object& answer) {
  const bool matches = base::find_bool(answer, "matches").value_or(false);
  if (base::find_bool(answer, "disabled").value_or(false))
    fmt::print("the rule is disabled: it gets no events whatever its pattern says\n");
  if (matches) {
    fmt::print("it matches\n");
    return 0;
  }
  fmt::print("it does not match\n");
  const json::array* mismatches = base::find_array(answer, "mismatches");
  if (mismatches)
    for (const json::value& mismatch : *mismatches)
      fmt::print("  {}\n", printable(text_of(mismatch.as_object(), "reason")));
  if (!mismatches || mismatches->empty()) fmt::print("  {}\n", printable(text_of(answer, "reason")));
  return 1;
}

int why(Arguments& arguments) {
  EngineConnection engine(arguments.data, arguments.region);
  json::object answer = engine.api.own("events/why", {{"event", arguments.event}, {"rule", arguments.rule}});
  if (arguments.json) {
    fmt::print("{}\n", json::serialize(answer));
    flush();
    return base::find_bool(answer, "matches").value_or(false) ? 0 : 1;
  }
  const int code = print_explanation(answer);
  for (const json::value& delivery : answer.at("deliveries").as_array())
    fmt::print("  target {}: {}\n", text_of(delivery.as_object(), "target"),
               printable(delivery_text(delivery.as_object())));
  flush();
  return code;
}

std::string read_event(const std::string& path) {
  if (path == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  std::ifstream file(path, std::ios::binary);
  if (!file) throw base::UsageError("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

int test(Arguments& arguments) {
  const std::string event = read_event(arguments.file);
  EngineConnection engine(arguments.data, arguments.region);
  json::object answer = engine.api.own("events/test", {{"rule", arguments.rule}, {"event", event}});
  if (arguments.json) {
    fmt::print("{}\n", json::serialize(answer));
    flush();
    return base::find_bool(answer, "matches").value_or(false) ? 0 : 1;
  }
  const int code = print_explanation(answer);
  for (const json::value& value : answer.at("requests").as_array()) {
    const json::object& request = value.at("request").as_object();
    const std::string to = text_of(request, "to"), target = text_of(value.as_object(), "target");
    const char* would = code == 0 ? "" : ", if it matched";
    if (to == "batch")
      fmt::print("target {}{}: SubmitJob {}\n", target, would, json::serialize(request.at("submit")));
    else if (to == "none")
      fmt::print("target {}{}: NOTHING CAN BE DELIVERED: {}\n", target, would,
                 printable(text_of(request, "problem")));
    else
      fmt::print("target {}{}: {}\n", target, would, json::serialize(request));
  }
  flush();
  return code;
}

int rules(Arguments& arguments) {
  EngineConnection engine(arguments.data, arguments.region);
  json::object answer = engine.api.own("events/rules", {});
  if (arguments.json) {
    fmt::print("{}\n", json::serialize(answer));
    flush();
    return 0;
  }
  Table table(
      {"RULE", "STATE", "WHEN", "TARGETS", "MATCHED", "DELIVERED", "FAILED", "DEAD", "NEXT", "PROBLEM"});
  for (const json::value& value : answer.at("rules").as_array()) {
    const json::object& rule = value.as_object();
    auto number = [&](const char* name) { return std::to_string(base::find_int(rule, name).value_or(0)); };
    std::string when = text_of(rule, "ScheduleExpression");
    if (when.empty()) when = "pattern";
    auto next = base::find_int(rule, "next");
    table.add({(text_of(rule, "kind") == "schedule" ? "schedule:" : "") + text_of(rule, "name"),
               base::find_bool(rule, "enabled").value_or(true) ? "ENABLED" : "DISABLED",
               base::replace_all(when, " ", "_"), number("targets"), number("matched"), number("delivered"),
               number("failed"), number("dead"), next ? base::iso8601(*next) : "-",
               printable(text_of(rule, "problem"))});
  }
  if (table.empty())
    fmt::print(stderr, "there are no rules and schedules yet; `aws events put-rule` makes one\n");
  else
    table.print();
  flush();
  return 0;
}

// One rule or schedule: what it wants, whom it tells, how often that went well.
int describe(Arguments& arguments) {
  EngineConnection engine(arguments.data, arguments.region);
  json::object answer = engine.api.own("events/describe", {{"rule", arguments.rule}});
  if (arguments.json) {
    fmt::print("{}\n", json::serialize(answer));
    flush();
    return 0;
  }
  auto line = [](std::string_view name, const std::string& value) {
    if (!value.empty()) fmt::print("{:<10} {}\n", name, printable(value));
  };
  auto number = [&](const char* name) { return base::find_int(answer, name).value_or(0); };
  line(text_of(answer, "kind"), text_of(answer, "name"));
  line("about", text_of(answer, "Description"));
  line("state", base::find_bool(answer, "enabled").value_or(true) ? "ENABLED" : "DISABLED");
  // JSON as it is, to be copied: it has no control characters.
  if (std::string pattern = text_of(answer, "EventPattern"); !pattern.empty())
    fmt::print("{:<10} {}\n", "pattern", base::replace_all(pattern, "\n", " "));
  line("when", text_of(answer, "ScheduleExpression"));
  line("zone", text_of(answer, "ScheduleExpressionTimezone"));
  if (auto next = base::find_int(answer, "next")) line("next", base::iso8601(*next));
  line("counts", fmt::format("{} matched, {} delivered, {} failed, {} dead", number("matched"),
                             number("delivered"), number("failed"), number("dead")));
  line("problem", text_of(answer, "problem"));
  for (const json::value& target : answer.at("targets").as_array())
    fmt::print("{:<10} {}\n", "target", json::serialize(target));
  for (const json::value& value : answer.at("deliveries").as_array()) {
    const json::object& delivery = value.as_object();
    std::string what = delivery_text(delivery);
    what = base::iso8601(base::find_int(delivery, "born").value_or(0)) + " to " +
           text_of(delivery, "target") + what.substr(what.find(": "));
    const std::string event = text_of(delivery, "event");
    line("delivery", event.empty() ? what : what + " (event " + event + ")");
  }
  flush();
  return 0;
}

// Runs `body` when the command is the one that was asked for.
template <typename Body>
void on_call(CLI::App& command, const char* name, std::shared_ptr<Arguments> arguments, int& exit_code,
             Body body) {
  command.callback([name, arguments = std::move(arguments), &exit_code, body] {
    spdlog::set_level(spdlog::level::warn);
    exit_code = run_command(name, arguments->region, [&] { return body(*arguments); });
  });
}

}  // namespace

void add_events_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* events =
      app.add_subcommand("events", "shows events, the rules that matched, and why others did not");
  events->description(kEventsHelp);
  events->require_subcommand(1);
  CLI::App* command = events->add_subcommand("tail", "the latest events and what became of them");
  command->add_option("--limit", arguments->limit, "at most so many, the latest")
      ->check(CLI::Range(int64_t{1}, kPageMax))
      ->capture_default_str();
  command->add_flag("--follow,-f", arguments->follow, "go on with those to come");
  add_engine_options(*command, *arguments);
  on_call(*command, "events tail", arguments, exit_code, [](Arguments& a) {
    tail(a);
    return 0;
  });
  command = events->add_subcommand("why", "why a rule did or did not match an event");
  command->add_option("EVENT", arguments->event, "the id of an event")->required();
  command->add_option("RULE", arguments->rule, "a rule")->required();
  add_engine_options(*command, *arguments);
  on_call(*command, "events why", arguments, exit_code, why);
  command = events->add_subcommand("test", "what a rule would make of an event");
  command->add_option("RULE", arguments->rule, "a rule")->required();
  command->add_option("EVENT.json", arguments->file, "a file with an event, '-' for standard input")
      ->required();
  add_engine_options(*command, *arguments);
  on_call(*command, "events test", arguments, exit_code, test);
}

void add_rules_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("rules", "lists rules and schedules with their counts");
  command->description(kRulesHelp);
  add_engine_options(*command, *arguments);
  command->require_subcommand(0, 1);
  CLI::App* one =
      command->add_subcommand("describe", "one rule or schedule, with its targets and latest deliveries");
  one->add_option("RULE", arguments->rule, "a rule, or schedule:GROUP/NAME")->required();
  add_engine_options(*one, *arguments);
  on_call(*command, "rules", arguments, exit_code,
          [](Arguments& a) { return a.rule.empty() ? rules(a) : describe(a); });
}

}  // namespace millrace::cli

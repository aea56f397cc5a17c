// `millrace catalog`: what is in a catalogue that `millrace scan` made.
#include "workloads/scan/catalog.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/strings.h"
#include "base/time.h"
#include "cli/catalog_output.h"
#include "cli/commands.h"
#include "cli/printable.h"
#include "workloads/result.h"
#include "workloads/scan/catalog_queries.h"
#include "workloads/scan/report_html.h"
#include "workloads/scan/scan_options.h"
#include "workloads/scan/summary.h"
#include "workloads/text.h"

namespace millrace::cli {
namespace {

namespace json = base::json;

constexpr const char* kHelp =
    R"(Examples:
  millrace catalog summary                                    of ./db/metadata.db, or DATABASE_URL
  millrace catalog find '*.exr' --min-width 3840 --items      sequences as one row
  millrace catalog missing                                    files that .blend and other scenes need and that are not there
  millrace catalog duplicates --files --csv > copies.csv      equal files (millrace scan --hash finds them all)
  millrace catalog sequences --inconsistent                   holes, and frames that are not like the others
  millrace catalog show shots/010/lighting_v012.blend         all about one file, what it needs and who needs it
  millrace catalog report --html report.html                  one page to send around

Exit code: 0; 1 when it cannot be read; 2 wrong usage.)";

constexpr int64_t kShowItems = 200;

struct Arguments {
  std::string database, name, since, html, title;
  scan::FileFilter filter;
  int64_t limit = 0;
  int64_t min_size = -1, max_size = -1, min_width = 0, min_height = 0;
  bool as_json = false, as_csv = false, files = false, inconsistent = false;
};

std::string database_of(const Arguments& arguments) {
  if (!arguments.database.empty()) return arguments.database;
  return scan::options_from_environment(std::getenv, true).database_url;
}

OutputOptions output_of(const Arguments& arguments) {
  if (arguments.as_json && arguments.as_csv) throw base::UsageError("--json or --csv, not both");
  return {arguments.as_json  ? OutputForm::kJson
          : arguments.as_csv ? OutputForm::kCsv
                             : OutputForm::kTable,
          arguments.limit};
}

// A value on one line: lists with commas, objects as JSON.
std::string shown(const json::value& value) {
  if (value.is_string()) return workloads::printable(base::view(value.get_string()));
  if (value.is_array()) {
    std::string text;
    for (const json::value& item : value.get_array()) text += (text.empty() ? "" : ", ") + shown(item);
    return text;
  }
  return json::serialize(value);
}

void print_object(const char* heading, const json::object& object) {
  std::printf("\n%s\n", heading);
  for (const auto& member : object)
    print_field(("  " + base::replace_all(std::string(member.key()), "_", " ")).c_str(),
                shown(member.value()));
}

// A line of a list: the fields that say most, then the rest of what is set.
std::string line_of(const json::object& item) {
  std::string line;
  for (const auto& member : item) {
    const std::string_view key(member.key().data(), member.key().size());
    if (key == "position" || member.value().is_null()) continue;
    line += (line.empty() ? "" : "  ") + std::string(key) + "=" + shown(member.value());
  }
  return line;
}

std::string dependency_line(const json::object& item) {
  auto text = [&](const char* name) { return std::string(base::find_string(item, name).value_or("")); };
  const bool packed = base::find_bool(item, "packed").value_or(false);
  std::string line = packed                                            ? "packed   "
                     : base::find_bool(item, "exists").value_or(false) ? "there    "
                                                                       : "MISSING  ";
  line += text("kind") + "  " + workloads::printable(text("raw_path"));
  if (!text("owner").empty())
    line += "  (" + text("owner_type") + " " + workloads::printable(text("owner")) + ")";
  if (!text("found_elsewhere").empty()) line += "  perhaps " + workloads::printable(text("found_elsewhere"));
  return line;
}

void print_list(const char* heading, const json::object& about, const char* name,
                const std::function<std::string(const json::object&)>& line) {
  const json::array* list = base::find_array(about, name);
  if (!list) return;
  std::printf("\n%s\n", heading);
  for (const json::value& item : *list) std::printf("  %s\n", line(item.get_object()).c_str());
  const int64_t count = base::find_int(about, std::string(name) + "_count").value_or(0);
  if (count > static_cast<int64_t>(list->size()))
    std::printf("  … and %lld more (--json has them)\n",
                static_cast<long long>(count - static_cast<int64_t>(list->size())));
}

void show(const Arguments& arguments, sql::Connection& connection) {
  const int64_t id = scan::find_file(connection, arguments.name);
  if (output_of(arguments).form == OutputForm::kCsv) throw base::UsageError("show has no --csv");
  const json::object about = scan::describe_file(connection, id, arguments.as_json ? 100'000 : kShowItems);
  if (arguments.as_json) {
    std::printf("%s\n", json::serialize(about).c_str());
    return;
  }
  if (const json::object* file = base::find_object(about, "file")) {
    std::printf("%s\n", workloads::printable(base::find_string(*file, "file_path").value_or("")).c_str());
    json::object rest = *file;
    for (const char* known :
         {"file_path", "directory", "scan_id", "first_scan_id", "read_scan_id", "reader_version", "mtime_ns"})
      rest.erase(known);
    print_object("File", rest);
  }
  for (const char* part : {"image", "video", "audio", "blend", "sequence"})
    if (const json::object* object = base::find_object(about, part)) {
      std::string heading = part;
      heading[0] = static_cast<char>(heading[0] - 'a' + 'A');
      print_object(heading.c_str(), *object);
    }
  print_list("Scenes", about, "scenes", line_of);
  print_list("Needs", about, "dependencies", dependency_line);
  print_list("Needed by", about, "used_by", line_of);
  print_list("Copies", about, "copies", line_of);
}

void summary(const Arguments& arguments, const std::string& url, sql::Connection& connection) {
  if (output_of(arguments).form == OutputForm::kCsv) throw base::UsageError("summary has no --csv");
  if (arguments.as_json) {
    std::printf("%s\n", json::serialize(scan::describe_catalog(connection)).c_str());
    return;
  }
  const std::string text = scan::render_summary(connection, sql::without_password(url));
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void find(const Arguments& arguments, sql::Connection& connection) {
  scan::FileFilter filter = arguments.filter;
  filter.pattern = arguments.name;
  if (arguments.min_size >= 0) filter.size_min = arguments.min_size;
  if (arguments.max_size >= 0) filter.size_max = arguments.max_size;
  if (arguments.min_width > 0) filter.width_min = arguments.min_width;
  if (arguments.min_height > 0) filter.height_min = arguments.min_height;
  if (!arguments.since.empty())
    filter.modified_since = scan::parse_since(arguments.since, base::SystemClock().now_ms());
  print_rows(connection, scan::find_query(filter, connection.dialect()), output_of(arguments),
             "no such file");
}

using Action = std::function<void(const Arguments&, const std::string& url, sql::Connection&)>;

int run(const Arguments& arguments, const Action& action) {
  try {
    const std::string url = database_of(arguments);
    auto connection = scan::open_existing_catalog(url);
    action(arguments, url, *connection);
  } catch (const base::Error& e) {
    std::fprintf(stderr, "millrace catalog: %s\n", e.what());
    return e.kind() == base::ErrorKind::kUsage ? workloads::kExitUsage : workloads::kExitFailed;
  }
  return std::fflush(stdout) == 0 ? workloads::kExitDone : workloads::kExitFailed;
}

}  // namespace

void add_catalog_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  auto& a = *arguments;
  CLI::App* catalog = app.add_subcommand("catalog", "what a catalogue of `millrace scan` holds");
  catalog->footer(kHelp);
  catalog->require_subcommand(1);
  auto add = [&](const char* name, const char* about, Action action) {
    CLI::App* command = catalog->add_subcommand(name, about);
    command->add_option(
        "--database", a.database,
        "sqlite:///FILE or postgresql://…; default: DATABASE_URL, else sqlite:///./db/metadata.db");
    command->callback([arguments, action, &exit_code] { exit_code = run(*arguments, action); });
    return command;
  };
  auto with_forms = [&](CLI::App* command) {
    command->add_flag("--json", a.as_json, "as JSON");
    command->add_flag("--csv", a.as_csv, "as CSV");
    command->add_option("--limit", a.limit, "rows at most (tables: 100)")
        ->check(CLI::Range(int64_t{1}, INT64_MAX));
    return command;
  };
  auto list = [&](const char* name, const char* about, const char* nothing,
                  std::function<scan::CatalogQuery()> query) {
    return with_forms(
        add(name, about,
            [arguments, nothing, query](const Arguments& args, const std::string&, sql::Connection& c) {
              print_rows(c, query(), output_of(args), nothing);
            }));
  };

  CLI::App* summary_command =
      add("summary", "the last scan, files by type, the newest, what is wrong", summary);
  summary_command->add_flag("--json", a.as_json, "the numbers as JSON");

  CLI::App* find_command =
      with_forms(add("find", "files by name and by what they are",
                     [](const Arguments& args, const std::string&, sql::Connection& c) { find(args, c); }));
  find_command->add_option(
      "pattern", a.name,
      "of the name (of the path, with a /): * any characters, ? one; without these any part of the path");
  find_command->add_option("--type", a.filter.type,
                           "image, video, audio, blend, scene, cache, document, code …");
  find_command->add_option("--format", a.filter.format, "PNG, OpenEXR, MP4 …");
  find_command->add_option("--codec", a.filter.codec, "of videos and sound, or how images are compressed");
  find_command->add_option("--status", a.filter.status,
                           "ok, partial, broken, unsupported or missing (default: all but missing)");
  find_command->add_option("--show", a.filter.show, "the folder below shows/");
  find_command->add_option("--tag", a.filter.tag, "normal, roughness … of textures");
  find_command->add_option("--min-size", a.min_size, "bytes");
  find_command->add_option("--max-size", a.max_size, "bytes");
  find_command->add_option("--min-width", a.min_width, "pixels");
  find_command->add_option("--min-height", a.min_height, "pixels");
  find_command->add_option("--since", a.since, "modified since: 2026-11-21, or 12h, 7d ago");
  find_command->add_flag("--items", a.filter.fold_sequences, "a sequence is one row");

  list("missing", "files that .blend and other scenes need and that are not there", "nothing is missing",
       scan::missing_query);
  list("unused", "images, films, sounds and caches that nothing in the catalogue needs", "everything is used",
       scan::unused_query);
  list("unreadable", "files that could not be read, or not wholly", "everything could be read",
       scan::unreadable_query);
  list("scans", "what was scanned when", "nothing was scanned yet", scan::scans_query);
  list("duplicates", "equal files, those that waste most first",
       "no two files are known to be equal (millrace scan --hash compares their content)",
       [arguments] { return scan::duplicates_query(arguments->files); })
      ->add_flag("--files", a.files, "every file of each group");
  list("sequences", "image sequences, caches and texture sets", "no sequences", [arguments] {
    return scan::sequences_query(arguments->inconsistent);
  })->add_flag("--inconsistent", a.inconsistent, "only those with holes or with frames unlike the others");

  CLI::App* show_command =
      add("show", "all about one file",
          [](const Arguments& args, const std::string&, sql::Connection& c) { show(args, c); });
  show_command->add_option("file", a.name, "its path, or the end of it")->required();
  show_command->add_flag("--json", a.as_json, "as JSON");

  CLI::App* report_command =
      add("report", "one page with everything, for a browser",
          [](const Arguments& args, const std::string& url, sql::Connection& c) {
            base::SystemClock clock;
            scan::write_html_report(c, sql::without_password(url), args.title, args.html, clock);
            std::fprintf(stderr, "%s\n", args.html.c_str());
          });
  report_command->add_option("--html", a.html, "file or s3:// place for the page")->required();
  report_command->add_option("--title", a.title, "heading of the page (default: what was scanned)");
}

}  // namespace millrace::cli

// `millrace objects`: what the S3 endpoint of a data folder holds, with or without an engine running on it.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/time.h"
#include "cli/commands.h"
#include "cli/data_folder.h"
#include "cli/printable.h"
#include "objects/directory_view.h"
#include "objects/store.h"

namespace millrace::cli {
namespace {

namespace json = base::json;

constexpr char kHelp[] =
    R"help(Shows and checks what the S3 endpoint of a data folder holds, whether an engine runs on it or not.

Examples:
  millrace objects ls                            the buckets
  millrace objects ls s3://renders/shot010/      what is there, as a file manager shows it
  millrace objects ls -r --json s3://renders     every object, one JSON document a line
  millrace objects cat s3://renders/a.exr > a.exr
  millrace objects verify                        reads everything and recomputes every checksum

Exit codes: 0 all well, 3 verify found damage (each line names an object), 1 failed, 2 wrong usage.)help";

struct Arguments {
  std::string data, url, version;
  bool recursive = false, versions = false, json = false;
};

objects::DirectoryView open_view(const Arguments& arguments) {
  DataFolder folder = name_data_folder(arguments.data.empty() ? default_data_folder() : arguments.data);
  return objects::DirectoryView(folder.objects());
}

void print_entry(const Arguments& arguments, const std::string& key, const objects::ListedObject* object,
                 const objects::ListedVersion* version) {
  if (arguments.json) {
    json::object line{{"Key", key}};
    if (object) {
      line["Size"] = object->size;
      line["ETag"] = object->etag;
      line["LastModified"] = base::iso8601(object->modified);
      if (!object->storage_class.empty()) line["StorageClass"] = object->storage_class;
      if (object->checksum)
        line["Checksum" + std::string(objects::checksum_name(object->checksum->algorithm))] =
            object->checksum->value;
    }
    if (version) {
      line["VersionId"] = version->version_id;
      line["IsLatest"] = version->is_latest;
      line["IsDeleteMarker"] = version->delete_marker;
    }
    std::printf("%s\n", json::serialize(line).c_str());
    return;
  }
  std::string time = object ? base::iso8601(object->modified) : std::string(20, ' ');
  std::string size = !object || (version && version->delete_marker) ? "-" : std::to_string(object->size);
  std::string note;
  if (version) note = "  " + version->version_id + (version->delete_marker ? " (delete marker)" : "");
  std::printf("%s %12s  %s%s\n", time.c_str(), size.c_str(), printable(key).c_str(), note.c_str());
}

void list(const Arguments& arguments) {
  objects::DirectoryView view = open_view(arguments);
  if (arguments.url.empty() || arguments.url == "s3://") {
    for (const objects::BucketRecord& bucket : view.buckets()) {
      if (arguments.json)
        std::printf("%s\n", json::serialize(json::object{{"Name", bucket.name},
                                                         {"CreationDate", base::iso8601(bucket.created)}})
                                .c_str());
      else
        std::printf("%s  s3://%s\n", base::iso8601(bucket.created).c_str(), bucket.name.c_str());
    }
    return;
  }
  objects::Location where = objects::parse_location(arguments.url);
  if (!where.is_s3) throw base::UsageError("not an S3 URL: " + arguments.url);
  if (arguments.versions) {
    view.list_versions(where.bucket, where.path, [&](const objects::ListedVersion& version) {
      print_entry(arguments, version.object.key, &version.object, &version);
      return true;
    });
    return;
  }
  objects::ListSpec spec;
  spec.prefix = where.path;
  if (!arguments.recursive) spec.delimiter = "/";
  for (;;) {
    objects::ListPage page = view.list(where.bucket, spec);
    // Objects and folders in one order, as they sort.
    size_t folder = 0;
    for (const objects::ListedObject& object : page.objects) {
      for (; folder < page.common_prefixes.size() && page.common_prefixes[folder] < object.key; ++folder)
        print_entry(arguments, page.common_prefixes[folder], nullptr, nullptr);
      print_entry(arguments, object.key, &object, nullptr);
    }
    for (; folder < page.common_prefixes.size(); ++folder)
      print_entry(arguments, page.common_prefixes[folder], nullptr, nullptr);
    if (!page.truncated) return;
    spec.from = page.next_from;
  }
}

void print_content(const Arguments& arguments) {
  objects::Location where = objects::parse_location(arguments.url);
  if (!where.is_s3 || where.path.empty())
    throw base::UsageError("not the URL of an object: " + arguments.url);
  objects::DirectoryView view = open_view(arguments);
  view.read(where.bucket, where.path, arguments.version, [](std::string_view bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size())
      throw base::TransientError("the output cannot be written");
  });
  if (std::fflush(stdout) != 0) throw base::TransientError("the output cannot be written");
}

bool verify(const Arguments& arguments) {
  objects::DirectoryView view = open_view(arguments);
  objects::VerifyResult result = view.verify([&](const std::string& what, const std::string& why) {
    if (arguments.json)
      std::printf("%s\n", json::serialize(json::object{{"object", what}, {"problem", why}}).c_str());
    else
      std::printf("%s: %s\n", printable(what).c_str(), why.c_str());
  });
  if (arguments.json)
    std::printf("%s\n", json::serialize(json::object{{"objects", result.objects},
                                                     {"parts", result.parts},
                                                     {"bytes", result.bytes},
                                                     {"damaged", result.damaged}})
                            .c_str());
  else
    std::printf("%llu objects and %llu parts of unfinished uploads read, %s; %llu damaged\n",
                static_cast<unsigned long long>(result.objects),
                static_cast<unsigned long long>(result.parts), base::human_bytes(result.bytes).c_str(),
                static_cast<unsigned long long>(result.damaged));
  return result.damaged == 0;
}

}  // namespace

void add_objects_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("objects", "shows and checks what the S3 endpoint holds");
  command->description(kHelp);
  command->require_subcommand(1);
  auto add = [&](const char* name, const char* about, auto run) {
    CLI::App* sub = command->add_subcommand(name, about);
    sub->add_option("--data", arguments->data, "data folder [~/.local/share/millrace, or MILLRACE_DATA]");
    sub->callback([arguments, run, &exit_code] {
      try {
        exit_code = run(*arguments) ? 0 : 3;
      } catch (const base::UsageError& error) {
        std::fprintf(stderr, "millrace objects: %s\n", error.what());
        exit_code = 2;
      } catch (const std::exception& error) {
        std::fprintf(stderr, "millrace objects: %s\n", error.what());
        exit_code = 1;
      }
    });
    return sub;
  };
  CLI::App* ls =
      add("ls", "lists buckets, or what is in one", [](const Arguments& a) { return list(a), true; });
  ls->add_option("url", arguments->url, "s3://BUCKET[/PREFIX]; the buckets without it");
  ls->add_flag("-r,--recursive", arguments->recursive, "every object, not by folders");
  ls->add_flag("--versions", arguments->versions, "old versions and delete markers too");
  ls->add_flag("--json", arguments->json, "one JSON document a line");
  CLI::App* cat = add("cat", "writes an object to standard output",
                      [](const Arguments& a) { return print_content(a), true; });
  cat->add_option("url", arguments->url, "s3://BUCKET/KEY")->required();
  cat->add_option("--version-id", arguments->version, "an older version");
  CLI::App* check = add("verify", "reads everything and recomputes every checksum",
                        [](const Arguments& a) { return verify(a); });
  check->add_flag("--json", arguments->json, "one JSON document a line");
}

}  // namespace millrace::cli

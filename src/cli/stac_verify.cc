// `millrace stac verify`: whether a file is complete, valid and sorted.
#include "cli/stac_verify.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "base/durable_file.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "workloads/result.h"
#include "workloads/stac/verify.h"

namespace millrace::cli {
namespace {

constexpr size_t kResultBytesMax = 256u << 20;

struct Arguments {
  std::string file, result;
  std::optional<uint64_t> rows;
};

// How many rows the result of a job says the file has. A job names files as it was told to write them, so a
// file in a folder may be named by the end of its path.
uint64_t rows_in_result(const std::string& result, const std::string& file) {
  const auto parsed = base::parse_json(base::read_small_file(result, kResultBytesMax), 128);
  const auto* files = parsed.is_object() ? base::find_array(parsed.get_object(), "files") : nullptr;
  std::optional<uint64_t> rows;
  if (files) {
    for (const auto& entry : *files) {
      if (!entry.is_object()) continue;
      const auto name = base::find_string(entry.get_object(), "file");
      const auto count = base::find_int(entry.get_object(), "rows");
      if (!name || !count) continue;
      const bool same =
          file == *name || file.ends_with("/" + std::string(*name)) || name->ends_with("/" + file);
      if (!same) continue;
      if (rows) throw base::UsageError(result + " names several files that could be " + file);
      rows = static_cast<uint64_t>(*count);
    }
  }
  if (!rows) throw base::UsageError(result + " names no file " + file);
  return *rows;
}

int verify(const Arguments& arguments) {
  try {
    auto rows = arguments.rows;
    if (!arguments.result.empty()) {
      if (rows) throw base::UsageError("--rows or --result, not both");
      rows = rows_in_result(arguments.result, arguments.file);
    }
    const auto report = stac::verify_geoparquet(objects::parse_location(arguments.file), rows);
    for (const auto& problem : report.problems)
      std::printf("%s: %s\n", arguments.file.c_str(), problem.c_str());
    if (!report.problems.empty()) return workloads::kExitFailed;
    std::printf("%s: good: %llu rows in %llu row groups, %s\n", arguments.file.c_str(),
                static_cast<unsigned long long>(report.rows),
                static_cast<unsigned long long>(report.row_groups),
                base::join(report.collections, ", ").c_str());
    return workloads::kExitDone;
  } catch (const base::Error& e) {
    std::fprintf(stderr, "millrace stac verify: %s\n", e.what());
    return e.kind() == base::ErrorKind::kUsage ? workloads::kExitUsage : workloads::kExitFailed;
  }
}

}  // namespace

void add_stac_verify_command(CLI::App& stac, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      stac.add_subcommand("verify", "check a file: schema, metadata, order, statistics, duplicates, count");
  command->add_option("file", arguments->file, "a file or s3://BUCKET/KEY")->required();
  command->add_option("--rows", arguments->rows, "how many rows it must have");
  command->add_option("--result", arguments->result, "the result of the job that wrote it, for the count");
  command->callback([arguments, &exit_code] { exit_code = verify(*arguments); });
}

}  // namespace millrace::cli

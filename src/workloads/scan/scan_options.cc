#include "workloads/scan/scan_options.h"

#include <optional>

#include "base/error.h"
#include "base/strings.h"

namespace millrace::scan {
namespace {

class Environment {
 public:
  explicit Environment(const Getenv& getenv) : getenv_(getenv) {}
  std::optional<std::string> get(const char* name) const {
    const char* value = getenv_(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
  }

 private:
  const Getenv& getenv_;
};

std::string source_of(const Environment& environment) {
  std::string type = base::to_lower(environment.get("STORAGE_TYPE").value_or("local"));
  if (type == "local") return environment.get("DATA_PATH").value_or("/data");
  if (type != "s3") throw base::UsageError("STORAGE_TYPE is '" + type + "': it must be local or s3");
  auto bucket = environment.get("ASSET_BUCKET_NAME");
  if (!bucket) bucket = environment.get("S3_BUCKET_NAME");
  if (!bucket)
    throw base::UsageError("STORAGE_TYPE is s3 but neither ASSET_BUCKET_NAME nor S3_BUCKET_NAME is set");
  std::string prefix = environment.get("S3_PREFIX").value_or("");
  return "s3://" + *bucket + "/" + prefix.substr(std::min(prefix.find_first_not_of('/'), prefix.size()));
}

bool truth(const char* name, const std::string& value) {
  std::string word = base::to_lower(value);
  if (word == "true" || word == "1" || word == "yes" || word == "on") return true;
  if (word == "false" || word == "0" || word == "no" || word == "off") return false;
  throw base::UsageError(std::string(name) + " is '" + value + "': it must be true or false");
}

void set_number(const Environment& environment, const char* name, int64_t& value) {
  auto text = environment.get(name);
  if (!text) return;
  auto number = base::parse_number<int64_t>(*text);
  if (!number || *number < 1) {
    throw base::UsageError(std::string(name) + " is '" + *text + "': it must be a number from 1 on");
  }
  value = *number;
}

}  // namespace

ScanOptions options_from_environment(const Getenv& getenv, bool source_given) {
  Environment environment(getenv);
  ScanOptions options;
  if (!source_given) options.source = source_of(environment);
  options.database_url = environment.get("DATABASE_URL").value_or("sqlite:///./db/metadata.db");
  if (auto workers = environment.get("SCANNER_WORKERS")) {
    auto number = base::parse_number<unsigned>(*workers);
    if (!number || *number == 0) {
      throw base::UsageError("SCANNER_WORKERS is '" + *workers + "': it must be a number from 1 on");
    }
    options.workers = *number;
  }
  if (auto override = environment.get("OVERRIDE_EXISTING"))
    options.full = truth("OVERRIDE_EXISTING", *override);
  if (auto detect = environment.get("DETECT_SEQUENCES"))
    options.sequences.detect = truth("DETECT_SEQUENCES", *detect);
  set_number(environment, "MIN_SEQUENCE_LENGTH", options.sequences.min_length);
  set_number(environment, "MIN_PADDING", options.sequences.min_padding);
  return options;
}

base::TimeMs parse_since(std::string_view text, base::TimeMs now) {
  if (auto time = base::parse_iso8601(text)) return *time;
  if (auto time = base::parse_iso8601(std::string(text) + "T00:00:00Z")) return *time;
  static constexpr std::pair<char, int64_t> kUnits[] = {
      {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86'400}, {'w', 7 * 86'400}};
  constexpr int64_t kAgoMax = 1'000'000;
  if (!text.empty()) {
    auto number = base::parse_number<int64_t>(text.substr(0, text.size() - 1));
    for (const auto& [unit, seconds] : kUnits)
      if (number && text.back() == unit && *number >= 0 && *number <= kAgoMax)
        return now - *number * seconds * 1000;
  }
  throw base::UsageError(
      "'" + std::string(text) +
      "' is no time: write 2026-11-21, 2026-11-21T14:00:00Z, or how long ago: 90m, 12h, 7d");
}

ErrorLimit parse_error_limit(std::string_view text) {
  ErrorLimit limit;
  if (text.ends_with('%')) {
    auto percent = base::parse_number<double>(text.substr(0, text.size() - 1));
    if (percent && *percent >= 0 && *percent <= 100) limit.share = *percent / 100;
  } else if (auto count = base::parse_number<int64_t>(text); count && *count >= 0) {
    limit.count = *count;
  }
  if (limit.count || limit.share) return limit;
  throw base::UsageError("'" + std::string(text) +
                         "' is no limit of errors: write a number or a share such as 2%");
}

}  // namespace millrace::scan

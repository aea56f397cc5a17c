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
  return options;
}

}  // namespace millrace::scan

#include "workloads/load/settings.h"

#include <yaml-cpp/yaml.h>

#include <memory>

#include "aws/json_call.h"
#include "base/error.h"
#include "base/glob.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/url.h"
#include "objects/store.h"

namespace millrace::load {
namespace {

namespace json = base::json;

[[noreturn]] void refuse(std::string_view name, const std::string& value, const char* what) {
  throw base::UsageError("--" + std::string(name) + ": '" + value + "' is not " + what);
}

char one_character(std::string_view name, const std::string& text) {
  if (text == "\\t" || base::equals_ignore_case(text, "tab")) return '\t';
  if (text.size() != 1 || text[0] == '\n' || text[0] == '\r') refuse(name, text, "one character");
  return text[0];
}

uint64_t sample_bytes(const std::string& text) {
  if (base::equals_ignore_case(text, "all")) return UINT64_MAX;
  std::string number = base::to_lower(text);
  uint64_t factor = 1;
  if (number.ends_with('m')) factor = 1 << 20;
  if (number.ends_with('g')) factor = 1 << 30;
  if (factor > 1) number.pop_back();
  const auto bytes = base::parse_number<uint64_t>(number);
  if (!bytes || *bytes > (1ull << 40) / factor || *bytes * factor < (8u << 20))
    refuse("sample", text, "all, or a size of 8M or more");
  return *bytes * factor;
}

bool yes(std::string_view name, const std::string& value) {
  if (base::equals_ignore_case(value, "true") || base::equals_ignore_case(value, "yes")) return true;
  if (!base::equals_ignore_case(value, "false") && !base::equals_ignore_case(value, "no"))
    refuse(name, value, "true or false");
  return false;
}

std::string line_of(const YAML::Node& node) { return "line " + std::to_string(node.Mark().line + 1); }

// Scalars as they stand; lists with commas; maps as "NAME TYPE, …".
std::string text_of(const std::string& file, const YAML::Node& node) {
  if (node.IsScalar()) return node.Scalar();
  std::string text;
  for (auto item = node.begin(); item != node.end(); ++item) {
    if (!text.empty()) text += ", ";
    const YAML::Node value = node.IsMap() ? item->second : *item;
    if (!value.IsScalar() && !value.IsNull())
      throw base::UsageError(file + ", " + line_of(value) + ": too deep");
    if (node.IsMap()) text += sql_name(item->first.Scalar()) + (value.IsNull() ? "" : " ");
    if (!value.IsNull()) text += value.Scalar();
  }
  return text;
}

std::string s3_url(std::string_view bucket, std::string_view key) {
  return "s3://" + std::string(bucket) + "/" + std::string(key);
}

}  // namespace

void apply_setting(LoadOptions& options, std::string_view written, const std::string& value) {
  const std::string name = base::replace_all(std::string(written), "_", "-");
  const auto one_of = [&](std::initializer_list<const char*> words) {
    int index = 0;
    for (const char* word : words) {
      if (value == word) return index;
      ++index;
    }
    std::string all;
    for (const char* word : words) all += (all.empty() ? "" : ", ") + std::string(word);
    throw base::UsageError("--" + name + ": '" + value + "' is none of " + all);
  };
  ReadOptions& read = options.read;
  if (name == "table") {
    options.table = value;
  } else if (name == "database") {
    options.databases.push_back(value);
  } else if (name == "mode") {
    options.mode = static_cast<Mode>(one_of({"replace", "append", "upsert"}));
  } else if (name == "key") {
    options.key.clear();
    for (const NamedColumn& column : parse_columns(value)) options.key.push_back(column.column.name);
  } else if (name == "columns") {
    options.columns = parse_columns(value);
  } else if (name == "create") {
    options.create = yes(name, value);
  } else if (name == "evolve") {
    if (yes(name, value)) options.new_columns = Drift::kAdd;
  } else if (name == "new-columns") {
    options.new_columns = static_cast<Drift>(one_of({"refuse", "add", "ignore"}));
  } else if (name == "missing-columns") {
    options.refuse_missing = one_of({"default", "refuse"}) == 1;
  } else if (name == "format") {
    const int format = one_of({"auto", "csv", "tsv", "json", "parquet"});
    read.format = format == 0   ? Format::kAuto
                  : format <= 2 ? Format::kDelimited
                  : format == 3 ? Format::kJson
                                : Format::kParquet;
    if (format == 2) read.delimiter = '\t';
  } else if (name == "delimiter") {
    read.delimiter = one_character(name, value);
  } else if (name == "quote") {
    read.quote = value == "none" ? '\0' : one_character(name, value);
  } else if (name == "header") {
    const int header = value == "true" ? 1 : value == "false" ? 2 : one_of({"auto", "yes", "no"});
    read.header = static_cast<Header>(header);
  } else if (name == "null") {
    read.null_text = value;
  } else if (name == "encoding") {
    read.encoding = value;
  } else if (name == "sample") {
    read.sample_bytes = sample_bytes(value);
  } else if (name == "rejects") {
    options.rejects = value;
  } else if (name == "max-rejects") {
    options.max_rejects = parse_reject_limit(value);
  } else if (name == "manifest") {
    options.manifest = value;
  } else if (name == "iam-role") {
    options.iam_role = value;
  } else {
    throw base::UsageError("there is no setting '" + name + "'");
  }
}

void apply_mapping(LoadOptions& options, const std::string& file) {
  try {
    const YAML::Node root = YAML::Load(read_small_source(file, 1 << 20));
    if (!root.IsMap() || !root["loads"] || !root["loads"].IsSequence())
      throw base::UsageError(file + ": there is no list called loads");
    std::string key = options.source;
    if (key.starts_with("s3://")) key = objects::parse_location(key).path;
    for (const YAML::Node& load : root["loads"]) {
      if (!load.IsMap() || !load["match"] || !load["match"].IsScalar())
        throw base::UsageError(file + ", " + line_of(load) + ": an entry needs match: PATTERN");
      const std::string pattern = load["match"].Scalar();
      if (!base::glob_match(pattern, options.source) && !base::glob_match(pattern, key)) continue;
      for (const auto& setting : load) {
        const std::string& name = setting.first.Scalar();
        if (name == "match") continue;
        try {
          if (name == "database" && setting.second.IsSequence()) {
            for (const YAML::Node& database : setting.second) apply_setting(options, name, database.Scalar());
          } else {
            apply_setting(options, name, text_of(file, setting.second));
          }
        } catch (const base::UsageError& error) {
          throw base::UsageError(file + ", " + line_of(setting.first) + ": " + error.what());
        }
      }
      return;
    }
    throw base::NotFoundError(file + " has no entry that fits " + options.source);
  } catch (const YAML::Exception& error) {
    throw base::UsageError(file + ": " + error.what());
  }
}

EventObject object_of_event(std::string_view text) {
  const json::value root = base::parse_json(text);
  const json::object* event = root.if_object();
  if (!event) throw base::UsageError("the event is no JSON object");
  const auto named = [](const std::optional<std::string_view>& version) {
    // "null" are the objects of the time before the bucket kept versions.
    return version && *version != "null" ? std::string(*version) : std::string();
  };
  if (const json::array* records = base::find_array(*event, "Records")) {
    if (records->size() != 1)
      throw base::UsageError("the notification names " + std::to_string(records->size()) +
                             " objects; a load takes one");
    const json::object* s3 =
        records->at(0).is_object() ? base::find_object(records->at(0).get_object(), "s3") : nullptr;
    const json::object* bucket = s3 ? base::find_object(*s3, "bucket") : nullptr;
    const json::object* object = s3 ? base::find_object(*s3, "object") : nullptr;
    const auto name = bucket ? base::find_string(*bucket, "name") : std::nullopt;
    const auto key = object ? base::find_string(*object, "key") : std::nullopt;
    // Keys of notifications are form-encoded, those of EventBridge are not.
    if (name && key)
      return {s3_url(*name, base::percent_decode(*key, true)),
              named(base::find_string(*object, "versionId"))};
  }
  if (const json::object* detail = base::find_object(*event, "detail")) {
    if (const json::object* parameters = base::find_object(*detail, "requestParameters")) {
      const auto name = base::find_string(*parameters, "bucketName");
      const auto key = base::find_string(*parameters, "key");
      const json::object* response = base::find_object(*detail, "responseElements");
      if (name && key)
        return {s3_url(*name, *key),
                named(response ? base::find_string(*response, "x-amz-version-id") : std::nullopt)};
    } else {
      const json::object* bucket = base::find_object(*detail, "bucket");
      const json::object* object = base::find_object(*detail, "object");
      const auto name = bucket ? base::find_string(*bucket, "name") : std::nullopt;
      const auto key = object ? base::find_string(*object, "key") : std::nullopt;
      if (name && key) return {s3_url(*name, *key), named(base::find_string(*object, "version-id"))};
    }
  }
  throw base::UsageError(
      "the event names no object: it is neither \"Object Created\", nor an API call by "
      "CloudTrail with a key, nor a notification of S3");
}

std::string database_url(const std::string& secret_name, std::string_view text) {
  json::value root;
  try {
    root = base::parse_json(text);
  } catch (const base::CorruptError&) {
    throw base::UsageError("secret " + secret_name + " is no JSON");  // the error would quote it
  }
  const json::object* secret = root.if_object();
  const auto member = [&](const char* name) -> std::string {
    if (!secret) return "";
    if (const auto found = base::find_string(*secret, name)) return std::string(*found);
    if (const auto found = base::find_int(*secret, name)) return std::to_string(*found);
    return "";
  };
  const std::string host = member("host"), user = member("username"), database = member("dbname");
  if (host.empty() || user.empty() || database.empty())
    throw base::UsageError("secret " + secret_name +
                           " needs the members host, username, password and dbname");
  const bool redshift = member("engine") == "redshift";
  std::string port = member("port");
  if (port.empty()) port = redshift ? "5439" : "5432";
  std::string url = redshift ? "redshift://" : "postgresql://";
  url += base::percent_encode(user) + ":" + base::percent_encode(member("password")) + "@" +
         base::percent_encode(host) + ":" + port + "/" + base::percent_encode(database);
  const char* separator = "?";
  for (const char* name : {"sslmode", "sslrootcert"})
    if (const std::string value = member(name); !value.empty()) {
      url += separator + std::string(name) + "=" + base::percent_encode(value);
      separator = "&";
    }
  return url;
}

std::string database_of_secret(const std::string& name) {
  return database_url(name, aws::read_secret(name, std::make_shared<http::Client>()));
}

}  // namespace millrace::load

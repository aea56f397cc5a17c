// Options by name and text: what the command line and the mapping file have in common.
#pragma once

#include <string>
#include <string_view>

#include "workloads/load/load.h"

namespace millrace::load {

// Sets what `name` ("mode", "max-rejects", "delimiter" …, underscores as hyphens) says. Throws UsageError for
// a name or a value that makes no sense.
void apply_setting(LoadOptions& options, std::string_view name, const std::string& value);

// A mapping file (YAML): the first entry under `loads` whose `match` (with * and ?) fits the source or its
// key sets the options that it names:
//   loads:
//     - match: "s3://bucket/people/*.csv"
//       table: persons
//       mode: upsert
//       key: [id]
//       columns: {id: bigint, name: text}
// Throws NotFoundError when none fits, UsageError for a file that makes no sense, with its line.
void apply_mapping(LoadOptions& options, const std::string& file);

struct EventObject {
  std::string source;      // s3://BUCKET/KEY
  std::string version_id;  // empty: its bucket keeps none
};

// The object that an event names: EventBridge's "Object Created", CloudTrail's API call,
// or S3's own notification. Throws UsageError when it is none of them or names several.
EventObject object_of_event(std::string_view text);

// The database of a secret in AWS's form, {"host", "port", "username", "password", "dbname", "engine"}, as a
// URL. Asks Secrets Manager. Throws what it answers, and UsageError for a secret of another form; messages
// never hold the secret.
std::string database_of_secret(const std::string& name);
// The same of the secret's text.
std::string database_url(const std::string& secret_name, std::string_view text);

}  // namespace millrace::load

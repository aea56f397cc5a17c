// One call of IAM, and what its handlers share.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "aws/api_error.h"
#include "aws/model.h"
#include "base/json.h"
#include "base/time.h"
#include "iam/directory.h"
#include "services/authorizer.h"
#include "services/caller.h"

namespace millrace::services::iam_api {

namespace json = base::json;

struct Call {
  const aws::Operation& operation;
  const json::object& input;
  const std::string& account;
  const Caller& caller;
  const Authorizer& authorizer;
  base::TimeMs now;
  const iam::State& state;  // as it was before the call; of a change: with the changes so far
  iam::Edit* edit;          // null for calls that only read

  std::string text(std::string_view name) const {
    return std::string(base::find_string(input, name).value_or(""));
  }
  bool has(std::string_view name) const { return base::find(input, name) != nullptr; }
};

// How the things of a kind are spelt in inputs, outputs, errors and ids.
struct KindNames {
  iam::EntityKind kind;
  const char* noun;     // "user": in "The user with name x cannot be found."
  const char* member;   // "UserName"
  const char* element;  // "User"
  const char* plural;   // "Users"
  const char* id_member;
  const char* id_prefix;
};
const KindNames& names_of(iam::EntityKind kind);

aws::ApiError error(std::string_view code, const std::string& message);
inline aws::ApiError no_such_entity(const std::string& message) { return error("NoSuchEntity", message); }

// The thing that the input names. Throws NoSuchEntity.
const iam::Entity& required(const Call& call, iam::EntityKind kind, const std::string& name);
const iam::Entity& required(const Call& call, iam::EntityKind kind);
const iam::ManagedPolicy& required_policy(const Call& call, const std::string& arn);
// The same for a change of one of the account's own policies: AWS's cannot be changed.
iam::ManagedPolicy own_policy(const Call& call);

std::string path_of(const Call& call);
std::string arn_of(const Call& call, std::string_view kind, const std::string& path, const std::string& name);
std::map<std::string, std::string> tags_in(const Call& call);
void add_tags(json::object& output, const std::map<std::string, std::string>& tags);
// Percent-encoded, as IAM gives documents back.
std::string encoded(const std::string& document);
// Throws MalformedPolicyDocument.
iam::Document document_in(const Call& call, std::string_view member, iam::PolicyKind kind);

json::object shown(const Call& call, const iam::Entity& entity);
json::object shown(const Call& call, const iam::ManagedPolicy& policy);

// One page of `items` under `name`, by Marker and MaxItems; `marker_of` gives the text that an item is
// behind.
struct Listed {
  std::string marker;
  json::value value;
};
json::object page(const Call& call, const char* name, std::vector<Listed> items);

// "allowed", "explicitDeny" or "implicitDeny", as the policy simulator says it.
const char* eval_decision(const iam::Decision& decision);

// TagX, UntagX and ListXTags of anything that has tags.
void merge_tags(const Call& call, std::map<std::string, std::string>& tags);
void remove_tags(const Call& call, std::map<std::string, std::string>& tags);
json::object tags_page(const Call& call, const std::map<std::string, std::string>& tags);

using Handler = json::object (*)(Call& call);
struct Entry {
  std::string_view operation;
  Handler handler;
  bool changes;
};
// Each file's part of the table.
std::vector<Entry> entity_operations();
std::vector<Entry> policy_operations();

}  // namespace millrace::services::iam_api

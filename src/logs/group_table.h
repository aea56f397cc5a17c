// What must outlive the segment files: log groups with their settings and tags, streams made by hand, and
// what was deleted. A small SQLite file.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "logs/log_index.h"
#include "sql/connection.h"

namespace millrace::logs {

// What is kept as it was given: metric filters of groups, resource policies.
enum class DocumentKind { kMetricFilter, kResourcePolicy };
struct Document {
  std::string group;  // empty: of none
  std::string name;
  std::string text;
};

// Every call is durable when it returns, and throws as sql::Connection does. Not thread-safe.
class GroupTable {
 public:
  // Creates the file when it is missing.
  explicit GroupTable(const std::string& path);

  // Puts everything into an empty index.
  void load(LogIndex& index);
  void save_group(const Group& group);
  // A deleted group is kept by its hidden_until; its streams' rows and its tags go.
  void delete_group(const Group& group);
  void save_stream(std::string_view group, std::string_view name, base::TimeMs created,
                   base::TimeMs hidden_until);
  void delete_stream(std::string_view group, std::string_view name, base::TimeMs hidden_until);

  std::map<std::string, std::string> tags(std::string_view group);
  void set_tag(std::string_view group, std::string_view key, std::string_view value);
  void remove_tag(std::string_view group, std::string_view key);

  // Of one group, or with "" all of the kind; by group and name. They go with their group.
  std::vector<Document> documents(DocumentKind kind, std::string_view group);
  void put_document(DocumentKind kind, const Document& document);
  // False when there is none.
  bool delete_document(DocumentKind kind, std::string_view group, std::string_view name);

 private:
  std::unique_ptr<sql::Connection> connection_;
};

}  // namespace millrace::logs

#include "logs/group_table.h"

namespace millrace::logs {

GroupTable::GroupTable(const std::string& path) : connection_(sql::open_sqlite(path)) {
  connection_->execute(R"(
    CREATE TABLE IF NOT EXISTS log_groups (
      name TEXT PRIMARY KEY, present INTEGER NOT NULL, created_ms INTEGER NOT NULL, hidden_until_ms INTEGER NOT NULL,
      retention_days INTEGER NOT NULL, class TEXT NOT NULL, kms_key TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS log_streams (
      log_group TEXT NOT NULL, name TEXT NOT NULL, present INTEGER NOT NULL, created_ms INTEGER NOT NULL,
      hidden_until_ms INTEGER NOT NULL, PRIMARY KEY (log_group, name)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS log_tags (
      log_group TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (log_group, key)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS log_documents (
      kind INTEGER NOT NULL, log_group TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL,
      PRIMARY KEY (kind, log_group, name)) WITHOUT ROWID;)");
}

void GroupTable::load(LogIndex& index) {
  auto groups = connection_->prepare(
      "SELECT name, present, created_ms, hidden_until_ms, retention_days, class, kms_key FROM log_groups");
  while (groups->step()) {
    Group& group = *index.group(groups->text(0), true);
    group.exists = groups->int64(1) != 0;
    group.created = groups->int64(2);
    group.hidden_until = groups->int64(3);
    group.retention_days = static_cast<int>(groups->int64(4));
    group.log_class = groups->text(5);
    group.kms_key = groups->text(6);
  }
  auto streams =
      connection_->prepare("SELECT log_group, name, present, created_ms, hidden_until_ms FROM log_streams");
  while (streams->step()) {
    Group* group = index.group(streams->text(0));
    if (group == nullptr || !group->exists) continue;
    if (streams->int64(2) != 0) {
      StreamId id = index.make_stream(index.group_id(streams->text(0)), streams->text(1), streams->int64(3),
                                      std::max(streams->int64(4), group->hidden_until));
      index.stream(id).created_by_call = true;
    } else {
      group->hidden_streams[std::string(streams->text(1))] = streams->int64(4);
    }
  }
}

void GroupTable::save_group(const Group& group) {
  auto row = connection_->prepare(
      "INSERT INTO log_groups VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name) DO UPDATE SET "
      "present = excluded.present, created_ms = excluded.created_ms, hidden_until_ms = "
      "excluded.hidden_until_ms, "
      "retention_days = excluded.retention_days, class = excluded.class, kms_key = excluded.kms_key");
  row->bind(1, group.name)
      .bind(2, int64_t{group.exists})
      .bind(3, group.created)
      .bind(4, group.hidden_until)
      .bind(5, int64_t{group.retention_days})
      .bind(6, group.log_class)
      .bind(7, group.kms_key);
  row->run();
}

void GroupTable::delete_group(const Group& group) {
  sql::Transaction transaction(*connection_);
  save_group(group);
  for (const char* sql :
       {"DELETE FROM log_streams WHERE log_group = $1", "DELETE FROM log_tags WHERE log_group = $1",
        "DELETE FROM log_documents WHERE log_group = $1"}) {
    auto row = connection_->prepare(sql);
    row->bind(1, group.name);
    row->run();
  }
  transaction.commit();
}

void GroupTable::save_stream(std::string_view group, std::string_view name, base::TimeMs created,
                             base::TimeMs hidden_until) {
  auto row = connection_->prepare("INSERT OR REPLACE INTO log_streams VALUES ($1, $2, 1, $3, $4)");
  row->bind(1, group).bind(2, name).bind(3, created).bind(4, hidden_until);
  row->run();
}

void GroupTable::delete_stream(std::string_view group, std::string_view name, base::TimeMs hidden_until) {
  auto row = connection_->prepare("INSERT OR REPLACE INTO log_streams VALUES ($1, $2, 0, 0, $3)");
  row->bind(1, group).bind(2, name).bind(3, hidden_until);
  row->run();
}

std::map<std::string, std::string> GroupTable::tags(std::string_view group) {
  std::map<std::string, std::string> found;
  auto row = connection_->prepare("SELECT key, value FROM log_tags WHERE log_group = $1");
  row->bind(1, group);
  while (row->step()) found[std::string(row->text(0))] = row->text(1);
  return found;
}

void GroupTable::set_tag(std::string_view group, std::string_view key, std::string_view value) {
  auto row = connection_->prepare("INSERT OR REPLACE INTO log_tags VALUES ($1, $2, $3)");
  row->bind(1, group).bind(2, key).bind(3, value);
  row->run();
}

void GroupTable::remove_tag(std::string_view group, std::string_view key) {
  auto row = connection_->prepare("DELETE FROM log_tags WHERE log_group = $1 AND key = $2");
  row->bind(1, group).bind(2, key);
  row->run();
}

std::vector<Document> GroupTable::documents(DocumentKind kind, std::string_view group) {
  std::vector<Document> found;
  auto row = connection_->prepare(
      "SELECT log_group, name, text FROM log_documents WHERE kind = $1 AND ($2 = '' OR log_group = $2) "
      "ORDER BY log_group, name");
  row->bind(1, static_cast<int64_t>(kind)).bind(2, group);
  while (row->step())
    found.push_back({std::string(row->text(0)), std::string(row->text(1)), std::string(row->text(2))});
  return found;
}

void GroupTable::put_document(DocumentKind kind, const Document& document) {
  auto row = connection_->prepare("INSERT OR REPLACE INTO log_documents VALUES ($1, $2, $3, $4)");
  row->bind(1, static_cast<int64_t>(kind))
      .bind(2, document.group)
      .bind(3, document.name)
      .bind(4, document.text);
  row->run();
}

bool GroupTable::delete_document(DocumentKind kind, std::string_view group, std::string_view name) {
  auto row =
      connection_->prepare("DELETE FROM log_documents WHERE kind = $1 AND log_group = $2 AND name = $3");
  row->bind(1, static_cast<int64_t>(kind)).bind(2, group).bind(3, name);
  row->run();
  return connection_->changes() > 0;
}

}  // namespace millrace::logs

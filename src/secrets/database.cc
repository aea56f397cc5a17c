#include "secrets/database.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>

#include "base/error.h"
#include "base/unique_fd.h"
#include "sql/migration.h"

namespace millrace::secrets {
namespace {

// Numbers of secrets are never used again (AUTOINCREMENT): a page token stays true.
constexpr char kVersion1[] = R"sql(
CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE secrets(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, suffix TEXT NOT NULL,
  created INTEGER NOT NULL, changed INTEGER NOT NULL, accessed INTEGER NOT NULL, delete_at INTEGER NOT NULL,
  body TEXT NOT NULL) STRICT;
CREATE INDEX secrets_to_delete ON secrets(delete_at) WHERE delete_at <> 0;
CREATE TABLE versions(secret INTEGER NOT NULL REFERENCES secrets(id) ON DELETE CASCADE, version TEXT NOT NULL,
  created INTEGER NOT NULL, accessed INTEGER NOT NULL, binary INTEGER NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY(secret, version)) STRICT, WITHOUT ROWID;
CREATE TABLE stages(secret INTEGER NOT NULL REFERENCES secrets(id) ON DELETE CASCADE, stage TEXT NOT NULL,
  version TEXT NOT NULL, PRIMARY KEY(secret, stage)) STRICT, WITHOUT ROWID;
CREATE TABLE parameters(name TEXT PRIMARY KEY, latest INTEGER NOT NULL, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE parameter_versions(name TEXT NOT NULL REFERENCES parameters(name) ON DELETE CASCADE,
  version INTEGER NOT NULL, modified INTEGER NOT NULL, body TEXT NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY(name, version)) STRICT, WITHOUT ROWID;
CREATE TABLE parameter_labels(name TEXT NOT NULL REFERENCES parameters(name) ON DELETE CASCADE, label TEXT NOT NULL,
  version INTEGER NOT NULL, PRIMARY KEY(name, label)) STRICT, WITHOUT ROWID;
)sql";

constexpr std::array<const char*, 1> kSteps = {kVersion1};
constexpr std::string_view kKnownText = "millrace", kKnownPlace = "key check";

}  // namespace

sql::Statement& Session::statement(const char* text) {
  for (auto& [known, made] : statements_)
    if (known == text) return *made;
  statements_.emplace_back(text, connection_->prepare(text));
  return *statements_.back().second;
}

Database::Snapshot::~Snapshot() {
  try {
    connection.execute("ROLLBACK");
  } catch (const base::Error&) {
    // It was a read: there is nothing to undo.
  }
}

bool Database::is_there(const std::string& path) {
  struct stat file{};
  return stat(path.c_str(), &file) == 0 && file.st_size > 0;
}

Database::Database(const std::string& path, const Vault& vault) : vault_(vault) {
  // SQLite would make it as the umask says.
  base::UniqueFd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  writer_ = std::make_unique<Session>(sql::open_sqlite(path));
  sql::migrate(writer_->connection(), path, kSteps, [this] {
    writer_->connection()
        .prepare("INSERT INTO meta(key, value) VALUES ('key', $1)")
        ->bind_blob(1, vault_.seal(kKnownText, kKnownPlace))
        .run();
  });
  check_key(path);
  reader_ = std::make_unique<Session>(sql::open_sqlite(path));
}

void Database::check_key(const std::string& path) {
  auto known = writer_->connection().prepare("SELECT value FROM meta WHERE key = 'key'");
  if (!known->step()) throw base::CorruptError(path + " has no key check; restore it from a backup");
  try {
    if (vault_.open(known->text(0), kKnownPlace).view() == kKnownText) return;
  } catch (const base::CorruptError&) {
    // said below
  }
  throw base::ConflictError("the secrets in " + path +
                            " were encrypted with another key than the one that was given; start with their "
                            "key (the file `key` beside them, or MILLRACE_KEY)");
}

}  // namespace millrace::secrets

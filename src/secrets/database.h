// The file that secrets and parameters are in: one connection that writes, one that reads meanwhile.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "secrets/vault.h"
#include "sql/connection.h"

namespace millrace::secrets {

// A connection with its prepared statements.
class Session {
 public:
  explicit Session(std::unique_ptr<sql::Connection> connection) : connection_(std::move(connection)) {}
  // `text` is a literal: the statement is kept under its address.
  sql::Statement& statement(const char* text);
  sql::Connection& connection() { return *connection_; }

 private:
  std::unique_ptr<sql::Connection> connection_;
  std::vector<std::pair<const char*, std::unique_ptr<sql::Statement>>> statements_;
};

// One use of a prepared statement; gives up what is left of its rows, so that they do not hold the file.
class Query {
 public:
  Query(Session& session, const char* text) : statement_(session.statement(text)) {}
  ~Query() { statement_.reset(); }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  sql::Statement* operator->() { return &statement_; }
  sql::Statement& operator*() { return statement_; }

 private:
  sql::Statement& statement_;
};

// Thread-safe: a write excludes other writes, a read other reads, and neither waits for the other.
class Database {
 public:
  // The folder of `path` must be there. Throws as sql::open_sqlite, and ConflictError when the file was
  // written with another key than `vault`'s.
  Database(const std::string& path, const Vault& vault);
  // Whether values under a key are in the file already; then a new key would be no use.
  static bool is_there(const std::string& path);

  // Runs `work(Session&)` in one transaction, durable on return; nothing of it is kept when it throws.
  template <typename Work>
  auto write(const Work& work) {
    const std::lock_guard lock(write_mutex_);
    sql::Transaction transaction(writer_->connection());
    if constexpr (std::is_void_v<decltype(work(*writer_))>) {
      work(*writer_);
      transaction.commit();
    } else {
      auto result = work(*writer_);
      transaction.commit();
      return result;
    }
  }

  // Runs `work(Session&)` on one state of the file.
  template <typename Work>
  auto read(const Work& work) {
    const std::lock_guard lock(read_mutex_);
    const Snapshot snapshot(reader_->connection());
    return work(*reader_);
  }

  const Vault& vault() const { return vault_; }

 private:
  struct Snapshot {
    explicit Snapshot(sql::Connection& connection) : connection(connection) { connection.execute("BEGIN"); }
    ~Snapshot();
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;
    sql::Connection& connection;
  };
  void check_key(const std::string& path);

  const Vault& vault_;
  std::mutex write_mutex_, read_mutex_;
  std::unique_ptr<Session> writer_, reader_;
};

}  // namespace millrace::secrets

// What a branch of a remote over HTTP is now, in one request and without a process: ls-refs of git's protocol
// version 2 (gitprotocol-v2(5), gitprotocol-http(5)), sent without asking for capabilities first.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/client.h"
#include "workloads/ingest/git.h"

namespace millrace::ingest {

struct HttpLogin {
  std::string user, password;
};

// The answer of ls-refs as a head of `branch` (empty: HEAD). Nothing when it is no such answer. Throws
// NotFoundError (code "no-branch").
std::optional<RemoteHead> parse_ls_refs(std::string_view answer, const std::string& branch);

// Nothing when the server answers anything else than such a list (no version 2, a redirection, a refusal):
// then git itself must be asked, whose errors are the ones people know. Throws TransientError without an
// answer, also when it took longer than it may (code "timeout"), however busily the server sends.
std::optional<RemoteHead> ls_refs(http::Client& client, const std::string& url, const std::string& branch,
                                  const std::optional<HttpLogin>& login, const std::string& ca_file,
                                  const GitLimits& limits);

// Logins by URL, as git-credentials(7)'s store file has them: "https://user:password@host[:port][/path]"
// lines.
class Logins {
 public:
  // Lines that are no such URL are passed over, as git does.
  explicit Logins(std::string_view text);
  // Of the first line with the URL's scheme, host and port, and its path where the line has one.
  std::optional<HttpLogin> find(std::string_view url) const;
  // The lines that are for a whole host, as git's store reads them.
  std::string host_lines() const;

 private:
  struct Entry {
    std::string scheme, authority, path;
    HttpLogin login;
  };
  std::vector<Entry> entries_;
};

// The line of git's store for that login and the host of `url`.
std::string login_line(std::string_view url, const HttpLogin& login);

// "https://user:secret@host/x" as "https://host/x" and the login; nothing without one.
std::optional<HttpLogin> take_login(std::string& url);

}  // namespace millrace::ingest

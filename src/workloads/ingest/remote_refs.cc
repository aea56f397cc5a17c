#include "workloads/ingest/remote_refs.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <future>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "base/url.h"
#include "workloads/ingest/outcome.h"

namespace millrace::ingest {
namespace {

constexpr size_t kAnswerMax = 1u << 20;

// A packet line: four hexadecimal digits with its own length, then the text (gitprotocol-common(5)).
std::string packet(const std::string& text) {
  char length[5];
  std::snprintf(length, sizeof length, "%04zx", text.size() + 4);
  return length + text;
}

constexpr std::string_view kFlush = "0000", kDelimiter = "0001";

struct Parts {
  std::string scheme, userinfo, authority, path;
};

std::optional<Parts> parts_of(std::string_view url) {
  size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::nullopt;
  Parts parts;
  parts.scheme = url.substr(0, scheme);
  size_t begin = scheme + 3;
  if (size_t at = userinfo_end(url); at != std::string_view::npos) {
    parts.userinfo = url.substr(begin, at - begin);
    begin = at + 1;
  }
  url.remove_prefix(begin);
  size_t slash = url.find('/');
  std::string_view host = url.substr(0, slash);
  if (slash != std::string_view::npos) parts.path = url.substr(slash);
  parts.authority = base::to_lower(host);
  return parts;
}

HttpLogin login_of(std::string_view userinfo) {
  size_t colon = userinfo.find(':');
  if (colon == std::string_view::npos) return {base::percent_decode(userinfo), ""};
  return {base::percent_decode(userinfo.substr(0, colon)), base::percent_decode(userinfo.substr(colon + 1))};
}

}  // namespace

std::optional<RemoteHead> parse_ls_refs(std::string_view answer, const std::string& branch) {
  RemoteHead head;
  std::string tag;
  bool flushed = false;
  while (answer.size() >= 4 && !flushed) {
    auto raw = base::unhex(answer.substr(0, 4));
    if (!raw) return std::nullopt;
    size_t length = static_cast<size_t>(static_cast<unsigned char>((*raw)[0])) * 256 +
                    static_cast<unsigned char>((*raw)[1]);
    if (length == 0) {
      flushed = true;
      continue;
    }
    if (length < 4 || length > answer.size()) return std::nullopt;
    // "<id> SP <name>[ SP symref-target:<name>][ SP peeled:<id>]", or "unborn SP HEAD …".
    std::string_view line = base::trim(answer.substr(4, length - 4));
    answer.remove_prefix(length);
    std::vector<std::string_view> words = base::split(line, ' ');
    if (words.size() < 2 || (words[0] != "unborn" && !base::unhex(words[0]))) return std::nullopt;
    std::string_view target, peeled;
    for (size_t i = 2; i < words.size(); ++i) {
      if (words[i].starts_with("symref-target:refs/heads/")) target = words[i].substr(25);
      if (words[i].starts_with("peeled:")) peeled = words[i].substr(7);
    }
    if (branch.empty() && words[1] == "HEAD") {
      head.branch = target;
      if (words[0] != "unborn") head.commit = words[0];
    } else if (!branch.empty() && words[1] == "refs/heads/" + branch) {
      head.commit = words[0];
    } else if (!branch.empty() && words[1] == "refs/tags/" + branch) {
      tag = peeled.empty() ? words[0] : peeled;
    }
  }
  if (!flushed) return std::nullopt;
  if (!branch.empty()) head.is_named(branch, tag);
  return head;
}

std::optional<RemoteHead> ls_refs(http::Client& client, const std::string& url, const std::string& branch,
                                  const std::optional<HttpLogin>& login, const std::string& ca_file,
                                  const GitLimits& limits) {
  http::ClientRequest request;
  request.method = "POST";
  request.url = url;
  while (request.url.ends_with('/')) request.url.pop_back();
  request.url += "/git-upload-pack";
  request.headers.add("Content-Type", "application/x-git-upload-pack-request");
  request.headers.add("Accept", "application/x-git-upload-pack-result");
  request.headers.add("Git-Protocol", "version=2");
  request.headers.add("User-Agent", "git/millrace");
  if (login)
    request.headers.add("Authorization", "Basic " + base::base64(login->user + ":" + login->password));
  request.body =
      packet("command=ls-refs\n") + std::string(kDelimiter) + packet("peel\n") + packet("symrefs\n");
  if (branch.empty())
    request.body += packet("ref-prefix HEAD\n");
  else
    request.body +=
        packet("ref-prefix refs/heads/" + branch + "\n") + packet("ref-prefix refs/tags/" + branch + "\n");
  request.body += kFlush;
  request.ca_file = ca_file;
  request.body_max = kAnswerMax;  // of an error, which on_body does not see
  // Shared with the transfer, which may outlive the wait for it.
  struct Transfer {
    std::promise<http::ClientResponse> response;
    std::string answer;
    bool too_long = false;
    std::atomic<bool> given_up = false;
  };
  auto transfer = std::make_shared<Transfer>();
  request.on_body = [transfer](std::string_view bytes) {
    transfer->too_long = transfer->answer.size() + bytes.size() > kAnswerMax;
    if (!transfer->too_long) transfer->answer += bytes;
    return !transfer->too_long && !transfer->given_up;
  };
  if (limits.time.count() > 0) request.stall_timeout = std::min(request.stall_timeout, limits.time);
  std::future<http::ClientResponse> future = transfer->response.get_future();
  const auto deadline = std::chrono::steady_clock::now() + limits.time;
  client.send(std::move(request), [transfer](http::ClientResponse response, std::exception_ptr error) {
    if (error)
      transfer->response.set_exception(error);
    else
      transfer->response.set_value(std::move(response));
  });
  while (future.wait_for(std::chrono::milliseconds(250)) != std::future_status::ready) {
    const bool late = limits.time.count() > 0 && std::chrono::steady_clock::now() >= deadline;
    if (!late && !(limits.must_stop && limits.must_stop())) continue;
    transfer->given_up = true;
    throw base::TransientError("the server does not answer in time", late ? "timeout" : "stopped");
  }
  http::ClientResponse response;
  try {
    response = future.get();
  } catch (const base::TransientError&) {
    // Thousands of branches with that beginning: git has more patience.
    if (transfer->too_long) return std::nullopt;
    throw;
  }
  const std::string& answer = transfer->answer;
  if (response.status != 200 ||
      response.headers.get("Content-Type") != "application/x-git-upload-pack-result")
    return std::nullopt;
  return parse_ls_refs(answer, branch);
}

Logins::Logins(std::string_view text) {
  for (std::string_view line : base::split(text, '\n')) {
    auto parts = parts_of(base::trim(line));
    if (!parts || parts->userinfo.empty()) continue;
    if (parts->path == "/") parts->path.clear();
    entries_.push_back({parts->scheme, parts->authority, parts->path, login_of(parts->userinfo)});
  }
}

std::optional<HttpLogin> Logins::find(std::string_view url) const {
  auto parts = parts_of(url);
  if (!parts) return std::nullopt;
  for (const Entry& entry : entries_)
    if (entry.scheme == parts->scheme && entry.authority == parts->authority &&
        (entry.path.empty() || entry.path == parts->path))
      return entry.login;
  return std::nullopt;
}

std::string Logins::host_lines() const {
  std::string lines;
  for (const Entry& entry : entries_)
    if (entry.path.empty()) lines += login_line(entry.scheme + "://" + entry.authority, entry.login);
  return lines;
}

std::string login_line(std::string_view url, const HttpLogin& login) {
  auto parts = parts_of(url);
  if (!parts) return "";
  return parts->scheme + "://" + base::percent_encode(login.user) + ":" +
         base::percent_encode(login.password) + "@" + parts->authority + "\n";
}

std::optional<HttpLogin> take_login(std::string& url) {
  auto parts = parts_of(url);
  if (!parts || parts->userinfo.empty() || (parts->scheme != "http" && parts->scheme != "https"))
    return std::nullopt;
  HttpLogin login = login_of(parts->userinfo);
  size_t begin = parts->scheme.size() + 3;
  url = parts->scheme + "://" + url.substr(begin + parts->userinfo.size() + 1);
  return login;
}

}  // namespace millrace::ingest

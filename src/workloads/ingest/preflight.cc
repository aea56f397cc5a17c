#include "workloads/ingest/preflight.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

#include "base/strings.h"
#include "base/unique_fd.h"
#include "workloads/ingest/git.h"

namespace millrace::ingest {
namespace {

constexpr size_t kAtOnce = 16;

// Empty when a connection was made.
std::string connect_error(const std::string& host, uint16_t port, std::chrono::milliseconds time) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) return gai_strerror(error);
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, freeaddrinfo);
  std::string why = "no address";
  for (const addrinfo* address = found; address; address = address->ai_next) {
    base::UniqueFd socket(::socket(address->ai_family, address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                                   address->ai_protocol));
    if (!socket) {
      why = std::strerror(errno);
      continue;
    }
    if (connect(socket.get(), address->ai_addr, address->ai_addrlen) == 0) return "";
    if (errno != EINPROGRESS) {
      why = std::strerror(errno);
      continue;
    }
    pollfd ready{socket.get(), POLLOUT, 0};
    if (poll(&ready, 1, static_cast<int>(time.count())) <= 0) {
      why = "no answer within " + std::to_string(time.count() / 1000) + " s";
      continue;
    }
    int result = 0;
    socklen_t size = sizeof result;
    getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &result, &size);
    if (result == 0) return "";
    why = std::strerror(result);
  }
  return why;
}

}  // namespace

std::optional<std::pair<std::string, uint16_t>> endpoint_of(std::string_view url) {
  Transport transport = transport_of(url);
  if (transport != Transport::kHttp && transport != Transport::kSsh) return std::nullopt;
  uint16_t port = transport == Transport::kSsh ? 22 : url.starts_with("https:") ? 443 : 80;
  size_t scheme = url.find("://");
  std::string_view host = scheme == std::string_view::npos
                              ? url.substr(0, url.find(':'))
                              : url.substr(scheme + 3, url.find('/', scheme + 3) - scheme - 3);
  if (size_t at = host.rfind('@'); at != std::string_view::npos) host.remove_prefix(at + 1);
  if (host.starts_with('[')) {
    size_t end = host.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    if (host.size() > end + 2 && host[end + 1] == ':')
      port = base::parse_number<uint16_t>(host.substr(end + 2)).value_or(port);
    host = host.substr(1, end - 1);
  } else if (size_t colon = host.find(':'); colon != std::string_view::npos) {
    port = base::parse_number<uint16_t>(host.substr(colon + 1)).value_or(port);
    host = host.substr(0, colon);
  }
  if (host.empty()) return std::nullopt;
  return std::pair(std::string(host), port);
}

std::vector<Unreachable> find_unreachable(const std::set<std::pair<std::string, uint16_t>>& endpoints,
                                          std::chrono::milliseconds time) {
  std::vector<std::pair<std::string, uint16_t>> all(endpoints.begin(), endpoints.end());
  std::vector<Unreachable> unreachable;
  std::mutex mutex;
  std::atomic<size_t> next = 0;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < std::min(kAtOnce, all.size()); ++t)
    threads.emplace_back([&] {
      for (size_t i; (i = next++) < all.size();) {
        std::string why = connect_error(all[i].first, all[i].second, time);
        if (why.empty()) continue;
        std::lock_guard lock(mutex);
        unreachable.push_back({all[i].first, all[i].second, why});
      }
    });
  for (std::thread& thread : threads) thread.join();
  std::sort(unreachable.begin(), unreachable.end(), [](const Unreachable& a, const Unreachable& b) {
    return std::pair(a.host, a.port) < std::pair(b.host, b.port);
  });
  return unreachable;
}

}  // namespace millrace::ingest

#include "http/server.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <condition_variable>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "http/connection.h"
#include "http/event_loop.h"
#include "http/tls.h"

namespace millrace::http {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds kSweepEvery{250};
constexpr unsigned kAcceptsATurn = 256;
constexpr char kTooManyConnections[] =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

std::string address_text(const sockaddr_storage& address, uint16_t* port = nullptr) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    if (port) *port = ntohs(v4.sin_port);
    return std::string(text) + ":" + std::to_string(ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  if (port) *port = ntohs(v6.sin6_port);
  return "[" + std::string(text) + "]:" + std::to_string(ntohs(v6.sin6_port));
}

// One listening socket for all threads. With SO_REUSEPORT a second server would bind beside the first
// unnoticed, so connections are dealt out to the threads instead.
base::UniqueFd listen_on(const ServerOptions& options, uint16_t& port) {
  std::string host = options.host;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  std::string name =
      (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + std::to_string(options.port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (int code = getaddrinfo(host.c_str(), std::to_string(options.port).c_str(), &hints, &found); code != 0)
    throw base::UsageError("cannot listen on " + name + ": " + gai_strerror(code) +
                           "; give an address of this machine, such as 127.0.0.1 or 0.0.0.0");
  std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> guard(found, freeaddrinfo);
  base::UniqueFd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) throw base::InternalError(base::system_message("cannot make a socket", errno));
  int one = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one,
             sizeof one);  // not to wait for TIME_WAIT after a restart
  if (::bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 || ::listen(fd.get(), 4096) != 0) {
    int error = errno;
    if (error == EADDRINUSE)
      throw base::ConflictError("cannot listen on " + name +
                                ": another program listens there; stop it or give another "
                                "port with --listen HOST:PORT");
    if (error == EACCES)
      throw base::DeniedError("cannot listen on " + name +
                              ": ports below 1024 need root; give another with --listen");
    throw base::UsageError(base::system_message("cannot listen on " + name, error) +
                           "; give an address of this machine, such as 127.0.0.1 or 0.0.0.0");
  }
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &size);
  address_text(bound, &port);
  return fd;
}

// Signals belong to the main thread, and sendfile() knows no MSG_NOSIGNAL.
void block_signals() {
  sigset_t set;
  sigfillset(&set);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF}) sigdelset(&set, fault);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Task<void> sweep(EventLoop& loop) {
  boost::system::error_code error;
  while (!error && !loop.closing) {
    loop.sweeper.expires_after(kSweepEvery);
    co_await loop.sweeper.async_wait(asio::redirect_error(Token(), error));
    int64_t now = coarse_now_ms();
    for (Connection* connection : loop.connections) connection->sweep(now);
  }
}

// Closes the connection that would be given up first for want of a request. False when all are at work.
bool make_room(EventLoop& loop) {
  Connection* longest = nullptr;
  int64_t earliest = 0;
  for (Connection* connection : loop.connections) {
    std::optional<int64_t> until = connection->waits_for_a_request_until();
    if (until && (!longest || *until < earliest)) {
      longest = connection;
      earliest = *until;
    }
  }
  if (longest) longest->kill();
  return longest != nullptr;
}

}  // namespace

class Server::Impl {
 public:
  Impl(ServerOptions options, RequestHandler& handler) : options_(std::move(options)) {
    if (!options_.certificate_file.empty())
      tls_ = std::make_unique<TlsContext>(options_.certificate_file, options_.key_file);
    base::UniqueFd fd = listen_on(options_, port_);
    for (unsigned i = 0; i < std::max(1U, options_.threads); ++i) {
      loops_.push_back(std::make_unique<EventLoop>(options_, handler));
      loops_.back()->tls = tls_.get();
    }
    EventLoop& first = *loops_.front();
    listener_ = std::make_unique<Socket>(first.io, asio::ip::tcp::v4(), fd.release());
    for (auto& loop : loops_) {
      work_.emplace_back(loop->io.get_executor());
      asio::co_spawn(loop->io, sweep(*loop), asio::detached);
    }
    asio::co_spawn(first.io, accept(), asio::detached);
    for (auto& loop : loops_) {
      threads_.emplace_back([&loop = *loop] {
        block_signals();
        pthread_setname_np(pthread_self(), "http");
        loop.mailbox->adopt_this_thread();
        loop.io.run();
      });
    }
  }

  ~Impl() { stop(std::chrono::milliseconds(0)); }

  uint16_t port() const { return port_; }

  void stop(std::chrono::milliseconds grace) {
    std::lock_guard lock(stop_mutex_);
    if (threads_.empty()) return;
    asio::post(loops_.front()->io, [this] { close_listener(); });
    for (auto& loop : loops_) {
      asio::post(loop->io, [&loop = *loop] {
        loop.stopping = true;
        for (Connection* connection : loop.connections) connection->close_when_idle();
      });
    }
    auto give_up = std::chrono::steady_clock::now() + grace;
    while (open_connections() > 0 && std::chrono::steady_clock::now() < give_up)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    for (auto& loop : loops_) {
      asio::post(loop->io, [&loop = *loop] {
        loop.closing = true;  // the sweeper may be past its wait already, where cancel() does not reach it
        for (Connection* connection : loop.connections) connection->kill();
        loop.sweeper.cancel();
      });
    }
    work_.clear();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    for (auto& loop : loops_) loop->mailbox->close();
  }

 private:
  size_t open_connections() const {
    size_t count = 0;
    for (const auto& loop : loops_) count += loop->connection_count;
    return count;
  }

  void close_listener() {
    closed_ = true;
    boost::system::error_code ignored;
    listener_->close(ignored);
  }

  Task<void> accept() {
    boost::system::error_code error;
    size_t next = 0;
    Timer pause(loops_.front()->io);
    while (!closed_) {
      co_await listener_->async_wait(Socket::wait_read, asio::redirect_error(Token(), error));
      for (unsigned i = 0; i < kAcceptsATurn && !closed_; ++i) {
        sockaddr_storage address{};
        socklen_t size = sizeof address;
        int fd = ::accept4(listener_->native_handle(), reinterpret_cast<sockaddr*>(&address), &size,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
          if (errno == ECONNABORTED || errno == EINTR) continue;
          if (errno != EAGAIN) {  // out of descriptors or memory: the queue stays full, so do not spin on it
            pause.expires_after(std::chrono::milliseconds(50));
            co_await pause.async_wait(asio::redirect_error(Token(), error));
          }
          break;
        }
        welcome(fd, address, *loops_[next++ % loops_.size()]);
      }
    }
  }

  void welcome(int fd, const sockaddr_storage& address, EventLoop& loop) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    asio::post(loop.io, [this, &loop, owned = std::make_shared<base::UniqueFd>(fd),
                         peer = address_text(address)] {
      if (loop.stopping) return;
      if (open_connections() >= options_.connections_max && !make_room(loop)) {
        [[maybe_unused]] ssize_t sent = ::send(owned->get(), kTooManyConnections,
                                               sizeof kTooManyConnections - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        return;
      }
      auto connection = std::make_unique<Connection>(loop, owned->release(), peer);
      asio::co_spawn(loop.io, Connection::run(std::move(connection)), asio::detached);
    });
  }

  ServerOptions options_;
  uint16_t port_ = 0;
  std::unique_ptr<TlsContext> tls_;
  std::vector<std::unique_ptr<EventLoop>> loops_;
  std::unique_ptr<Socket> listener_;
  std::vector<asio::executor_work_guard<Executor>> work_;
  std::vector<std::thread> threads_;
  std::mutex stop_mutex_;
  bool closed_ = false;  // of the first loop's thread
};

Server::Server(ServerOptions options, RequestHandler& handler)
    : impl_(std::make_unique<Impl>(std::move(options), handler)) {}
Server::~Server() = default;
uint16_t Server::port() const { return impl_->port(); }
void Server::stop(std::chrono::milliseconds grace) { impl_->stop(grace); }

}  // namespace millrace::http

#include "http/client.h"

#include <curl/curl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "base/url.h"

namespace millrace::http {
namespace {

constexpr long kReceiveBufferBytes = 256 * 1024;
constexpr size_t kSpareHandlesMax = 64;
constexpr auto kIdleWait = std::chrono::milliseconds(10'000);

struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, FreeEasy>;
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// What is set up once for many requests: a handle that was used for one like it needs to be told only what
// is new. Setting everything anew was a fifth of what a small request cost.
struct Shape {
  enum class Body { kNone, kText, kUpload } body = Body::kNone;
  std::string method, ca_file, unix_socket;
  bool no_proxy = false, large_receive = false, large_send = false;
  std::chrono::milliseconds connect_timeout{}, stall_timeout{};
  bool operator==(const Shape&) const = default;
};

struct Transfer {
  ClientRequest request;
  std::function<void(ClientResponse, std::exception_ptr)> done;
  ClientResponse response;
  std::exception_ptr thrown;  // by one of the request's own functions
  bool broken_off = false;    // on_body returned false
  bool head_told = false;
  std::unique_ptr<curl_slist, FreeList> headers;
  Easy easy;
  Shape shape;
  char error[CURL_ERROR_SIZE] = "";
};

// Once, for a final answer of success; whatever it throws ends the transfer.
void tell_head(Transfer& transfer) {
  if (transfer.head_told || !transfer.request.on_head) return;
  transfer.head_told = true;
  long status = 0;
  curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status / 100 == 2) transfer.request.on_head(static_cast<int>(status), transfer.response.headers);
}

size_t on_header(char* data, size_t, size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  std::string_view line = base::trim({data, size});
  if (line.starts_with("HTTP/")) {  // an interim answer, such as 100 Continue, is followed by another
    transfer.response = {};
    return size;
  }
  size_t colon = line.find(':');
  if (colon != std::string_view::npos)
    transfer.response.headers.add(std::string(line.substr(0, colon)),
                                  std::string(base::trim(line.substr(colon + 1))));
  return size;
}

size_t on_data(char* data, size_t, size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  long status = 0;
  curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
  try {
    tell_head(transfer);
    if (transfer.request.on_body && status / 100 == 2) {
      if (transfer.request.on_body({data, size})) return size;
      transfer.broken_off = true;
      return CURL_WRITEFUNC_ERROR;
    }
    if (size > transfer.request.body_max || transfer.response.body.size() > transfer.request.body_max - size)
      throw base::CorruptError(transfer.request.url.substr(0, transfer.request.url.find('?')) +
                                   " gives more than " + base::human_bytes(transfer.request.body_max),
                               "TooLarge");
    transfer.response.body.append(data, size);
    return size;
  } catch (...) {
    transfer.thrown = std::current_exception();
    return CURL_WRITEFUNC_ERROR;
  }
}

size_t on_upload(char* out, size_t, size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  try {
    return transfer.request.upload(out, size);
  } catch (...) {
    transfer.thrown = std::current_exception();
    return CURL_READFUNC_ABORT;
  }
}

int on_seek(void* user, curl_off_t offset, int origin) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (offset != 0 || origin != SEEK_SET || !transfer.request.rewind) return CURL_SEEKFUNC_CANTSEEK;
  try {
    transfer.request.rewind();
    return CURL_SEEKFUNC_OK;
  } catch (...) {
    transfer.thrown = std::current_exception();
    return CURL_SEEKFUNC_FAIL;
  }
}

bool is_loopback(std::string_view url) {
  try {
    std::string host = base::parse_url(url).host;
    return base::equals_ignore_case(host, "localhost") || host.starts_with("127.") || host == "::1";
  } catch (const base::Error&) {
    return false;  // curl says what is wrong with it
  }
}

long whole_seconds(std::chrono::milliseconds time) {
  return static_cast<long>(std::max<int64_t>(1, (time.count() + 999) / 1000));
}

void set_headers(Transfer& transfer, bool has_body) {
  curl_slist* list = nullptr;
  bool has_type = false;
  for (const auto& [name, value] : transfer.request.headers) {
    if (base::equals_ignore_case(name, "content-length")) continue;  // curl's business
    if (name.find_first_of("\r\n:") != std::string::npos || value.find_first_of("\r\n") != std::string::npos)
      throw base::UsageError("the header '" + name + "' holds a line break or a colon in its name");
    has_type |= base::equals_ignore_case(name, "content-type");
    list = curl_slist_append(list, (value.empty() ? name + ";" : name + ": " + value).c_str());
  }
  // Without a word from us curl would call every body a form.
  if (has_body && !has_type) list = curl_slist_append(list, "Content-Type:");
  transfer.headers.reset(list);
}

Shape shape_of(const ClientRequest& request) {
  Shape shape;
  shape.method = request.method;
  shape.ca_file = request.ca_file;
  shape.unix_socket = request.unix_socket;
  shape.no_proxy = request.direct || !request.unix_socket.empty() || is_loopback(request.url);
  // Curl allocates them anew for each request: large only where it pays.
  shape.large_receive = request.on_body != nullptr;
  shape.large_send = request.upload_size >= static_cast<uint64_t>(kReceiveBufferBytes);
  shape.connect_timeout = request.connect_timeout;
  shape.stall_timeout = request.stall_timeout;
  if (request.upload)
    shape.body = Shape::Body::kUpload;
  else if (request.method != "HEAD" &&
           (!request.body.empty() || request.method == "POST" || request.method == "PUT"))
    shape.body = Shape::Body::kText;
  return shape;
}

// For a handle that is new or was reset.
void set_up_shape(CURL* easy, const Shape& shape) {
  auto set = [easy](auto option, auto value) { curl_easy_setopt(easy, option, value); };
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (shape.large_receive) set(CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
  if (shape.large_send) set(CURLOPT_UPLOAD_BUFFERSIZE, kReceiveBufferBytes);
  // Debian presets a CApath, with which curl 7.88 parses all CAs anew for each connection (25 ms).
  set(CURLOPT_CAPATH, static_cast<char*>(nullptr));
  if (!shape.ca_file.empty())
    set(CURLOPT_CAINFO, shape.ca_file.c_str());
  else if (const char* given = std::getenv("AWS_CA_BUNDLE"); given && *given)
    set(CURLOPT_CAINFO, given);
  if (!shape.unix_socket.empty()) set(CURLOPT_UNIX_SOCKET_PATH, shape.unix_socket.c_str());
  if (shape.no_proxy) set(CURLOPT_PROXY, "");
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(shape.connect_timeout.count()));
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, whole_seconds(shape.stall_timeout));
  set(CURLOPT_EXPECT_100_TIMEOUT_MS, 1000L);
  set(CURLOPT_HEADERFUNCTION, on_header);
  set(CURLOPT_WRITEFUNCTION, on_data);
  if (shape.body == Shape::Body::kUpload) {
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_READFUNCTION, on_upload);
    set(CURLOPT_SEEKFUNCTION, on_seek);
  } else if (shape.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else if (shape.body == Shape::Body::kText) {
    set(CURLOPT_POST, 1L);
  } else {
    set(CURLOPT_HTTPGET, 1L);
  }
  if (shape.method != "HEAD") set(CURLOPT_CUSTOMREQUEST, shape.method.c_str());
}

// What is of this one request.
void set_up(Transfer& transfer) {
  const ClientRequest& request = transfer.request;
  CURL* easy = transfer.easy.get();
  auto set = [easy](auto option, auto value) { curl_easy_setopt(easy, option, value); };
  set(CURLOPT_PRIVATE, &transfer);
  set(CURLOPT_ERRORBUFFER, transfer.error);
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_HEADERDATA, &transfer);
  set(CURLOPT_WRITEDATA, &transfer);
  if (transfer.shape.body == Shape::Body::kUpload) {
    set(CURLOPT_READDATA, &transfer);
    set(CURLOPT_SEEKDATA, &transfer);
    set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.upload_size));
  } else if (transfer.shape.body == Shape::Body::kText) {
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(CURLOPT_POSTFIELDS, request.body.data());
  }
  set_headers(transfer, transfer.shape.body != Shape::Body::kNone);
  set(CURLOPT_HTTPHEADER, transfer.headers.get());
}

base::TransientError no_answer(const ClientRequest& request, const std::string& why) {
  return base::TransientError(request.method + " " + request.url.substr(0, request.url.find('?')) + ": " +
                              why);
}

}  // namespace

class Client::Impl {
 public:
  explicit Impl(size_t connections_max) {
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    multi_ = curl_multi_init();
    if (ready != CURLE_OK || !multi_) throw base::InternalError("libcurl could not be initialised");
    curl_multi_setopt(multi_, CURLMOPT_MAX_TOTAL_CONNECTIONS, static_cast<long>(connections_max));
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(connections_max));
    // Told which sockets to watch instead of asked to look at all of them: with 64 requests in flight that
    // was most of what a small one cost.
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
    wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = wake_.get();
    if (!epoll_ || !wake_ || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) {
      curl_multi_cleanup(multi_);
      throw base::TransientError(base::system_message("make an HTTP client", errno));
    }
    thread_ = std::thread([this] { run(); });
  }

  ~Impl() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake();
    thread_.join();
    curl_multi_cleanup(multi_);
  }

  void submit(std::unique_ptr<Transfer> transfer) {
    bool first;
    {
      std::lock_guard lock(mutex_);
      first = arriving_.empty();
      arriving_.push_back(std::move(transfer));
    }
    if (first) wake();
  }

 private:
  void run() {
    for (;;) {
      std::vector<std::unique_ptr<Transfer>> fresh;
      {
        std::lock_guard lock(mutex_);
        if (stopping_) break;
        fresh.swap(arriving_);
      }
      for (auto& transfer : fresh) start(std::move(transfer));
      act();
      reap();
    }
    for (auto& [easy, transfer] : running_) {
      curl_multi_remove_handle(multi_, easy);
      finish(*transfer, std::make_exception_ptr(no_answer(transfer->request, "the client was closed")));
    }
    running_.clear();
    std::vector<std::unique_ptr<Transfer>> never_started;
    {
      std::lock_guard lock(mutex_);
      never_started.swap(arriving_);
    }
    for (auto& transfer : never_started)
      finish(*transfer, std::make_exception_ptr(no_answer(transfer->request, "the client was closed")));
  }

  void wake() {
    uint64_t one = 1;
    [[maybe_unused]] ssize_t n = write(wake_.get(), &one, sizeof one);  // when it is full, it is awake
  }

  // Waits for something to do, and lets curl do it.
  void act() {
    using std::chrono::milliseconds;
    milliseconds wait = kIdleWait;
    if (timer_)
      wait = std::clamp(std::chrono::ceil<milliseconds>(*timer_ - Clock::now()), milliseconds(0), kIdleWait);
    std::array<epoll_event, 64> events;
    int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                           static_cast<int>(wait.count()));
    int running = 0;
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.fd == wake_.get()) {
        uint64_t times;
        [[maybe_unused]] ssize_t n = read(wake_.get(), &times, sizeof times);
        continue;
      }
      if (auto found = sockets_.find(event.data.fd); found != sockets_.end() && found->second.wanted == 0) {
        epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, event.data.fd, nullptr);
        found->second.watched = 0;
        continue;
      }
      int what = (event.events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
                 (event.events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                 (event.events & EPOLLERR ? CURL_CSELECT_ERR : 0);
      curl_multi_socket_action(multi_, event.data.fd, what, &running);
    }
    if (timer_ && *timer_ <= Clock::now()) {
      timer_.reset();
      curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
    }
  }

  // A socket as the kernel and as curl know it.
  struct Socket {
    uint32_t watched = 0;  // by the epoll instance; 0: not in it
    uint32_t wanted = 0;   // by curl
  };

  // Between two requests curl does not want to hear of a socket: it stays in the epoll instance all the same,
  // or each request would cost two calls to take it out and put it in again. If something does come then (its
  // end), act() takes it out.
  static int on_socket(CURL*, curl_socket_t socket, int what, void* user, void*) {
    auto& self = *static_cast<Impl*>(user);
    uint32_t wanted = what == CURL_POLL_REMOVE
                          ? 0U
                          : (what & CURL_POLL_IN ? EPOLLIN : 0U) | (what & CURL_POLL_OUT ? EPOLLOUT : 0U);
    auto found = self.sockets_.find(socket);
    if (found == self.sockets_.end()) return self.watch_unknown(socket, wanted);
    found->second.wanted = wanted;
    if (wanted == 0 || wanted == found->second.watched) return 0;
    epoll_event event{};
    event.events = wanted;
    event.data.fd = socket;
    if (epoll_ctl(self.epoll_.get(), found->second.watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event) !=
        0)
      return -1;
    found->second.watched = wanted;
    return 0;
  }

  // One of curl's own, of which nobody is told when it is closed.
  int watch_unknown(int socket, uint32_t wanted) {
    if (wanted == 0) {
      epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, socket, nullptr);  // closed ones are out of it already
      return 0;
    }
    epoll_event event{};
    event.events = wanted;
    event.data.fd = socket;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket, &event) == 0) return 0;
    return errno == EEXIST && epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, socket, &event) == 0 ? 0 : -1;
  }

  static curl_socket_t on_open(void* user, curlsocktype, curl_sockaddr* address) {
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd >= 0) static_cast<Impl*>(user)->sockets_[fd] = {};
    return fd < 0 ? CURL_SOCKET_BAD : fd;
  }

  static int on_close(void* user, curl_socket_t socket) {
    static_cast<Impl*>(user)->sockets_.erase(socket);
    return close(socket);
  }

  static int on_timer(CURLM*, long timeout_ms, void* user) {
    auto& self = *static_cast<Impl*>(user);
    if (timeout_ms < 0)
      self.timer_.reset();
    else
      self.timer_ = Clock::now() + std::chrono::milliseconds(timeout_ms);
    return 0;
  }

  void start(std::unique_ptr<Transfer> transfer) {
    try {
      transfer->shape = shape_of(transfer->request);
      transfer->easy = handle(transfer->shape);
      set_up(*transfer);
    } catch (...) {
      finish(*transfer, std::current_exception());
      return;
    }
    CURL* easy = transfer->easy.get();
    running_.emplace(easy, std::move(transfer));
    curl_multi_add_handle(multi_, easy);
  }

  void reap() {
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      CURL* easy = message->easy_handle;
      CURLcode code = message->data.result;
      auto found = running_.find(easy);
      std::unique_ptr<Transfer> transfer = std::move(found->second);
      running_.erase(found);
      curl_multi_remove_handle(multi_, easy);
      long status = 0;
      curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
      transfer->response.status = static_cast<int>(status);
      if (code == CURLE_OK) {
        try {
          tell_head(*transfer);  // there was no body
        } catch (...) {
          transfer->thrown = std::current_exception();
        }
      }
      std::exception_ptr error = transfer->thrown;
      if (!error && code != CURLE_OK && !transfer->broken_off) {
        const char* why = transfer->error[0] ? transfer->error : curl_easy_strerror(code);
        error = std::make_exception_ptr(no_answer(transfer->request, why));
      }
      finish(*transfer, error);
      if (spare_.size() < kSpareHandlesMax)
        spare_.push_back({std::move(transfer->shape), std::move(transfer->easy)});
    }
  }

  // One that was last used for such a request, or any other after a reset.
  Easy handle(const Shape& shape) {
    Easy easy;
    if (!spare_.empty()) {
      bool same = spare_.back().shape == shape;
      easy = std::move(spare_.back().easy);
      spare_.pop_back();
      if (same) return easy;
      curl_easy_reset(easy.get());
    } else {
      easy.reset(curl_easy_init());
      if (!easy) throw base::InternalError("libcurl gave no handle");
    }
    set_up_shape(easy.get(), shape);
    // Sockets stay with the epoll instance for as long as they live (see on_socket).
    curl_easy_setopt(easy.get(), CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(easy.get(), CURLOPT_OPENSOCKETDATA, this);
    curl_easy_setopt(easy.get(), CURLOPT_CLOSESOCKETFUNCTION, on_close);
    curl_easy_setopt(easy.get(), CURLOPT_CLOSESOCKETDATA, this);
    return easy;
  }

  static void finish(Transfer& transfer, const std::exception_ptr& error) {
    try {
      transfer.done(error ? ClientResponse{} : std::move(transfer.response), error);
    } catch (...) {
      // There is nobody left to tell: `done` is told not to throw.
    }
  }

  using Clock = std::chrono::steady_clock;

  CURLM* multi_ = nullptr;
  base::UniqueFd epoll_, wake_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Transfer>> arriving_;
  bool stopping_ = false;
  // Of the thread alone.
  std::unordered_map<CURL*, std::unique_ptr<Transfer>> running_;
  struct Spare {
    Shape shape;
    Easy easy;
  };
  std::vector<Spare> spare_;
  std::unordered_map<int, Socket> sockets_;  // those that curl opened through on_open
  std::optional<Clock::time_point> timer_;   // when curl wants to be called
  std::thread thread_;
};

Client::Client(size_t connections_max) : impl_(std::make_unique<Impl>(connections_max)) {}
Client::~Client() = default;

void Client::send(ClientRequest request, std::function<void(ClientResponse, std::exception_ptr)> done) {
  auto transfer = std::make_unique<Transfer>();
  transfer->request = std::move(request);
  transfer->done = std::move(done);
  impl_->submit(std::move(transfer));
}

ClientResponse Client::send(ClientRequest request) {
  std::promise<ClientResponse> promise;
  auto future = promise.get_future();
  send(std::move(request), [&promise](ClientResponse response, std::exception_ptr error) {
    if (error)
      promise.set_exception(error);
    else
      promise.set_value(std::move(response));
  });
  return future.get();
}

}  // namespace millrace::http

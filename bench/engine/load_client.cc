// Puts load on a running `millrace serve`, cheaply: one thread, raw sockets, requests signed with a derived
// key. Prints "name value" lines for the scripts beside it.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "aws/sigv4.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "base/url.h"
#include "services/identities.h"

namespace millrace {
namespace {

namespace json = base::json;

constexpr size_t kPageMax = 100;
constexpr auto kPollEvery = std::chrono::milliseconds(10);

double seconds_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// Writes whole HTTP requests, signed. All are POSTs of Batch with the same headers, so the canonical request
// is text with three holes.
class Signer {
 public:
  Signer(aws::Credentials key, std::string authority)
      : key_(std::move(key)), authority_(std::move(authority)) {}

  std::string request(std::string_view path, std::string_view body) {
    base::TimeMs now = base::SystemClock().now_ms();
    if (now / 1000 != second_) renew(now);
    std::string canonical =
        fmt::format("POST\n{}\n\ncontent-type:application/json\nhost:{}\nx-amz-date:{}\n\n{}\n{}", path,
                    authority_, time_, kSignedHeaders, base::sha256_hex(body));
    std::string signature = aws::signature_of(signing_key_, fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", time_,
                                                                        scope_, base::sha256_hex(canonical)));
    return fmt::format(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nX-Amz-Date: {}\r\nAuthorization: "
        "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}\r\nContent-Length: {}\r\n\r\n{}",
        path, authority_, time_, key_.access_key_id, scope_, kSignedHeaders, signature, body.size(), body);
  }

 private:
  static constexpr std::string_view kSignedHeaders = "content-type;host;x-amz-date";

  void renew(base::TimeMs now) {
    second_ = now / 1000;
    time_ = base::amz_date(now);
    std::string day = time_.substr(0, 8);
    scope_ = day + "/us-east-1/batch/aws4_request";
    signing_key_ = aws::derive_signing_key(key_.secret_access_key, day, "us-east-1", "batch");
  }

  aws::Credentials key_;
  std::string authority_, time_, scope_;
  aws::SigningKey signing_key_{};
  int64_t second_ = -1;
};

struct Reply {
  int status = 0;
  std::string body;
};

// One keep-alive connection with at most one request under way.
class Connection {
 public:
  Connection(const std::string& host, uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    inet_pton(AF_INET, host.c_str(), &address.sin_addr);
    if (connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw base::TransientError(base::system_message("connect", errno));
    int one = 1;
    setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  int fd() const { return fd_.get(); }

  // Requests are small: the socket takes them whole.
  void send(std::string_view request) {
    sent_at = seconds_now();
    if (::send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size()))
      throw base::TransientError(base::system_message("send", errno));
  }

  // True when the reply is complete.
  bool receive(Reply& reply) {
    char buffer[64 << 10];
    ssize_t n = recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n <= 0) throw base::TransientError("the server closed a connection");
    in_.append(buffer, static_cast<size_t>(n));
    size_t end = in_.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    std::string head = base::to_lower(std::string_view(in_).substr(0, end));
    size_t at = head.find("content-length: ");
    size_t length = at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
    if (in_.size() < end + 4 + length) return false;
    reply.status = std::stoi(head.substr(9, 3));
    reply.body = in_.substr(end + 4, length);
    in_.clear();
    return true;
  }

  Reply call(const std::string& request) {
    send(request);
    Reply reply;
    while (!receive(reply)) {
    }
    return reply;
  }

  double sent_at = 0;

 private:
  base::UniqueFd fd_;
  std::string in_;
};

class Load {
 public:
  Load(const std::string& url, const std::string& keys)
      : url_(base::parse_url(url)), signer_(services::read_root_key(keys), url_.authority()) {}

  json::object call(std::string_view operation, const json::object& body) {
    if (!single_) single_ = std::make_unique<Connection>(connect());
    Reply reply = single_->call(signer_.request("/v1/" + std::string(operation), json::serialize(body)));
    if (reply.status != 200)
      throw base::UsageError(fmt::format("{}: {} {}", operation, reply.status, reply.body));
    return base::parse_json(reply.body).as_object();
  }

  // A compute environment, a queue and a definition of /bin/true; jobs of a queue that is not `open` wait.
  void setup(const std::string& name, bool open, int vcpus) {
    json::object resources{{"type", "EC2"},
                           {"minvCpus", 0},
                           {"maxvCpus", vcpus},
                           {"instanceTypes", json::array{"optimal"}},
                           {"subnets", json::array{"subnet-1"}},
                           {"securityGroupIds", json::array{"sg-1"}},
                           {"instanceRole", "role"}};
    call("createcomputeenvironment", {{"computeEnvironmentName", name},
                                      {"type", "MANAGED"},
                                      {"state", "ENABLED"},
                                      {"computeResources", resources}});
    call("createjobqueue", {{"jobQueueName", name},
                            {"priority", 1},
                            {"computeEnvironmentOrder",
                             json::array{json::object{{"order", 1}, {"computeEnvironment", name}}}}});
    if (!open) call("updatecomputeenvironment", {{"computeEnvironment", name}, {"state", "DISABLED"}});
    json::array needs{json::object{{"type", "VCPU"}, {"value", "1"}},
                      json::object{{"type", "MEMORY"}, {"value", "16"}}};
    call("registerjobdefinition", {{"jobDefinitionName", name},
                                   {"type", "container"},
                                   {"containerProperties", json::object{{"image", "busybox"},
                                                                        {"command", json::array{"/bin/true"}},
                                                                        {"resourceRequirements", needs}}}});
  }

  // Submits `count` jobs over `connections` connections, each with one request under way.
  void submit(const std::string& queue, size_t count, size_t connections) {
    base::UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
    std::vector<Connection> all;
    for (size_t i = 0; i < connections; ++i) all.push_back(connect());
    size_t sent = 0, done = 0;
    auto next = [&](Connection& connection) {
      if (sent == count) return;
      connection.send(signer_.request(
          "/v1/submitjob",
          fmt::format(R"({{"jobName":"job-{}","jobQueue":"{}","jobDefinition":"{}"}})", sent, queue, queue)));
      ++sent;
    };
    std::vector<double> took;
    took.reserve(count);
    for (size_t i = 0; i < connections; ++i) {
      epoll_event event{EPOLLIN, {.u64 = i}};
      epoll_ctl(epoll.get(), EPOLL_CTL_ADD, all[i].fd(), &event);
    }
    double start = seconds_now();
    for (Connection& connection : all) next(connection);
    epoll_event events[64];
    Reply reply;
    while (done < count) {
      int n = epoll_wait(epoll.get(), events, 64, 60'000);
      if (n <= 0) throw base::TransientError("the server does not answer");
      for (int i = 0; i < n; ++i) {
        Connection& connection = all[events[i].data.u64];
        if (!connection.receive(reply)) continue;
        if (reply.status != 200) throw base::UsageError("SubmitJob: " + reply.body);
        took.push_back(seconds_now() - connection.sent_at);
        ++done;
        if (done % 1000 == 1) ids_.push_back(id_of(reply.body));
        next(connection);
      }
    }
    double wall = seconds_now() - start;
    fmt::print("submit_wall_s {:.3f}\nsubmit_per_s {:.0f}\n", wall, static_cast<double>(count) / wall);
    print_percentiles("submit", took);
  }

  // Waits until nothing of the queue is on its way, then counts what succeeded.
  void drain(const std::string& queue) {
    // In the order of a job's life, so that none slips past between two questions.
    for (const char* status : {"SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING"}) {
      for (;;) {
        json::object page = call("listjobs", {{"jobQueue", queue}, {"jobStatus", status}, {"maxResults", 1}});
        if (page.at("jobSummaryList").as_array().empty()) break;
        std::this_thread::sleep_for(kPollEvery);
      }
    }
  }

  void count(const std::string& queue, const char* status) {
    size_t count = 0;
    json::object input{{"jobQueue", queue}, {"jobStatus", status}, {"maxResults", 100}};
    for (;;) {
      json::object page = call("listjobs", input);
      count += page.at("jobSummaryList").as_array().size();
      auto token = base::find_string(page, "nextToken");
      if (!token) break;
      input["nextToken"] = *token;
    }
    fmt::print("{} {}\n", status, count);
  }

  // Latency of DescribeJobs and ListJobs, while submissions go on at `per_s`.
  void latency(const std::string& queue, double seconds, double per_s) {
    submit(queue, 2000, 8);  // ids to ask for
    collect_ids(queue);
    std::vector<double> describe_one, describe_many, list, submitted;
    std::mt19937 random(1);
    double start = seconds_now(), next_submit = start;
    std::string token;
    for (int i = 0; seconds_now() < start + seconds; ++i) {
      while (seconds_now() > next_submit) {
        double at = seconds_now();
        call("submitjob", {{"jobName", "more"}, {"jobQueue", queue}, {"jobDefinition", queue}});
        submitted.push_back(seconds_now() - at);
        next_submit += 1 / per_s;
      }
      double at = seconds_now();
      if (i % 3 == 0) {
        call("describejobs", {{"jobs", json::array{json::string(ids_[random() % ids_.size()])}}});
        describe_one.push_back(seconds_now() - at);
      } else if (i % 3 == 1) {
        json::array ids;
        for (size_t k = 0; k < kPageMax; ++k) ids.emplace_back(ids_[random() % ids_.size()]);
        call("describejobs", {{"jobs", std::move(ids)}});
        describe_many.push_back(seconds_now() - at);
      } else {
        json::object input{{"jobQueue", queue}, {"jobStatus", "RUNNABLE"}, {"maxResults", kPageMax}};
        if (!token.empty()) input["nextToken"] = token;
        json::object page = call("listjobs", input);
        token = base::find_string(page, "nextToken").value_or("");
        list.push_back(seconds_now() - at);
      }
    }
    print_percentiles("describe_1", describe_one);
    print_percentiles("describe_100", describe_many);
    print_percentiles("list_100", list);
    print_percentiles("submit_beside", submitted);
  }

 private:
  Connection connect() const { return {url_.host, url_.port}; }

  static std::string id_of(const std::string& body) {
    return std::string(base::find_string(base::parse_json(body).as_object(), "jobId").value_or(""));
  }

  void collect_ids(const std::string& queue) {
    json::object input{{"jobQueue", queue}, {"jobStatus", "RUNNABLE"}, {"maxResults", kPageMax}};
    while (ids_.size() < 20'000) {
      json::object page = call("listjobs", input);
      for (const json::value& job : page.at("jobSummaryList").as_array())
        ids_.emplace_back(base::view(job.at("jobId").as_string()));
      auto token = base::find_string(page, "nextToken");
      if (!token) break;
      input["nextToken"] = *token;
    }
  }

  static void print_percentiles(const char* name, std::vector<double>& took) {
    if (took.empty()) return;
    std::sort(took.begin(), took.end());
    fmt::print("{0}_p50_ms {1:.2f}\n{0}_p99_ms {2:.2f}\n{0}_max_ms {3:.2f}\n", name,
               took[took.size() / 2] * 1e3, took[took.size() * 99 / 100] * 1e3, took.back() * 1e3);
  }

  base::Url url_;
  Signer signer_;
  std::unique_ptr<Connection> single_;
  std::vector<std::string> ids_;
};

void run(const std::vector<std::string>& arguments) {
  Load load(arguments.at(1), arguments.at(2));
  const std::string& what = arguments.at(3);
  const std::string& queue = arguments.at(4);
  auto number = [&](size_t i) { return std::stoul(arguments.at(i)); };
  if (what == "setup") {
    load.setup(queue, arguments.at(5) == "open", static_cast<int>(number(6)));
  } else if (what == "submit") {
    load.submit(queue, number(5), number(6));
  } else if (what == "through") {
    double start = seconds_now();
    load.submit(queue, number(5), number(6));
    load.drain(queue);
    fmt::print("wall_s {:.3f}\n", seconds_now() - start);
    load.count(queue, "SUCCEEDED");
  } else if (what == "latency") {
    load.latency(queue, static_cast<double>(number(5)), static_cast<double>(number(6)));
  } else {
    throw base::UsageError("setup, submit, through or latency");
  }
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  fmt::print("client_cpu_s {:.3f}\n",
             static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  try {
    millrace::run({argv, argv + argc});
  } catch (const std::out_of_range&) {
    std::fprintf(stderr,
                 "load_client URL KEYS setup QUEUE open|closed VCPUS\n"
                 "load_client URL KEYS submit|through QUEUE COUNT CONNECTIONS\n"
                 "load_client URL KEYS latency QUEUE SECONDS SUBMISSIONS_PER_S\n");
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "load_client: %s\n", error.what());
    return 1;
  }
}

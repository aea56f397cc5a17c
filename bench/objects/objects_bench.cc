// Measures the S3 endpoint and its client on this machine; driven by bench/objects/compare, which sets other
// programs beside it.
//   objects_bench serve DIR [KEYS [twin]] the endpoint on a free port, KEYS empty objects in the bucket
//   "many"
//                                         (and in "twin"); ends with its stdin
//   objects_bench put URL SECONDS         4 KiB objects, 32 connections
//   objects_bench copy URL COUNT          server-side copies of a 4 KiB object, 32 connections
//   objects_bench upload URL FILE | get URL | list URL
//   objects_bench fsync DIR SECONDS       4 KiB written and synced, one after the other
// Prints one JSON document a run; CPU and memory are this process's own.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "aws/protocol.h"
#include "base/error.h"
#include "base/json.h"
#include "http/server.h"
#include "objects/s3_client.h"
#include "services/s3.h"

namespace {

using namespace millrace;
using Clock = std::chrono::steady_clock;

constexpr const char* kKey = "AKIDEXAMPLE";
constexpr const char* kSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
constexpr size_t kSmallBytes = 4096;

// S3 alone, with every signature verified, as behind `millrace serve`.
class Endpoint : public http::RequestHandler {
 public:
  explicit Endpoint(objects::DirectoryStore& store) : s3_(store, {}) {}
  std::unique_ptr<http::BodySink> open(const http::RequestHead& head) override {
    const aws::Operation* operation = aws::route(*aws::find_service("s3"), head, "");
    if (!operation || !services::S3Service::is_streamed(*operation)) return nullptr;
    return s3_.open(*operation, head, authenticate(head));
  }
  void handle(http::Request request, http::Respond respond) override {
    const aws::ServiceModel* s3 = aws::find_service("s3");
    const aws::Operation* operation = aws::route(*s3, request.head, "");
    if (!operation) throw aws::unknown_operation(*s3, request.head, "");
    services::SigningContext context = authenticate(request.head);
    s3_.handle(*operation, std::move(request), context, std::move(respond));
  }
  http::Response failed(const http::RequestHead& head, std::exception_ptr error) override {
    return services::S3Service::failed(head, error, "REQUEST");
  }

 private:
  services::SigningContext authenticate(const http::RequestHead& head) {
    services::SigningContext context;
    context.request_id = "REQUEST";
    std::optional<aws::Claim> claim = aws::parse_claim(head, aws::Dialect::kS3);
    if (!claim) throw aws::auth_error(aws::AuthProblem::kMissing, aws::Dialect::kS3);
    verifier_.verify(*claim, head, std::nullopt, kSecret, clock_.now_ms());
    context.claim = *claim;
    context.key = verifier_.signing_key(*claim, kSecret);
    return context;
  }
  services::S3Service s3_;
  aws::Verifier verifier_;
  base::SystemClock clock_;
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

double peak_rss_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// With `twin` the objects are in a second bucket, too.
int serve(const std::string& folder, uint64_t keys, bool twin) {
  base::SystemClock clock;
  objects::DirectoryStore store(folder, clock);
  for (const char* bucket : {"many", "bench", "twin"}) store.create_bucket(bucket, "us-east-1");
  std::atomic<uint64_t> waiting{0};
  for (uint64_t i = 0; i < keys; ++i) {
    char key[64];
    std::snprintf(key, sizeof key, "shots/%03llu/frame-%08llu.exr",
                  static_cast<unsigned long long>(i / 10'000), static_cast<unsigned long long>(i));
    // Not too many at once: each keeps its change until the commit.
    while (waiting.load() > 20'000) std::this_thread::yield();
    for (const char* bucket : {"many", "twin"}) {
      if (bucket[0] == 't' && !twin) continue;
      ++waiting;
      store.put({bucket, key, {}, {}, {}, {}})->finish([&](objects::PutResult, std::exception_ptr) {
        --waiting;
      });
    }
  }
  while (waiting.load() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  Endpoint endpoint(store);
  http::ServerOptions options;
  options.port = 0;
  http::Server server(options, endpoint);
  std::printf("http://127.0.0.1:%u\n", static_cast<unsigned>(server.port()));
  std::fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) {
  }
  return 0;
}

objects::S3Client client(const std::string& url, const std::string& bucket, size_t connections) {
  objects::S3ClientOptions options;
  options.bucket = bucket;
  options.endpoint = url;
  options.credentials = std::make_shared<aws::StaticCredentials>(aws::Credentials{kKey, kSecret, "", {}});
  options.client = std::make_shared<http::Client>(connections);
  return objects::S3Client(options);
}

void print(base::json::object result) {
  result["rss_mib"] = peak_rss_mib();
  std::printf("%s\n", base::json::serialize(result).c_str());
}

int put(const std::string& url, double seconds) {
  constexpr int kConnections = 32;
  objects::S3Client c = client(url, "bench", kConnections);
  std::atomic<uint64_t> done{0};
  std::string body(kSmallBytes, 'x');
  Clock::time_point start = Clock::now();
  std::vector<std::thread> threads;
  for (int t = 0; t < kConnections; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t i = 0; seconds_since(start) < seconds; ++i, ++done)
        c.put("put/" + std::to_string(t) + "/" + std::to_string(i), body);
    });
  }
  for (std::thread& thread : threads) thread.join();
  double wall = seconds_since(start), n = static_cast<double>(done.load());
  print({{"put_per_s", n / wall}, {"cpu_ms_per_put", cpu_seconds() * 1000 / n}});
  return 0;
}

int copy(const std::string& url, int count) {
  constexpr int kConnections = 32;
  objects::S3Client c = client(url, "bench", kConnections);
  std::string etag = c.put("source", std::string(kSmallBytes, 'x'));
  objects::ObjectInfo source{"source", kSmallBytes, etag, 0, 0};
  double cpu = cpu_seconds();
  Clock::time_point start = Clock::now();
  // As `millrace copy` does it: each answer begins the next copy.
  std::promise<void> ended;
  std::atomic<int> next{0}, failed{0}, busy{kConnections};
  std::function<void()> one = [&] {
    int i = next.fetch_add(1);
    if (i >= count) {
      if (--busy == 0) ended.set_value();
      return;
    }
    c.start_copy("bench", source, "copy/" + std::to_string(i), {},
                 [&](const objects::CopyResult&, const std::exception_ptr& error) {
                   if (error) ++failed;
                   one();
                 });
  };
  for (int t = 0; t < kConnections; ++t) one();
  ended.get_future().wait();
  if (failed > 0) throw base::TransientError(std::to_string(failed) + " copies failed");
  print({{"copy_per_s", count / seconds_since(start)},
         {"cpu_ms_per_copy", (cpu_seconds() - cpu) * 1000 / count}});
  return 0;
}

int upload(const std::string& url, const std::string& file) {
  objects::S3Client c = client(url, "bench", 8);
  Clock::time_point start = Clock::now();
  c.put_file("large", file);
  print({{"wall_s", seconds_since(start)}, {"cpu_s", cpu_seconds()}});
  return 0;
}

int get(const std::string& url) {
  objects::S3Client c = client(url, "bench", 8);
  Clock::time_point start = Clock::now();
  uint64_t bytes = 0;
  objects::DownloadResult result = c.get("large", [&](std::string_view piece) { bytes += piece.size(); });
  print({{"gb_per_s", static_cast<double>(bytes) / 1e9 / seconds_since(start)},
         {"cpu_s", cpu_seconds()},
         {"verified", result.verified}});
  return 0;
}

int list(const std::string& url) {
  objects::S3Client c = client(url, "many", 2);
  Clock::time_point start = Clock::now();
  uint64_t keys = 0;
  c.list("", [&](const objects::ObjectInfo&) { return ++keys > 0; });
  double wall = seconds_since(start);
  print({{"keys", keys}, {"keys_per_s", static_cast<double>(keys) / wall}, {"cpu_s", cpu_seconds()}});
  return 0;
}

int fsync_loop(const std::string& folder, double seconds) {
  std::string path = folder + "/fsync-loop";
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  std::string block(kSmallBytes, 'x');
  uint64_t done = 0;
  Clock::time_point start = Clock::now();
  for (; seconds_since(start) < seconds; ++done)
    if (write(fd, block.data(), block.size()) < 0 || fdatasync(fd) != 0) return 1;
  print({{"fsync_per_s", static_cast<double>(done) / seconds_since(start)}});
  close(fd);
  unlink(path.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  auto is = [&](const char* name, size_t least) { return words.size() > least && words[0] == name; };
  if (is("serve", 1)) return serve(words[1], words.size() > 2 ? std::stoull(words[2]) : 0, words.size() > 3);
  if (is("put", 2)) return put(words[1], std::stod(words[2]));
  if (is("copy", 2)) return copy(words[1], std::stoi(words[2]));
  if (is("upload", 2)) return upload(words[1], words[2]);
  if (is("get", 1)) return get(words[1]);
  if (is("list", 1)) return list(words[1]);
  if (is("fsync", 2)) return fsync_loop(words[1], std::stod(words[2]));
  std::fprintf(stderr, "usage: see the head of bench/objects/objects_bench.cc\n");
  return 2;
}

// Events per CPU-second by kind of rule: bench_events [KIND]. Single thread, JSON text in, numbers of
// matching rules out. Events are generated, some 900 bytes each; every kind has a fresh set of rules and
// every pass reads events that the process has not read before, so that nothing is warm but the code.
#include <fmt/format.h>
#include <time.h>

#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "events/matcher.h"
#include "events/rule_set.h"
#include "events/test_pattern.h"

namespace {

using namespace millrace::events;

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

std::mt19937_64 g_random(20261121);
uint64_t below(uint64_t n) { return g_random() % n; }
std::string hex(int digits) {
  std::string out;
  for (int i = 0; i < digits; ++i) out += "0123456789abcdef"[below(16)];
  return out;
}

// As the store writes them: a native S3 event with some more fields.
std::string s3_event() {
  static const char* kReasons[] = {"PutObject", "CopyObject", "CompleteMultipartUpload", "POST Object"};
  return fmt::format(
      R"({{"version":"0","id":"{}-{}-{}-{}-{}","detail-type":"Object Created","source":"aws.s3","account":"{:012}",)"
      R"("time":"2026-11-{:02}T{:02}:{:02}:{:02}Z","region":"eu-central-1","resources":["arn:aws:s3:::bucket-{}"],)"
      R"("detail":{{"version":"0","bucket":{{"name":"bucket-{}"}},"object":{{"key":"input/customer-{:05}/part-{:04}.csv",)"
      R"("size":{},"etag":"{}","sequencer":"{}"}},"request-id":"{}","requester":"{:012}","source-ip-address":"10.{}.{}.{}",)"
      R"("reason":"{}","host":"worker-{}.example.internal","queue":"production","priority":{},"retries":{},)"
      R"("owner":{{"team":"ingest","contact":"team-{}@example.com","cost-center":"cc-{}"}},)"
      R"("tags":["nightly","region-{}","customer-{:05}"],"ratio":{}.{},"checksum":"sha256:{}","note":"generated event"}}}})",
      hex(8), hex(4), hex(4), hex(4), hex(12), below(1000000000000), 1 + below(28), below(24), below(60),
      below(60), below(100), below(100), below(20000), below(10000), below(5000000), hex(32), hex(16),
      hex(16), below(1000000000000), below(256), below(256), below(256), kReasons[below(4)], below(500),
      below(100), below(5), below(50), below(1000), below(20), below(20000), below(10), below(100), hex(64));
}

std::string array_event() {
  std::string items;
  for (int i = 0; i < 8; ++i) {
    items += fmt::format(R"({}{{"sku":"sku-{:04}","count":{},"state":"{}"}})", i ? "," : "", below(2000),
                         below(10), below(2) ? "packed" : "open");
  }
  return fmt::format(
      R"({{"version":"0","id":"{}","detail-type":"Order","source":"shop.orders","account":"{:012}",)"
      R"("time":"2026-11-21T10:00:00Z","region":"eu-central-1","resources":[],"detail":{{"order":"{}","customer":"{}",)"
      R"("items":[{}],"note":"{}"}}}})",
      hex(32), below(1000000000000), hex(12), hex(12), items, hex(250));
}

struct Kind {
  const char* name;
  double bar;  // events per CPU-second that we promise
  std::vector<std::string> rules;
  std::string (*event)();
};

std::vector<std::string> each(int count, const char* path_open, const char* path_close, auto test) {
  std::vector<std::string> rules;
  for (int i = 0; i < count; ++i) {
    rules.push_back(
        fmt::format(R"({{"source":["aws.s3"],"detail":{{{}[{}]{}}}}})", path_open, test(i), path_close));
  }
  return rules;
}

std::vector<Kind> kinds() {
  const char *key = R"("object":{"key":)", *end = "}";
  std::vector<Kind> all;
  const auto s3 = [&](const char* name, double bar, std::vector<std::string> rules) {
    all.push_back({name, bar, std::move(rules), s3_event});
  };
  s3("exact", 2.5e6, each(5, R"("reason":)", "", [](int i) {
       const char* kWords[] = {"PutObject", "CopyObject", "DeleteObject", "CompleteMultipartUpload", "Other"};
       return fmt::format(R"("{}")", kWords[i]);
     }));
  s3("prefix", 2.5e6,
     each(5, key, end, [](int i) { return fmt::format(R"({{"prefix":"input/customer-{:02}"}})", i * 3); }));
  s3("suffix", 2.5e6, each(5, key, end, [](int i) { return fmt::format(R"({{"suffix":"{}.csv"}})", i); }));
  s3("ignore-case", 2.5e6, each(5, R"("reason":)", "", [](int i) {
       const char* kWords[] = {"putobject", "COPYOBJECT", "deleteobject", "completeMultipartUpload", "Other"};
       return fmt::format(R"({{"equals-ignore-case":"{}"}})", kWords[i]);
     }));
  s3("wildcard", 2.5e6, each(5, key, end, [](int i) {
       const char* kWords[] = {"input/*/part-*.csv", "*customer-1*.csv", "*/part-00*", "input/*7/*",
                               "output/*.csv"};
       return fmt::format(R"({{"wildcard":"{}"}})", kWords[i]);
     }));
  s3("anything-but", 1.5e6, each(5, R"("reason":)", "", [](int i) {
       const char* kWords[] = {R"("PutObject")", R"(["CopyObject","PutObject"])", R"({"prefix":"Put"})",
                               R"({"suffix":"Object"})", R"({"wildcard":"*Multi*"})"};
       return fmt::format(R"({{"anything-but":{}}})", kWords[i]);
     }));
  s3("numeric", 1.5e6, each(5, R"("object":{"size":)", end, [](int i) {
       return fmt::format(R"({{"numeric":[">",{},"<=",{}]}})", i * 900000, i * 900000 + 1500000);
     }));
  s3("10000 exact", 2e6,
     each(10000, R"("tags":)", "", [](int i) { return fmt::format(R"("customer-{:05}")", i * 2); }));
  s3("10000 prefix", 2e6, each(10000, key, end, [](int i) {
       return fmt::format(R"({{"prefix":"input/customer-{:05}/"}})", i * 2);
     }));
  s3("1000 wildcard", 1e6, each(1000, key, end, [](int i) {
       return fmt::format(R"({{"wildcard":"*customer-{:05}/*.csv"}})", i * 20);
     }));
  Kind arrays{"arrays of objects", 7e5, {}, array_event};
  for (int i = 0; i < 5; ++i) {
    arrays.rules.push_back(fmt::format(
        R"({{"source":["shop.orders"],"detail":{{"items":{{"sku":[{{"prefix":"sku-{}"}}],"state":["packed"],"count":[{}]}}}}}})",
        i % 2, i));
  }
  all.push_back(std::move(arrays));
  return all;
}

void run(const Kind& kind) {
  // Rules first, timed from their text to the first snapshot.
  RuleSet set;
  const double began_rules = cpu_seconds();
  for (size_t i = 0; i < kind.rules.size(); ++i) set.put(fmt::format("rule-{}", i), kind.rules[i]);
  const auto snapshot = set.snapshot();
  const double rules_ms = (cpu_seconds() - began_rules) * 1e3;

  constexpr size_t kBatch = 10000, kBatches = 30;
  MatchScratch scratch;
  std::vector<uint32_t> matched;
  size_t bytes = 0, hits = 0;
  double first = 0, total = 0;
  for (size_t batch = 0; batch < kBatches; ++batch) {
    std::vector<std::string> events;
    for (size_t i = 0; i < kBatch; ++i) events.push_back(kind.event());
    const double began = cpu_seconds();
    for (const std::string& event : events) {
      snapshot->match(event, &scratch, &matched);
      hits += matched.size();
    }
    const double took = cpu_seconds() - began;
    if (batch == 0) first = took;
    total += took;
    for (const std::string& event : events) bytes += event.size();
  }
  const double count = kBatch * kBatches, rate = count / total;
  fmt::print(
      "{:<18} {:>10.0f} events/s  bar {:>9.0f} {}  first pass {:>10.0f}  {:>4.0f} bytes  {:>5.2f} hits  "
      "rules {:.2f} ms\n",
      kind.name, rate, kind.bar, rate >= kind.bar ? "ok  " : "LESS", kBatch / first,
      static_cast<double>(bytes) / count, static_cast<double>(hits) / count, rules_ms);
}

void large_array() {
  std::string event = R"({"source":"aws.s3","detail":{"n":[)";
  std::string objects = R"({"source":"aws.s3","detail":{"e":[)";
  for (int i = 0; i < 10000; ++i) {
    event += fmt::format("{}\"value-{}\"", i ? "," : "", i);
    objects += fmt::format(R"({}{{"f":"Anna","l":"S{}"}})", i ? "," : "", i);
  }
  event += "]}}";
  objects += "]}}";
  const Pattern strings = parse_pattern(R"({"detail":{"n":["value-9999",{"prefix":"x"}]}})");
  const Pattern pairs = parse_pattern(R"({"detail":{"e":{"f":["Anna"],"l":["Jones",{"prefix":"T"}]}}})");
  const Pattern found = parse_pattern(R"({"detail":{"e":{"f":["Anna"],"l":["S9999"]}}})");
  const auto time = [](const char* name, const Pattern& pattern, const std::string& text) {
    const Matcher matcher({&pattern});
    MatchScratch scratch;
    std::vector<uint32_t> matched;
    const double began = cpu_seconds();
    matcher.match(text, &scratch, &matched);
    const double took = (cpu_seconds() - began) * 1e3;
    fmt::print("{:<18} {:>10.3f} ms        bar     1 ms   {}  (cold, {} KiB, {} match)\n", name, took,
               took < 1 ? "ok  " : "LESS", text.size() / 1024, matched.size());
  };
  time("10000 strings", strings, event);
  time("10000 objects", pairs, objects);
  time("10000 objects, hit", found, objects);
}

void whole_calls() {
  constexpr size_t kCount = 20000, kRounds = 10;
  std::vector<std::string> events, patterns;
  const std::vector<Kind> all = kinds();
  for (size_t i = 0; i < kCount; ++i) {
    events.push_back(s3_event());
    patterns.push_back(all[i % 7].rules[i % 5]);
  }
  size_t hits = 0;
  const double began = cpu_seconds();
  for (size_t i = 0; i < kCount * kRounds; ++i) {
    hits += test_event_pattern(patterns[i % kCount], events[i % kCount]) ? 1 : 0;
  }
  const double rate = kCount * kRounds / (cpu_seconds() - began);
  fmt::print("{:<18} {:>10.0f} calls/s   bar {:>9.0f} {}  {:.2f} hits\n", "TestEventPattern", rate, 2e5,
             rate >= 2e5 ? "ok" : "LESS", static_cast<double>(hits) / (kCount * kRounds));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string only = argc > 1 ? argv[1] : "";
  for (const Kind& kind : kinds()) {
    if (only.empty() || only == kind.name) run(kind);
  }
  if (only.empty() || only == "array") large_array();
  if (only.empty() || only == "test") whole_calls();
  return 0;
}

#include "tests/support/mutation.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>

// There with ASan and UBSan, which end the program themselves.
extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

namespace millrace::testing {
namespace {

std::atomic<uint64_t> current_seed{0};

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text && *text ? std::strtoull(text, nullptr, 10) : otherwise;
}

// Nothing but write(): memory may be in any state.
void say_seed() {
  uint64_t seed = current_seed;
  if (seed == 0) return;
  char text[] = "died with MILLRACE_FUZZ_SEED=00000000000000000000\n";
  for (size_t at = sizeof(text) - 3; seed > 0; --at, seed /= 10)
    text[at] = static_cast<char>('0' + seed % 10);
  [[maybe_unused]] ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
}

void on_signal(int signal) {
  say_seed();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void watch() {
  if (__sanitizer_set_death_callback) {
    __sanitizer_set_death_callback(say_seed);
    return;
  }
  for (int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL}) std::signal(signal, on_signal);
}

}  // namespace

uint64_t mutation_rounds(uint64_t usual) { return from_environment("MILLRACE_FUZZ_ROUNDS", usual); }

uint64_t mutation_seed() { return from_environment("MILLRACE_FUZZ_SEED", 1); }

void remember_seed(uint64_t seed) {
  static bool watching = (watch(), true);
  (void)watching;
  current_seed = seed;
}

std::string Mutator::next() {
  std::string text = corpus_.samples[below(corpus_.samples.size())];
  for (size_t changes = 1 + below(8); changes > 0; --changes) change(text);
  if (text.size() > kBytesMax) text.resize(kBytesMax);
  return text;
}

void Mutator::change(std::string& text) {
  static constexpr unsigned char kOdd[] = {0,   1,   9,   10,  13,   ' ',  '"',  '%',  '&',  '\'',
                                           '+', ',', '-', '.', '/',  '0',  ':',  ';',  '<',  '=',
                                           '>', '?', '[', '{', 0x7f, 0x80, 0xc0, 0xe2, 0xf4, 0xff};
  size_t at = below(text.size() + 1);
  size_t length = std::min(text.size() - at, 1 + below(below(4) ? 4 : 64));
  switch (below(9)) {
    case 0:
      if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
      break;
    case 1:
      if (at < text.size()) text[at] = static_cast<char>(kOdd[below(sizeof(kOdd))]);
      break;
    case 2:
      text.insert(at, 1, static_cast<char>(below(2) ? kOdd[below(sizeof(kOdd))] : below(256)));
      break;
    case 3:
      text.erase(at, length);
      break;
    case 4:  // the same again, now and then very often
      for (size_t times = below(16) ? 1 : below(300); times > 0 && text.size() < kBytesMax; --times)
        text.insert(at, text.substr(at, length));
      break;
    case 5: {
      std::string moved = text.substr(at, length);
      text.erase(at, length);
      text.insert(below(text.size() + 1), moved);
      break;
    }
    case 6:
      if (!corpus_.pieces.empty()) text.insert(at, corpus_.pieces[below(corpus_.pieces.size())]);
      break;
    case 7: {
      const std::string& other = corpus_.samples[below(corpus_.samples.size())];
      text.replace(at, std::string::npos, other, below(other.size() + 1), std::string::npos);
      break;
    }
    default:
      text.resize(at);
      break;
  }
}

}  // namespace millrace::testing

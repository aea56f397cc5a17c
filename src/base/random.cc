#include "base/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"

namespace millrace::base {
namespace {

// A pool a thread, so that a busy engine pays one system call for 256 identifiers.
struct Pool {
  char bytes[4096];
  size_t used = sizeof bytes;
};

void take(char* out, size_t count) {
  thread_local Pool pool;
  while (count > 0) {
    if (pool.used == sizeof pool.bytes) {
      for (size_t got = 0; got < sizeof pool.bytes;) {
        ssize_t n = getrandom(pool.bytes + got, sizeof pool.bytes - got, 0);
        if (n < 0 && errno != EINTR) throw InternalError(system_message("getrandom", errno));
        if (n > 0) got += static_cast<size_t>(n);
      }
      pool.used = 0;
    }
    size_t n = std::min(count, sizeof pool.bytes - pool.used);
    std::memcpy(out, pool.bytes + pool.used, n);
    std::memset(pool.bytes + pool.used, 0, n);
    pool.used += n;
    out += n;
    count -= n;
  }
}

}  // namespace

std::string random_bytes(size_t count) {
  std::string out(count, '\0');
  take(out.data(), count);
  return out;
}

std::string random_hex(size_t digits) { return hex(random_bytes(digits / 2)); }

std::string random_alphanumeric(size_t n) {
  static constexpr char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::string out;
  while (out.size() < n) {
    char byte;
    take(&byte, 1);
    auto value = static_cast<unsigned char>(byte);
    if (value < 248) out += kLetters[value % 62];  // 248 = 4 * 62: no letter is likelier than another
  }
  return out;
}

std::string uuid4() {
  std::string b = random_bytes(16);
  b[6] = static_cast<char>((b[6] & 0x0F) | 0x40);
  b[8] = static_cast<char>((b[8] & 0x3F) | 0x80);
  std::string h = hex(b);
  return h.substr(0, 8) + "-" + h.substr(8, 4) + "-" + h.substr(12, 4) + "-" + h.substr(16, 4) + "-" +
         h.substr(20);
}

}  // namespace millrace::base

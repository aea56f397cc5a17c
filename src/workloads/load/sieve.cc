#include "workloads/load/sieve.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"

namespace millrace::load {
namespace {

constexpr size_t kBatchBytes = 256 * 1024;
constexpr size_t kPieceBytes = 512 * 1024;
constexpr size_t kHeaderBytes = 19;     // signature, flags and an empty extension
constexpr size_t kNumberBytes = 4 + 8;  // a row's last field: its length and a bigint

template <typename Number>
Number big_endian_at(std::string_view bytes, size_t at) {
  Number number;
  std::memcpy(&number, bytes.data() + at, sizeof number);
  if constexpr (sizeof number == 2)
    return static_cast<Number>(__builtin_bswap16(static_cast<uint16_t>(number)));
  return static_cast<Number>(__builtin_bswap32(static_cast<uint32_t>(number)));
}

}  // namespace

Sieve::Sieve(sql::Connection& connection, Options options)
    : options_(std::move(options)),
      copy_(sql::copy_out(connection, "COPY (" + options_.query + " LIMIT " +
                                          std::to_string(options_.rows_max) +
                                          ") TO STDOUT WITH (FORMAT binary)")) {
  thread_ = std::thread([this] { learn(); });
}

Sieve::~Sieve() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  thread_.join();
}

void Sieve::learn() {
  try {
    {
      std::lock_guard lock(mutex_);
      known_.reserve(options_.rows);
    }
    std::string bytes;
    std::vector<RowHash> hashes;
    bool more = true, header = false;
    while (more) {
      do {
        more = copy_->read(bytes);
      } while (more && bytes.size() < kBatchBytes);
      std::string_view rest = bytes;
      if (!header && rest.size() >= kHeaderBytes) {
        rest.remove_prefix(kHeaderBytes);
        header = true;
      }
      hashes.clear();
      if (header) rest.remove_prefix(learn_rows(rest, hashes));
      if (!more && (!rest.empty() || !ended_)) throw base::CorruptError("the table's rows end in the middle");
      bytes.erase(0, bytes.size() - rest.size());
      table_rows_ += hashes.size();
      std::lock_guard lock(mutex_);
      known_.add(hashes);
      ++batches_;
      if (stop_) break;
      learned_.notify_all();
    }
  } catch (...) {
    std::lock_guard lock(mutex_);
    error_ = std::current_exception();
  }
  copy_.reset();
  std::lock_guard lock(mutex_);
  complete_ = true;
  learned_.notify_all();
}

size_t Sieve::learn_rows(std::string_view bytes, std::vector<RowHash>& hashes) {
  size_t begin = 0;
  while (bytes.size() - begin >= 2) {
    const auto fields = big_endian_at<int16_t>(bytes, begin);
    if (fields == -1) {
      ended_ = true;
      return begin + 2;
    }
    if (static_cast<size_t>(fields) != options_.columns)
      throw base::CorruptError("a row of the table has " + std::to_string(fields) + " fields");
    size_t end = begin + 2;
    for (size_t field = 0; field < options_.columns; ++field) {
      if (bytes.size() < end + 4) return begin;
      const auto length = big_endian_at<int32_t>(bytes, end);
      end += 4;
      if (length > 0) end += static_cast<size_t>(length);
      if (bytes.size() < end) return begin;
    }
    hashes.push_back(hasher_.row(bytes.substr(begin + 2, end - begin - 2)));
    begin = end;
  }
  return begin;
}

void Sieve::push(std::string rows, std::vector<uint32_t> begins) {
  if (begins.empty()) return;
  Block block;
  block.bytes = std::move(rows);
  block.begins = std::move(begins);
  block.hashes.reserve(block.begins.size());
  for (size_t i = 0; i < block.begins.size(); ++i) {
    std::string_view row = block.row(i);
    row.remove_prefix(2);
    row.remove_suffix(kNumberBytes);
    block.hashes.push_back(hasher_.row(row));
  }
  waiting_bytes_ += block.memory();
  waiting_.push_back(std::move(block));
  while (!sift() && waiting_bytes_ + passed_bytes_ > options_.held_max) {
    std::unique_lock lock(mutex_);
    const uint64_t before = batches_;
    // Of what has passed nothing can be sent before the end.
    const bool only_end_helps = passed_bytes_ > options_.held_max / 2;
    learned_.wait(lock, [&] { return complete_ || (!only_end_helps && batches_ != before); });
  }
}

bool Sieve::complete() { return sift(); }

void Sieve::finish() {
  {
    std::unique_lock lock(mutex_);
    learned_.wait(lock, [&] { return complete_; });
  }
  sift();
}

// Lets pass or keeps back what can be told by now; true when that is everything and always will be.
bool Sieve::sift() {
  std::unique_lock lock(mutex_);
  if (complete_) {
    lock.unlock();  // the thread has ended
    if (error_) std::rethrow_exception(error_);
  }
  while (!waiting_.empty()) {
    if (!pass_rows(waiting_.front())) return false;
    waiting_bytes_ -= waiting_.front().memory();
    waiting_.pop_front();
  }
  return complete_;
}

// False: a row is not known yet, but may still come.
bool Sieve::pass_rows(Block& block) {
  constexpr size_t kAhead = 12;
  for (; block.next < block.hashes.size(); ++block.next) {
    if (block.next + kAhead < block.hashes.size()) known_.prefetch(block.hashes[block.next + kAhead]);
    const bool known = known_.contains(block.hashes[block.next]);
    if (!known && !complete_) return false;
    const std::string_view row = block.row(block.next);
    // Behind a row that changes it, a row takes it back.
    if (known && (passed_rows_ == 0 || !passed_keys_.contains(key_of(row)))) {
      ++kept_back_;
      continue;
    }
    passed_keys_.add(key_of(row));
    ++passed_rows_;
    if (passed_.empty() || passed_.back().size() + row.size() > passed_.back().capacity()) {
      // A string that grew would be there twice while it does.
      passed_.emplace_back().reserve(std::max(kPieceBytes, row.size()));
      passed_bytes_ += passed_.back().capacity();
    }
    passed_.back() += row;
  }
  return true;
}

std::string Sieve::take() {
  if (passed_.empty()) return {};
  std::string piece = std::move(passed_.front());
  passed_.pop_front();
  passed_bytes_ -= piece.capacity();
  return piece;
}

uint64_t Sieve::key_of(std::string_view row) const {
  uint64_t hash = 0;
  size_t at = 2, field = 0;
  for (const size_t wanted : options_.key) {
    if (wanted < field) {
      at = 2;
      field = 0;
    }
    for (;; ++field) {
      const auto length = big_endian_at<int32_t>(row, at);
      const size_t size = length > 0 ? static_cast<size_t>(length) : 0;
      if (field == wanted) {
        hash = hasher_.key(row.substr(at + 4, size), hash + size);
        break;
      }
      at += 4 + size;
    }
  }
  return hash;
}

std::optional<int64_t> Sieve::table_rows() const {
  if (!options_.all_rows || table_rows_ >= options_.rows_max) return std::nullopt;
  return static_cast<int64_t>(table_rows_);
}

}  // namespace millrace::load

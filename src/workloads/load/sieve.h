// Rows of a file that a table has already, byte for byte, are kept back: only the others go to the database.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "sql/copy_out.h"
#include "workloads/load/known_rows.h"

namespace millrace::load {

// Learns the table's rows in a thread of its own while the file's are still being read. Rows pass in order,
// and a row waits until it is found or the table has ended, so the last row of a key stays the last. What it
// lets through may still be the same to the database (1.0 and 1.00), which has to look once more; what it
// keeps back is equal in every byte, or 128 bits of a keyed hash collide. The connection is its own until
// complete(). Throws as the connection does.
class Sieve {
 public:
  struct Options {
    std::string query;        // SELECT of the columns in the order of the file's rows
    size_t columns = 0;       // of it; a row of the file has one more, which is not compared
    std::vector<size_t> key;  // which of them are the key: no two rows of the table have the same, and equal
                              // keys are equal in their bytes
    size_t rows = 0;          // about how many there are
    bool all_rows = true;     // the query leaves none out
    size_t rows_max = KnownRows::kRowsMax;
    size_t held_max = 32 << 20;  // bytes that rows which wait may take before the file has to
  };
  Sieve(sql::Connection& connection, Options options);
  ~Sieve();
  Sieve(const Sieve&) = delete;
  Sieve& operator=(const Sieve&) = delete;

  // Rows as binary COPY has them, one behind the other, and where each begins.
  void push(std::string rows, std::vector<uint32_t> begins);
  // All of the table was read: the connection is free again, and whatever was pushed has passed.
  bool complete();
  // Waits for that.
  void finish();
  // Some of those that passed, each once and in order; empty: no more for now.
  std::string take();
  // Rows kept back so far.
  int64_t kept_back() const { return kept_back_; }
  // Rows that the table has; nothing when it may have more than were read. After finish().
  std::optional<int64_t> table_rows() const;

 private:
  struct Block {
    std::string bytes;
    std::vector<uint32_t> begins;
    std::vector<RowHash> hashes;
    size_t next = 0;  // the first row that has not passed

    size_t memory() const {
      return bytes.capacity() + begins.capacity() * sizeof(uint32_t) + hashes.capacity() * sizeof(RowHash);
    }
    std::string_view row(size_t i) const {
      const size_t end = i + 1 < begins.size() ? begins[i + 1] : bytes.size();
      return std::string_view(bytes).substr(begins[i], end - begins[i]);
    }
  };

  void learn();
  // The whole rows at the front of `bytes`, hashed; what they take.
  size_t learn_rows(std::string_view bytes, std::vector<RowHash>& hashes);
  bool sift();
  bool pass_rows(Block& block);
  uint64_t key_of(std::string_view row) const;

  const Options options_;
  const RowHasher hasher_;
  std::deque<Block> waiting_;
  size_t waiting_bytes_ = 0;
  std::deque<std::string> passed_;
  size_t passed_bytes_ = 0;
  MetKeys passed_keys_;
  int64_t kept_back_ = 0, passed_rows_ = 0;

  std::mutex mutex_;  // of what follows
  std::condition_variable learned_;
  KnownRows known_;
  uint64_t batches_ = 0;
  bool complete_ = false, stop_ = false;
  std::exception_ptr error_;

  size_t table_rows_ = 0;  // the thread's until complete_
  bool ended_ = false;     // the trailer was there
  std::unique_ptr<sql::CopyOut> copy_;
  std::thread thread_;
};

}  // namespace millrace::load

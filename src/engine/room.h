// What there is of a host, and what a job takes of it.
#pragma once

#include <cstdint>

#include "engine/job.h"

namespace millrace::engine {

struct Room {
  int64_t vcpus_milli = 0;
  int64_t memory_mib = 0;
  int64_t gpus = 0;

  Room& operator+=(const Room& other) {
    vcpus_milli += other.vcpus_milli;
    memory_mib += other.memory_mib;
    gpus += other.gpus;
    return *this;
  }
  Room& operator-=(const Room& other) {
    vcpus_milli -= other.vcpus_milli;
    memory_mib -= other.memory_mib;
    gpus -= other.gpus;
    return *this;
  }
  friend Room operator+(Room a, const Room& b) { return a += b; }
  friend Room operator-(Room a, const Room& b) { return a -= b; }
  bool holds(const Room& other) const {
    return other.vcpus_milli <= vcpus_milli && other.memory_mib <= memory_mib && other.gpus <= gpus;
  }
};

// As people count them.
inline double vcpus(int64_t milli) { return static_cast<double>(milli) / 1000; }

inline Room room_of(const Job& job) { return {job.vcpus_milli, job.memory_mib, job.gpus}; }

}  // namespace millrace::engine

// libFuzzer entry: a schedule expression, or a TZif file. The first byte says what (0 to 2: an expression of
// a rule, of a schedule in UTC, in New York; else a file); then come the time from which to look and the
// start, eight bytes each. Whatever they are, nothing crashes, and what is accepted keeps what schedule.h and
// time_zone.h promise.
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "events/schedule.h"
#include "events/time_zone.h"

namespace {

using namespace millrace;
using namespace millrace::events;

void must(bool holds) {
  if (!holds) __builtin_trap();
}

// Where the service's checks let times be: the years 1970 to 9999.
constexpr base::TimeMs kTimeMax = 253'402'300'799'000;

int64_t take(std::string_view* input) {
  int64_t value = 0;
  const size_t size = std::min(input->size(), sizeof value);
  std::memcpy(&value, input->data(), size);
  input->remove_prefix(size);
  return value;
}

base::TimeMs within(int64_t value) {
  return static_cast<base::TimeMs>(static_cast<uint64_t>(value) % static_cast<uint64_t>(kTimeMax));
}

void check_schedule(std::string_view text, Schedule::Service service, std::shared_ptr<const TimeZone> zone,
                    base::TimeMs after, base::TimeMs start) {
  const Schedule schedule = Schedule::parse(text, service, std::move(zone));
  const auto next = schedule.next(after, start);
  if (!next) return;
  must(*next > after);
  if (!schedule.once()) must(*next >= start);
  // Asked again from anywhere in between the answer is the same: nothing lies before it.
  const base::TimeMs gap = *next - after;
  for (const base::TimeMs there : {base::TimeMs{1}, gap / 3, gap / 2, gap - 1})
    if (there < gap) must(schedule.next(after + there, start) == next);
  if (const auto second = schedule.next(*next, start)) must(*second > *next);
}

void check_zone(std::string_view file, int64_t time) {
  const auto zone = TimeZone::parse(file);
  const int64_t utc = time % (kTimeMax / 1000);
  const int64_t local = utc + zone->offset_at(utc);
  // A file may change its clock so often that no instant is found.
  if (const auto back = zone->to_utc(local)) must(*back + zone->offset_at(*back) == local);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.size() < 17) return 0;
  const uint8_t kind = data[0];
  input.remove_prefix(1);
  const int64_t first = take(&input), second = take(&input);
  static const auto new_york = TimeZone::load("America/New_York");
  try {
    if (kind == 0)
      check_schedule(input, Schedule::Service::kRules, TimeZone::utc(), within(first), within(second));
    else if (kind <= 2)
      check_schedule(input, Schedule::Service::kScheduler, kind == 1 ? TimeZone::utc() : new_york,
                     within(first), within(second));
    else
      check_zone(input, first);
  } catch (const base::UsageError&) {
  } catch (const base::CorruptError&) {
  }
  return 0;
}

#include "events/test_pattern.h"

#include <array>
#include <boost/json/basic_parser_impl.hpp>

#include "events/matcher.h"

namespace millrace::events {
namespace {

// Checks the grammar without building values, and notes which members the top level has.
class EnvelopeCheck {
 public:
  static constexpr size_t max_object_size = SIZE_MAX, max_array_size = SIZE_MAX, max_key_size = SIZE_MAX,
                          max_string_size = SIZE_MAX;
  using Code = boost::json::error_code;
  using View = boost::json::string_view;

  bool complete() const { return is_object_ && seen_ == (1U << kNames.size()) - 1; }

  bool on_document_begin(Code&) { return true; }
  bool on_document_end(Code&) { return true; }
  bool on_object_begin(Code&) {
    if (depth_++ == 0) is_object_ = true;
    return true;
  }
  bool on_object_end(size_t, Code&) { return leave(); }
  bool on_array_begin(Code&) {
    ++depth_;
    return true;
  }
  bool on_array_end(size_t, Code&) { return leave(); }
  bool on_key_part(View part, size_t, Code&) {
    if (depth_ == 1) key_.append(part.data(), part.size());
    return true;
  }
  bool on_key(View part, size_t, Code&) {
    if (depth_ != 1) return true;
    key_.append(part.data(), part.size());
    for (size_t i = 0; i < kNames.size(); ++i) {
      if (key_ == kNames[i]) seen_ |= 1U << i;
    }
    key_.clear();
    return true;
  }
  bool on_string_part(View, size_t, Code&) { return true; }
  bool on_string(View, size_t, Code&) { return true; }
  bool on_number_part(View, Code&) { return true; }
  bool on_int64(int64_t, View, Code&) { return true; }
  bool on_uint64(uint64_t, View, Code&) { return true; }
  bool on_double(double, View, Code&) { return true; }
  bool on_bool(bool, Code&) { return true; }
  bool on_null(Code&) { return true; }
  bool on_comment_part(View, Code&) { return true; }
  bool on_comment(View, Code&) { return true; }

 private:
  // `resources` is documented as required and is not.
  static constexpr std::array<std::string_view, 6> kNames = {"id",      "source", "detail-type",
                                                             "account", "time",   "region"};

  bool leave() {
    --depth_;
    return true;
  }

  int depth_ = 0;
  bool is_object_ = false;
  uint32_t seen_ = 0;
  std::string key_;
};

void check_envelope(std::string_view event) {
  boost::json::parse_options options;
  options.max_depth = Matcher::kDepthMax;
  boost::json::basic_parser<EnvelopeCheck> parser(options);
  boost::json::error_code error;
  const size_t used = parser.write_some(false, event.data(), event.size(), error);
  const bool only_space = event.find_first_not_of(" \t\r\n", used) == std::string_view::npos;
  if (error || !parser.done() || !only_space || !parser.handler().complete()) throw InvalidEventError();
}

}  // namespace

bool test_event_pattern(std::string_view pattern, std::string_view event) {
  check_envelope(event);
  const Pattern parsed = parse_pattern(pattern);
  const Matcher matcher({&parsed});
  // Working space is worth keeping: the rest of a call takes no longer than making it anew.
  thread_local MatchScratch scratch;
  thread_local std::vector<uint32_t> matched;
  matcher.match(event, &scratch, &matched);
  return !matched.empty();
}

}  // namespace millrace::events

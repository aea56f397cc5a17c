#include "workloads/load/json_check.h"

#include <simdjson.h>

namespace millrace::load {

bool is_json(std::string_view text) {
  thread_local simdjson::dom::parser parser;
  simdjson::dom::element root;
  return parser.parse(text.data(), text.size()).get(root) == simdjson::SUCCESS;
}

}  // namespace millrace::load

// decode(): the bytes of a request to its checked input.
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>
#include <string>

#include "aws/error_wording.h"
#include "aws/input_check.h"
#include "aws/path_template.h"
#include "aws/protocol.h"
#include "aws/query_reader.h"
#include "aws/scalar.h"
#include "aws/xml_reader.h"
#include "base/hash.h"
#include "base/strings.h"
#include "base/url.h"

namespace millrace::aws {

namespace json = base::json;

namespace {

constexpr unsigned kJsonDepthMax = 64;

json::string_view boost_view(std::string_view text) { return {text.data(), text.size()}; }

// A value of a path label, query parameter or header; adds to the list when the member is one.
void bind_value(const ServiceModel& service, const Member& member, std::string_view text,
                json::object& bound) {
  json::string_view name = boost_view(member.name);
  bool is_list = member.shape->type == ShapeType::kList;
  Member element = member;
  if (is_list) element.shape = member.shape->members[0].shape;
  auto value = scalar_from_text(element, text);
  if (!value) {
    // A conditional date that is none counts as absent (RFC 9110 section 13.1.3).
    if (element.shape->type == ShapeType::kTimestamp && member.location == Location::kHeader) return;
    throw parameter_error(service, element, text);
  }
  if (!is_list) {
    bound[name] = std::move(*value);
    return;
  }
  json::value& list = bound[name];
  if (!list.is_array()) list.emplace_array();
  list.get_array().push_back(std::move(*value));
}

void bind_query(const Operation& operation, const http::RequestHead& head, json::object& bound) {
  if (head.query.empty()) return;
  for (const auto& [name, value] : base::parse_query(head.query, true)) {
    // A response header and a query parameter may share a name: look at the query's members only.
    for (const Member& member : operation.input->members)
      if (member.location == Location::kQuery && member.wire == name)
        bind_value(*operation.service, member, value, bound);
  }
}

void bind_headers(const Operation& operation, const http::RequestHead& head, json::object& bound) {
  for (const Member& member : operation.input->members) {
    if (member.location == Location::kHeader) {
      for (const auto& [name, value] : head.headers) {
        if (!base::equals_ignore_case(name, member.wire)) continue;
        if (member.shape->type != ShapeType::kList) {
          bind_value(*operation.service, member, base::trim(value), bound);
          break;
        }
        for (std::string_view part : base::split(value, ','))
          if (!base::trim(part).empty()) bind_value(*operation.service, member, base::trim(part), bound);
      }
    } else if (member.location == Location::kHeaderPrefix) {
      json::object map;
      for (const auto& [name, value] : head.headers) {
        if (name.size() <= member.wire.size()) continue;
        std::string lower = base::to_lower(name);
        if (!lower.starts_with(member.wire)) continue;
        map[lower.substr(member.wire.size())] = boost_view(base::trim(value));
      }
      if (!map.empty()) bound[boost_view(member.name)] = std::move(map);
    }
  }
}

json::object bind_all(const Operation& operation, const http::RequestHead& head) {
  json::object bound;
  match_path(operation, head.path, [&](const Member& member, std::string_view text) {
    bind_value(*operation.service, member, base::percent_decode(text), bound);
  });
  bind_query(operation, head, bound);
  bind_headers(operation, head, bound);
  return bound;
}

const Member* payload_of(const Shape& input) {
  for (const Member& member : input.members)
    if (member.location == Location::kPayload) return &member;
  return nullptr;
}

json::object parse_json_body(const ServiceModel& service, std::string_view body) {
  if (base::trim(body).empty()) return {};
  json::parse_options options;
  options.max_depth = kJsonDepthMax;
  boost::system::error_code error;
  json::value value = json::parse(boost_view(body), error, {}, options);
  if (error) throw syntax_error(service, "The request body is not JSON: " + error.message());
  if (!value.is_object()) throw syntax_error(service, "The request body is not a JSON object");
  return std::move(value.get_object());
}

// A payload that is not a structure: the body is the value.
json::object raw_payload(const Member& payload, std::string_view body) {
  json::object input;
  if (body.empty()) return input;
  input[boost_view(payload.name)] = payload.shape->type == ShapeType::kBlob ? json::value(base::base64(body))
                                                                            : json::value(boost_view(body));
  return input;
}

json::object decode_rest_json(const Operation& operation, const http::RequestHead& head,
                              std::string_view body) {
  const ServiceModel& service = *operation.service;
  const Member* payload = payload_of(*operation.input);
  json::object input;
  if (!payload) {
    input = parse_json_body(service, body);
  } else if (payload->shape->type == ShapeType::kStructure) {
    if (!base::trim(body).empty()) input[boost_view(payload->wire)] = parse_json_body(service, body);
  } else if (!payload->shape->streaming) {
    input = raw_payload(*payload, body);
  }
  check_input(service, *operation.input, input, InputForm::kWireJson, bind_all(operation, head));
  return input;
}

json::object decode_rest_xml(const Operation& operation, const http::RequestHead& head,
                             std::string_view body) {
  const ServiceModel& service = *operation.service;
  const Shape& shape = *operation.input;
  const Member* payload = payload_of(shape);
  json::object input;
  if (payload && payload->shape->type != ShapeType::kStructure) {
    if (!payload->shape->streaming) input = raw_payload(*payload, body);
  } else if (!body.empty()) {
    bool in_body = payload;
    for (const Member& member : shape.members) in_body |= member.location == Location::kBody;
    if (in_body) {
      std::string_view root = payload ? payload->wire : shape.xml_name.empty() ? shape.name : shape.xml_name;
      auto read = read_xml(payload ? *payload->shape : shape, root, body);
      if (!read && payload && !payload->shape->xml_name.empty())
        read = read_xml(*payload->shape, payload->shape->xml_name, body);
      if (!read) throw syntax_error(service, "");
      if (payload)
        input[boost_view(payload->name)] = std::move(*read);
      else
        input = std::move(*read);
    }
  } else if (payload && payload->required) {
    throw ApiError(400, "MissingRequestBodyError", "Request Body is empty");
  }
  check_input(service, shape, input, InputForm::kOurs, bind_all(operation, head));
  return input;
}

}  // namespace

json::object decode(const Operation& operation, const http::RequestHead& head, std::string_view body) {
  const ServiceModel& service = *operation.service;
  switch (service.protocol) {
    case Protocol::kRestJson:
      return decode_rest_json(operation, head, body);
    case Protocol::kRestXml:
      return decode_rest_xml(operation, head, body);
    case Protocol::kQuery: {
      std::string form(body);
      if (!head.query.empty()) form += (form.empty() ? "" : "&") + head.query;
      json::object input = read_query(service, *operation.input, form);
      check_input(service, *operation.input, input, InputForm::kOurs);
      return input;
    }
    default: {
      json::object input = parse_json_body(service, body);
      check_input(service, *operation.input, input, InputForm::kWireJson);
      return input;
    }
  }
}

}  // namespace millrace::aws

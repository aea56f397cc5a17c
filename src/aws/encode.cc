// encode(): a JSON output to the bytes of a reply.
#include <cassert>
#include <cmath>
#include <string>

#include "aws/protocol.h"
#include "aws/scalar.h"
#include "aws/xml_writer.h"
#include "base/error.h"
#include "base/hash.h"

namespace millrace::aws {

namespace json = base::json;

namespace {

constexpr std::string_view kXmlDeclaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

json::string_view boost_view(std::string_view text) { return {text.data(), text.size()}; }

[[noreturn]] void wrong_output(const Shape& shape, const json::value& value) {
  throw base::InternalError("a reply has " + std::string(json_token(value)) + " where the model has " +
                            std::string(shape.name));
}

// Brings a value into the wire's form, in place: unknown members and nulls out, timestamps as the wire has
// them, wire names.
void to_wire(const Member& member, json::value& value);

void structure_to_wire(const Shape& shape, json::object& object) {
  bool rebuild = false;
  for (auto& entry : object) {
    const Member* member = find_member(shape, {entry.key().data(), entry.key().size()});
    if (!member || entry.value().is_null()) {
      rebuild = true;
      continue;
    }
    to_wire(*member, entry.value());
    rebuild |= member->wire != member->name;
  }
  if (!rebuild) return;
  json::object kept(object.storage());
  kept.reserve(object.size());
  for (auto& entry : object) {
    const Member* member = find_member(shape, {entry.key().data(), entry.key().size()});
    if (member && !entry.value().is_null()) kept.emplace(boost_view(member->wire), std::move(entry.value()));
  }
  object = std::move(kept);
}

void to_wire(const Member& member, json::value& value) {
  const Shape& shape = *member.shape;
  switch (shape.type) {
    case ShapeType::kStructure:
      if (!value.is_object()) wrong_output(shape, value);
      structure_to_wire(shape, value.get_object());
      return;
    case ShapeType::kList:
      if (!value.is_array()) wrong_output(shape, value);
      for (json::value& item : value.get_array())
        if (!item.is_null()) to_wire(shape.members[0], item);
      return;
    case ShapeType::kMap:
      if (!value.is_object()) wrong_output(shape, value);
      for (auto& entry : value.get_object())
        if (!entry.value().is_null()) to_wire(shape.members[1], entry.value());
      return;
    case ShapeType::kTimestamp:
      if (!value.is_int64()) wrong_output(shape, value);
      if (member.format != TimestampFormat::kEpochSeconds)
        value = scalar_to_text(member, value);
      else if (value.get_int64() % 1000 == 0)
        value = value.get_int64() / 1000;
      else
        value = static_cast<double>(value.get_int64()) / 1000;
      return;
    case ShapeType::kString:
    case ShapeType::kBlob:
      if (!value.is_string()) wrong_output(shape, value);
      return;
    case ShapeType::kBoolean:
      if (!value.is_bool()) wrong_output(shape, value);
      return;
    case ShapeType::kInteger:
    case ShapeType::kLong:
      if (!value.is_int64() && !value.is_uint64()) wrong_output(shape, value);
      return;
    case ShapeType::kFloat:
    case ShapeType::kDouble:
      if (!value.is_number() || (value.is_double() && !std::isfinite(value.get_double())))
        wrong_output(shape, value);
      return;
    case ShapeType::kDocument:
      return;
  }
}

// Header values come from stored data too: no control character may start a field of its own.
std::string header_value(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return text;
}

// Takes what is not bound to the body out of `output`: status and headers.
void bind_reply(const Shape& shape, json::object& output, http::Response& response) {
  for (const Member& member : shape.members) {
    if (member.location == Location::kBody || member.location == Location::kPayload) continue;
    json::value* value = output.if_contains(boost_view(member.name));
    if (!value) continue;
    if (!value->is_null()) {
      if (member.location == Location::kStatus) {
        if (!value->is_int64()) wrong_output(shape, *value);
        response.status = static_cast<int>(value->get_int64());
      } else if (member.location == Location::kHeaderPrefix) {
        if (!value->is_object()) wrong_output(shape, *value);
        for (const auto& entry : value->get_object())
          response.headers.add(std::string(member.wire) + std::string(entry.key().data(), entry.key().size()),
                               header_value(scalar_to_text(member.shape->members[1], entry.value())));
      } else if (member.location == Location::kHeader && member.shape->type == ShapeType::kList) {
        if (!value->is_array()) wrong_output(shape, *value);
        std::string text;
        for (const json::value& item : value->get_array())
          text += (text.empty() ? "" : ", ") + scalar_to_text(member.shape->members[0], item);
        response.headers.add(std::string(member.wire), header_value(text));
      } else if (member.location == Location::kHeader) {
        response.headers.add(std::string(member.wire), header_value(scalar_to_text(member, *value)));
      }
    }
    output.erase(boost_view(member.name));
  }
}

const Member* payload_of(const Shape& output) {
  for (const Member& member : output.members)
    if (member.location == Location::kPayload) return &member;
  return nullptr;
}

void raw_payload(const Member& payload, const json::value* value, http::Response& response) {
  if (!value || value->is_null() || payload.shape->streaming) return;
  std::string text = scalar_to_text(payload, *value);
  if (payload.shape->type == ShapeType::kBlob) {
    auto bytes = base::unbase64(text);
    if (!bytes) wrong_output(*payload.shape, *value);
    text = std::move(*bytes);
  }
  response.body = std::move(text);
}

void encode_rest_json(const Shape& shape, json::object& output, http::Response& response) {
  bind_reply(shape, output, response);
  const Member* payload = payload_of(shape);
  if (payload && payload->shape->type != ShapeType::kStructure)
    return raw_payload(*payload, output.if_contains(boost_view(payload->name)), response);
  structure_to_wire(shape, output);
  if (payload) {
    const json::value* value = output.if_contains(boost_view(payload->wire));
    response.body = value ? json::serialize(*value) : "{}";
  } else {
    response.body = json::serialize(output);
  }
  if (!response.headers.has("content-type")) response.headers.add("Content-Type", "application/json");
}

std::string root_name(const Operation& operation, const Member* payload) {
  const Shape& shape = payload ? *payload->shape : *operation.output;
  if (!shape.xml_name.empty()) return std::string(shape.xml_name);
  return std::string(payload ? payload->wire : shape.name);
}

void encode_rest_xml(const Operation& operation, json::object& output, http::Response& response) {
  const Shape& shape = *operation.output;
  bind_reply(shape, output, response);
  const Member* payload = payload_of(shape);
  const json::value* value = payload ? output.if_contains(boost_view(payload->name)) : nullptr;
  if (payload && payload->shape->type != ShapeType::kStructure) return raw_payload(*payload, value, response);
  bool has_body = payload ? value && !value->is_null() : false;
  for (const Member& member : shape.members) has_body |= !payload && member.location == Location::kBody;
  if (!has_body) return;
  if (value && !value->is_object()) wrong_output(*payload->shape, *value);

  std::string root = root_name(operation, payload);
  response.body = kXmlDeclaration;
  response.body += "<" + root + " xmlns=\"" + std::string(operation.service->xml_namespace) + "\">";
  if (!payload && shape.members.size() == 1 && shape.members[0].wire == root) {
    // GetBucketLocation: the only member is the root element itself.
    if (const json::value* only = output.if_contains(boost_view(shape.members[0].name));
        only && !only->is_null())
      append_xml_text(response.body, scalar_to_text(shape.members[0], *only, true));
  } else {
    append_xml_members(response.body, payload ? *payload->shape : shape,
                       payload ? value->get_object() : output, true);
  }
  response.body += "</" + root + ">";
  if (!response.headers.has("content-type")) response.headers.add("Content-Type", "application/xml");
}

void encode_query(const Operation& operation, json::object& output, std::string_view request_id,
                  http::Response& response) {
  std::string& out = response.body;
  std::string name(operation.name);
  out += "<" + name + "Response xmlns=\"" + std::string(operation.service->xml_namespace) + "\">";
  if (!operation.result_wrapper.empty()) {
    out += "<" + std::string(operation.result_wrapper) + ">";
    append_xml_members(out, *operation.output, output, false);
    out += "</" + std::string(operation.result_wrapper) + ">";
  }
  out += "<ResponseMetadata>";
  append_xml_element(out, "RequestId", request_id);
  out += "</ResponseMetadata></" + name + "Response>";
  response.headers.add("Content-Type", "text/xml");
}

void add_request_id(const ServiceModel* service, std::string_view request_id, http::Response& response) {
  bool s3 = service && service->protocol == Protocol::kRestXml;
  response.headers.add(s3 ? "x-amz-request-id" : "x-amzn-RequestId", std::string(request_id));
}

// What the model calls the text of an error: "message" or "Message".
std::string message_name(const ServiceModel* service, const std::string& code) {
  const Shape* shape = service ? find_error(*service, code) : nullptr;
  return shape && find_member(*shape, "Message") ? "Message" : "message";
}

std::string json_error(const ServiceModel* service, const ApiError& error, bool with_type) {
  json::object body;
  if (with_type) body["__type"] = error.code();
  body[message_name(service, error.code())] = error.what();
  for (const auto& [name, value] : error.details) body[name] = value;
  return json::serialize(body);
}

std::string s3_error(const ApiError& error, std::string_view request_id) {
  std::string out(kXmlDeclaration);
  out += "<Error>";
  append_xml_element(out, "Code", error.code());
  append_xml_element(out, "Message", error.what());
  for (const auto& [name, value] : error.details) append_xml_element(out, name, value);
  append_xml_element(out, "RequestId", request_id);
  append_xml_element(out, "HostId", request_id);
  return out + "</Error>";
}

std::string query_error(const ServiceModel& service, const ApiError& error, std::string_view request_id) {
  std::string out = "<ErrorResponse xmlns=\"" + std::string(service.xml_namespace) + "\"><Error>";
  append_xml_element(out, "Type", error.status >= 500 ? "Receiver" : "Sender");
  append_xml_element(out, "Code", error.code());
  append_xml_element(out, "Message", error.what());
  for (const auto& [name, value] : error.details) append_xml_element(out, name, value);
  out += "</Error>";
  append_xml_element(out, "RequestId", request_id);
  return out + "</ErrorResponse>";
}

}  // namespace

http::Response encode(const Operation& operation, json::object output, std::string_view request_id) {
  http::Response response;
  response.status = operation.status;
  add_request_id(operation.service, request_id, response);
  switch (operation.service->protocol) {
    case Protocol::kRestJson:
      encode_rest_json(*operation.output, output, response);
      break;
    case Protocol::kRestXml:
      encode_rest_xml(operation, output, response);
      break;
    case Protocol::kQuery:
      encode_query(operation, output, request_id, response);
      break;
    case Protocol::kJson10:
    case Protocol::kJson11:
      structure_to_wire(*operation.output, output);
      response.body = json::serialize(output);
      response.headers.add("Content-Type", operation.service->protocol == Protocol::kJson10
                                               ? "application/x-amz-json-1.0"
                                               : "application/x-amz-json-1.1");
      break;
  }
  return response;
}

http::Response encode_error(const ServiceModel* service, const ApiError& error, std::string_view request_id) {
  http::Response response;
  response.status = error.status;
  add_request_id(service, request_id, response);
  if (error.status == 304) return response;  // RFC 9110 section 15.4.5: no content
  switch (service ? service->protocol : Protocol::kRestJson) {
    case Protocol::kRestJson:
      response.headers.add("x-amzn-ErrorType", error.code());
      response.headers.add("Content-Type", "application/json");
      response.body = json_error(service, error, false);
      break;
    case Protocol::kJson10:
      response.headers.add("Content-Type", "application/x-amz-json-1.0");
      response.body = json_error(service, error, true);
      break;
    case Protocol::kJson11:
      response.headers.add("Content-Type", "application/x-amz-json-1.1");
      response.body = json_error(service, error, true);
      break;
    case Protocol::kQuery:
      response.headers.add("Content-Type", "text/xml");
      response.body = query_error(*service, error, request_id);
      break;
    case Protocol::kRestXml:
      response.headers.add("Content-Type", "application/xml");
      response.body = s3_error(error, request_id);
      break;
  }
  return response;
}

ApiError modelled_error(const ServiceModel& service, std::string_view code, const std::string& message) {
  const Shape* shape = find_error(service, code);
  return {shape && shape->http_status ? shape->http_status : 400, std::string(code), message};
}

}  // namespace millrace::aws

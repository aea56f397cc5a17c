// AWS's service models as read-only tables: what operations there are, where each member of a request or
// reply travels, and what values it may have. The tables are generated (tools/models) from AWS's published
// models and hold facts only. Everything here is constant data: free to read from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace millrace::aws {

enum class Protocol : uint8_t { kRestJson, kJson10, kJson11, kQuery, kRestXml };

enum class ShapeType : uint8_t {
  kStructure,
  kList,
  kMap,
  kString,
  kBlob,
  kBoolean,
  kInteger,  // 32 bits
  kLong,     // 64 bits
  kFloat,
  kDouble,
  kTimestamp,
  kDocument,  // any JSON
};

// Where a member stands in an HTTP message.
enum class Location : uint8_t {
  kBody,
  kPath,          // a label of the URI template
  kQuery,         // one query parameter, repeated for a list
  kHeader,        // one header field, comma-separated for a list
  kHeaderPrefix,  // a map: every header whose name begins with `wire`
  kStatus,        // the reply's status code
  kPayload,       // the member is the whole body
};

enum class TimestampFormat : uint8_t { kEpochSeconds, kIso8601, kHttpDate };

struct Shape;

// A member of a structure, the element of a list, or the key or value of a map.
struct Member {
  std::string_view name;  // as AWS's documentation and Millrace's own JSON spell it
  std::string_view wire;  // as it is spelt on the wire: JSON key, XML element, header, query parameter
  const Shape* shape;
  Location location;
  TimestampFormat format;  // how a timestamp is written here
  bool required;
  bool flattened;          // XML and Query: list or map entries without an element around them
  bool xml_attribute;      // XML: an attribute of the parent element
  bool label_greedy;       // path: takes the rest of the path, slashes and all
  bool idempotency_token;  // SDKs fill it in when the caller leaves it out
};

constexpr int64_t kNoMin = INT64_MIN;
constexpr int64_t kNoMax = INT64_MAX;

struct Shape {
  std::string_view name;
  ShapeType type;
  bool streaming;               // a blob of any size, or an event stream: not part of the decoded object
  bool is_union;                // exactly one member is set
  bool error;                   // a structure that is an error
  bool is_enum;                 // `values` lists what is allowed
  bool sensitive;               // a value of it is told nobody: in no message, in no log
  uint16_t http_status;         // of an error
  std::string_view error_code;  // of an error, where it differs from the name (Query: "NoSuchEntity")
  std::span<const Member>
      members;  // structure: in the order replies write them; list: [element]; map: [key, value]
  std::span<const uint16_t> by_wire;         // structure: indices into `members`, sorted by `wire`
  std::span<const uint16_t> by_name;         // structure: indices into `members`, sorted by `name`
  std::span<const std::string_view> values;  // enum, sorted
  int64_t min = kNoMin;                      // length in characters, number of entries, or value
  int64_t max = kNoMax;
  std::string_view pattern;   // regular expression (Java's dialect; the whole value must match)
  std::string_view xml_name;  // root element when the structure is a document
  std::string_view xml_namespace;
};

// One segment of a URI template: literal text, or a label bound to a member of the input.
struct Segment {
  std::string_view text;  // literal; empty for a label
  int16_t label;          // index into the input's members, -1 for a literal
};

// "?uploads", "?list-type=2": must be there for the template to match.
struct QueryLiteral {
  std::string_view name;
  std::string_view value;  // empty: any or none
};

struct ServiceModel;

struct Operation {
  std::string_view name;
  const ServiceModel* service;
  std::string_view method;  // "POST"; REST protocols only, like the next four
  std::string_view uri;     // the template as AWS writes it
  std::span<const Segment> path;
  std::span<const QueryLiteral> query;
  std::string_view wanted_id;       // value of the optional "x-id" hint that SDKs send to S3
  uint16_t status;                  // of success
  const Shape* input;               // a structure, never null
  const Shape* output;              // a structure, never null
  std::string_view result_wrapper;  // Query: "AssumeRoleResult", empty when replies have none
  std::span<const Shape* const> errors;
};

struct ServiceModel {
  std::string_view
      signing_name;  // in the SigV4 credential scope: batch events scheduler logs secretsmanager s3 ...
  std::string_view service_id;  // "EventBridge", "CloudWatch Logs"
  std::string_view api_version;
  std::string_view target_prefix;  // of X-Amz-Target, without the dot; empty for REST and Query
  std::string_view xml_namespace;
  Protocol protocol;
  std::span<const Operation> operations;  // sorted by name
  std::span<const Shape* const> errors;   // every modelled error, sorted by name
  std::span<const uint16_t>
      literal_routes;  // REST: operations whose path has no label and no query, by (uri)
  std::span<const uint16_t> template_routes;  // REST: the others
};

std::span<const ServiceModel* const> all_services();

// By SigV4 signing name ("batch"); null when there is none.
const ServiceModel* find_service(std::string_view signing_name);
// By what stands before the dot in X-Amz-Target ("Logs_20140328"); null when there is none.
const ServiceModel* find_service_by_target(std::string_view x_amz_target);
// By name ("SubmitJob"); null when there is none.
const Operation* find_operation(const ServiceModel& service, std::string_view name);
// By the name in our JSON, or by the name on the wire; null when there is none.
const Member* find_member(const Shape& structure, std::string_view name);
const Member* find_member_by_wire(const Shape& structure, std::string_view wire);
// By code as clients see it ("ResourceNotFoundException", "NoSuchKey"); null when the model does not name it.
const Shape* find_error(const ServiceModel& service, std::string_view code);

std::string_view to_string(Protocol protocol);  // "rest-json"

// docs/api-coverage.md: every operation of every service and whether `implemented` says yes.
std::string coverage_markdown(const std::function<bool(const ServiceModel&, const Operation&)>& implemented);

}  // namespace millrace::aws

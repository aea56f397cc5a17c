// route(): which operation a request asks for.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "aws/path_template.h"
#include "aws/protocol.h"
#include "base/url.h"

namespace millrace::aws {

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

const std::string* find_pair(const Pairs& pairs, std::string_view name) {
  for (const auto& [key, value] : pairs)
    if (key == name) return &value;
  return nullptr;
}

bool literals_match(const Operation& operation, const Pairs& query) {
  return std::all_of(operation.query.begin(), operation.query.end(), [&](const QueryLiteral& literal) {
    const std::string* value = find_pair(query, literal.name);
    return value && (literal.value.empty() || *value == literal.value);
  });
}

// How many required query parameters and headers a request lacks, and has, of an operation.
struct Fit {
  int lacking = 0;
  int having = 0;
  bool hinted = false;  // the request's x-id names it
};

Fit fit(const Operation& operation, const http::RequestHead& head, const Pairs& query) {
  Fit fit;
  for (const Member& member : operation.input->members) {
    if (!member.required) continue;
    bool there;
    if (member.location == Location::kQuery)
      there = find_pair(query, member.wire) != nullptr;
    else if (member.location == Location::kHeader)
      there = head.headers.has(member.wire);
    else
      continue;
    ++(there ? fit.having : fit.lacking);
  }
  if (!operation.wanted_id.empty()) {
    const std::string* id = find_pair(query, "x-id");
    fit.hinted = id && *id == operation.wanted_id;
  }
  return fit;
}

// The better candidate: more query literals; then nothing required lacking, more of it there; then the hint.
bool better(const Operation& a, const Fit& fit_a, const Operation& b, const Fit& fit_b) {
  if (a.query.size() != b.query.size()) return a.query.size() > b.query.size();
  if (fit_a.lacking != fit_b.lacking) return fit_a.lacking < fit_b.lacking;
  if (fit_a.having != fit_b.having) return fit_a.having > fit_b.having;
  return fit_a.hinted && !fit_b.hinted;
}

const Operation* route_rest(const ServiceModel& service, const http::RequestHead& head) {
  const Operation* operations = service.operations.data();
  auto key = [&](uint16_t i) { return std::pair(operations[i].uri, operations[i].method); };
  auto wanted = std::pair<std::string_view, std::string_view>(head.path, head.method);
  auto exact = std::lower_bound(service.literal_routes.begin(), service.literal_routes.end(), wanted,
                                [&](uint16_t i, const auto& path) { return key(i) < path; });
  if (exact != service.literal_routes.end() && key(*exact) == wanted) return &operations[*exact];

  Pairs query = base::parse_query(head.query, true);
  const Operation* best = nullptr;
  Fit best_fit;
  auto consider = [&](const Operation& operation) {
    if (operation.method != head.method || !path_matches(operation, head.path) ||
        !literals_match(operation, query))
      return;
    Fit its = fit(operation, head, query);
    if (!best || better(operation, its, *best, best_fit)) {
      best = &operation;
      best_fit = its;
    }
  };
  // S3 writes its literal routes with an "x-id" hint, so they do not compare equal above.
  if (service.protocol == Protocol::kRestXml)
    for (uint16_t i : service.literal_routes) consider(operations[i]);
  for (uint16_t i : service.template_routes) consider(operations[i]);
  return best;
}

// The value of a form field, from the body or, where that has none, from the query string.
std::optional<std::string> form_field(const http::RequestHead& head, std::string_view body,
                                      std::string_view name) {
  for (std::string_view text : {body, std::string_view(head.query)}) {
    for (size_t at = 0; at < text.size();) {
      size_t end = std::min(text.find('&', at), text.size());
      std::string_view field = text.substr(at, end - at);
      if (field.size() > name.size() && field.starts_with(name) && field[name.size()] == '=')
        return base::percent_decode(field.substr(name.size() + 1), true);
      at = end + 1;
    }
  }
  return std::nullopt;
}

std::string_view after_dot(std::string_view target) {
  size_t dot = target.rfind('.');
  return dot == std::string_view::npos ? target : target.substr(dot + 1);
}

}  // namespace

const Operation* route(const ServiceModel& service, const http::RequestHead& head, std::string_view body) {
  switch (service.protocol) {
    case Protocol::kRestJson:
    case Protocol::kRestXml:
      return route_rest(service, head);
    case Protocol::kJson10:
    case Protocol::kJson11: {
      std::string_view target = head.headers.get("x-amz-target");
      if (find_service_by_target(target) != &service) return nullptr;
      return find_operation(service, after_dot(target));
    }
    case Protocol::kQuery: {
      std::optional<std::string> action = form_field(head, body, "Action");
      return action ? find_operation(service, *action) : nullptr;
    }
  }
  return nullptr;
}

ApiError unknown_operation(const ServiceModel& service, const http::RequestHead& head,
                           std::string_view body) {
  switch (service.protocol) {
    case Protocol::kRestXml: {
      ApiError error(405, "MethodNotAllowed", "The specified method is not allowed against this resource.");
      error.details = {{"Method", head.method}};
      return error;
    }
    case Protocol::kQuery: {
      std::optional<std::string> action = form_field(head, body, "Action");
      if (!action) return {400, "MissingAction", "Missing Action"};
      std::string version = form_field(head, body, "Version").value_or(std::string(service.api_version));
      return {400, "InvalidAction", "Could not find operation " + *action + " for version " + version};
    }
    case Protocol::kRestJson:
      return {404, "UnknownOperationException", "Unknown operation " + head.method + " " + head.path};
    default:
      return {400, "UnknownOperationException",
              "Unknown operation " + std::string(head.headers.get("x-amz-target"))};
  }
}

}  // namespace millrace::aws

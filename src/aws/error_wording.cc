#include "aws/error_wording.h"

#include <cctype>

namespace millrace::aws {

namespace {

constexpr ErrorWording kWordings[] = {
    {"batch", "ClientException", "ClientException"},
    {"cloudtrail", "SerializationException", "ValidationException"},
    {"events", "SerializationException", "ValidationException"},
    {"iam", "MalformedInput", "ValidationError"},
    {"logs", "SerializationException", "InvalidParameterException"},
    {"s3", "MalformedXML", "MalformedXML"},
    {"scheduler", "SerializationException", "ValidationException"},
    {"secretsmanager", "SerializationException", "ValidationException"},
    {"ssm", "SerializationException", "ValidationException"},
    {"sts", "MalformedInput", "ValidationError"},
};

constexpr std::string_view kMalformedXml =
    "The XML you provided was not well-formed or did not validate against our published schema";

bool is_s3(const ServiceModel& service) { return service.protocol == Protocol::kRestXml; }

}  // namespace

const ErrorWording& error_wording(const ServiceModel& service) {
  for (const ErrorWording& wording : kWordings)
    if (wording.service == service.signing_name) return wording;
  static constexpr ErrorWording kOther{"", "SerializationException", "ValidationException"};
  return kOther;
}

bool enum_ignores_case(const Shape& shape) {
  // Batch's documentation of EvaluateOnExit: "The values aren't case sensitive".
  return shape.name == "RetryAction" || shape.name == "ServiceJobRetryAction";
}

bool enum_is_checked_by_service(const Shape& shape) {
  // Batch has sentences of its own for unknown capabilities and job actions.
  return shape.name == "PlatformCapability" || shape.name == "JobStateTimeLimitActionsAction";
}

ApiError constraint_error(const ServiceModel& service, const std::vector<std::string>& broken) {
  // CloudWatch Logs has words of its own for its two names (recorded from AWS).
  constexpr std::string_view kTooLong =
      " failed to satisfy constraint: Member must have length less than or equal to 512";
  for (const std::string& each : broken)
    for (const char* name : {"'logGroupName'", "'logStreamName'"})
      if (service.signing_name == "logs" && each.ends_with(name + std::string(kTooLong)))
        return {400, "InvalidParameterException",
                "Invalid LogGroup or LogStream, both must have length less than or equal to 512."};
  if (is_s3(service)) return syntax_error(service, "");
  std::string message =
      std::to_string(broken.size()) + " validation error" + (broken.size() == 1 ? "" : "s") + " detected: ";
  for (size_t i = 0; i < broken.size(); ++i) message += (i ? "; " : "") + broken[i];
  return {400, std::string(error_wording(service).value_code), message};
}

ApiError syntax_error(const ServiceModel& service, const std::string& message) {
  return {400, std::string(error_wording(service).syntax_code),
          is_s3(service) ? std::string(kMalformedXml) : message};
}

ApiError parameter_error(const ServiceModel& service, const Member& member, std::string_view text) {
  std::string name(member.wire);
  if (!is_s3(service))
    return {400, std::string(error_wording(service).value_code),
            "1 validation error detected: Value '" + std::string(text) + "' at '" + std::string(member.name) +
                "' failed to satisfy constraint: Member must be of type " + std::string(member.shape->name)};
  std::string message = "Provided " + name + " not an integer or within integer range";
  if (member.shape->type == ShapeType::kBoolean) message = "Argument " + name + " must be true or false";
  if (member.shape->type == ShapeType::kTimestamp) message = "Argument " + name + " is not a date";
  if (name == "partNumber") message = "Part number must be an integer between 1 and 10000, inclusive";
  ApiError error(400, "InvalidArgument", message);
  error.details = {{"ArgumentName", name}, {"ArgumentValue", std::string(text)}};
  return error;
}

ApiError missing_parameter_error(const ServiceModel& service, const Member& member) {
  if (is_s3(service)) {
    ApiError error(400, "InvalidArgument",
                   "This operation requires the argument " + std::string(member.wire));
    error.details = {{"ArgumentName", std::string(member.wire)}, {"ArgumentValue", ""}};
    return error;
  }
  std::string name(member.name);
  name[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(name[0])));
  return constraint_error(
      service, {"Value null at '" + name + "' failed to satisfy constraint: Member must not be null"});
}

}  // namespace millrace::aws

#include "engine/container_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/strings.h"
#include "engine/reject.h"
#include "engine/resources.h"

namespace millrace::engine {
namespace {

constexpr size_t kImageMax = 255;

// Lists that a container description always has, empty or not.
constexpr std::array<const char*, 7> kLists = {
    "command", "volumes", "environment", "mountPoints", "ulimits", "resourceRequirements", "secrets"};

// linuxParameters that Fargate refuses.
constexpr std::array<const char*, 5> kNotOnFargate = {"maxSwap", "swappiness", "tmpfs", "devices",
                                                      "sharedMemorySize"};

bool has_entries(const json::object& object, std::string_view member) {
  const json::array* list = base::find_array(object, member);
  return list && !list->empty();
}

std::string_view text(const json::object& object, std::string_view member) {
  return base::find_string(object, member).value_or("");
}

void check_variable_name(std::string_view name) {
  if (name.empty()) throw Reject("Environment variable name is required.");
  if (name.substr(0, 9) == "AWS_BATCH")
    throw Reject(
        "Environment variable names cannot start with AWS_BATCH. This naming convention is reserved for "
        "variables that Batch sets: " +
        std::string(name));
}

void check_environment(const json::object& container) {
  const json::array* variables = base::find_array(container, "environment");
  if (!variables) return;
  for (const json::value& value : *variables) check_variable_name(text(value.as_object(), "name"));
}

void check_secrets(const json::object& container) {
  const json::object* log = base::find_object(container, "logConfiguration");
  if (const json::array* secrets = base::find_array(container, "secrets"))
    for (const json::value& value : *secrets) check_variable_name(text(value.as_object(), "name"));
  bool any = has_entries(container, "secrets") || (log && has_entries(*log, "secretOptions"));
  if (any && text(container, "executionRoleArn").empty())
    throw Reject("executionRoleArn cannot be empty when using secrets or secretOptions");
}

// "fs-" and hexadecimal digits.
bool is_file_system(std::string_view id) {
  if (id.substr(0, 3) != "fs-" || id.size() < 4) return false;
  return id.find_first_not_of("0123456789abcdef", 3) == std::string_view::npos;
}

void check_efs(const json::object& efs) {
  std::string_view id = text(efs, "fileSystemId");
  if (!is_file_system(id)) throw Reject(fmt::format("EFS configuration fileSystemId is not valid: {}.", id));
  if (auto port = base::find_int(efs, "transitEncryptionPort"); port && (*port < 0 || *port > 65535))
    throw Reject("TransitEncryptionPort must be a valid port number.");
  const json::object* authorization = base::find_object(efs, "authorizationConfig");
  if (!authorization) return;
  bool encrypted = text(efs, "transitEncryption") == "ENABLED";
  if (text(*authorization, "iam") == "ENABLED" && !encrypted)
    throw Reject("EFS IAM authorization requires TransitEncryption to be enabled.");
  if (text(*authorization, "accessPointId").empty()) return;
  if (!encrypted) throw Reject("EFS IAM access point requires TransitEncryption to be enabled.");
  std::string_view root = text(efs, "rootDirectory");
  if (!root.empty() && root != "/")
    throw Reject("When using an EFS access point, the root directory must either be set to \"/\" or omitted");
}

// "1.3.0" and older; LATEST and what is no version at all are not.
bool is_before_1_4(std::string_view version) {
  auto parts = base::split(version, '.');
  auto major = base::parse_number<int>(parts[0]);
  auto minor = parts.size() > 1 ? base::parse_number<int>(parts[1]) : 0;
  return major && minor && (*major < 1 || (*major == 1 && *minor < 4));
}

void check_volumes(const json::object& container, bool fargate) {
  const json::array* volumes = base::find_array(container, "volumes");
  if (!volumes) return;
  for (const json::value& value : *volumes) {
    const json::object& volume = value.as_object();
    if (const json::object* efs = base::find_object(volume, "efsVolumeConfiguration")) {
      check_efs(*efs);
      const json::object* platform = base::find_object(container, "fargatePlatformConfiguration");
      if (platform && fargate && is_before_1_4(text(*platform, "platformVersion")))
        throw Reject(fmt::format("EFS is supported for Fargate platform versions 1.4.0 or later, provided {}",
                                 text(*platform, "platformVersion")));
    }
    if (base::find(volume, "s3filesVolumeConfiguration") && text(container, "jobRoleArn").empty())
      throw Reject("A jobRoleArn/taskRoleArn is required when using s3filesVolumeConfiguration.");
    const json::object* host = base::find_object(volume, "host");
    if (fargate && host && base::find_string(*host, "sourcePath"))
      throw Reject("host.sourcePath should not be set for volumes in Fargate.");
  }
}

void check_swap(const json::object& linux_parameters) {
  auto swap = base::find_int(linux_parameters, "maxSwap");
  auto swappiness = base::find_int(linux_parameters, "swappiness");
  if (swap && *swap < 0)
    throw Reject(fmt::format("Invalid swap memory size: {}, must be non-negative.", *swap));
  if (swap && !swappiness)
    throw Reject("When container specified swap memory, swappiness value is required.");
  if (swappiness && (*swappiness < 0 || *swappiness > 100))
    throw Reject(fmt::format("Invalid swappiness: {}, must be between 0 and 100.", *swappiness));
}

void check_fargate(const json::object& container) {
  if (text(container, "executionRoleArn").empty())
    throw Reject("executionRoleArn is required for Fargate jobs.");
  if (has_entries(container, "ulimits")) throw Reject("ulimits is not applicable for Fargate.");
  if (base::find_bool(container, "privileged").value_or(false))
    throw Reject("Fargate requires that the ‘privileged’ setting be ‘false’ at the container level.");
  if (const json::object* linux_parameters = base::find_object(container, "linuxParameters"))
    for (const char* name : kNotOnFargate)
      if (const json::value* value = base::find(*linux_parameters, name);
          value && !(value->is_array() && value->get_array().empty()))
        throw Reject(fmt::format("linuxParameter.{} is not allowed for Fargate.", name));
  if (const json::object* log = base::find_object(container, "logConfiguration")) {
    std::string_view driver = text(*log, "logDriver");
    if (driver != "awslogs" && driver != "splunk" && driver != "awsfirelens")
      throw Reject("Log driver for Fargate is not valid: " + std::string(driver));
  }
  if (const json::object* storage = base::find_object(container, "ephemeralStorage")) {
    int64_t gib = base::find_int(*storage, "sizeInGiB").value_or(0);
    if (gib < 21 || gib > 200)
      throw Reject("Ephemeral storage for Fargate tasks can be only between range 21 GiB to 200 GiB");
  }
}

void check_ec2(const json::object& container) {
  for (const char* member : {"networkConfiguration", "fargatePlatformConfiguration"})
    if (base::find(container, member)) throw Reject(fmt::format("{} not applicable for EC2.", member));
  if (const json::object* linux_parameters = base::find_object(container, "linuxParameters"))
    check_swap(*linux_parameters);
}

void set_default(json::object& object, std::string_view name, json::value value) {
  object.emplace(json::string_view(name.data(), name.size()), std::move(value));
}

}  // namespace

void refuse_nul(const json::value& value, std::string_view name) {
  auto holds_nul = [](std::string_view text) { return text.find('\0') != std::string_view::npos; };
  if (value.is_string() && holds_nul(base::view(value.get_string())))
    throw Reject(fmt::format("A NUL character is not possible in {}.", name));
  if (value.is_array())
    for (const json::value& element : value.get_array()) refuse_nul(element, name);
  if (value.is_object())
    for (const json::object::value_type& member : value.get_object()) {
      std::string_view key(member.key().data(), member.key().size());
      if (holds_nul(key)) throw Reject(fmt::format("A NUL character is not possible in {}.", name));
      refuse_nul(member.value(), member.value().is_string() ? name : key);
    }
}

void check_container(const json::object& container, bool fargate) {
  std::string_view image = text(container, "image");
  if (image.empty()) throw Reject("ECS Container Image must be provided.");
  if (base::utf8_length(image) > kImageMax)
    throw Reject("ECS Container Image must be at most 255 characters long.");
  check_environment(container);
  check_secrets(container);
  if (fargate) {
    check_fargate(container);
  } else {
    check_ec2(container);
  }
  check_volumes(container, fargate);
  Resources resources;
  read_resources(container, fargate, resources);
  check_resources(resources, fargate);
}

void complete_container(json::object& container, bool fargate) {
  for (const char* list : kLists) set_default(container, list, json::array());
  if (json::value* log = container.if_contains("logConfiguration")) {
    set_default(log->as_object(), "options", json::object());
    set_default(log->as_object(), "secretOptions", json::array());
  }
  if (!fargate) return;
  set_default(container, "fargatePlatformConfiguration", json::object());
  set_default(container["fargatePlatformConfiguration"].as_object(), "platformVersion", "LATEST");
  set_default(container, "networkConfiguration", json::object());
  set_default(container["networkConfiguration"].as_object(), "assignPublicIp", "DISABLED");
}

}  // namespace millrace::engine

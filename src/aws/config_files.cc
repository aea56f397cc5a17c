#include "aws/config_files.h"

#include <fstream>
#include <sstream>

#include "base/error.h"
#include "base/strings.h"

namespace millrace::aws {
namespace {

std::string collapsed(std::string_view title) {
  std::string out;
  for (std::string_view word : base::split(title, ' ')) {
    word = base::trim(word);
    if (word.empty()) continue;
    if (!out.empty()) out += ' ';
    out += word;
  }
  return out;
}

// A comment begins the line, or stands behind white space (AWS CLI, botocore's parser).
std::string_view without_comment(std::string_view value) {
  for (size_t i = 1; i < value.size(); ++i)
    if ((value[i] == '#' || value[i] == ';') && (value[i - 1] == ' ' || value[i - 1] == '\t'))
      return base::trim(value.substr(0, i));
  return value;
}

// "~/.aws/credentials" unless the variable says otherwise.
std::string file_path(const Environment& environment, const char* variable, const char* name) {
  std::string path = environment(variable).value_or("");
  std::string home = environment("HOME").value_or("");
  if (path.empty()) return home + "/.aws/" + name;
  return path.starts_with("~/") ? home + path.substr(1) : path;
}

std::optional<Settings> section_of(const Sections& sections, const std::string& title) {
  auto found = sections.find(title);
  return found == sections.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

Sections parse_config(std::string_view text) {
  Sections sections;
  Settings* section = nullptr;
  std::string block;  // whose indented lines follow
  for (std::string_view raw : base::split(text, '\n')) {
    bool indented = raw.starts_with(' ') || raw.starts_with('\t');
    std::string_view line = base::trim(raw);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (!indented && line.front() == '[') {
      size_t close = line.find(']');
      section = close == std::string_view::npos ? nullptr : &sections[collapsed(line.substr(1, close - 1))];
      block.clear();
      continue;
    }
    size_t equals = line.find('=');
    if (!section || equals == std::string_view::npos) continue;
    std::string name = base::to_lower(base::trim(line.substr(0, equals)));
    std::string value(without_comment(base::trim(line.substr(equals + 1))));
    if (indented) {
      if (!block.empty()) (*section)[block + "." + name] = value;
      continue;
    }
    block = value.empty() ? name : "";
    (*section)[name] = value;
  }
  return sections;
}

std::optional<std::string> read_text_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string Profile::value(const std::string& setting) const {
  for (const std::optional<Settings>* section : {&credentials, &config}) {
    if (!*section) continue;
    auto found = (*section)->find(setting);
    if (found != (*section)->end() && !found->second.empty()) return found->second;
  }
  return "";
}

std::string profile_name(const Environment& environment, const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  std::string name = environment("AWS_PROFILE").value_or("");
  return name.empty() ? "default" : name;
}

Profile read_profile(const Environment& environment, const std::string& name) {
  Profile profile;
  profile.name = name;
  profile.credentials_path = file_path(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
  profile.config_path = file_path(environment, "AWS_CONFIG_FILE", "config");
  profile.credentials = section_of(parse_config(read_text_file(profile.credentials_path).value_or("")), name);
  Sections config = parse_config(read_text_file(profile.config_path).value_or(""));
  profile.config = section_of(config, "profile " + name);
  if (!profile.config && name == "default") profile.config = section_of(config, name);
  return profile;
}

ProfileSettings profile_settings(const Environment& environment, const std::string& wanted) {
  std::string name = profile_name(environment, wanted);
  Profile profile = read_profile(environment, name);
  bool named = !wanted.empty() || !environment("AWS_PROFILE").value_or("").empty();
  if (named && !profile.credentials && !profile.config)
    throw base::NotFoundError("the AWS profile '" + name + "' is neither in " + profile.credentials_path +
                              " nor in " + profile.config_path);
  ProfileSettings settings{profile.value("region"), profile.value("endpoint_url"),
                           profile.value("endpoint_url"), profile.value("ca_bundle")};
  if (std::string services = profile.value("services"); !services.empty()) {
    Sections config = parse_config(read_text_file(profile.config_path).value_or(""));
    std::optional<Settings> section = section_of(config, "services " + services);
    if (section) {
      if (auto found = section->find("s3.endpoint_url"); found != section->end())
        settings.s3_endpoint_url = found->second;
      if (auto found = section->find("sts.endpoint_url"); found != section->end())
        settings.sts_endpoint_url = found->second;
    }
  }
  return settings;
}

}  // namespace millrace::aws

// pom.xml, with the properties it sets itself.
#include <map>
#include <pugixml.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "workloads/ingest/manifest.h"

namespace millrace::ingest {
namespace {

using Properties = std::map<std::string, std::string, std::less<>>;

// "${a.b}" by what is known; unknown ones stay as they are. Not again in what was put in: no loops.
std::string resolved(std::string_view text, const Properties& properties) {
  std::string out;
  for (;;) {
    const size_t begin = text.find("${");
    const size_t end = begin == std::string_view::npos ? begin : text.find('}', begin);
    if (end == std::string_view::npos) break;
    out += text.substr(0, begin);
    auto found = properties.find(text.substr(begin + 2, end - begin - 2));
    out += found != properties.end() ? std::string_view(found->second) : text.substr(begin, end + 1 - begin);
    text.remove_prefix(end + 1);
  }
  out += text;
  return out;
}

std::string child(const pugi::xml_node& node, const char* name, const Properties& properties) {
  return resolved(base::trim(node.child_value(name)), properties);
}

void add_all(Manifest& manifest, const pugi::xml_node& parent, std::string_view scope,
             const Properties& properties) {
  for (const pugi::xml_node& node : parent.child("dependencies").children("dependency")) {
    const std::string as = child(node, "scope", properties);
    std::string_view meant = scope;
    if (as == "test")
      meant = "test";
    else if (std::string_view(node.child_value("optional")) == "true")
      meant = "optional";
    else if (as == "provided" || as == "system")
      meant = "build";
    const std::string artifact = child(node, "artifactId", properties);
    if (artifact.empty()) continue;
    add(manifest, "maven", child(node, "groupId", properties) + ":" + artifact,
        child(node, "version", properties), meant);
  }
}

}  // namespace

Manifest read_pom(std::string_view content) {
  pugi::xml_document document;
  const pugi::xml_parse_result parsed =
      document.load_buffer(content.data(), content.size(), pugi::parse_default, pugi::encoding_auto);
  if (!parsed) throw base::CorruptError(std::string("it is no XML: ") + parsed.description());
  const pugi::xml_node project = document.child("project");
  if (!project) throw base::CorruptError("it has no <project>");
  const pugi::xml_node parent = project.child("parent");
  Properties properties;
  for (const pugi::xml_node& node : project.child("properties").children())
    properties[node.name()] = base::trim(node.child_value());
  auto own = [&](const char* name) {
    const std::string_view here = base::trim(project.child_value(name));
    return std::string(here.empty() ? base::trim(parent.child_value(name)) : here);
  };
  for (const char* name : {"groupId", "version"}) {
    properties[std::string("project.") + name] = resolved(own(name), properties);
    properties[std::string("project.parent.") + name] = base::trim(parent.child_value(name));
  }
  properties["project.artifactId"] = base::trim(project.child_value("artifactId"));
  Manifest manifest;
  manifest.name = properties["project.groupId"] + ":" + properties["project.artifactId"];
  manifest.version = properties["project.version"];
  if (parent)
    add(manifest, "maven", child(parent, "groupId", {}) + ":" + child(parent, "artifactId", {}),
        child(parent, "version", {}), "parent");
  add_all(manifest, project, "runtime", properties);
  add_all(manifest, project.child("dependencyManagement"), "managed", properties);
  for (const pugi::xml_node& profile : project.child("profiles").children("profile"))
    add_all(manifest, profile, "runtime", properties);
  for (const pugi::xml_node& plugin : project.child("build").child("plugins").children("plugin")) {
    std::string group = child(plugin, "groupId", properties);
    if (group.empty()) group = "org.apache.maven.plugins";
    const std::string artifact = child(plugin, "artifactId", properties);
    if (!artifact.empty())
      add(manifest, "maven", group + ":" + artifact, child(plugin, "version", properties), "build");
  }
  return manifest;
}

}  // namespace millrace::ingest

// USD: which of its three forms a file has, what the forms share, and the package (.usdz): a zip archive
// whose members are stored as they are; the first is the root layer.
#include "workloads/scan/scene_formats.h"
#include "workloads/scan/zip_directory.h"

namespace millrace::scan {
namespace {

constexpr size_t kMembersNamed = 1000;

bool is_crate(std::string_view head) { return head.starts_with("PXR-USDC"); }
bool is_text(std::string_view head) { return head.starts_with("#usda "); }

// Paths inside a package are relative to the layer that names them; members have no "./" in front.
std::string member_name(std::string_view path, std::string_view layer) {
  std::string folder(layer.substr(0, layer.rfind('/') + 1));
  while (path.starts_with("./")) path.remove_prefix(2);
  return folder + std::string(path);
}

void read_package(MediaBytes& bytes, SceneFacts& facts) {
  ZipDirectory zip(bytes);
  if (zip.members().empty()) throw base::CorruptError("the USD package is empty");
  for (const ZipMember& member : zip.members())
    if (facts.members.size() < kMembersNamed) facts.members.push_back(clean_text(member.name, 255));
  const ZipMember& root = zip.members().front();
  if (root.method != 0) corrupt("the root layer of the USD package is compressed", root.header_at);
  uint64_t at = zip.data_at(root);
  check_end(at + root.size, bytes.size(), "root layer");
  std::string head(bytes.some(at, 16, "root layer"));
  if (is_crate(head))
    read_usdc(bytes, at, root.size, facts);
  else if (is_text(head))
    read_usda(bytes, at, root.size, facts);
  else
    corrupt("the first file of the USD package is no layer", at);
  facts.encoding = "package";
  for (BlendDependency& dependency : facts.dependencies)
    dependency.packed =
        zip.find(dependency.raw_path) || zip.find(member_name(dependency.raw_path, root.name));
}

}  // namespace

void read_usd(MediaBytes& bytes, SceneFacts& facts) {
  std::string head(bytes.some(0, 16, "USD header"));
  if (is_crate(head))
    read_usdc(bytes, 0, bytes.size(), facts);
  else if (is_text(head))
    read_usda(bytes, 0, bytes.size(), facts);
  else if (head.starts_with("PK"))
    read_package(bytes, facts);
  else
    corrupt("not a USD signature", 0);
}

void set_usd_text(SceneFacts& facts, std::string_view name, std::string_view value) {
  if (name == "defaultPrim") facts.default_prim = clean_text(value, 255);
  if (name == "upAxis") facts.up_axis = clean_text(value, 16);
  if (name == "doc" || name == "documentation") facts.title = clean_text(value, 255);
}

void set_usd_number(SceneFacts& facts, std::string_view name, std::optional<double> value) {
  if (!value) return;
  if (name == "metersPerUnit") facts.meters_per_unit = value;
  if (name == "startTimeCode") facts.frame_start = value;
  if (name == "endTimeCode") facts.frame_end = value;
  if (name == "framesPerSecond" || (name == "timeCodesPerSecond" && !facts.frame_rate))
    facts.frame_rate = value;
}

std::string_view usd_kind(std::string_view field, std::string_view path) {
  if (field == "subLayers") return "usd-layer";
  if (field == "references") return "usd-reference";
  if (field == "payload" || field == "payloads") return "usd-payload";
  return asset_kind(path);
}

}  // namespace millrace::scan

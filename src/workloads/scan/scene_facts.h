// What is known about one scene description or cache of another program: its version and the files it needs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "workloads/scan/blend_facts.h"
#include "workloads/scan/media_facts.h"

namespace millrace::scan {

// Texts are empty and numbers absent when the file does not say. Scenes have no table of their own: this
// becomes files.metadata_json and rows of `dependencies`.
struct SceneFacts {
  ReadStatus status = ReadStatus::kOk;
  std::string problem;  // set exactly when status is not kOk
  std::string warning;  // what was left out, or damage that leaves the status alone

  std::string version;    // of the format: "2.0", "0.8.0", "7400"
  std::string encoding;   // "ascii", "binary", "crate", "package", "Ogawa", "HDF5"
  std::string generator;  // the program that wrote it
  std::string title;
  std::vector<std::string> extensions;  // glTF: extensionsUsed
  std::vector<std::string> grids;       // OpenVDB: "density (Tree_float_5_4_3)"
  std::vector<std::string> members;     // USD package: the files inside, the first is the root layer

  // USD: metadata of the layer.
  std::string default_prim, up_axis;
  std::optional<double> meters_per_unit, frame_start, frame_end, frame_rate;

  // Kinds: gltf-buffer, texture, material-library, usd-layer (subLayers), usd-reference, usd-payload, asset
  // (other files that a USD layer names). Each path stands once; `packed` means that it is inside the file.
  std::vector<BlendDependency> dependencies;
  size_t dependency_bytes = 0;                      // of their names
  std::unordered_set<std::string> dependency_keys;  // of add_scene_dependency(): what is there already
};

}  // namespace millrace::scan

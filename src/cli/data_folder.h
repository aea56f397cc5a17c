// The folder that holds everything an engine keeps.
#pragma once

#include <string>

#include "base/unique_fd.h"

namespace millrace::cli {

struct DataFolder {
  std::string path;  // absolute

  std::string state_db() const { return path + "/state.db"; }
  std::string events_db() const { return path + "/events.db"; }
  std::string iam_db() const { return path + "/iam.db"; }
  std::string certificate() const { return path + "/tls-certificate.pem"; }  // self-made
  std::string certificate_key() const { return path + "/tls-key.pem"; }
  std::string ca_bundle() const { return path + "/tls-ca-bundle.pem"; }  // the system's, and our own
  std::string audit_db() const { return path + "/audit.db"; }
  std::string secrets() const { return path + "/secrets"; }
  std::string watch() const { return path + "/watch"; }
  std::string keys() const { return path + "/root-key.json"; }
  // Two lines: the URL of the engine that runs, and the file with whom to trust.
  std::string endpoint() const { return path + "/endpoint"; }
  std::string objects() const { return path + "/objects"; }
  std::string logs() const { return path + "/logs"; }
  std::string serve_log() const { return path + "/serve.log"; }
  std::string catalogue_db() const { return path + "/catalogue.db"; }
};

// MILLRACE_DATA, else $XDG_DATA_HOME/millrace, else ~/.local/share/millrace.
std::string default_data_folder();

// Names the folder without touching the disk.
DataFolder name_data_folder(const std::string& path);

// Makes the folder when it is not there; nobody else may enter it (mode 0700). Throws TransientError or
// DeniedError.
DataFolder open_data_folder(const std::string& path);

// Held as long as an engine uses the folder. Throws ConflictError when another one does.
base::UniqueFd lock_data_folder(const DataFolder& folder);

// Held by `millrace try` while it uses an engine that ends with it: a second one would lose it in the middle.
// Waits for its turn and says so on stderr.
base::UniqueFd lock_try(const DataFolder& folder);

// Whether an engine holds the folder; it may still be starting.
bool engine_holds(const DataFolder& folder);

// The URL of the engine that runs on the folder, empty when none does. An engine with a certificate of its
// own is trusted by this process from then on (AWS_CA_BUNDLE).
std::string running_endpoint(const DataFolder& folder);

// The same for commands that need one: throws NotFoundError that says how to start it.
std::string require_endpoint(const DataFolder& folder);

}  // namespace millrace::cli

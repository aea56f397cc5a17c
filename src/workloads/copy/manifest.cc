#include "workloads/copy/manifest.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/error.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "objects/s3_client.h"
#include "workloads/text.h"

namespace millrace::copy {
namespace {

constexpr size_t kKeyBytesMax = 1024;  // S3 user guide, "Object key naming"
constexpr size_t kReadBytes = 64 * 1024;

bool is_option(std::string_view name) {
  return name == "delete" || name == "include" || name == "exclude" || name == "acl" ||
         name == "storage_class";
}

// "Storage-Class" and "storage class" are "storage_class".
std::string column_name(std::string_view text) {
  std::string name = base::to_lower(base::trim(text));
  for (char& c : name)
    if (c == '-' || c == ' ') c = '_';
  return name;
}

void check(const objects::Location& location, std::string_view text) {
  auto bad = [&](const std::string& why) {
    return base::UsageError("'" + workloads::printable(text) + "': " + why);
  };
  if (!location.is_s3) {
    if (location.path.find('\0') != std::string::npos) throw bad("a path has no NUL");
    return;
  }
  for (char c : location.bucket)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '-' && c != '_')
      throw bad("no bucket can have such a name");
  if (location.path.size() > kKeyBytesMax) throw bad("a key has at most 1,024 bytes");
  if (!base::is_utf8(location.path)) throw bad("a key must be UTF-8");
}

}  // namespace

std::string shown(const objects::Location& location) {
  return workloads::printable(location.is_s3 ? "s3://" + location.bucket + "/" + location.path
                                             : location.path);
}

void parse_locations(Row& row) {
  if (row.source.empty()) throw base::UsageError("there is no source");
  if (row.destination.empty()) throw base::UsageError("there is no destination");
  row.from = objects::parse_location(row.source);
  row.to = objects::parse_location(row.destination);
  check(row.from, row.source);
  check(row.to, row.destination);
}

bool parse_bool(std::string_view text, std::string_view what) {
  std::string word = base::to_lower(base::trim(text));
  if (word == "true") return true;
  if (word == "false") return false;
  throw base::UsageError("the value of " + std::string(what) + " is '" + workloads::printable(text) +
                         "'; it must be true or false");
}

ManifestReader::ManifestReader(Header header, RowOptions defaults, bool own_options, OnRow on_row,
                               OnBad on_bad)
    : header_(header),
      defaults_(std::move(defaults)),
      own_options_(own_options),
      on_row_(std::move(on_row)),
      on_bad_(on_bad),
      csv_([this](workloads::CsvRecord record) { take(std::move(record)); }, std::move(on_bad)) {}

void ManifestReader::read_header(const workloads::CsvRecord& record) {
  std::vector<std::string> names;
  for (const std::string& field : record.fields) names.push_back(column_name(field));
  for (size_t i = 0; i < names.size(); ++i) {
    bool has_both = std::find(names.begin(), names.end(), "source") != names.end() &&
                    std::find(names.begin(), names.end(), "destination") != names.end();
    if (!has_both) break;
    if (names[i] == "source") source_ = i;
    if (names[i] == "destination") destination_ = i;
  }
  names_ = std::move(names);
}

void ManifestReader::set_option(RowOptions& options, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  if (name == "delete") options.remove_extra = parse_bool(value, "delete");
  if (name == "acl") options.acl = value == "none" ? "" : value;
  if (name == "storage_class") options.storage_class = value;
  if (name == "include" || name == "exclude")
    for (std::string_view pattern : base::split(value, ';'))
      if (!pattern.empty()) options.filters.push_back({name == "include", std::string(pattern)});
}

void ManifestReader::take(workloads::CsvRecord record) {
  if (std::exchange(first_, false)) {
    bool is_header = header_ == Header::kYes;
    if (header_ == Header::kAuto) {
      is_header = true;
      for (size_t i = 0; i < record.fields.size() && i < 2; ++i)
        if (record.fields[i].find('/') != std::string::npos) is_header = false;
    }
    if (is_header) return read_header(record);
  }
  Row row;
  row.line = record.line;
  row.options = defaults_;
  try {
    if (record.fields.size() <= std::max(source_, destination_))
      throw base::UsageError("a row has a source and a destination");
    row.source = record.fields[source_];
    row.destination = record.fields[destination_];
    parse_locations(row);
    if (own_options_) {
      std::vector<std::pair<std::string, std::string>> told;
      for (size_t i = 0; i < record.fields.size(); ++i) {
        if (i == source_ || i == destination_) continue;
        if (i < names_.size()) {
          told.emplace_back(names_[i], record.fields[i]);
        } else if (names_.empty()) {
          size_t equals = record.fields[i].find('=');
          if (equals != std::string::npos)
            told.emplace_back(column_name(record.fields[i].substr(0, equals)),
                              record.fields[i].substr(equals + 1));
        }
      }
      // "exclude everything, include some" is what both columns together are for.
      for (const auto& [name, value] : told)
        if (is_option(name) && name != "include") set_option(row.options, name, value);
      for (const auto& [name, value] : told)
        if (name == "include") set_option(row.options, name, value);
    }
  } catch (const base::Error& error) {
    on_bad_(record.line, error.what());
    return;
  }
  on_row_(std::move(row));
}

void read_manifest(const std::string& location, ManifestReader& reader) {
  objects::Location where = location == "-" ? objects::Location{} : objects::parse_location(location);
  if (where.is_s3) {
    auto client = objects::open_s3(where.bucket);
    client->get(where.path, [&](std::string_view bytes) { reader.feed(bytes); });
    reader.finish();
    return;
  }
  base::UniqueFd file;
  if (location != "-") {
    file.reset(open(where.path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
      std::string text = base::system_message("read " + location, errno);
      if (errno == ENOENT) throw base::NotFoundError(text);
      throw base::DeniedError(text);
    }
  }
  std::string buffer(kReadBytes, '\0');
  for (;;) {
    ssize_t n = read(file ? file.get() : STDIN_FILENO, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw base::TransientError(base::system_message("read " + location, errno));
    if (n == 0) break;
    reader.feed({buffer.data(), static_cast<size_t>(n)});
  }
  reader.finish();
}

}  // namespace millrace::copy

#include "workloads/ingest/repository_list.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <optional>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "http/client.h"
#include "objects/store.h"
#include "workloads/ingest/outcome.h"

namespace millrace::ingest {
namespace {

constexpr size_t kPiece = 64 * 1024;

// What two rows of one repository must agree in: everything but the organizations it belongs to.
uint64_t content_of(const Repository& row) {
  std::string text = row.clone_url + '\0' + row.changeset + '\0' + row.build + '\0' + row.publish_uri;
  return base::xxh3(text);
}

}  // namespace

RepositoryListReader::RepositoryListReader(OnRow on_row)
    : on_row_(std::move(on_row)),
      csv_([this](const workloads::CsvRecord& record) { take(record); },
           [this](uint64_t line, const std::string& why) {
             if (names_.empty()) throw base::CorruptError("line " + std::to_string(line) + ": " + why);
             RowProblem problem{++rows_, line, "bad-row", "line " + std::to_string(line) + ": " + why};
             Repository row;
             row.row = problem.row;
             row.line = line;
             on_row_(std::move(row), 0, &problem);
           }) {}

void RepositoryListReader::finish() {
  csv_.finish();
  if (names_.empty()) throw base::CorruptError("the list is empty: its first line must name the columns");
}

void RepositoryListReader::read_header(const workloads::CsvRecord& record) {
  bool clone_url = false, origin = false, path = false;
  for (const std::string& field : record.fields) {
    std::string name = base::to_lower(field);
    Column column = Column::kUnknown;
    if (name == "cloneurl") {
      if (clone_url) throw base::CorruptError("two columns are named cloneUrl");
      column = Column::kCloneUrl;
      clone_url = true;
    } else if (name.starts_with("alternatecloneurl")) {
      column = Column::kAlternate;
    } else if (name == "branch") {
      column = Column::kBranch;
    } else if (name == "changeset") {
      column = Column::kChangeset;
    } else if (name == "origin") {
      column = Column::kOrigin;
      origin = true;
    } else if (name == "path") {
      column = Column::kPath;
      path = true;
    } else if (name == "build") {
      column = Column::kBuild;
    } else if (name == "publishuri") {
      column = Column::kPublishUri;
    } else if (name.starts_with("org") && base::parse_number<unsigned>(std::string_view(name).substr(3))) {
      column = Column::kOrganization;
    }
    names_.push_back(field);
    columns_.push_back(column);
  }
  std::string missing;
  for (auto [there, name] :
       {std::pair(clone_url, "cloneUrl"), std::pair(origin, "origin"), std::pair(path, "path")})
    if (!there) missing += (missing.empty() ? "" : ", ") + std::string(name);
  if (!missing.empty())
    throw base::CorruptError("the first line must name the columns, and it does not name " + missing);
}

void RepositoryListReader::take(const workloads::CsvRecord& record) {
  if (names_.empty()) return read_header(record);
  Repository row;
  row.row = ++rows_;
  row.line = record.line;
  for (size_t i = 0; i < columns_.size(); ++i) {
    std::string value = i < record.fields.size() ? record.fields[i] : "";
    row.columns.emplace_back(names_[i], value);
    switch (columns_[i]) {
      case Column::kCloneUrl:
        row.clone_url = std::move(value);
        break;
      case Column::kAlternate:
        if (!value.empty()) row.alternate_clone_urls.push_back(std::move(value));
        break;
      case Column::kBranch:
        row.branch = std::move(value);
        break;
      case Column::kChangeset:
        row.changeset = base::to_lower(value);
        break;
      case Column::kOrigin:
        row.origin = std::move(value);
        break;
      case Column::kPath:
        row.path = std::move(value);
        break;
      case Column::kBuild:
        row.build = std::move(value);
        break;
      case Column::kPublishUri:
        row.publish_uri = std::move(value);
        break;
      case Column::kOrganization:
        if (!value.empty()) row.organizations.push_back(std::move(value));
        break;
      case Column::kUnknown:
        break;
    }
  }
  auto problem = [&](const char* code, const std::string& what) {
    RowProblem found{row.row, row.line, code,
                     "row " + std::to_string(row.row) + " (line " + std::to_string(row.line) + "): " + what};
    on_row_(std::move(row), 0, &found);
  };
  for (size_t i = columns_.size(); i < record.fields.size(); ++i)
    if (!record.fields[i].empty())
      return problem("bad-row", "it has " + std::to_string(record.fields.size()) + " fields, the header " +
                                    std::to_string(columns_.size()));
  for (auto [value, name] : {std::pair(&row.clone_url, "cloneUrl"), std::pair(&row.origin, "origin"),
                             std::pair(&row.path, "path")})
    if (value->empty()) return problem("missing-field", std::string(name) + " is empty");
  // They become folders where things are published.
  for (const std::string* name : {&row.origin, &row.path})
    for (std::string_view part : base::split(*name, '/'))
      if (part.empty() || part == "." || part == ".." || name->find('\0') != std::string::npos)
        return problem("bad-row", "'" + without_credentials(*name) +
                                      "' is no name of a repository: it has an empty part, '.' or '..'");
  if (!row.changeset.empty() &&
      (!base::unhex(row.changeset) || (row.changeset.size() != 40 && row.changeset.size() != 64)))
    return problem("bad-row", "changeset '" + row.changeset + "' is no commit of 40 hexadecimal digits");
  // A name that begins with '-' would be read as an option by git and others.
  for (const std::string* text : {&row.clone_url, &row.branch})
    if (text->starts_with('-'))
      return problem("bad-row", "'" + without_credentials(*text) + "' begins with '-'");

  uint64_t content = content_of(row);
  auto [first, is_new] = seen_.try_emplace(base::sha256(row.key()).substr(0, 16), First{row.row, content});
  if (!is_new && first->second.content != content)
    return problem("duplicate", "row " + std::to_string(first->second.row) +
                                    " has the same origin, path and branch but asks for something else");
  on_row_(std::move(row), is_new ? 0 : first->second.row, nullptr);
}

void read_list(const std::string& location, const std::shared_ptr<http::Client>& client,
               const std::function<void(std::string_view bytes)>& take) {
  if (location.starts_with("http://") || location.starts_with("https://")) {
    http::ClientRequest request;
    request.url = location;
    std::exception_ptr failed;  // what `take` throws must not pass through the client's thread
    request.on_body = [&](std::string_view bytes) {
      try {
        take(bytes);
        return true;
      } catch (...) {
        failed = std::current_exception();
        return false;
      }
    };
    try {
      http::ClientResponse response = client->send(std::move(request));
      if (response.status / 100 != 2)
        throw base::NotFoundError(without_credentials(location) + ": the server answers " +
                                  std::to_string(response.status));
    } catch (...) {
      if (failed) std::rethrow_exception(failed);
      throw;
    }
    if (failed) std::rethrow_exception(failed);
    return;
  }
  std::string buffer(kPiece, '\0');
  if (location.starts_with("s3://")) {
    objects::Location place = objects::parse_location(location);
    std::unique_ptr<objects::ObjectReader> reader = objects::open_reader({true, place.bucket, ""});
    objects::ObjectInfo info = reader->head(place.path);
    for (uint64_t offset = 0; offset < info.size;) {
      size_t n = reader->read(place.path, offset, buffer.data(), buffer.size(), info.etag);
      if (n == 0) throw base::TransientError(location + ": it ends too early");
      take({buffer.data(), n});
      offset += n;
    }
    return;
  }
  base::UniqueFd file(location == "-" ? dup(0) : open(location.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    int error = errno;
    if (error == ENOENT) throw base::NotFoundError("File " + location + " does not exist");
    throw base::DeniedError(base::system_message("open " + location, error));
  }
  while (true) {
    ssize_t n = ::read(file.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw base::TransientError(base::system_message("read " + location, errno));
    if (n == 0) return;
    take({buffer.data(), static_cast<size_t>(n)});
  }
}

}  // namespace millrace::ingest

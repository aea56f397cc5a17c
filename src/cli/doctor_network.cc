// What is reached over the network: endpoint, clock, TLS, credentials, buckets, databases, where is
// published.
#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <pugixml.hpp>

#include "aws/credentials.h"
#include "aws/sigv4.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/strings.h"
#include "base/time.h"
#include "base/url.h"
#include "cli/doctor.h"
#include "http/client.h"
#include "objects/s3_client.h"
#include "objects/store.h"
#include "sql/connection.h"
#include "workloads/ingest/outcome.h"
#include "workloads/text.h"

namespace millrace::cli {
namespace {

using State = Check::State;
using std::chrono::milliseconds;

constexpr milliseconds kPatience{5'000};
constexpr base::TimeMs kClockWarnMs = 30'000, kClockBrokenMs = 5 * 60'000;

std::string variable_or(const char* name, const std::string& otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

std::string region() { return variable_or("AWS_REGION", variable_or("AWS_DEFAULT_REGION", "us-east-1")); }

http::ClientRequest request_to(const std::string& url) {
  http::ClientRequest request;
  request.url = url;
  request.connect_timeout = request.stall_timeout = kPatience;
  return request;
}

std::string mend_of_network(const std::string& message) {
  const std::string text = base::to_lower(message);
  auto has = [&](std::string_view part) { return text.find(part) != std::string::npos; };
  if (has("certificate") || has("ssl") || has("tls"))
    return "the server's certificate is not trusted: name its authority with AWS_CA_BUNDLE";
  if (has("resolve")) return "the name is not known: is it right, and does DNS work here?";
  if (has("timed out") || has("timeout"))
    return "no answer: a firewall, or a proxy that must be set (HTTPS_PROXY)?";
  if (has("connect")) return "nothing listens there: is it started, and is the port right?";
  return "is the URL right, and the server up?";
}

// Server and machine differ by so much; the time that the request took is not counted.
Check clock_check(const std::string& date, base::TimeMs before, base::TimeMs after) {
  const auto theirs = base::parse_http_date(date);
  if (!theirs) return {State::kSkipped, "clock", "the server does not say its time", ""};
  // A Date has whole seconds.
  const base::TimeMs early = *theirs - after, late = *theirs + 1000 - before;
  const base::TimeMs off = early > 0 ? early : late < 0 ? late : 0;
  const std::string what = fmt::format("{:.0f} s {} the server's", std::abs(static_cast<double>(off)) / 1000,
                                       off > 0 ? "behind" : "ahead of");
  if (std::abs(off) >= kClockBrokenMs)
    return {State::kBroken, "clock", what,
            "set it (timedatectl set-ntp true, or chrony): signatures are good for 15 minutes only"};
  if (std::abs(off) >= kClockWarnMs)
    return {State::kWarning, "clock", what, "set it (timedatectl set-ntp true, or chrony)"};
  return {State::kOk, "clock", "right, within the seconds of the server's answer", ""};
}

Check failed(const std::string& name, const base::Error& error, const std::string& mend) {
  return {State::kBroken, name, workloads::printable(error.what()), mend};
}

}  // namespace

Checks check_endpoint(const std::string& endpoint, http::Client& client) {
  if (endpoint.empty())
    return {
        {State::kSkipped, "network", "no endpoint is configured (AWS_ENDPOINT_URL) and no engine runs", ""}};
  base::SystemClock clock;
  const base::TimeMs before = clock.now_ms();
  try {
    const http::ClientResponse response = client.send(request_to(endpoint));
    const base::TimeMs after = clock.now_ms();
    Checks checks{{State::kOk, "network", fmt::format("{} answers in {} ms", endpoint, after - before), ""}};
    if (endpoint.starts_with("https://"))
      checks.push_back({State::kOk, "tls", "the certificate of " + endpoint + " is trusted", ""});
    checks.push_back(clock_check(std::string(response.headers.get("Date")), before, after));
    return checks;
  } catch (const base::Error& error) {
    return {failed("network", error, mend_of_network(error.what()))};
  }
}

Checks check_ca_bundle() {
  if (const std::string bundle = variable_or("AWS_CA_BUNDLE", ""); !bundle.empty()) {
    if (access(bundle.c_str(), R_OK) == 0) return {{State::kOk, "ca", "AWS_CA_BUNDLE: " + bundle, ""}};
    return {{State::kBroken, "ca", "AWS_CA_BUNDLE names " + bundle + ", which cannot be read",
             "name a file of certificates (PEM), or unset it"}};
  }
  for (const char* file : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"})
    if (access(file, R_OK) == 0) return {{State::kOk, "ca", file, ""}};
  return {{State::kWarning, "ca", "there are no certificate authorities: no https server will be trusted",
           "apt-get install ca-certificates"}};
}

Checks check_credentials(const std::string& endpoint, const std::shared_ptr<http::Client>& client) {
  base::SystemClock clock;
  aws::Credentials credentials;
  try {
    credentials = aws::default_credentials(aws::process_environment(), clock, client)->get();
  } catch (const base::DeniedError& error) {
    // Where it looked, in brackets, is half a screen.
    const std::string_view why = error.what();
    return {{State::kWarning, "credentials", std::string(why.substr(0, why.find(" ("))),
             "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (of an engine: eval \"$(millrace env)\"); jobs "
             "on files "
             "and public data need none"}};
  } catch (const base::Error& error) {
    return {failed("credentials", error, "mend what the message names")};
  }
  try {
    std::string url = variable_or("AWS_ENDPOINT_URL_STS", endpoint);
    if (url.empty()) url = "https://sts." + region() + ".amazonaws.com";
    if (base::parse_url(url).path == "/" && !url.ends_with('/')) url += '/';
    http::ClientRequest request = request_to(url);
    request.method = "POST";
    request.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
    request.body = "Action=GetCallerIdentity&Version=2011-06-15";
    aws::sign(request, credentials, region(), "sts", clock.now_ms());
    const http::ClientResponse response = client->send(std::move(request));
    pugi::xml_document document;
    document.load_buffer(response.body.data(), response.body.size());
    const pugi::xml_node root = document.document_element();
    const std::string arn = root.child("GetCallerIdentityResult").child_value("Arn");
    if (response.status == 200 && !arn.empty())
      return {{State::kOk, "credentials", workloads::printable(arn), ""}};
    const std::string code = root.child("Error").child_value("Code");
    const std::string mend = code == "SignatureDoesNotMatch" ? "the secret key is not that of the access key"
                             : code == "ExpiredToken" || code == "ExpiredTokenException"
                                 ? "log in again: they have expired"
                                 : "the server does not know these keys: are they those of this endpoint?";
    return {{State::kBroken, "credentials",
             workloads::printable(
                 fmt::format("GetCallerIdentity: {} {}",
                             code.empty() ? "HTTP status " + std::to_string(response.status) : code,
                             root.child("Error").child_value("Message"))),
             mend}};
  } catch (const base::Error& error) {
    return {failed("credentials", error, mend_of_network(error.what()))};
  }
}

Checks check_s3(const std::string& place) {
  const std::string name = "s3 " + workloads::printable(place);
  try {
    const objects::Location location = objects::parse_location(place);
    if (!location.is_s3) throw base::UsageError("it is no s3://BUCKET/PREFIX");
    const auto bucket = objects::open_s3(location.bucket);
    bucket->list_page(
        {.prefix = location.path, .delimiter = "/", .start_after = "", .token = "", .keys_max = 1});
    std::string prefix = location.path;
    if (!prefix.empty() && !prefix.ends_with('/')) prefix += '/';
    const std::string key = prefix + ".millrace-doctor-" + base::random_hex(12);
    bucket->put(key, "written by millrace doctor, and removed at once\n", "text/plain");
    const bool readable = bucket->head(key).size > 0;
    bucket->remove(key);
    if (!readable) return {{State::kBroken, name, "what was written is not there", "mend the server"}};
    return {{State::kOk, name, "can be listed, written to, read and deleted from", ""}};
  } catch (const base::NotFoundError& error) {
    return {failed(name, error, "make the bucket (aws s3 mb), or name another")};
  } catch (const base::DeniedError& error) {
    return {failed(name, error, "allow s3:ListBucket, GetObject, PutObject and DeleteObject there")};
  } catch (const base::UsageError& error) {
    return {failed(name, error, "write s3://BUCKET or s3://BUCKET/PREFIX")};
  } catch (const base::Error& error) {
    return {failed(name, error, mend_of_network(error.what()))};
  }
}

Checks check_database(const std::string& url) {
  const std::string name = "database";
  std::string shown;
  try {
    shown = sql::without_password(url);
    if (const auto file = sql::sqlite_path(url);
        file && *file != ":memory:" && access(file->c_str(), F_OK) != 0)
      return {{State::kOk, name, *file + " is not there yet: jobs make it", ""}};
    const auto connection = sql::open_url(url);
    const bool sqlite = connection->dialect() == sql::Dialect::kSqlite;
    auto statement = connection->prepare(sqlite ? "SELECT sqlite_version()" : "SHOW server_version");
    statement->step();
    std::string what = shown + ": " + (sqlite ? "SQLite " : "PostgreSQL ") + std::string(statement->text(0));
    statement.reset();
    if (sqlite) {
      auto check = connection->prepare("PRAGMA quick_check(1)");
      check->step();
      if (check->text(0) != "ok")
        return {
            {State::kBroken, name, what + ": " + std::string(check->text(0)), "restore it from a backup"}};
    } else {
      connection->execute("CREATE TEMPORARY TABLE millrace_doctor (x int); DROP TABLE millrace_doctor");
    }
    return {{State::kOk, name, what, ""}};
  } catch (const base::UsageError& error) {
    return {failed(name, error, "write postgresql://USER:PASSWORD@HOST:PORT/NAME or sqlite:///FILE")};
  } catch (const base::CorruptError& error) {
    return {failed(name, error, "it is damaged, or no database: restore it, or name another")};
  } catch (const base::Error& error) {
    return {failed(name, error, "is the server up, and are host, port, user and password right?")};
  }
}

Checks check_publish(const std::string& place, const std::shared_ptr<http::Client>& client) {
  if (place.starts_with("s3://")) return check_s3(place);
  if (!place.starts_with("http://") && !place.starts_with("https://")) {
    try {
      const objects::Location location = objects::parse_location(place);
      return check_disk("publish", location.path);
    } catch (const base::Error& error) {
      return {failed("publish", error, "write a folder, s3://BUCKET/PREFIX, or a URL")};
    }
  }
  if (ingest::without_credentials(place) != place)
    return {{State::kBroken, "publish", ingest::without_credentials(place) + " is given with a login in it",
             "everybody can see it there: use PUBLISH_USER and PUBLISH_PASSWORD, or PUBLISH_TOKEN"}};
  try {
    http::ClientRequest request = request_to(place);
    request.method = "HEAD";
    const std::string token = variable_or("PUBLISH_TOKEN", ""), user = variable_or("PUBLISH_USER", "");
    if (!token.empty())  // as the publisher has it
      request.headers.add("Authorization", "Bearer " + token);
    else if (!user.empty())
      request.headers.add("Authorization",
                          "Basic " + base::base64(user + ":" + variable_or("PUBLISH_PASSWORD", "")));
    const int status = client->send(std::move(request)).status;
    const std::string what = fmt::format("{} answers with {}", place, status);
    if (status == 401 || status == 403)
      return {{State::kBroken, "publish", what,
               "the login is not right: PUBLISH_USER and PUBLISH_PASSWORD, or PUBLISH_TOKEN"}};
    if (status >= 500) return {{State::kBroken, "publish", what, "the server is not well"}};
    // Many repositories have no page at their root.
    return {{State::kOk, "publish", what, ""}};
  } catch (const base::Error& error) {
    return {failed("publish", error, mend_of_network(error.what()))};
  }
}

}  // namespace millrace::cli

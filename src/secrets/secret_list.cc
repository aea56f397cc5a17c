// Lists of secrets, in each of their orders.
#include "secrets/secret_rows.h"

namespace millrace::secrets {
namespace {

constexpr int64_t kPage = 200;

#define MILLRACE_SECRETS "SELECT id, name, suffix, created, changed, accessed, delete_at, body FROM secrets "

// $1: where to go on (number or name), $2: id there, $3: rows, $4: 1 from the start.
struct Listing {
  const char* ascending;
  const char* descending;
};

constexpr Listing kListings[] = {
    {MILLRACE_SECRETS "WHERE $4 OR id > $2 ORDER BY id LIMIT $3",
     MILLRACE_SECRETS "WHERE $4 OR id < $2 ORDER BY id DESC LIMIT $3"},
    {MILLRACE_SECRETS "WHERE $4 OR (changed, id) > ($1, $2) ORDER BY changed, id LIMIT $3",
     MILLRACE_SECRETS "WHERE $4 OR (changed, id) < ($1, $2) ORDER BY changed DESC, id DESC LIMIT $3"},
    {MILLRACE_SECRETS "WHERE $4 OR (accessed, id) > ($1, $2) ORDER BY accessed, id LIMIT $3",
     MILLRACE_SECRETS "WHERE $4 OR (accessed, id) < ($1, $2) ORDER BY accessed DESC, id DESC LIMIT $3"},
    {MILLRACE_SECRETS "WHERE $4 OR name > $1 ORDER BY name LIMIT $3",
     MILLRACE_SECRETS "WHERE $4 OR name < $1 ORDER BY name DESC LIMIT $3"},
};

#undef MILLRACE_SECRETS

SecretPosition position_of(const Secret& secret, SecretOrder order) {
  switch (order) {
    case SecretOrder::kCreated:
      return {0, "", secret.id};
    case SecretOrder::kChanged:
      return {secret.changed, "", secret.id};
    case SecretOrder::kAccessed:
      return {secret.accessed, "", secret.id};
    case SecretOrder::kName:
      return {0, secret.name, secret.id};
  }
  return {};
}

}  // namespace

std::vector<std::pair<Secret, StagesByVersion>> SecretStore::list(
    SecretOrder order, bool ascending, const std::optional<SecretPosition>& after, size_t limit,
    const std::function<bool(const Secret&)>& wanted, std::optional<SecretPosition>& next) {
  const Listing& listing = kListings[static_cast<size_t>(order)];
  std::vector<std::pair<Secret, StagesByVersion>> found;
  std::optional<SecretPosition> from = after;
  next.reset();
  // A page at a time, so that a long search does not hold other readers up.
  for (bool more = true; more && !next;) {
    std::vector<Secret> page;
    database_.read([&](Session& session) {
      Query rows(session, ascending ? listing.ascending : listing.descending);
      if (order == SecretOrder::kName)
        rows->bind(1, from ? std::string_view(from->name) : std::string_view());
      else
        rows->bind(2, from ? from->id : 0);
      if (order == SecretOrder::kChanged || order == SecretOrder::kAccessed)
        rows->bind(1, from ? from->number : 0);
      rows->bind(3, kPage).bind(4, int64_t{!from});
      while (rows->step()) page.push_back(read_secret(*rows));
      more = page.size() == static_cast<size_t>(kPage);
      for (Secret& secret : page) {
        if ((secret.delete_at != 0 && secret.delete_at <= clock_.now_ms()) || !wanted(secret)) {
          from = position_of(secret, order);
          continue;
        }
        if (found.size() == limit) {
          next = from;
          break;
        }
        from = position_of(secret, order);
        StagesByVersion stages = stages_of(session, secret.id);
        found.emplace_back(std::move(secret), std::move(stages));
      }
    });
  }
  return found;
}

}  // namespace millrace::secrets

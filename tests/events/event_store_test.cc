// What the file of events keeps, as bytes.
#include "events/event_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include "base/error.h"
#include "events/registry.h"
#include "tests/support/temporary_folder.h"

namespace millrace::events {
namespace {

std::string mirrored(std::string_view text) { return {text.rbegin(), text.rend()}; }

Sealing mirror() {
  Sealing sealing;
  sealing.seal = [](std::string_view text, const std::string& place) {
    return mirrored(place + "\n" + std::string(text));
  };
  sealing.open = [](std::string_view text, const std::string& place) {
    const std::string plain = mirrored(text);
    if (!plain.starts_with(place + "\n")) throw base::CorruptError("not sealed for " + place);
    return plain.substr(place.size() + 1);
  };
  return sealing;
}

bool file_has(const std::string& path, const std::string& text) {
  for (const char* suffix : {"", "-wal"}) {
    std::ifstream in(path + suffix, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(in), {});
    if (bytes.find(text) != std::string::npos) return true;
  }
  return false;
}

void put_connection(EventStore& store) {
  Registry registry{Place{}};
  registry.connections["partner"] = {
      {"AuthorizationType", "API_KEY"},
      {"AuthParameters",
       {{"ApiKeyAuthParameters", {{"ApiKeyName", "k"}, {"ApiKeyValue", "hunter2secret"}}}}}};
  EventChanges changes;
  changes.resources.emplace(Kind::kConnection, "partner");
  store.commit(changes, registry);
}

std::string key_value(EventStore& store) {
  Registry registry{Place{}};
  store.load(registry);
  const auto& auth = registry.connections.at("partner").at("AuthParameters").as_object();
  return std::string(base::view(auth.at("ApiKeyAuthParameters").as_object().at("ApiKeyValue").as_string()));
}

// Without this: passwords of connections lie readable on disk and in every backup.
TEST(EventStore, ConnectionsAreSealed) {
  testing::TemporaryFolder folder;
  const std::string path = folder / "events.db";
  {
    EventStore store(path, mirror());
    put_connection(store);
    EXPECT_EQ(key_value(store), "hunter2secret");
    EXPECT_FALSE(file_has(path, "hunter2secret"));
    EXPECT_TRUE(file_has(path, "partner"));
  }
  EXPECT_FALSE(file_has(path, "hunter2secret"));
  EventStore without_key(path);
  Registry registry{Place{}};
  EXPECT_THROW(without_key.load(registry), base::CorruptError);
}

// Without this: those made before there was sealing stay readable.
TEST(EventStore, OldConnectionsAreSealedWhenTheyAreLoaded) {
  testing::TemporaryFolder folder;
  const std::string path = folder / "events.db";
  {
    EventStore store(path);
    put_connection(store);
  }
  ASSERT_TRUE(file_has(path, "hunter2secret"));
  {
    EventStore store(path, mirror());
    EXPECT_EQ(key_value(store), "hunter2secret");
  }
  EXPECT_FALSE(file_has(path, "hunter2secret"));
  EventStore again(path, mirror());
  EXPECT_EQ(key_value(again), "hunter2secret");
}

}  // namespace
}  // namespace millrace::events

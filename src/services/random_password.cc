#include "services/random_password.h"

#include <sodium.h>

#include <algorithm>
#include <string>
#include <vector>

#include "aws/api_error.h"

namespace millrace::services {
namespace {

constexpr int64_t kLengthDefault = 32, kLengthMax = 4096;

struct CharacterType {
  const char* excluded_by;
  std::string_view characters;
};

constexpr CharacterType kTypes[] = {
    {"ExcludeLowercase", "abcdefghijklmnopqrstuvwxyz"},
    {"ExcludeUppercase", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
    {"ExcludeNumbers", "0123456789"},
    {"ExcludePunctuation", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"},
};

char any_of(const std::string& characters) {
  return characters[randombytes_uniform(static_cast<uint32_t>(characters.size()))];
}

}  // namespace

secrets::Plaintext random_password(const base::json::object& input) {
  auto flag = [&](const char* name, bool otherwise) {
    return base::find_bool(input, name).value_or(otherwise);
  };
  const std::string_view excluded = base::find_string(input, "ExcludeCharacters").value_or("");
  std::vector<std::string> types;
  auto add = [&](std::string_view characters) {
    std::string left(characters);
    std::erase_if(left, [&](char c) { return excluded.find(c) != std::string_view::npos; });
    if (!left.empty()) types.push_back(std::move(left));
  };
  for (const CharacterType& type : kTypes)
    if (!flag(type.excluded_by, false)) add(type.characters);
  if (flag("IncludeSpace", false)) add(" ");
  std::string all;
  for (const std::string& type : types) all += type;
  if (all.empty())
    throw aws::ApiError(400, "InvalidParameterException",
                        "The exclusions leave no characters that a password could be made of.");
  const int64_t length = base::find_int(input, "PasswordLength").value_or(kLengthDefault);
  const bool each = flag("RequireEachIncludedType", true);
  if (length < 1 || length > kLengthMax || (each && length < static_cast<int64_t>(types.size())))
    throw aws::ApiError(400, "InvalidParameterException",
                        "Password length must be between " + std::to_string(each ? types.size() : 1) +
                            " and " + std::to_string(kLengthMax) + " for these character types.");
  std::string password(static_cast<size_t>(length), '\0');
  for (char& c : password) c = any_of(all);
  if (each) {
    // One of each at places of its own; where the others went does not tell them apart.
    std::vector<uint32_t> places(password.size());
    for (uint32_t i = 0; i < places.size(); ++i) places[i] = i;
    for (size_t i = 0; i < types.size(); ++i) {
      std::swap(places[i], places[i + randombytes_uniform(static_cast<uint32_t>(places.size() - i))]);
      password[places[i]] = any_of(types[i]);
    }
  }
  return secrets::Plaintext(std::move(password));
}

}  // namespace millrace::services

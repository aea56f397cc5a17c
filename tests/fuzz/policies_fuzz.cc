// libFuzzer entry: any text given as a policy is read or refused, and what was read decides about any
// request, within bounded time. Input: a policy, a zero byte, then the request's words, each ended by a zero
// byte: action, resource, and pairs of context key and value.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "iam/decision.h"

namespace iam = millrace::iam;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::string> words;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  while (!rest.empty()) {
    size_t end = std::min(rest.find('\0'), rest.size());
    words.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  words.resize(std::max<size_t>(words.size(), 3));
  iam::Access access{words[1], words[2]};
  for (size_t i = 3; i + 1 < words.size(); i += 2) access.context.add(words[i], words[i + 1]);
  iam::Subject subject;
  subject.account = "123456789012";
  subject.arn = "arn:aws:iam::123456789012:user/ann";
  std::shared_ptr<const iam::Policy> policies[3];
  for (auto kind : {iam::PolicyKind::kIdentity, iam::PolicyKind::kResource, iam::PolicyKind::kTrust}) {
    try {
      policies[static_cast<size_t>(kind)] = iam::Policy::parse(words[0], kind);
    } catch (const millrace::base::UsageError& error) {
      if (error.code() != "MalformedPolicyDocument") __builtin_trap();
    }
  }
  if (policies[0]) subject.identity.push_back({"identity", policies[0]});
  iam::NamedPolicy resource{"resource", policies[1]};
  iam::Decision decision = iam::decide(subject, access, policies[1] ? &resource : nullptr);
  // Who is not named anywhere is not let in, and a decision names what it rests on.
  if (!policies[0] && !policies[1] && decision.allowed()) __builtin_trap();
  if (decision.verdict != iam::Verdict::kNotAllowed &&
      (decision.policy.empty() || decision.statement.empty()))
    __builtin_trap();
  if (policies[2]) (void)iam::trust(*policies[2], subject, access);
  return 0;
}

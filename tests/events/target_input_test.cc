#include "events/target_input.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "base/json.h"
#include "tests/events/corpora.h"
#include "tests/events/random_json.h"

namespace millrace::events {
namespace {

const InputTransformer::Variables kVariables{"arn:aws:events:eu-central-1:123456789012:rule/nightly",
                                             "nightly", 1'763'721'000'000};

InputTransformer::Rendered render(const std::map<std::string, std::string>& paths, std::string_view text,
                                  std::string_view event) {
  return InputTransformer(paths, text, "t1").render(event, kVariables);
}

constexpr std::string_view kEvent =
    R"({"version":"0","id":"7","detail-type":"Thing","source":"me","time":"2026-11-21T10:00:00Z","resources":["r0","r1"],)"
    R"("detail":{"key":"a \"b\".csv","n":1.50,"ok":true,"none":null,"list":["x", "y"],"o":{"k":[1, {"z":"q"}]},"n":2}})";

TEST(InputTransformer, ValuesStandAsJsonOrAsBareText) {
  // Without this a job gets a quoted number, a list it cannot read, or an S3 key that breaks its JSON.
  const std::map<std::string, std::string> paths = {{"key", "$.detail.key"},
                                                    {"n", "$.detail.n"},
                                                    {"list", "$.detail.list"},
                                                    {"gone", "$.detail.gone"},
                                                    {"second", "$.resources[1]"},
                                                    {"z", "$.detail.o.k[1].z"},
                                                    {"odd", "$..["}};
  EXPECT_EQ(
      render(paths, R"({"a":<key>,"b":[<n>,<gone>],"c":"<second>/<n>/<gone>","d":<list>})", kEvent).text,
      R"({"a":"a \"b\".csv","b":[2,""],"c":"r1/2/","d":["x", "y"]})");
  EXPECT_EQ(render(paths, R"("<list> of <z> and <key><odd>"\n"line 2")", kEvent).text,
            "\"[x,y] of q and a \"b\".csv\"\n\"line 2\"");
  EXPECT_EQ(render(paths, R"("5 < 6 and <b c> \"<z>\"")", kEvent).text, R"("5 < 6 and <b c> \"q\"")");
}

TEST(InputTransformer, InvalidJsonIsSaidNotSwallowed) {
  // Without this events vanish as they do at AWS, where nobody is told.
  const auto out = render({{"list", "$.detail.list"}}, R"({"a":"<list>"})", kEvent);
  EXPECT_EQ(out.text, R"({"a":"["x","y"]"})");
  EXPECT_NE(out.problem.find("not valid JSON"), std::string::npos);
  EXPECT_NE(out.problem.find("<list> is an object or a list and stands inside quotes"), std::string::npos);
  EXPECT_EQ(render({{"list", "$.detail.list"}}, R"({"a":<list>})", kEvent).problem, "");
  EXPECT_NE(render({{"key", "$.detail.key"}}, R"({"a":"<key>"})", kEvent).problem, "");
}

TEST(InputTransformer, ReservedNamesNeedNoPath) {
  // Without this a rule cannot tell its target who sent the event.
  EXPECT_EQ(
      render(
          {},
          R"({"r":<aws.events.rule-arn>,"n":"<aws.events.rule-name>","t":<aws.events.event.ingestion-time>})",
          kEvent)
          .text,
      R"({"r":"arn:aws:events:eu-central-1:123456789012:rule/nightly","n":"nightly","t":"2025-11-21T10:30:00Z"})");
  EXPECT_EQ(render({}, "<aws.events.event.json>", kEvent).text, kEvent);
  const auto whole = base::parse_json(render({}, "<aws.events.event>", kEvent).text).as_object();
  EXPECT_EQ(base::find_string(whole, "detailType"), "Thing");
  EXPECT_FALSE(whole.contains("detail"));
  EXPECT_FALSE(whole.contains("detail-type"));
}

TEST(InputTransformer, UnknownNamesAreRefusedAtOnce) {
  // Without this the mistake shows only when the event comes.
  try {
    InputTransformer({{"a", "$.a"}}, "\"<a> <b>\"", "target-1");
    FAIL();
  } catch (const base::UsageError& e) {
    EXPECT_STREQ(e.what(), "InputTemplate for target target-1 contains invalid placeholder b.");
    EXPECT_EQ(e.code(), "ValidationException");
  }
}

TEST(TargetInput, OneWayOnly) {
  // Without this two inputs are accepted and one of them is silently not used.
  try {
    TargetInput("{}", "$.detail", std::nullopt, "x");
    FAIL();
  } catch (const base::UsageError& e) {
    EXPECT_STREQ(e.what(),
                 "Only one of Input, InputPath, or InputTransformer must be provided for target x.");
  }
  EXPECT_EQ(TargetInput({}, {}, {}, "x").render(kEvent, kVariables).text, kEvent);
  EXPECT_EQ(TargetInput("{\"a\":1}", {}, {}, "x").render(kEvent, kVariables).text, "{\"a\":1}");
  EXPECT_EQ(TargetInput({}, "$.detail.key", {}, "x").render(kEvent, kVariables).text, R"("a \"b\".csv")");
  EXPECT_NE(TargetInput({}, "$.detail.gone", {}, "x").render(kEvent, kVariables).problem, "");
}

TEST(InputTransformerFuzz, BrokenTemplatesPathsAndEventsAreHarmless) {
  // Without this a template from the network could crash the delivery.
  std::mt19937_64 random(11);
  const auto mutate = [&](std::string text) {
    static constexpr std::string_view kBytes = "<>\"\\{}[],:.$ n0a\xff";
    for (uint64_t n = random() % 4; n > 0 && !text.empty(); --n) {
      const size_t at = random() % text.size();
      if (random() % 3 == 0) {
        text.erase(at, 1 + random() % 4);
      } else {
        text[at] = kBytes[random() % kBytes.size()];
      }
    }
    return text;
  };
  for (uint64_t seed = 1; seed <= 5000; ++seed) {
    const std::map<std::string, std::string> paths = {{"a", mutate("$.detail.list[1].a-b['c']")},
                                                      {"b", mutate("$.a.b")}};
    const std::string text = mutate(R"({"x":<a>,"y":"<b> \"<a>\"","z":[<b>,<aws.events.event>]})");
    const std::string event = mutate(seed % 2 ? std::string(kEvent) : RandomJson(seed).event());
    try {
      const auto out = InputTransformer(paths, text, "t").render(event, kVariables);
      if (out.problem.empty() && text[text.find_first_not_of(' ')] != '"') base::parse_json(out.text);
    } catch (const base::UsageError&) {
    }
  }
}

TEST(InputTransformerCorpora, OutputsAreTheRecordedOnes) {
  // Without this a quoting rule drifts from AWS's.
  const auto cases = corpus("input-transformer.jsonl");
  if (cases.empty()) GTEST_SKIP() << "MILLRACE_CORPORA is not set";
  for (const auto& each : cases) {
    const std::string id = text_of(each, "id");
    const auto& target = *base::find_object(each, "target");
    const auto& expect = *base::find_object(each, "expect");
    const std::string event = each.contains("event") ? base::json::serialize(each.at("event")) : "{}";
    const auto optional = [&](const char* name) -> std::optional<std::string> {
      if (!target.contains(name)) return std::nullopt;
      return text_of(target, name);
    };
    std::optional<TargetInput::Transformer> transformer;
    if (const auto* t = base::find_object(target, "InputTransformer")) {
      transformer.emplace();
      transformer->input_template = text_of(*t, "InputTemplate");
      if (const auto* paths = base::find_object(*t, "InputPathsMap")) {
        for (const auto& [name, path] : *paths) transformer->paths[name] = base::view(path.as_string());
      }
    }
    try {
      const TargetInput input(optional("Input"), optional("InputPath"), transformer, "<target-id>");
      const auto out = input.render(event, kVariables);
      ASSERT_FALSE(expect.contains("error")) << id;
      EXPECT_EQ(!out.problem.empty(), expect.contains("no_delivery")) << id << " " << out.problem;
      if (expect.contains("text")) {
        EXPECT_EQ(out.text, text_of(expect, "text")) << id;
      }
      if (expect.contains("json")) {
        EXPECT_EQ(base::parse_json(out.text), expect.at("json")) << id;
      }
    } catch (const base::UsageError& e) {
      ASSERT_TRUE(expect.contains("error")) << id << " " << e.what();
      EXPECT_EQ(e.what(), text_of(*base::find_object(expect, "error"), "message"));
    }
  }
}

}  // namespace
}  // namespace millrace::events

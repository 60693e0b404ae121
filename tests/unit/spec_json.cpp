// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "harness/spec/json_reader.h"
#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

using testing::bad_input;
using testing::contains;
using testing::TempDir;

std::string refusal(std::string_view text, const JsonLimits& limits = {}) {
  return bad_input([&] { parse_json("f.json", text, limits); });
}

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(JsonReader, ReadsEveryKindOfValue) {
  const JsonNode root = parse_json(
      "f.json", R"( {"i": -3, "d": 2.5e3, "s": "ä\u00e4", "b": true, "n": null, "l": [1, 2], "o": {"x": 1}} )");
  EXPECT_EQ(root.get_int("i", -10, 10), -3);
  EXPECT_EQ(root.get_number("d", 0, 1e6), 2500.0);
  EXPECT_EQ(root.get_number("i", -10, 10), -3.0);
  EXPECT_EQ(root.get_string("s"), "ää");
  EXPECT_TRUE(root.get_bool("b"));
  EXPECT_TRUE(root.has("n"));
  EXPECT_FALSE(root.find("n"));
  EXPECT_FALSE(root.has("m"));
  EXPECT_EQ(root.at("l").as_int_list(0, 9), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(root.at("o").get_int("x", 0, 9), 1);
  EXPECT_EQ(root.keys(), (std::vector<std::string>{"b", "d", "i", "l", "n", "o", "s"}));
  EXPECT_EQ(root.find_int("m", 0, 1), std::nullopt);
  EXPECT_EQ(root.find_string("n"), std::nullopt);
}

TEST(JsonReader, NodesOutliveTheirDocument) {
  std::optional<JsonNode> node;
  {
    const JsonNode root = parse_json("f.json", R"({"a": {"b": [10, 20]}})");
    node = root.at("a").at("b").as_list()[1];
  }
  EXPECT_EQ(node->as_int(0, 100), 20);
  EXPECT_EQ(node->place(), "a.b[1]");
  EXPECT_EQ(node->file(), "f.json");
}

TEST(JsonReader, RefusesWhatIsNoJson) {
  for (const char* text : {"",
                           "   \n",
                           "{",
                           "}",
                           "[1,]",
                           "{\"a\":}",
                           "{'a':1}",
                           "{\"a\":1,}",
                           "{\"a\" 1}",
                           "nul",
                           "tru",
                           "{\"a\":1} x",
                           "{} {}",
                           "\"unclosed",
                           "[1 2]",
                           "01",
                           "+1",
                           ".5",
                           "1.",
                           "0x10",
                           "// c\n{}",
                           "{\"a\": \"tab\there\"}",
                           "\"\\ud800\"",
                           "\"\\x\""}) {
    EXPECT_NE(refusal(text), "") << text;
  }
  EXPECT_TRUE(contains(refusal(std::string("{}\0", 3)), "zero byte"));
  EXPECT_TRUE(contains(refusal(std::string("{}\0#!/bin/sh", 12)), "zero byte"));
  EXPECT_TRUE(contains(refusal("[1,\n 2\n,, 3]"), "f.json: line 3, column 2: not valid JSON: syntax error"));
}

TEST(JsonReader, RefusesNumbersThatAreNoFiniteDouble) {
  for (const char* text : {"NaN", "[Infinity]", "-Infinity", "[1e999]", "{\"a\": -1e999}", "1e99999999999"}) {
    EXPECT_NE(refusal(text), "") << text;
  }
  EXPECT_TRUE(contains(refusal("{\"a\":\n  1e999}"), "line 2")) << refusal("{\"a\":\n  1e999}");
}

TEST(JsonReader, RefusesForeignEncodingsByName) {
  EXPECT_TRUE(contains(refusal("\xEF\xBB\xBF{}"), "BOM"));
  EXPECT_TRUE(contains(refusal(std::string("\xFF\xFE{\0}\0", 6)), "UTF-16"));
  EXPECT_TRUE(contains(refusal(std::string("\xFE\xFF\0{\0}", 6)), "UTF-16"));
  for (const char* bad : {"\"\xff\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf5\x80\x80\x80\"", "\"\xe2\x82\""}) {
    EXPECT_TRUE(contains(refusal(bad), "UTF-8")) << refusal(bad);
  }
  EXPECT_EQ(refusal("\"\xf4\x8f\xbf\xbf\""), "");
}

TEST(JsonReader, RefusesDuplicateKeysAtAnyDepth) {
  EXPECT_TRUE(contains(refusal(R"({"a": 1, "b": 2, "a": 1})"), "f.json: a: the key \"a\" appears twice"));
  EXPECT_TRUE(contains(refusal(R"({"x": [0, {"a": 1, "a": 2}]})"), "x[1].a"))
      << refusal(R"({"x": [0, {"a": 1, "a": 2}]})");
  EXPECT_TRUE(contains(refusal("{\"a\": 1, \"\\u0061\": 2}"), "twice"));  // the same key, written differently
  EXPECT_EQ(refusal(R"([{"a": 1}, {"a": 1}])"), "");
}

TEST(JsonReader, PlaceOfALaterErrorIsRightAfterContainersClosed) {
  const std::string message = refusal(R"({"p": {"q": [[], {"r": {}}]}, "s": {"t": [1, [2], {"u": 0, "u": 1}]}})");
  EXPECT_TRUE(contains(message, "f.json: s.t[2].u:")) << message;
}

TEST(JsonReader, CapsDepthBeforeItCosts) {
  EXPECT_EQ(refusal(nested(64)), "");
  EXPECT_TRUE(contains(refusal(nested(65)), "nested deeper than 64"));
  EXPECT_TRUE(contains(refusal(std::string(1'000'000, '[')), "nested deeper than 64"));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_TRUE(contains(refusal(objects), "nested deeper than 64"));
  EXPECT_TRUE(contains(refusal(nested(3), {.max_depth = 2}), "nested deeper than 2"));
}

TEST(JsonReader, CapsBytesAndValues) {
  EXPECT_EQ(refusal("[1, 2, 3]", {.max_values = 4}), "");
  EXPECT_TRUE(contains(refusal("[1, 2, 3, 4]", {.max_values = 4}), "more than 4 values"));
  EXPECT_TRUE(contains(refusal("[1, 2]", {.max_bytes = 5}), "larger than 5 bytes"));
}

TEST(JsonReader, RefusesFilesThatAreNone) {
  TempDir dir;
  EXPECT_TRUE(contains(bad_input([&] { read_json(dir.path() / "absent.json"); }), "no such file"));
  EXPECT_TRUE(contains(bad_input([&] { read_json(dir.path()); }), "is a folder"));
  EXPECT_TRUE(contains(bad_input([&] { read_json("/dev/zero"); }), "device"));
  const std::string fifo = (dir.path() / "fifo").string();
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_TRUE(contains(bad_input([&] { read_json(fifo); }), "pipe"));  // and does not hang
  dir.write("large.json", "[" + std::string(2'000'000, ' ') + "]");
  EXPECT_TRUE(contains(bad_input([&] { read_json(dir.path() / "large.json"); }), "larger than 1048576 bytes"));
  EXPECT_EQ(bad_input([&] { read_json(dir.path() / "large.json", {.max_bytes = 3'000'000}); }), "");
  dir.write("empty.json", "");
  EXPECT_TRUE(contains(bad_input([&] { read_json(dir.path() / "empty.json"); }), "empty"));
}

TEST(JsonReader, IntegersAreExactAndInRange) {
  const auto got = [](const char* text) { return bad_input([&] { parse_json("f", text).get_int("a", 1, 1048576); }); };
  EXPECT_EQ(got(R"({"a": 1})"), "");
  EXPECT_EQ(got(R"({"a": 1048576})"), "");
  EXPECT_EQ(got(R"({"a": "abc"})"), "f: a: expected an integer in 1..1048576, got \"abc\"");
  EXPECT_EQ(got(R"({"a": 0})"), "f: a: expected an integer in 1..1048576, got 0");
  EXPECT_EQ(got(R"({"a": -1})"), "f: a: expected an integer in 1..1048576, got -1");
  EXPECT_EQ(got(R"({"a": 1048577})"), "f: a: expected an integer in 1..1048576, got 1048577");
  EXPECT_EQ(got(R"({"a": 4096.0})"), "f: a: expected an integer in 1..1048576, got 4096.0");
  EXPECT_EQ(got(R"({"a": 9223372036854775808})"), "f: a: expected an integer in 1..1048576, got 9223372036854775808");
  EXPECT_EQ(got(R"({"a": 18446744073709551617})"),
            "f: a: expected an integer in 1..1048576, got 1.8446744073709552e+19");
  EXPECT_EQ(got(R"({"a": null})"), "f: a: expected an integer in 1..1048576, got null");
  EXPECT_EQ(got(R"({"a": true})"), "f: a: expected an integer in 1..1048576, got true");
  EXPECT_EQ(got(R"({"a": [1]})"), "f: a: expected an integer in 1..1048576, got a list of 1");
  EXPECT_EQ(got(R"({"a": {}})"), "f: a: expected an integer in 1..1048576, got an object");
  EXPECT_EQ(parse_json("f", "9223372036854775807").as_int(INT64_MIN, INT64_MAX), INT64_MAX);
  EXPECT_EQ(parse_json("f", "-9223372036854775808").as_int(INT64_MIN, INT64_MAX), INT64_MIN);
  EXPECT_NE(bad_input([] { parse_json("f", "9223372036854775808").as_int(INT64_MIN, INT64_MAX); }), "");
}

TEST(JsonReader, TypedGettersRefuseOtherKinds) {
  const JsonNode root = parse_json("f", R"({"s": "x", "n": 1, "l": [1, "x"], "b": false})");
  EXPECT_EQ(bad_input([&] { root.get_bool("n"); }), "f: n: expected true or false, got 1");
  EXPECT_EQ(bad_input([&] { root.get_string("n"); }), "f: n: expected a text, got 1");
  EXPECT_EQ(bad_input([&] { root.get_number("s", 0, 1); }), "f: s: expected a number in 0..1, got \"x\"");
  EXPECT_EQ(bad_input([&] { root.get_number("n", 2, 3); }), "f: n: expected a number in 2..3, got 1");
  EXPECT_EQ(bad_input([&] { root.at("s").as_list(); }), "f: s: expected a list, got \"x\"");
  EXPECT_EQ(bad_input([&] { root.at("l").as_list(3, 3); }), "f: l: expected a list of 3, got a list of 2");
  EXPECT_EQ(bad_input([&] { root.at("l").as_int_list(0, 9); }), "f: l[1]: expected an integer in 0..9, got \"x\"");
  EXPECT_EQ(bad_input([&] { root.at("l").at("x"); }), "f: l: expected an object, got a list of 2");
  EXPECT_EQ(bad_input([&] { root.at("b").keys(); }), "f: b: expected an object, got false");
}

TEST(JsonReader, TextsAreBoundedAndPrintable) {
  EXPECT_EQ(parse_json("f", "\"äö\"").as_string(2), "äö");
  EXPECT_EQ(bad_input([] { parse_json("f", "\"äöü\"").as_string(2); }),
            "f: expected a text of at most 2 characters, got 3");
  for (const char* text :
       {"\"a\\nb\"", "\"\\u0000\"", "\"\\u001b[31m\"", "\"\\u202e\"", "\"\\u009b\"", "\"\\u2028\""}) {
    EXPECT_TRUE(contains(bad_input([&] { parse_json("f", text).as_string(); }), "control characters")) << text;
  }
}

TEST(JsonReader, NamesTheNearestKey) {
  const JsonNode root = parse_json("f", R"({"hidden_sise": 1, "o": {}})");
  EXPECT_EQ(bad_input([&] { root.at("hidden_size"); }),
            "f: hidden_size: the key is missing; the nearest key there is 'hidden_sise'");
  EXPECT_EQ(bad_input([&] { root.at("vocab_size"); }), "f: vocab_size: the key is missing");
  EXPECT_EQ(bad_input([&] { root.at("o").at("x"); }), "f: o.x: the key is missing");
  EXPECT_EQ(bad_input([&] {
              root.refuse_other_keys(std::vector<std::string>{"hidden_size", "o"});
            }),
            "f: hidden_sise: unknown key (did you mean 'hidden_size'?); known are: hidden_size, o");
  EXPECT_EQ(bad_input([] { parse_json("f", R"({"_comment": 1})").refuse_other_keys({}); }), "");
}

TEST(JsonReader, HostileKeysDoNotReachTheTerminal) {
  const std::string message =
      bad_input([] { parse_json("f", "{\"a\\u001b[2J\\n\": {\"b\": \"x\"}}").at("a\x1b[2J\n").get_int("b", 0, 1); });
  EXPECT_EQ(message, "f: a?[2J?.b: expected an integer in 0..1, got \"x\"");
}

}  // namespace
}  // namespace layercost

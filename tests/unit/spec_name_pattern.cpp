// Expectations of regexes are Python's re.match, of globs Python's fnmatch.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>

#include "harness/spec/name_pattern.h"
#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

using testing::bad_input;
using testing::contains;
using Dialect = NamePattern::Dialect;

struct Row {
  Dialect dialect;
  const char *pattern, *name;
  bool matches;
};

TEST(NamePatterns, AgreeWithPython) {
  const Row rows[] = {
      {Dialect::name, "lm_head", "lm_head", true},
      {Dialect::name, "lm_head", "model.lm_head", false},
      {Dialect::name, "model.layers.1", "model.layers.11", false},
      {Dialect::regex, ".*mlp.gate$", "model.layers.3.mlp.gate", true},
      {Dialect::regex, ".*mlp.gate$", "model.layers.3.mlp.gate_proj", false},
      {Dialect::regex, ".*self_attn", "model.layers.3.self_attn.q_proj", true},
      {Dialect::regex, "self_attn", "model.layers.3.self_attn.q_proj", false},
      {Dialect::regex, ".*layers\\.(0|47)\\..*", "model.layers.47.mlp.up_proj", true},
      {Dialect::regex, ".*layers\\.(0|47)\\..*", "model.layers.4.mlp.up_proj", false},
      {Dialect::regex, ".*layers\\.[0-3]\\.", "model.layers.2.x", true},
      {Dialect::regex, ".*layers\\.[^0-3]\\.", "model.layers.2.x", false},
      {Dialect::regex, "model\\.layers\\.\\d+\\.mlp\\.(?:gate|up)_proj", "model.layers.12.mlp.up_proj", true},
      {Dialect::regex, "a{2,3}b", "aab", true},
      {Dialect::regex, "a{2,3}b", "ab", false},
      {Dialect::regex, "a{2,3}b", "aaaab", false},
      {Dialect::regex, "a{2}b", "aaab", false},
      {Dialect::regex, "a{1,}$", "aaaa", true},
      {Dialect::regex, "^ab?c$", "ac", true},
      {Dialect::regex, "a+?b", "aab", true},
      {Dialect::regex, ".*\\.experts\\.", "x.experts.5", true},
      {Dialect::regex, ".gate", "xgate", true},
      {Dialect::regex, "(a|b)*c$", "ababc", true},
      {Dialect::regex, "()*x", "x", true},
      // transformers 5.23: from the start to a dot, or the end of the name.
      {Dialect::transformers, "model.layers.1", "model.layers.1.mlp", true},
      {Dialect::transformers, "model.layers.1", "model.layers.11.mlp", false},
      {Dialect::transformers, "mlp.gate", "model.layers.0.mlp.gate", true},
      {Dialect::transformers, "mlp.gate", "model.layers.0.mlp.gate_proj", false},
      {Dialect::transformers, "layers.*", "layers.11.attn", true},
      {Dialect::transformers, "fc1", "model.decoder.layers.23.fc1", true},
      {Dialect::transformers, "lm_head", "lm_head", true},
      {Dialect::transformers, "model.layers.*.self_attn", "model.layers.3.self_attn.q_proj", true},
      {Dialect::transformers, "model.layers.*.mlp.router", "model.layers.3.mlp.routers", false},
      {Dialect::glob, "model.layers.0*", "model.layers.0.mlp.up_proj", true},
      {Dialect::glob, "model.layers.0", "model.layers.0.mlp.up_proj", false},
      {Dialect::glob, "*.mlp.gate", "model.layers.0.mlp.gate", true},
      {Dialect::glob, "*gate", "model.layers.0.mlp.gate_proj", false},
      {Dialect::glob, "model.layers.[01].x", "model.layers.1.x", true},
      {Dialect::glob, "a(b)", "a(b)", true},
      {Dialect::glob, "a.c*", "abcd", false},
  };
  for (const Row& row : rows)
    EXPECT_EQ(NamePattern(row.dialect, row.pattern).matches(row.name), row.matches) << row.pattern << " " << row.name;
}

TEST(NamePatterns, WhatIsNotKnownIsRefused) {
  const auto refused = [](const std::string& text) { return bad_input([&] { NamePattern(Dialect::regex, text); }); };
  for (const char* text : {"(?!x).*", "(?=x)", "(?<name>x)", "(a", "a)", "[a", "*a", "a**", "a{3", "a{3,2}", "a{1000}",
                           "a\\", "\\1", "\\b", "x^y", "[z-a]", ""})
    EXPECT_NE(refused(text), "") << text;
  EXPECT_TRUE(contains(refused("(?!experts).*"), "look-around"));
  EXPECT_NE(refused(std::string(1025, 'a')), "");
  EXPECT_NE(refused(std::string(100, '(') + std::string(100, ')')), "");
  EXPECT_NE(refused("((((a{99}){99}){99}){99})"), "");
}

// An engine that goes back would take 2^1000 steps.
TEST(NamePatterns, HostilePatternsTakeNoLonger) {
  const auto begin = std::chrono::steady_clock::now();
  const NamePattern p(Dialect::regex, "(a*)*(a|aa)+(.*.*.*.*)*b$");
  EXPECT_FALSE(p.matches(std::string(1000, 'a')));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

}  // namespace
}  // namespace layercost

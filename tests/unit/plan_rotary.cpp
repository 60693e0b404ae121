// Rotary tables against numbers computed once by another program from the formulas of the YaRN paper.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "harness/plan/rotary.h"
#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

using Json = nlohmann::json;

RotarySpec read(const Json& config, std::int64_t dims, std::int64_t max_position = 0) {
  std::vector<std::string> notes;
  return read_rotary(parse_json("config.json", config.dump()), dims, 1e4, max_position, notes);
}

// Angle of each pair at position 1, which is its frequency, from the table's sine and cosine.
std::vector<double> frequencies(const RotarySpec& rope) {
  const OwnedTensor cos(DType::f32, {2, rope.dims / 2}), sin(DType::f32, {2, rope.dims / 2});
  fill_rotary_table(rope, cos, sin);
  std::vector<double> out;
  for (std::int64_t i = 0; i < rope.dims / 2; ++i) {
    const double c = cos.view().load(rope.dims / 2 + i), s = sin.view().load(rope.dims / 2 + i);
    EXPECT_NEAR(std::hypot(c, s), rope.table_scale, 1e-6);
    EXPECT_NEAR(cos.view().load(i), rope.table_scale, 1e-6) << "position 0 turns nothing";
    out.push_back(std::atan2(s, c));
  }
  return out;
}

struct Pair {
  std::size_t index;
  double frequency;
};
void expect_pairs(const RotarySpec& rope, std::initializer_list<Pair> pairs) {
  const std::vector<double> f = frequencies(rope);
  for (const Pair& p : pairs) EXPECT_NEAR(f[p.index] / p.frequency, 1, 3e-6) << "pair " << p.index;
}

TEST(Yarn, OfQwen3) {
  const RotarySpec rope =
      read({{"rope_theta", 1e6},
            {"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 32768}}}},
           128);
  EXPECT_NEAR(rope.table_scale, 1.138629436111989, 1e-12);  // 0.1 ln 4 + 1
  // The ramp runs from pair 23 to pair 40.
  expect_pairs(rope, {{0, 1.0},
                      {20, 0.01333521432163324},
                      {25, 0.004131738022518394},
                      {30, 0.001064360981247002},
                      {36, 0.0001798411558739542},
                      {50, 5.133812566142866e-06}});
}

// gpt_oss: the ramp begins and ends between pairs, at 8.09 and 17.40.
TEST(Yarn, WithoutTruncation) {
  const RotarySpec rope = read({{"rope_theta", 1.5e5},
                                {"rope_scaling",
                                 {{"rope_type", "yarn"},
                                  {"factor", 32.0},
                                  {"truncate", false},
                                  {"beta_fast", 32.0},
                                  {"beta_slow", 1.0},
                                  {"original_max_position_embeddings", 4096}}}},
                               64);
  EXPECT_NEAR(rope.table_scale, 1.3465735902799727, 1e-12);
  expect_pairs(rope, {{8, 0.050813274815461475},
                      {12, 0.006794959489732219},
                      {13, 0.0038603593171920685},
                      {16, 0.00045648391922324086},
                      {31, 3.0235114281192144e-07}});
}

// Kimi K2: beta_fast = beta_slow; pairs up to 19 stay, those from 20 on are stretched.
TEST(Yarn, EqualBounds) {
  const RotarySpec rope = read({{"rope_theta", 5e4},
                                {"rope_scaling",
                                 {{"type", "yarn"},
                                  {"factor", 32.0},
                                  {"beta_fast", 1.0},
                                  {"beta_slow", 1.0},
                                  {"mscale", 1.0},
                                  {"mscale_all_dim", 1.0},
                                  {"original_max_position_embeddings", 4096}}}},
                               64);
  EXPECT_DOUBLE_EQ(rope.table_scale, 1.0);
  expect_pairs(rope, {{8, 0.0668740304976422}, {16, 0.00447213595499958}, {31, 8.764412911589874e-07}});
}

TEST(Yarn, ScaleOfTheTable) {
  const Json base = {{"rope_type", "yarn"}, {"factor", 40.0}, {"original_max_position_embeddings", 4096}};
  const auto scale = [&](const Json& change) {
    Json yarn = base;
    yarn.merge_patch(change);
    return read({{"rope_scaling", yarn}}, 64).table_scale;
  };
  const double one = 0.1 * std::log(40.0) + 1;
  EXPECT_DOUBLE_EQ(scale(Json::object()), one);
  EXPECT_DOUBLE_EQ(scale({{"mscale", 1.0}, {"mscale_all_dim", 1.0}}), 1.0);  // DeepSeek
  EXPECT_DOUBLE_EQ(scale({{"mscale", 0.707}, {"mscale_all_dim", 1.0}}), (0.0707 * std::log(40.0) + 1) / one);
  EXPECT_DOUBLE_EQ(scale({{"mscale", 1.0}, {"mscale_all_dim", 0}}), one);  // 0 counts as absent
  EXPECT_DOUBLE_EQ(scale({{"attention_factor", 1.25}, {"mscale", 1.0}}), 1.25);
  EXPECT_DOUBLE_EQ(scale({{"factor", 1.0}}), 1.0);
}

TEST(Yarn, FactorFollowsFromTheTwoLengthsWhereItIsAbsent) {
  const Json yarn = {{"rope_type", "yarn"}, {"original_max_position_embeddings", 4096}};
  EXPECT_DOUBLE_EQ(read({{"rope_scaling", yarn}}, 64, 16384).factor, 4.0);
}

TEST(Dynamic, AlphaIsAnotherBase) {
  // Hunyuan: 10000 * 1000^(128 / 126).
  const RotarySpec rope =
      read({{"rope_theta", 10000.0}, {"rope_scaling", {{"type", "dynamic"}, {"alpha", 1000.0}}}}, 128);
  EXPECT_NEAR(rope.theta, 1e4 * std::exp(std::log(1000.0) * 128 / 126), 1e-3);
  EXPECT_EQ(rope.kind, RotarySpec::Kind::plain);
  EXPECT_EQ(read({{"rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}}}, 128).theta, 1e4);
}

}  // namespace
}  // namespace layercost

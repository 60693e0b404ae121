// Rotary tables against numbers computed once by another program from the formulas of the YaRN paper; what the rope of
// a plan makes of heads against transformers.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "harness/plan/blocks/grouped_query_attention.h"
#include "harness/plan/rotary.h"
#include "kernels/contract/registry.h"
#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

using Json = nlohmann::json;

RotarySpec read(const Json& config, std::int64_t dims, std::int64_t max_position = 0) {
  std::vector<std::string> notes;
  return read_rotary(parse_json("config.json", config.dump()), dims, {}, max_position, notes);
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

// A part of each head

RotarySpec read_part(const Json& config, std::int64_t head_dim, double part = 1.0) {
  std::vector<std::string> notes;
  return read_rotary(parse_json("config.json", config.dump()), head_dim, {.part = part}, 0, notes);
}

TEST(Part, InsideBeforeOutsideBeforeWhatTheFamilySays) {
  EXPECT_EQ(read_part(Json::object(), 128).dims, 128);
  EXPECT_EQ(read_part(Json::object(), 128, 0.5).dims, 64);
  EXPECT_EQ(read_part({{"partial_rotary_factor", 0.25}}, 128, 0.5).dims, 32);
  EXPECT_EQ(read_part({{"partial_rotary_factor", 1}}, 128, 0.5).dims, 128);
  const Json inside = {{"partial_rotary_factor", 0.25}, {"rope_parameters", {{"partial_rotary_factor", 0.75}}}};
  EXPECT_EQ(read_part(inside, 128, 0.5).dims, 96);
  EXPECT_EQ(read_part({{"partial_rotary_factor", 0.334}}, 192).dims, 64);  // 64.128: MiMo
  EXPECT_EQ(read_part({{"partial_rotary_factor", 0.7}}, 12).dims, 8);      // 8.4
}

TEST(Part, AnOddOrEmptyOneIsRefusedWhereItStands) {
  const auto message = [](const Json& config, double part) {
    return testing::bad_input([&] { read_part(config, 50, part); });
  };
  EXPECT_TRUE(testing::contains(message({{"partial_rotary_factor", 0.3}}, 1),
                                "config.json: partial_rotary_factor: 0.3 of head_dim 50 is 15; expected an even"));
  EXPECT_TRUE(testing::contains(message({{"rope_parameters", {{"partial_rotary_factor", 0.1}}}}, 1),
                                ": rope_parameters.partial_rotary_factor: 0.1 of head_dim 50 is 5;"));
  EXPECT_TRUE(testing::contains(message(Json::object(), 0.3), ": partial_rotary_factor: 0.3 of head_dim 50 is 15;"));
  EXPECT_TRUE(testing::contains(message({{"partial_rotary_factor", 0}}, 1), "is 0;"));
  EXPECT_TRUE(testing::contains(message({{"partial_rotary_factor", 1.5}}, 1), ": partial_rotary_factor: "));
  EXPECT_TRUE(testing::contains(message({{"partial_rotary_factor", "half"}}, 1), ": partial_rotary_factor: "));
}

TEST(Part, WhatTheFamilySaysIsNoted) {
  std::vector<std::string> notes;
  read_rotary(parse_json("config.json", "{}"), 128, {.part = 0.5}, 0, notes);
  EXPECT_EQ(notes, std::vector<std::string>{"partial_rotary_factor is absent: 0.5 as transformers takes it"});
}

TEST(Part, IsRefusedInAFamilyThatRotatesWholeHeads) {
  EXPECT_TRUE(testing::contains(testing::bad_input([] {
                                  read({{"partial_rotary_factor", 0.5}}, 128);
                                }),
                                "partial_rotary_factor: this model_type rotates whole heads; expected 1, got 0.5"));
  EXPECT_EQ(read({{"partial_rotary_factor", 1.0}}, 128).dims, 128);
}

// Frequencies are those of the part, not of the head: theta^(-2i / 64) of 128.
TEST(Part, Frequencies) {
  expect_pairs(read_part({{"rope_theta", 1e6}}, 128, 0.5), {{0, 1.0}, {16, 1e-3}, {24, 3.1622776601683795e-05}});
}

// What one attention block of 2 query heads and 1 of keys and values, 12 elements each, makes of two tokens at
// positions 2 and 3, with theta 100. No family rotates a part yet, nor neighbours; the block can.
class RotatedHeads : public ::testing::Test {
 protected:
  LayerPlan plan(const Json& change, const HeadDefaults& defaults, bool interleaved, bool qk_norm) {
    Json config = {{"num_attention_heads", 2}, {"num_key_value_heads", 1}, {"head_dim", 12}, {"rope_theta", 100.0}};
    config.update(change);
    ModelSpec m;
    m.hidden = 24, m.rms_norm_eps = 1e-3;
    GroupedQueryAttention a = read_grouped_query_attention(parse_json("config.json", config.dump()), defaults, m);
    a.rotary.interleaved = interleaved, a.qk_norm = qk_norm ? "1" : "";
    const StepShape step{.batch = 1,
                         .q_len = 2,
                         .kv_len = 4,
                         .capacity = 5,
                         .weights = WeightTypes::of(weight_format(DType::f32), DType::f32),
                         .activation_type = DType::f32,
                         .kv_type = DType::f32};
    LayerBuilder b(m, step);
    grouped_query_attention(b, a, "x");
    return b.plan();
  }
  static const OpCase& rope_of(const LayerPlan& plan) {
    for (const PlannedOp& p : plan.ops)
      if (p.component == "rope") return p.op_case;
    throw BadCase("no rope");
  }

  struct Rotated {
    std::vector<double> q, k;  // per token; k of both from slot 2 on
  };
  // By the reference, and by every variant that runs here.
  void expect(const LayerPlan& plan, const Rotated& expected) {
    const OpDef& op = find_op("rope");
    const OpCase& c = rope_of(plan);
    std::map<std::string, OwnedTensor> made;
    OpTensors t;
    for (const TensorSpec& s : op.tensors(c)) {
      if (s.role == Role::weight) {
        const int step = s.name == "q_norm" ? 5 : 3, first = s.name == "q_norm" ? 0 : 1;
        t.bind(s.name, s.make_weight([=](std::int64_t from, std::int64_t count, void* out) {
          for (std::int64_t i = 0; i < count; ++i)
            static_cast<float*>(out)[i] = 0.5f + static_cast<float>(((from + i) * step + first) % 8) / 8;
        }));
      } else {
        t.bind(s.name, made[s.name] = OwnedTensor(s.dtype, s.shape));
      }
    }
    const auto at = [&](const char* name) -> const Tensor& { return made.at(name).view(); };
    for (std::int64_t i = 0; i < at("qkv").elements(); ++i)
      at("qkv").store(i, static_cast<double>(i * 37 % 64 - 31) / 16);
    ASSERT_EQ(plan.buffer(BufferRole::rotary_cos).shape, at("cos").shape);
    fill_rotary_table(plan.rotary, at("cos"), at("sin"));

    const auto judge = [&](const std::string& who) {
      SCOPED_TRACE(who);
      for (std::size_t i = 0; i < expected.q.size(); ++i)
        EXPECT_NEAR(at("q").load(static_cast<std::int64_t>(i)), expected.q[i], 1e-6) << "q " << i;
      for (std::size_t i = 0; i < expected.k.size(); ++i)
        EXPECT_NEAR(at("k_cache").load(static_cast<std::int64_t>(2 * 12 + i)), expected.k[i], 1e-6) << "k " << i;
      for (const char* name : {"q", "k_cache", "v_cache"})
        for (std::int64_t i = 0; i < at(name).elements(); ++i) at(name).store(i, 0);
    };
    ASSERT_EQ(expected.q.size(), 48u);
    ASSERT_EQ(expected.k.size(), 24u);
    op.reference(c, t);
    judge("reference");
    Runtime runtime(describe_cpu(1));
    int ran = 0;
    for (const Variant* v : op.variants()) {
      if (v->target != Target::cpu) continue;
      v->prepare(c, t, runtime)->run();
      judge(v->name);
      ++ran;
    }
    EXPECT_GE(ran, 2);
  }
};

// The numbers: transformers 5.23 in float64 on tables of float32, Glm4MoeRotaryEmbedding and apply_rotary_pos_emb of
// glm4_moe behind Glm4MoeRMSNorm's formula; a factor of 0.7 leaves int(8.4) = 8 of 12.
TEST_F(RotatedHeads, PartWithNorms) {
  const LayerPlan p = plan({{"partial_rotary_factor", 0.7}}, {.rotary_part = 0.5}, false, true);
  EXPECT_EQ(rope_of(p).text(),
            "rope batch=1 q_len=2 kv_len=4 capacity=5 heads=2 kv_heads=1 head_dim=12 rotary_dims=8 qk_norm=1 eps=0.001 "
            "x_type=f32 w_type=f32 y_type=f32 kv_type=f32");
  expect(p, {{0.88910265,  -0.22488442, -0.82075041, 1.2701931,    -0.5142754,  0.9239295,   -0.23529877,  -1.2462015,
              0.24318191,  -1.0943186,  0.77007604,  -0.59444466,  0.40397773,  -0.33534246, -0.91014869,  0.78068761,
              1.0319183,   0.6597478,   -0.5232341,  1.5397161,    0.13279425,  -1.3146631,  0.59757412,   -0.87644204,
              -0.24692421, -0.62392207, 1.3741458,   -0.088893572, 1.4976937,   -0.29493917, -0.76772039,  0.93420775,
              -0.1876855,  1.8098245,   0.12065497,  -1.7696062,   -0.11026754, -0.65434851, 1.2972087,    -0.36402582,
              1.69167,     -0.56807601, -1.0693605,  0.71805299,   -0.29437058, 1.5655163,   -0.040141442, -2.060594},
             {0.69624966,  -0.37322804, -2.0195124,  0.2032605,   1.2436579,   0.32712971,  -0.84191836, 1.9007397,
              0.033644513, -1.3996118,  0.81419722,  -0.64597465, -0.54342822, -0.60376434, 1.6785992,   -0.39498278,
              -1.6829814,  -0.75028001, -0.70394318, 0.76733528,  -0.50081252, 1.1752401,   -0.36726252, 1.2820801}});
}

// The same of glm4, which turns neighbours of a part.
TEST_F(RotatedHeads, NeighboursOfAPart) {
  const LayerPlan p = plan({{"rope_parameters", {{"partial_rotary_factor", 0.7}, {"rope_theta", 100.0}}}},
                           {.rotary_part = 0.5}, true, false);
  EXPECT_EQ(rope_of(p).text(),
            "rope batch=1 q_len=2 kv_len=4 capacity=5 heads=2 kv_heads=1 head_dim=12 rotary_dims=8 interleaved=1 "
            "x_type=f32 w_type=f32 y_type=f32 kv_type=f32");
  expect(p, {{0.46529798,  -1.9178188,  -1.6497612,  0.030724082, -0.99663345, 1.4560231,   0.048230911, -1.7504514,
              0.5625,      -1.125,      1.1875,      -0.5,        -0.86792833, 1.5960832,   -1.7036241,  -0.31870229,
              -1.1919828,  1.1613391,   -0.43828202, 1.9762503,   0.3125,      -1.375,      0.9375,      -0.75,
              -0.96366703, 0.76868531,  0.9833968,   1.371345,    -1.7968305,  0.098394955, -1.1761299,  1.1437327,
              -0.4375,     1.875,       0.1875,      -1.5,        -0.6808889,  0.98090344,  1.0408706,   1.0224944,
              -1.9617846,  -0.21431923, -1.4013243,  0.87117537,  -0.6875,     1.625,       -0.0625,     -1.75},
             {-0.53656727, 1.4727956,  -1.7574869, -0.66812867, -1.3873321,  0.86665509, -0.67198134, 1.7109493,
              0.0625,      -1.625,     0.6875,     -1,          -0.39811078, 1.1931216,  1.0983444,   0.67364373,
              1.6946074,   0.65504746, -1.6265186, 0.598618,    -0.9375,     1.375,      -0.3125,     2}});
}

// ernie4_5_moe. deepseek_v3's apply_rotary_pos_emb_interleave gives the same numbers to 1e-7, even ones first.
TEST_F(RotatedHeads, NeighboursOfWholeHeads) {
  const LayerPlan p = plan(Json::object(), {}, true, false);
  EXPECT_EQ(rope_of(p).text(),
            "rope batch=1 q_len=2 kv_len=4 capacity=5 heads=2 kv_heads=1 head_dim=12 interleaved=1 x_type=f32 "
            "w_type=f32 y_type=f32 kv_type=f32");
  expect(p, {{0.46529797,  -1.9178188,  -1.587039,   -0.45162308, -1.3033843,  1.1893152,   0.28641716,  -1.7275333,
              0.66436386,  -1.0680132,  1.2079355,   -0.44838393, -0.86792833, 1.5960832,   -1.5366812,  -0.80157173,
              -1.4261141,  0.85774708,  -0.70360947, 1.898049,    0.43861488,  -1.3401113,  0.96893632,  -0.70892072,
              -0.96366704, 0.76868534,  0.29932222,  1.6607416,   -1.723543,   -0.51737845, -1.3844453,  0.88018036,
              -0.69351172, 1.7961272,   0.28399056,  -1.4847578,  -0.68088889, 0.98090345,  0.50101399,  1.3703617,
              -1.7725526,  -0.86751854, -1.5493994,  0.56746626,  -0.9063924,  1.5138474,   0.050659586, -1.7503828},
             {-0.53656727, 1.4727956,  -1.4863234, -1.1515204,  -1.5488437,  0.52617896, -0.8989588,  1.6033649,
              0.21286593,  -1.6122094, 0.72993726, -0.96945751, -0.39811075, 1.1931216,  0.70270574,  1.0799819,
              1.3716348,   1.1913854,  -1.7143536, 0.25475204,  -1.1192731,  1.2315677,  -0.44102359, 1.9756402}});
}

TEST_F(RotatedHeads, HalvesOfWholeHeadsAreNotSaid) {
  for (const Json& change : {Json::object(), Json{{"partial_rotary_factor", 1.0}}})
    EXPECT_EQ(
        rope_of(plan(change, {.rotary_part = 1.0}, false, false)).text(),
        "rope batch=1 q_len=2 kv_len=4 capacity=5 heads=2 kv_heads=1 head_dim=12 x_type=f32 w_type=f32 y_type=f32 "
        "kv_type=f32");
}

// Scores are scaled by the whole head, and only cos and sin become smaller.
TEST_F(RotatedHeads, ThePartChangesNothingElse) {
  const LayerPlan whole = plan(Json::object(), {}, false, false);
  const LayerPlan part = plan(Json::object(), {.rotary_part = 0.5}, false, false);
  EXPECT_EQ(part.buffer(BufferRole::rotary_sin).shape, (Shape{5, 3}));
  ASSERT_EQ(whole.ops.size(), part.ops.size());
  for (std::size_t i = 0; i < whole.ops.size(); ++i)
    if (whole.ops[i].component != "rope") {
      EXPECT_EQ(whole.ops[i].op_case, part.ops[i].op_case);
    }
}

// Worked by hand: 3 tokens x (4 + 2) heads; 3 flops for each of 64 elements, 4 for each of 128. Bytes: q, k and v read
// (3 x 8 x 128 in bf16), q written (3 x 4 x 128), a row of 32 cosines and one of sines for each position.
TEST(RopeWork, OfAPart) {
  const Work w = find_op("rope").work(OpCase::parse("rope batch=1 q_len=3 kv_len=9 capacity=9 heads=4 kv_heads=2 "
                                                    "head_dim=128 rotary_dims=64 qk_norm=1 eps=1e-05 x_type=bf16 "
                                                    "y_type=bf16 kv_type=bf16 w_type=bf16"),
                                      {});
  EXPECT_EQ(w.flops, 18 * (3 * 64 + 4 * 128));
  EXPECT_EQ(w.activation_bytes, 2 * 3 * 8 * 128 + 2 * 3 * 4 * 128 + 3 * 2 * 32 * 4);
  EXPECT_EQ(w.kv_write_bytes, 2 * 2 * 3 * 2 * 128);
  EXPECT_EQ(w.weight_bytes, 2 * 2 * 128);
}

TEST(RopeCase, AnOddOrTooLargePartIsNone) {
  for (const char* dims : {"3", "14", "1", "0"}) {
    const OpCase c = OpCase::parse(
        "rope batch=1 q_len=1 kv_len=1 capacity=1 heads=1 kv_heads=1 head_dim=12 x_type=f32 "
        "y_type=f32 kv_type=f32 w_type=f32 rotary_dims=" +
        std::string(dims));
    EXPECT_THROW(find_op("rope").tensors(c), BadCase) << dims;
  }
}

}  // namespace
}  // namespace layercost

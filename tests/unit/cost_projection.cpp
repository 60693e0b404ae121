// Projections worked by hand: one dense layer and a head on an imaginary device with round figures.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "harness/cost/efficiency.h"
#include "harness/cost/nominal_roofs.h"
#include "harness/cost/projection.h"
#include "tests/unit/result_fixture.h"
#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

using testing::bad_input;
using testing::contains;

// 1 TB/s, 100 TFLOP/s in bf16, 200 in fp8.
HardwareSpec device(const std::string& name, const std::string& architecture) {
  HardwareSpec h;
  h.id = h.name = name;
  h.architecture = architecture;
  h.device_names = {"driver's " + name};
  h.peaks = {{"bf16", 100e12, "", "S", "2026-10"}, {"fp8", 200e12, "", "S", "2026-10"}};
  h.memory_bytes = {80e9, "S", "2026-10"};
  h.memory_bytes_per_s = {1e12, "S", "2026-10"};
  return h;
}

OpRecord op(const std::string& component, const std::string& text, double flops, double bytes) {
  OpRecord r;
  r.component = component;
  r.case_text = text;
  r.flops = flops;
  r.bytes = bytes;
  return r;
}
const char* const kLinear = "linear m=1 n=1000 k=1000 x_type=bf16 w_type=bf16 y_type=bf16";
const char* const kGlu = "glu tokens=1 ffn_hidden=1000 act=silu x_type=bf16 y_type=bf16";

// A layer, ten times: a product that reads 2 MB (2 us) for 2 MFLOP (0.02 us), one of 400 MFLOP (4 us) that reads 1 MB
// (1 us), and an activation of 5 kFLOP (50 ps). The head reads 8 MB (8 us).
StepWork step() {
  StepWork w;
  w.phase = "decode";
  w.activation_type = "bf16";
  w.tokens = 4;
  w.parts.push_back(
      {"dense", 10, {op("up", kLinear, 2e6, 2e6), op("glu", kGlu, 5e3, 0), op("down", kLinear, 400e6, 1e6)}});
  w.parts.push_back({"head", 1, {op("lm head", kLinear, 4e6, 8e6)}});
  return w;
}

TEST(Projection, SumsWhatLimitsEachOp) {
  const Projection p = project(step(), device("d", "A"), 1, nullptr);
  ASSERT_EQ(p.parts.size(), 2u);
  EXPECT_EQ(p.parts[0].ops[0].limited_by, "memory");
  EXPECT_EQ(p.parts[0].ops[1].limited_by, "");  // no products, no weights
  EXPECT_EQ(p.parts[0].ops[2].limited_by, "bf16");
  EXPECT_DOUBLE_EQ(p.parts[0].ops[0].possible_s, 2e-6);
  EXPECT_DOUBLE_EQ(p.parts[0].ops[2].possible_s, 4e-6);
  EXPECT_DOUBLE_EQ(*p.possible_s, 10 * (2e-6 + 50e-12 + 4e-6) + 8e-6);
  // Overlapped: 10 x 402.005 + 4 MFLOP take 40.2405 us, 38 MB take 38.
  EXPECT_DOUBLE_EQ(*p.hard_bound_s, (10 * 402.005e6 + 4e6) / 100e12);
  EXPECT_DOUBLE_EQ(p.tokens_per_s(*p.possible_s), 4 / *p.possible_s);
  EXPECT_FALSE(p.projected_s);
  EXPECT_TRUE(p.missing.empty());
}

TEST(Projection, SeveralDevicesHaveTheSumOfTheirFigures) {
  const Projection one = project(step(), device("d", "A"), 1, nullptr),
                   four = project(step(), device("d", "A"), 4, nullptr);
  EXPECT_EQ(four.devices, 4);
  EXPECT_DOUBLE_EQ(*one.possible_s, 4 * *four.possible_s);
  EXPECT_DOUBLE_EQ(*one.hard_bound_s, 4 * *four.hard_bound_s);
  // 3.6 USD an hour are 1e-3 USD a second: 4 tokens in 68.0005 us on one.
  PriceRecord price;
  price.usd_per_hour = 3.6;
  EXPECT_DOUBLE_EQ(*usd_per_mtok(price, one, one.possible_s), 1e-3 * *one.possible_s / 4 * 1e6);
  EXPECT_DOUBLE_EQ(*usd_per_mtok(price, four, four.possible_s), *usd_per_mtok(price, one, one.possible_s));
  price.utilisation = 0.5;
  EXPECT_DOUBLE_EQ(*usd_per_mtok(price, one, one.possible_s), 2e-3 * *one.possible_s / 4 * 1e6);
  EXPECT_FALSE(usd_per_mtok(std::nullopt, one, one.possible_s));
  // Devices that share a model: each does this step, and all are paid for.
  StepWork shared = step();
  shared.devices = 8;
  const Projection eight = project(shared, device("d", "A"), 1, nullptr);
  EXPECT_EQ(eight.devices, 8);
  EXPECT_DOUBLE_EQ(*eight.possible_s, *one.possible_s);
  EXPECT_DOUBLE_EQ(*usd_per_mtok(price, eight, eight.possible_s), 8 * *usd_per_mtok(price, one, one.possible_s));
}

TEST(Projection, TheHardBoundTouchesAsFewExpertsAsAnyRouting) {
  StepWork w = step();
  w.parts = {{"moe", 1, {op("experts", kLinear, 1e6, 1e6)}, 10, 2}};
  w.parts[0].ops[0].bytes_per_distinct_expert = 3e6;
  const Projection p = project(w, device("d", "A"), 1, nullptr);
  EXPECT_DOUBLE_EQ(*p.possible_s, 31e-6);
  EXPECT_DOUBLE_EQ(*p.hard_bound_s, 7e-6);
}

TEST(NominalRoofs, HoldEachArithmeticAgainstTheRateThatItCouldTake) {
  std::vector<OpRecord> ops(1);
  for (const char* name : {"f32", "bf16 x fp8_block128", "bf16 x mxfp4", "bf16 x q8_0"}) ops[0].product_flops[name] = 1;
  const auto roofs = nominal_roofs(device("d", "A"), "bf16", ops);
  ASSERT_TRUE(roofs);
  EXPECT_DOUBLE_EQ(roofs->roofs.flops_per_s, 100e12);
  EXPECT_DOUBLE_EQ(roofs->roofs.product_flops_per_s.at("f32"), 100e12);
  EXPECT_DOUBLE_EQ(roofs->roofs.product_flops_per_s.at("bf16 x fp8_block128"), 200e12);
  EXPECT_DOUBLE_EQ(roofs->roofs.product_flops_per_s.at("bf16 x mxfp4"), 200e12);  // no fp4 here
  EXPECT_DOUBLE_EQ(roofs->roofs.product_flops_per_s.at("bf16 x q8_0"), 100e12);
  for (const NominalRate& rate : roofs->rates)
    EXPECT_EQ(rate.is_bound, rate.arithmetic != "bf16 x q8_0") << rate.arithmetic;
  HardwareSpec with_fp4 = device("d", "A");
  with_fp4.peaks.push_back({"fp4", 400e12, "", "S", "2026-10"});
  EXPECT_DOUBLE_EQ(nominal_roofs(with_fp4, "bf16", ops)->roofs.product_flops_per_s.at("bf16 x mxfp4"), 400e12);
  // Nothing real is faster: an engine may keep sums in f16 where that is faster, but not of products of bf16.
  HardwareSpec with_f16 = device("d", "A");
  with_f16.peaks.push_back({"fp8", 300e12, "f16", "S", "2026-10"});
  with_f16.peaks.push_back({"bf16", 300e12, "f16", "S", "2026-10"});
  const auto faster = nominal_roofs(with_f16, "bf16", ops);
  EXPECT_DOUBLE_EQ(faster->roofs.product_flops_per_s.at("bf16 x fp8_block128"), 300e12);
  EXPECT_EQ(faster->rates[1].accumulate, "f16");
  EXPECT_DOUBLE_EQ(faster->roofs.flops_per_s, 100e12);
  EXPECT_FALSE(nominal_roofs(device("d", "A"), "f32", ops));
  // 400 MFLOP, half of them in fp8: 2 us and 1 us.
  StepWork w = step();
  w.parts = {{"dense", 1, {op("down", kLinear, 400e6, 1e6)}}};
  w.parts[0].ops[0].product_flops["bf16 x fp8_block128"] = 200e6;
  const Projection p = project(w, device("d", "A"), 1, nullptr);
  EXPECT_DOUBLE_EQ(*p.possible_s, 3e-6);
  EXPECT_DOUBLE_EQ(*p.hard_bound_s, 2e-6);
  w.parts[0].ops[0].product_flops = {{"bf16 x q8_0", 400e6}};
  EXPECT_FALSE(project(w, device("d", "A"), 1, nullptr).hard_bound_s);
  EXPECT_DOUBLE_EQ(*project(w, device("d", "A"), 1, nullptr).possible_s, 4e-6);
  w.activation_type = "f32";
  const Projection none = project(w, device("d", "A"), 1, nullptr);
  EXPECT_FALSE(none.possible_s || none.hard_bound_s || none.projected_s || !none.rates.empty());
  EXPECT_DOUBLE_EQ(none.memory_bound_s, 1e-6);  // 1 MB
  w.parts[0].ops[0].bytes_per_distinct_expert = 3e6;
  w.parts[0].distinct_experts = 10, w.parts[0].least_experts = 2, w.parts[0].count = 5;
  EXPECT_DOUBLE_EQ(project(w, device("d", "A"), 2, nullptr).memory_bound_s, 5 * 7e-6 / 2);
}

// The same layer, measured: 15 us a layer by the lean pass; by the instrumented one 6, 2 and 10 us, 1 us too much each.
ResultFile measured_layer() {
  ResultFile file;
  file.environment.device_name = "driver's b";
  file.environment.target = "cuda";
  file.content_hash = "00";
  PointRecord point;
  point.model = "m";
  point.phase = "decode";
  point.batch = 4;
  point.activation_type = point.weight_type = "bf16";
  PartRecord part;
  part.kind = "dense";
  part.count = 10;
  part.outcome = Outcome::measured;
  part.ops = step().parts[0].ops;
  part.ops[0].time_s = 6e-6;
  part.ops[1].time_s = 2e-6;
  part.ops[2].time_s = 10e-6;
  Sample sample;
  sample.time_s = 15e-6;
  part.rounds = {{0, {sample}}};
  part.labels = {Label::preliminary};
  point.parts = {part};
  file.points = {point};
  return file;
}

TEST(Efficiency, IsTheShareOfNominalThatEachOpReached) {
  const std::vector<HardwareSpec> known = {device("a", "A"), device("b", "A"), device("c", "C")};
  const std::vector<ResultFile> files = {measured_layer()};
  const std::vector<std::string> names = {"folder/r.json"};
  const Efficiencies e = measured_efficiencies(files, names, known[0], known);
  ASSERT_EQ(e.ops.size(), 3u);
  EXPECT_DOUBLE_EQ(e.ops[0].time_s, 5e-6);
  EXPECT_DOUBLE_EQ(*e.ops[0].efficiency, 2. / 5);
  EXPECT_FALSE(e.ops[1].efficiency);
  EXPECT_DOUBLE_EQ(*e.ops[2].efficiency, 4. / 9);
  EXPECT_EQ(e.sources[0].file, "r.json");
  EXPECT_EQ(e.sources[0].content_hash, "00");
  std::vector<ResultFile> twice_and_another = {files[0], files[0], files[0]};
  twice_and_another[2].content_hash = "01";
  const std::vector<std::string> three = {"a", "b", "c"};
  const Efficiencies once = measured_efficiencies(twice_and_another, three, known[0], known);
  ASSERT_EQ(once.sources.size(), 2u);
  EXPECT_EQ(once.sources[1].file, "c");
  EXPECT_EQ(once.ops.size(), 6u);
  EXPECT_EQ(once.ops[5].source, 1u);

  // Beyond what is possible (2 and 4 us) products took 3 and 5 us: no product is below 3.
  EXPECT_DOUBLE_EQ(e.least_s("decode", e.ops[0].key), 3e-6);
  EXPECT_DOUBLE_EQ(e.least_s("decode", "unknown"), 1e-6);  // the activation's
  EXPECT_EQ(e.least_s("prefill", e.ops[0].key), 0);
  // On twice the figures: products take half the time, but 3 us; the activation as long as before. The head is like
  // "up", four times as large: 8 us / 2 / (2 / 5).
  HardwareSpec twice = device("a", "A");
  twice.memory_bytes_per_s.value = 2e12;
  twice.peaks[0].flops_per_s = 200e12;
  const Projection p = project(step(), twice, 1, &e);
  ASSERT_TRUE(p.projected_s);
  EXPECT_DOUBLE_EQ(*p.projected_s, 10 * (3e-6 + 1e-6 + 4.5e-6) + 10e-6);
  EXPECT_DOUBLE_EQ(*p.parts[0].ops[0].efficiency, 1. / 3);
  EXPECT_DOUBLE_EQ(*p.parts[0].ops[2].efficiency, 4. / 9);
  EXPECT_DOUBLE_EQ(p.parts[1].ops[0].fold, 4);
  EXPECT_DOUBLE_EQ(p.parts[0].ops[2].fold, 1);
  EXPECT_EQ(p.parts[0].ops[0].labels, std::vector{Label::preliminary});
  EXPECT_TRUE(contains(p.parts[0].ops[2].where, "m decode batch 4")) << p.parts[0].ops[2].where;
  // On the device itself: the time that was measured.
  const Projection same = project(step(), known[1], 1, &e);
  double layer_s = 0;
  for (const ProjectedOp& one : same.parts[0].ops) layer_s += *one.projected_s;
  EXPECT_DOUBLE_EQ(layer_s, 15e-6);
  // A quarter of "up": 3 us, and a quarter of the other 2. Of four devices as one each has a quarter of it, too.
  StepWork quarter = step();
  quarter.parts = {{"dense", 1, {op("up", kLinear, 0.5e6, 0.5e6)}}};
  EXPECT_DOUBLE_EQ(*project(quarter, known[1], 1, &e).projected_s, 3.5e-6);
  quarter.parts[0].ops[0] = op("up", kLinear, 2e6, 2e6);
  EXPECT_DOUBLE_EQ(*project(quarter, known[1], 4, &e).projected_s, 3.5e-6);
  // On twice the figures all of "up" is within a launch, and a quarter is no faster.
  quarter.parts[0].ops[0] = op("up", kLinear, 0.5e6, 0.5e6);
  EXPECT_DOUBLE_EQ(*project(quarter, twice, 1, &e).projected_s, 3e-6);
  // 3 us too much each are more than an op took, and a slower lean pass has no marks to take away: scaled.
  const auto of_layer = [&](double layer_us) {
    std::vector<ResultFile> changed = files;
    changed[0].points[0].parts[0].rounds[0].samples[0].time_s = layer_us * 1e-6;
    return measured_efficiencies(changed, names, known[0], known).ops;
  };
  EXPECT_DOUBLE_EQ(of_layer(9)[2].time_s, 5e-6);
  EXPECT_DOUBLE_EQ(of_layer(36)[0].time_s, 12e-6);
  EXPECT_EQ(*of_layer(1)[0].efficiency, 1);  // faster than nominal: out of a cache
  // Another phase, or another format, is another op; the sum is withheld.
  StepWork prefill = step();
  prefill.phase = "prefill";
  EXPECT_FALSE(project(prefill, twice, 1, &e).projected_s);
  StepWork other = step();
  other.parts[1].ops[0].case_text = "linear m=1 n=1000 k=1000 x_type=bf16 w_type=fp8_block128 y_type=bf16";
  const Projection withheld = project(other, twice, 1, &e);
  EXPECT_FALSE(withheld.projected_s);
  EXPECT_EQ(withheld.missing, std::vector<std::string>{"lm head"});
  EXPECT_TRUE(withheld.possible_s && withheld.parts[0].ops[0].projected_s && !withheld.parts[1].ops[0].projected_s);
}

TEST(Efficiency, OfAnotherKindOfDeviceIsRefused) {
  const std::vector<HardwareSpec> known = {device("a", "A"), device("b", "A"), device("c", "C")};
  const std::vector<std::string> names = {"r.json"};
  std::vector<ResultFile> files = {measured_layer()};
  const auto refusal = [&](const HardwareSpec& target) {
    return bad_input([&] { measured_efficiencies(files, names, target, known); });
  };
  EXPECT_EQ(refusal(known[0]), "");
  EXPECT_TRUE(contains(refusal(known[2]), "r.json: was measured on the device 'driver's b', which is A; c is C"))
      << refusal(known[2]);
  files[0].points[0].parts[0].ops[1].time_s.reset();
  EXPECT_TRUE(contains(refusal(known[0]), "a time for each"));
  files[0] = measured_layer();
  files[0].points[0].parts[0].outcome = Outcome::wrong;
  EXPECT_TRUE(contains(refusal(known[0]), "a time for each"));
  files[0] = measured_layer();
  files[0].environment.device_name = "Some CPU";
  files[0].environment.target = "cpu";
  EXPECT_TRUE(contains(refusal(known[0]), "the CPU 'Some CPU', of which configs/hardware holds no figures"));
}

// An activation, 4 kB in and 2 kB out a row: at 1 TB/s 6 us for 1000 rows and 0.06 for 10.
TEST(Efficiency, WhatMultipliesNothingTakesItsTimeAndWhatALargerOneMovesMore) {
  const auto glu = [](int tokens) {
    StepWork w = step();
    w.parts = {{"dense",
                1,
                {op("glu", fmt::format("glu tokens={} ffn_hidden=1000 act=silu x_type=bf16 y_type=bf16", tokens),
                    tokens * 5e3, 0)}}};
    return w;
  };
  ResultFile file = measured_layer();
  PartRecord& part = file.points[0].parts[0];
  part.ops = glu(10).parts[0].ops;
  part.ops[0].time_s = 3e-6;
  part.rounds[0].samples[0].time_s = 3e-6;
  const std::vector<HardwareSpec> known = {device("a", "A")};
  file.environment.device_name = "driver's a";
  Efficiencies e = measured_efficiencies({&file, 1}, std::vector<std::string>{"r.json"}, known[0], known);
  e.ops.push_back(e.ops.front());  // another op, which takes a shorter time
  e.ops.back().key = "another";
  e.ops.back().time_s = 1e-6;
  const auto projected = [&](int tokens) { return *project(glu(tokens), known[0], 1, &e).projected_s; };
  EXPECT_DOUBLE_EQ(projected(10), 3e-6);
  EXPECT_DOUBLE_EQ(projected(1), 3e-6);  // a launch
  EXPECT_NEAR(projected(1000), 3e-6 + 5.94e-6, 1e-12);
  const Projection p = project(glu(1000), known[0], 1, &e);
  EXPECT_DOUBLE_EQ(p.parts[0].ops[0].fold, 100);
  EXPECT_TRUE(p.parts[0].ops[0].is_far());
  EXPECT_FALSE(project(glu(80), known[0], 1, &e).parts[0].ops[0].is_far());
}

TEST(Efficiency, NearestIsOfTheSameComponentThenOfLikeRowsThenOfLikeWork) {
  Efficiencies e;
  const auto add = [&](const char* component, double rows, double work) {
    MeasuredOp m;
    m.phase = "decode";
    m.key = "k";
    m.component = component;
    m.rows = rows;
    m.flops = m.bytes = work;
    e.ops.push_back(m);
  };
  const auto near = [&](const char* component, double rows, double flops, double bytes) {
    const MeasuredOp* m = e.nearest("decode", "k", component, rows, flops, bytes);
    return std::tuple{m->component, m->rows, m->flops};
  };
  using Is = std::tuple<std::string, double, double>;
  for (const double work : {1e6, 1e8, 1e10}) add("o", 1, work);
  add("o", 8, 1e6);
  add("router", 8, 4e6);
  EXPECT_EQ(near("o", 1, 3e7, 3e7), (Is{"o", 1, 1e8}));
  EXPECT_EQ(near("o", 1, 1e4, 1e4), (Is{"o", 1, 1e6}));
  EXPECT_EQ(near("o", 1, 4e6, 4e6), (Is{"o", 1, 1e6}));     // not the router, whose work is the same
  EXPECT_EQ(near("o", 16, 1e10, 1e10), (Is{"o", 8, 1e6}));  // rows first
  add("o", 8, 8e6);
  e.ops.back().bytes = 1e6;
  add("o", 8, 24e6);
  e.ops.back().bytes = 3e6;
  EXPECT_EQ(near("o", 64, 64e6, 1e6), (Is{"o", 8, 8e6}));   // one shape at 8 times the rows
  EXPECT_EQ(near("gate", 1, 4e6, 4e6), (Is{"o", 1, 1e6}));  // of others, too
  EXPECT_EQ(near("gate", 8, 3e6, 3e6), (Is{"router", 8, 4e6}));
  // The further of FLOPs and bytes: 10 and 100 times.
  EXPECT_DOUBLE_EQ(fold_between(1e7, 1e4, 1e6, 1e6), 100);
  EXPECT_EQ(e.nearest("prefill", "k", "o", 1, 1e9, 1e9), nullptr);
  EXPECT_EQ(e.nearest("decode", "j", "o", 1, 1e9, 1e9), nullptr);
  EXPECT_EQ(rows_of(OpCase::parse(kLinear)), 1);
  EXPECT_EQ(rows_of(OpCase::parse("glu tokens=7 ffn_hidden=1000")), 7);
  EXPECT_EQ(rows_of(OpCase::parse("attention batch=4 q_len=2 kv_len=9")), 0);
  EXPECT_DOUBLE_EQ(fold_between(1, 8, 2, 2), 4);
  EXPECT_DOUBLE_EQ(fold_between(0, 8, 0, 8), 1);
  EXPECT_EQ(efficiency_key(OpCase::parse("attention batch=1 q_len=1 kv_len=9 capacity=9 heads=1 kv_heads=1 qk_dim=1 "
                                         "v_dim=1 shared_kv=1 x_type=bf16 kv_type=bf16 y_type=bf16")),
            "attention x_type=bf16 kv_type=bf16 shared_kv");
}

}  // namespace
}  // namespace layercost

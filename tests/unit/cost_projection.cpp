// Projections worked by hand: one dense layer and a head on an imaginary device with round figures.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

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
  EXPECT_EQ(p.parts[0].ops[1].limited_by, "bf16");
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

  // On twice the figures: products take half the time, the activation as long as before. The head is like "up", four
  // times as large: 8 us / 2 / (2 / 5).
  HardwareSpec twice = device("a", "A");
  twice.memory_bytes_per_s.value = 2e12;
  twice.peaks[0].flops_per_s = 200e12;
  const Projection p = project(step(), twice, 1, &e);
  ASSERT_TRUE(p.projected_s);
  EXPECT_DOUBLE_EQ(*p.projected_s, 10 * (2.5e-6 + 1e-6 + 4.5e-6) + 10e-6);
  EXPECT_DOUBLE_EQ(p.parts[1].ops[0].fold, 4);
  EXPECT_DOUBLE_EQ(p.parts[0].ops[2].fold, 1);
  EXPECT_EQ(p.parts[0].ops[0].labels, std::vector{Label::preliminary});
  EXPECT_TRUE(contains(p.parts[0].ops[2].where, "m decode batch 4")) << p.parts[0].ops[2].where;
  // On the device itself: the time that was measured.
  const Projection same = project(step(), known[1], 1, &e);
  double layer_s = 0;
  for (const ProjectedOp& one : same.parts[0].ops) layer_s += *one.projected_s;
  EXPECT_DOUBLE_EQ(layer_s, 15e-6);
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

TEST(Efficiency, NearestIsTheMeasuredOpOfMostSimilarWork) {
  Efficiencies e;
  for (const double flops : {1e6, 1e8, 1e10}) {
    MeasuredOp m;
    m.phase = "decode";
    m.key = "k";
    m.flops = m.bytes = flops;
    m.time_s = flops;
    e.ops.push_back(m);
  }
  EXPECT_EQ(e.nearest("decode", "k", "", 3e7, 3e7)->flops, 1e8);
  EXPECT_EQ(e.nearest("decode", "k", "", 1e4, 1e4)->flops, 1e6);
  EXPECT_EQ(e.nearest("decode", "k", "", 1e9 * 2, 1e10)->flops, 1e10);
  EXPECT_EQ(e.nearest("prefill", "k", "", 1e9, 1e9), nullptr);
  EXPECT_EQ(e.nearest("decode", "j", "", 1e9, 1e9), nullptr);
  for (const char* component : {"first", "second"}) {
    e.ops.push_back(e.ops.front());
    e.ops.back().component = component;
    e.ops.back().flops = e.ops.back().bytes = 5;
  }
  EXPECT_EQ(e.nearest("decode", "k", "second", 5, 5)->component, "second");
  EXPECT_EQ(e.nearest("decode", "k", "third", 5, 5)->component, "first");
  EXPECT_DOUBLE_EQ(fold_between(1, 8, 2, 2), 4);
  EXPECT_DOUBLE_EQ(fold_between(0, 8, 0, 8), 1);
  EXPECT_EQ(efficiency_key(OpCase::parse("attention batch=1 q_len=1 kv_len=9 capacity=9 heads=1 kv_heads=1 qk_dim=1 "
                                         "v_dim=1 shared_kv=1 x_type=bf16 kv_type=bf16 y_type=bf16")),
            "attention x_type=bf16 kv_type=bf16 shared_kv");
}

}  // namespace
}  // namespace layercost

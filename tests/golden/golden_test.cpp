// Every committed golden, made with the public transformers classes (generate.py), in f32 and bf16, on the CPU and on
// a GPU where there is one.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/measure/layer_check.h"
#include "tests/print.h"

namespace layercost {
namespace {

struct Golden {
  std::string folder;
  std::int64_t layer;
};
void PrintTo(const Golden& g, std::ostream* to) { *to << g.folder << " layer " << g.layer; }

const std::filesystem::path kRoot = std::filesystem::path(LAYERCOST_SOURCE_DIR) / "tests" / "golden";

std::vector<Golden> goldens() {
  std::vector<Golden> out;
  std::ifstream in(kRoot / "manifest.json");
  const auto manifest = nlohmann::json::parse(in);
  for (const auto& c : manifest.at("cases")) out.push_back({c.at("case"), c.at("layer")});
  return out;
}

class GoldenLayer : public testing::TestWithParam<std::tuple<Golden, DType, Target>> {};

TEST_P(GoldenLayer, AgreesWithTransformers) {
  const auto& [golden, type, target] = GetParam();
  std::optional<DeviceInfo> device;
  for (const DeviceListing& l : list_devices())
    if (l.info.target == target && l.why_not.empty() && !device) device = l.info;
  if (!device) GTEST_SKIP() << "no usable " << to_string(target) << " device here";
  const ModelSpec model = read_model(kRoot / golden.folder);
  Checkpoint reader({kRoot / golden.folder / "model.safetensors"});
  const LayerIo io =
      read_layer_io(kRoot / golden.folder / fmt::format("io_layer{}.safetensors", golden.layer), model.hidden);
  Runtime runtime(*device);
  const auto rows = check_against_io(model, golden.layer, reader, io, type, runtime);
  EXPECT_EQ(rows.size(), 3u);
  for (const LayerCheckRow& r : rows)
    EXPECT_TRUE(r.verdict.ok) << r.mode << ": " << r.verdict.why << " (rel " << r.verdict.rel_l2 << ")";
}

// What a layer consists of: its ops and what distinguishes one use of an op from another, without sizes.
std::string anatomy(const ModelSpec& m, const LayerKind& kind) {
  const LayerPlan plan = plan_layer(m, kind, {});
  std::string out = m.model_type + ":";
  for (const PlannedOp& p : plan.ops) {
    out += " " + p.component;
    for (const char* key : {"bias", "residual", "window", "renormalise", "shared_kv", "interleaved", "sinks", "q_scale",
                            "v_norm", "v_from_k", "added", "scaled", "expert_scale", "weigh_input"})
      if (p.op_case.integer(key, 0) != 0) out += fmt::format("+{}", key);
    for (const char* key : {"groups", "scaling", "rotary_dims"})
      if (p.op_case.has(key)) out += fmt::format("+{}", key);
    for (const char* key : {"score", "group_score", "qk_norm", "act"})
      if (p.op_case.has(key)) out += fmt::format("+{} {}", key, p.op_case.word(key, ""));
  }
  return out;
}

// The check inside a run walks the same plan that is run, so only goldens prove what a family's plan says.
TEST(Goldens, EveryFamilyAndEveryKindOfLayerThatWeShipHasOne) {
  std::set<std::string> families, proven;
  for (const Golden& g : goldens()) {
    const ModelSpec m = read_model(kRoot / g.folder);
    families.insert(m.model_type);
    proven.insert(anatomy(m, m.layer(g.layer)));
  }
  for (const std::string& family : known_model_types()) EXPECT_TRUE(families.contains(family)) << family;
  const std::filesystem::path configs = std::filesystem::path(LAYERCOST_SOURCE_DIR) / "configs";
  for (const std::string& name : list_models(configs)) {
    const ModelSpec m = find_model(name, configs);
    for (const LayerKind& kind : m.kinds)
      EXPECT_TRUE(proven.contains(anatomy(m, kind))) << name << " is not proven by any golden: " << anatomy(m, kind);
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenLayer,
                         testing::Combine(testing::ValuesIn(goldens()), testing::Values(DType::f32, DType::bf16),
                                          testing::Values(Target::cpu, Target::cuda)),
                         [](const auto& p) {
                           return fmt::format("{}_layer{}_{}_{}", std::get<0>(p.param).folder,
                                              std::get<0>(p.param).layer, to_string(std::get<1>(p.param)),
                                              to_string(std::get<2>(p.param)));
                         });

}  // namespace
}  // namespace layercost

// Two points that differ in exactly one member of their scenario are never taken for one another: every member, at
// every place that joins, pairs, names or replays points.
// SPDX-License-Identifier: Apache-2.0
#include "harness/result/scenario.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "harness/cost/composition.h"
#include "harness/cost/peers.h"
#include "harness/cost/tradeoff.h"
#include "harness/measure/choose.h"
#include "harness/report/csv.h"
#include "harness/result/merge.h"
#include "harness/result/result_io.h"
#include "kernels/core/error.h"
#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

struct MemberCase {
  Member member;
  const char* name;
  std::function<void(ScenarioRecord&)> change;
};
void PrintTo(const MemberCase& c, std::ostream* out) { *out << c.name; }
const MemberCase kMembers[] = {
    {Member::model, "model", [](ScenarioRecord& s) { s.model = "other"; }},
    {Member::phase, "phase", [](ScenarioRecord& s) { s.phase = s.phase == "decode" ? "prefill" : "decode"; }},
    {Member::batch, "batch", [](ScenarioRecord& s) { s.batch += 2; }},
    {Member::context, "context", [](ScenarioRecord& s) { s.context += 1; }},
    {Member::new_tokens, "new_tokens", [](ScenarioRecord& s) { s.new_tokens += 1; }},
    {Member::weight_type, "weight_type", [](ScenarioRecord& s) { s.weight_type = "f32"; }},
    {Member::activation_type, "activation_type", [](ScenarioRecord& s) { s.activation_type = "f32"; }},
    {Member::kv_type, "kv_type", [](ScenarioRecord& s) { s.kv_type = "f32"; }},
    {Member::device, "device", [](ScenarioRecord& s) { s.device = "cuda:1"; }},
    {Member::routing, "routing", [](ScenarioRecord& s) { s.routing = "zipf:1"; }},
    {Member::shard, "shard", [](ScenarioRecord& s) { s.shard = "1 of 2"; }},
};

class Scenarios : public testing::TestWithParam<MemberCase> {
 protected:
  // The mixture of experts in decode at batch 1, and the same but for one member.
  Scenarios() {
    const ResultFile all = fixture::peers_file();
    one = all;
    one.points = {all.points[1]};
    one.pairs.clear();
    one.peers = {all.peers[1]};
    one.models.push_back(one.models[1]);
    one.models.back().name = "other";
    changed = one.points[0];
    GetParam().change(changed);
    if (GetParam().member != Member::phase && GetParam().member != Member::context)
      changed.tokens = changed.batch * changed.new_tokens;
    fixture::draw(changed);
    both = one;
    both.points.push_back(changed);
  }
  bool is(std::initializer_list<Member> members) const {
    return std::find(members.begin(), members.end(), GetParam().member) != members.end();
  }
  ResultFile one, both;
  PointRecord changed;
};

TEST_P(Scenarios, AreNotEqual) {
  EXPECT_FALSE(same_scenario(one.points[0], changed));
  EXPECT_TRUE(same_except(one.points[0], changed, {GetParam().member}));
  EXPECT_FALSE(matches(one.points[0], changed));
  EXPECT_NE(to_text(one.points[0]), to_text(changed));
}

TEST_P(Scenarios, AreTwoPointsOfAFile) {
  EXPECT_EQ(broken_rule(both), "");
  both.points.push_back(changed);
  EXPECT_NE(broken_rule(both).find("the same point appears twice"), std::string::npos);
}

TEST_P(Scenarios, AreNotMerged) {
  ResultFile other = one;
  other.points = {changed};
  other.peers.clear();
  const ResultFile file = merge_results({{"a.json", one}, {"b.json", other}});
  ASSERT_EQ(file.points.size(), 2u);
  for (const PointRecord& point : file.points) EXPECT_EQ(point.parts[0].rounds.size(), 3u);
}

TEST_P(Scenarios, DoNotShareDepths) {
  const std::vector<DepthRecord> bent = {fixture::depths(one.points[0], "moe", {1, 2, 4}, {1, 2, 6})};
  EXPECT_EQ(compose(one.points[0], bent).outcome, Outcome::skipped);
  EXPECT_EQ(compose(changed, bent).outcome, Outcome::measured);
}

TEST_P(Scenarios, DoNotSharePeers) {
  const std::vector<LayersRow> rows = layers_beside_peers(both);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_TRUE(same_scenario(rows[0], one.points[0]));
  std::swap(both.points[0], both.points[1]);
  EXPECT_EQ(layers_beside_peers(both).size(), 1u);
  EXPECT_EQ(layers_by("pytorch", changed, both).parts[0].outcome, Outcome::skipped);
  EXPECT_EQ(layers_by("pytorch", one.points[0], both).parts[0].outcome, Outcome::measured);
}

// A model's partner differs in its model and, dense as it is, in its routing; in nothing else.
TEST_P(Scenarios, AreNotPaired) {
  PointRecord dense = fixture::result_file().points[0];
  ASSERT_TRUE(same_task(dense, one.points[0]));
  if (!is({Member::model, Member::routing})) GetParam().change(dense);
  EXPECT_EQ(same_task(dense, one.points[0]), is({Member::model, Member::routing}));
  ResultFile file = one;
  file.points.push_back(dense);
  file.pairs = {{"tiny-dense", "tiny-moe"}};
  EXPECT_EQ(tradeoffs(file).size(), is({Member::model, Member::routing}) ? 1u : 0u);
}

TEST_P(Scenarios, MakeNoCrossoverTogether) {
  TradeoffRow near{one.points[0], "tiny-dense", "tiny-moe", {}, {}, Ratio{2, {}, 3}, {}, {}};
  TradeoffRow far = near;
  far.batch = 64;
  far.paid = Ratio{0.5, {}, 3};
  ASSERT_EQ(crossovers({near, far}).size(), 1u);
  GetParam().change(far);
  EXPECT_EQ(crossovers({near, far}).size(), is({Member::batch}) ? 1u : 0u);
}

// Of prefill and decode, of any cache and routing, the head is the same.
TEST_P(Scenarios, ShareAHeadOnlyWhereTheHeadCannotTell) {
  EXPECT_EQ(same_head(one.points[0], changed),
            is({Member::phase, Member::context, Member::new_tokens, Member::kv_type, Member::routing}));
}

TEST_P(Scenarios, DoNotReplayOneAnothersChoices) {
  const ModelSpec model = find_model("qwen3-30b-a3b", std::filesystem::path(LAYERCOST_SOURCE_DIR) / "configs");
  const LayerPlan plan = plan_layer(model, model.kinds.front(), step_shape(Scenario{}, true));
  const PlannedOp& op = plan.ops.front();
  DeviceInfo device;
  device.target = Target::cpu;
  one.points[0].parts[0].kind = plan.kind;
  one.points[0].parts[0].ops = {fixture::op(op.component, 1, 1)};
  one.points[0].parts[0].ops[0].variant = "plain_loops";
  const std::vector<VariantPin> pins = pins_of(one);
  ASSERT_NE(pinned_variant(pins, one.points[0], plan, op, device), nullptr);
  EXPECT_EQ(pinned_variant(pins, changed, plan, op, device), nullptr);
}

TEST_P(Scenarios, AreToldApartInData) {
  std::istringstream csv(render_csv({&both, 1}, {}));
  std::vector<std::string> lines;
  for (std::string line; std::getline(csv, line);) lines.push_back(line);
  const auto fields_of = [](const std::string& line) {  // none of these texts holds a quote
    std::vector<std::string> fields(1);
    bool quoted = false;
    for (const char c : line) {
      quoted ^= c == '"';
      if (c == ',' && !quoted) fields.emplace_back();
      else fields.back() += c;
    }
    return fields;
  };
  const std::vector<std::string> names = fields_of(lines[0]);
  const auto key_of = [&](const std::string& line) {  // the columns that say which point it is
    std::string key;
    const std::vector<std::string> fields = fields_of(line);
    for (const char* name : {"model", "layer_kind", "phase", "batch", "context", "tokens", "weight_type",
                             "activation_type", "kv_type", "device", "routing", "shard"})
      if (const auto at = std::find(names.begin(), names.end(), name); at != names.end())
        key += fields.at(static_cast<std::size_t>(at - names.begin())) + ",";
    return key;
  };
  std::map<std::string, int> models, peers;
  for (const std::string& line : lines) {
    if (line.find(",model,") != std::string::npos) ++models[key_of(line)];
    if (line.find("pytorch") != std::string::npos && line.find(",moe,") != std::string::npos) ++peers[key_of(line)];
  }
  EXPECT_EQ(models.size(), 2u);
  EXPECT_EQ(peers.size(), 1u);
}

// What belongs to a point still does when the file is read again; new_tokens and shard are not in files yet.
TEST_P(Scenarios, ComeBackFromAFile) {
  if (is({Member::new_tokens, Member::shard})) {
    EXPECT_THROW(result_to_text(both, nullptr), std::logic_error);  // rather than two points that read as one
    return;
  }
  both.depths = {fixture::depths(changed, "moe", {1, 2}, {1, 2})};
  both.points[1].new_tokens = both.depths[0].new_tokens = new_tokens_of(changed);
  both.points[1].tokens = both.points[1].batch * both.points[1].new_tokens;
  fixture::draw(both.points[1]);
  const ResultFile back = result_from_text("r.json", result_to_text(both, nullptr));
  EXPECT_TRUE(same_scenario(back.points[0], both.points[0]));
  EXPECT_TRUE(same_scenario(back.points[1], both.points[1]));
  EXPECT_TRUE(same_scenario(back.peers[0], both.points[0])) << to_text(back.peers[0]);
  EXPECT_TRUE(same_scenario(back.depths[0], both.points[1])) << to_text(back.depths[0]);
}

INSTANTIATE_TEST_SUITE_P(Members, Scenarios, testing::ValuesIn(kMembers),
                         [](const testing::TestParamInfo<MemberCase>& one) { return one.param.name; });

TEST(Scenario, EveryMemberHasItsCase) {
  ASSERT_EQ(std::size(kMembers), static_cast<std::size_t>(Member::shard) + 1);
  for (std::size_t i = 0; i < std::size(kMembers); ++i) EXPECT_EQ(static_cast<std::size_t>(kMembers[i].member), i);
}

// What today's files leave out follows from the point; where two could be meant, nothing is guessed.
TEST(Scenario, WhatAFileLeavesOutIsThePoints) {
  ResultFile file = fixture::peers_file();
  file.depths = {fixture::depths(file.points[1], "moe", {1, 2}, {1, 2})};
  nlohmann::json json = nlohmann::json::parse(result_to_text(file, nullptr));
  for (const char* key : {"activation_type", "kv_type", "device", "routing"}) {
    EXPECT_FALSE(json["peers"][1].contains(key));
    EXPECT_FALSE(json["depths"][0].contains(key));
  }
  EXPECT_FALSE(json["depths"][0].contains("weight_type"));
  EXPECT_EQ(result_from_text("r.json", json.dump()).depths[0].routing, "uniform");
  nlohmann::json other = json["points"][1];
  other["routing"] = other["parts"][0]["routing"]["name"] = "zipf:1";
  json["points"].push_back(other);
  json.erase("peers");
  const DepthRecord depth = result_from_text("r.json", json.dump()).depths[0];
  EXPECT_EQ(depth.routing, "");
  EXPECT_EQ(depth.kv_type, "bf16");
}

}  // namespace
}  // namespace layercost

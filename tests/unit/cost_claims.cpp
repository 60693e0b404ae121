// Claims: arithmetic on published numbers, and measurements that are judged by their interval alone.
// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/claims.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "harness/cost/summary.h"
#include "harness/report/claims.h"
#include "tests/unit/result_fixture.h"
#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

using testing::bad_input;
using testing::contains;
using testing::kConfigs;
using testing::TempDir;
using Json = nlohmann::json;

const Date kToday = *parse_date("2026-12-01");

Json quantity() {
  return {{"what", "W"}, {"kind", "ratio"}, {"numerator", 3}, {"denominator", 2}, {"claimed", {{"at_least", 1}}}};
}
Json claim(const Json& change = Json::object()) {
  Json q = quantity();
  q.merge_patch(change);
  return {{"statement", "S"}, {"source", "example.org"}, {"date", "2026-11-01"}, {"quantities", {q}}};
}
Claim read(const Json& record) {
  TempDir dir;
  return read_claim(dir.write("c.json", record.dump()), kToday);
}
const Json kPaid = {{"kind", "paid_ratio"}, {"numerator", nullptr}, {"denominator", nullptr}, {"dense", "dense-4b"},
                    {"moe", "moe-30b"},     {"phase", "decode"},    {"command", "C"}};

double computed(const Json& change) {
  Json bare = {{"numerator", nullptr}, {"denominator", nullptr}};
  bare.merge_patch(change);
  return recompute(read(claim(bare)).quantities[0], list_list_prices(kConfigs, kToday)).value();
}

TEST(Claims, ArithmeticAsWorkedByHand) {
  EXPECT_NEAR(*recompute(read(claim()).quantities[0], {}), 1.5, 1e-12);
  EXPECT_NEAR(*recompute(read(claim({{"numerator_devices", 6}, {"denominator_devices", 2}})).quantities[0], {}), 0.5,
              1e-12);
  EXPECT_NEAR(computed({{"kind", "saving"}, {"before", 4}, {"after", 1}}), 0.75, 1e-12);
  EXPECT_NEAR(computed({{"kind", "product"}, {"factors", {2, 3, 0.5}}}), 3, 1e-12);
  EXPECT_NEAR(computed({{"kind", "usd_per_mtok"}, {"usd_per_hour", "2"}, {"tokens_per_s", 1000}}), 0.5555555556, 1e-9);
  EXPECT_NEAR(computed({{"kind", "node_hours"}, {"parts", {{{"tokens", 7200}, {"tokens_per_s", 2}}}}}), 1, 1e-12);
  // From DeepSeek's pages: 3 x 0.56 + 1.68 = 3.36, 3 x 0.28 + 0.42 = 1.26.
  EXPECT_NEAR(computed({{"kind", "list_price_saving"},
                        {"before", "deepseek-v3.1"},
                        {"after", "deepseek-v3.2-exp"},
                        {"input", 3},
                        {"cached_input", 0},
                        {"output", 1}}),
              0.625, 1e-12);
}

// TC-01 as the claim's own arithmetic: 608e9 / 73.7e3 + 168e9 / 14.8e3 seconds of a node.
TEST(Claims, DeepSeeksDayIsReproducedWithinATenthOfANodeHour) {
  const Claim day = find_claim("deepseek-day", kConfigs, kToday);
  EXPECT_NEAR(recompute(day.quantities[0], {}).value(), 5444.7, 0.1);
  EXPECT_NEAR(*day.quantities[0].claimed.value, 226.75 * 24, 1e-9);
  const std::vector<ClaimFinding> findings = judge_claims({day}, {}, {});
  for (const std::vector<Evidence>& all : findings[0].quantities) EXPECT_EQ(all.at(0).finding, Finding::adds_up);
}

TEST(Claims, AMeasurementIsNeverJudgedBeyondItsInterval) {
  const Claimed least{{}, {}, 1.0, {}, {}}, about{2.0, 0.5, {}, {}, {}}, up_to{{}, {}, {}, {}, 30.0};
  EXPECT_EQ(judge(least, Interval{1.0, 1.2}, false), Finding::supports);
  EXPECT_EQ(judge(least, Interval{0.99, 1.2}, false), Finding::cannot_tell);
  EXPECT_EQ(judge(least, Interval{0.8, 0.99}, false), Finding::contradicts);
  EXPECT_EQ(judge(least, {}, false), Finding::cannot_tell);
  EXPECT_EQ(judge(about, Interval{1.5, 2.5}, false), Finding::supports);
  EXPECT_EQ(judge(about, Interval{1.4, 2.5}, false), Finding::cannot_tell);
  EXPECT_EQ(judge(about, Interval{2.51, 2.6}, false), Finding::contradicts);
  EXPECT_EQ(judge(up_to, Interval{30, 31}, false), Finding::supports);
  EXPECT_EQ(judge(up_to, Interval{2, 3}, false), Finding::cannot_tell);
  // What carries a label only points.
  EXPECT_EQ(judge(least, Interval{1.0, 1.2}, true), Finding::points_to);
  EXPECT_EQ(judge(least, Interval{0.8, 0.99}, true), Finding::points_against);
}

TEST(Claims, ResultsAtHandPointAndSayWhere) {
  const ResultFile file = fixture::result_file();  // three rounds: PRELIMINARY
  ASSERT_FALSE(summarise(file).tradeoffs.empty());
  const TradeoffRow row = summarise(file).tradeoffs.front();
  Json paid = kPaid;
  paid.update({{"dense", row.dense}, {"moe", row.moe}, {"phase", row.phase}, {"batch", row.batch}});
  const auto of = [&](const Json& change, const std::vector<ResultFile>& files) {
    Json one = paid;
    one.merge_patch(change);
    return judge_claims({read(claim(one))}, files, {})[0].quantities[0].at(0);
  };
  const Evidence seen = of({{"claimed", {{"at_least", 1e-3}}}}, {file});
  EXPECT_EQ(seen.finding, Finding::points_to);
  EXPECT_EQ(seen.value, row.paid->ratio);
  EXPECT_TRUE(contains(seen.seen_on, file.environment.device_name));
  EXPECT_TRUE(contains(seen.why, "PRELIMINARY"));
  EXPECT_EQ(of({{"claimed", {{"at_least", 1e3}}}}, {file}).finding, Finding::points_against);
  EXPECT_EQ(of(Json::object(), {}).finding, Finding::cannot_test);
  EXPECT_EQ(of({{"batch", 4096}}, {file}).finding, Finding::cannot_test);
  const Evidence elsewhere = of({{"device", "h20"}}, {file});
  EXPECT_EQ(elsewhere.finding, Finding::cannot_test);
  EXPECT_TRUE(contains(elsewhere.why, "said of h20"));
}

TEST(Claims, TwoDevicesAreComparedAtTheSameStepOnly) {
  ResultFile slow = fixture::result_file(), fast = slow;
  slow.nominal = NominalRecord{"slow-one", "bf16", 1, 1, "S", "2026-11", "S", "2026-11"};
  fast.nominal = NominalRecord{"fast-one", "bf16", 1, 1, "S", "2026-11", "S", "2026-11"};
  for (PointRecord& point : fast.points)
    for (PartRecord& part : point.parts)
      for (Round& round : part.rounds)
        for (Sample& sample : round.samples) sample.time_s /= 4;
  const Json ratio = {{"kind", "device_ratio"}, {"numerator", nullptr}, {"denominator", nullptr},
                      {"faster", "fast-one"},   {"slower", "slow-one"}, {"command", "C"}};
  const Claim one = read(claim(ratio));
  std::vector<ResultFile> files{slow, fast};
  for (ResultFile& file : files)  // far from any roof, so that nothing is impossible
    for (PointRecord& point : file.points)
      for (PartRecord& part : point.parts) part.ops.clear();
  const std::vector<Evidence> all = judge_claims({one}, files, {})[0].quantities[0];
  EXPECT_GE(all.size(), 6u);
  for (const Evidence& e : all) EXPECT_NEAR(e.value.value(), 4, 1e-9);
  EXPECT_EQ(judge_claims({one}, std::vector{slow}, {})[0].quantities[0].at(0).finding, Finding::cannot_test);
}

TEST(Claims, BadRecordsAreRefusedAtTheirPlace) {
  struct Bad {
    Json change;
    std::vector<const char*> said;
  };
  const Bad table[] = {
      {{{"kind", "ration"}}, {": quantities[0].kind: ", "did you mean 'ratio'?"}},
      {{{"kind", nullptr}}, {": quantities[0].kind: ", "missing"}},
      {{{"numerator", 0}}, {": quantities[0].numerator: "}},
      {{{"numerator", -1}}, {": quantities[0].numerator: "}},
      {{{"numerator", "3"}}, {": quantities[0].numerator: "}},
      {{{"denominater", 3}}, {": quantities[0].denominater: ", "did you mean 'denominator'?"}},
      {{{"factors", {1}}}, {": quantities[0].factors: ", "unknown key"}},
      {{{"what", ""}}, {": quantities[0].what: ", "empty"}},
      {{{"claimed", nullptr}}, {": quantities[0].claimed: ", "missing"}},
      {{{"claimed", {{"at_least", nullptr}}}}, {": quantities[0].claimed: ", "one of them"}},
      {{{"claimed", {{"up_to", 3}}}}, {": quantities[0].claimed: ", "one of them"}},
      {{{"claimed", {{"at_least", nullptr}, {"value", 3}}}}, {": quantities[0].claimed: ", "together"}},
      {{{"claimed", {{"at_most", 0.5}}}}, {": quantities[0].claimed.at_most: ", "below"}},
      {{{"claimed", {{"at_last", 1}}}}, {": quantities[0].claimed.at_last: ", "did you mean 'at_least'?"}},
      {{{"kind", "node_hours"}, {"numerator", nullptr}, {"denominator", nullptr}, {"parts", Json::array()}},
       {": quantities[0].parts: "}},
      {{{"kind", "paid_ratio"},
        {"numerator", nullptr},
        {"denominator", nullptr},
        {"dense", "d"},
        {"moe", "m"},
        {"phase", "decode"}},
       {": quantities[0].command: ", "missing"}},
  };
  for (const Bad& bad : table) {
    const std::string message = bad_input([&] { read(claim(bad.change)); });
    for (const char* part : bad.said)
      EXPECT_TRUE(contains(message, part)) << bad.change.dump() << "\n" << message << "\nlacks: " << part;
  }
  Json future = claim();
  future["date"] = "2026-12-02";
  EXPECT_TRUE(contains(bad_input([&] { read(future); }), "in the future"));
  future = claim();
  future.erase("source");
  EXPECT_TRUE(contains(bad_input([&] { read(future); }), ": source: "));
  EXPECT_TRUE(
      contains(bad_input([&] { find_claim("deepseek-dya", kConfigs, kToday); }), "did you mean 'deepseek-day'"));
}

// Every figure that FACTS.md works out of published numbers; what is said of a rack is not said of its GPUs.
TEST(ShippedClaims, WhatAddsUpAndWhatDoesNot) {
  const std::vector<Claim> claims = list_claims(kConfigs, kToday);
  EXPECT_GE(claims.size(), 8u);
  int off = 0;
  for (const ClaimFinding& finding : judge_claims(claims, {}, list_list_prices(kConfigs, kToday)))
    for (std::size_t q = 0; q < finding.quantities.size(); ++q) {
      const Finding found = finding.quantities[q].at(0).finding;
      const bool measured = is_measured(finding.claim.quantities[q].kind);
      EXPECT_EQ(measured, found == Finding::cannot_test) << finding.claim.id;
      if (found != Finding::does_not_add_up) continue;
      ++off;
      EXPECT_EQ(finding.claim.id, "blackwell-30-times");
      EXPECT_NEAR(finding.quantities[q][0].value.value(), 3.4, 0.05);
    }
  EXPECT_EQ(off, 1);
}

TEST(ShippedClaims, ReadInEveryFormatWithHostileTextAsText) {
  Json hostile = claim({{"what", "=cmd()|<script>\x1b[31m"}});
  const std::vector<ClaimFinding> findings = judge_claims({read(claim())}, {}, {});
  EXPECT_TRUE(contains(render_claims(findings, "csv", {}), "claim,statement,claim_source"));
  EXPECT_TRUE(contains(render_claims(findings, "json", {}), "\"finding\": \"adds up\""));
  EXPECT_TRUE(contains(render_claims(findings, "markdown", {}), "| adds up |"));
  EXPECT_TRUE(contains(render_claims(findings, "table", {}), "adds up"));
  EXPECT_NE(bad_input([&] { read(hostile); }), "");  // control characters are no text
  hostile["quantities"][0]["what"] = "=cmd()|<script>";
  const std::vector<ClaimFinding> bad = judge_claims({read(hostile)}, {}, {});
  EXPECT_TRUE(contains(render_claims(bad, "csv", {}), "'=cmd()|<script>"));
  EXPECT_TRUE(contains(render_claims(bad, "markdown", {}), "=cmd()\\|&lt;script&gt;"));
}

}  // namespace
}  // namespace layercost

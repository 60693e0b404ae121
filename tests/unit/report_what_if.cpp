// Twins and levers in reports: the fixture's dense model stands for one that nobody trained. Decode at batch 1 takes
// 262.5 ms of it and 112.5 of the mixture, at batch 8 272 and 336.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "harness/report/data.h"
#include "harness/report/figures/figure.h"
#include "harness/report/headline.h"
#include "harness/report/report.h"
#include "harness/report/section.h"
#include "tests/unit/figure_testing.h"
#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

ResultFile renamed(const std::string& name) {
  ResultFile file = fixture::result_file();
  file.models[0].name = file.pairs[0].dense = name;
  for (PointRecord& point : file.points)
    if (point.model == "tiny-dense") point.model = name;
  return file;
}

std::optional<DataValue> cell(const Data& data, const DataRow& row, const std::string& key) {
  for (std::size_t c = 0; c < data.columns.size(); ++c)
    if (data.columns[c].key == key && row.at(c) != nullptr) return *row.at(c);
  return std::nullopt;
}
std::vector<const DataRow*> rows_of(const Data& data, const std::string& kind) {
  std::vector<const DataRow*> rows;
  for (const DataRow& row : data.rows)
    if (cell(data, row, "kind") == DataValue(kind)) rows.push_back(&row);
  return rows;
}
std::string verdict_of(const ResultFile& file) {
  for (const Section& section : sections_of(file))
    if (section.title == "Verdict") return section.items[0].text;
  return "";
}
void expect_full_rows(const Figure& figure) {
  for (const FigurePanel& panel : figure.panels)
    for (const auto& row : panel.rows) EXPECT_EQ(row.size(), figure.columns.size());
}

TEST(WhatIfReports, TheMapHasARowForEachPoint) {
  const ResultFile file = renamed("tiny-moe@twin4");
  const std::vector<ResultFile> files = {file};
  const Data data = data_of(files);
  const auto rows = rows_of(data, "isoline");
  ASSERT_EQ(rows.size(), 3u);
  // The twin costs more at batch 1 and in prefill, less at batch 8.
  EXPECT_EQ(cell(data, *rows[0], "isoline_kind"), DataValue(std::string("from_smallest")));
  EXPECT_EQ(cell(data, *rows[1], "isoline_kind"), DataValue(std::string("not_reached")));
  EXPECT_EQ(cell(data, *rows[1], "model"), DataValue(std::string("tiny-moe")));
  EXPECT_FALSE(cell(data, *rows[1], "isoline_q"));
  EXPECT_NE(
      verdict_of(file).find("it costs less than one of 4.0 times as many already at batch 1, not even one of 4.00 "
                            "times as many at batch 8"),
      std::string::npos)
      << verdict_of(file);
  // Nobody can buy it.
  EXPECT_NE(headline_of(file, summarise(file)).find(" of tiny-moe cost"), std::string::npos);
}

TEST(WhatIfReports, TheVerdictSaysWhereTheIsolineIsHighest) {
  ResultFile file = renamed("tiny-moe@twin4");
  for (const std::size_t i : {0u, 1u}) {  // batch 16 as batch 1 is
    file.points.push_back(file.points[i]);
    file.points.back().batch = file.points.back().tokens = 16;
  }
  EXPECT_NE(verdict_of(file).find("already at batch 1, not even one of 4.00 times as many at batch 8, one of 4.0 times "
                                  "as many already at batch 16"),
            std::string::npos)
      << verdict_of(file);
}

TEST(WhatIfReports, AFigureHoldsTheIsolines) {
  const ResultFile file = renamed("tiny-moe@twin4");
  const Figure figure = figure_named("twins", file);
  ASSERT_EQ(figure.panels.size(), 2u) << "decode and prefill";
  expect_full_rows(figure);
  const nlohmann::json values = figure_values(figure, figure.panels[0]);
  ASSERT_EQ(values.size(), 2u);
  EXPECT_EQ(values[0]["kind"], "from_smallest");
  EXPECT_EQ(values[1]["kind"], "not_reached");
  EXPECT_EQ(values[1]["q"], 4);
  EXPECT_EQ(values[1]["firm"], false) << "PRELIMINARY";
  EXPECT_NE(figure_named("twins", fixture::result_file()).absent.find("--twin"), std::string::npos);
}

TEST(WhatIfReports, ALadderHasARowForEachStep) {
  const ResultFile file = renamed("tiny-moe@dense");
  const std::vector<ResultFile> files = {file};
  const Data data = data_of(files);
  const auto rows = rows_of(data, "lever");
  ASSERT_EQ(rows.size(), 6u) << "two steps at three points";
  const auto at = std::find_if(rows.begin(), rows.end(), [&](const DataRow* row) {
    return cell(data, *row, "lever") == DataValue(std::string("experts"));
  });
  ASSERT_NE(at, rows.end());
  EXPECT_NEAR(std::get<double>(*cell(data, **at, "lever_factor")), 0.2625 / 0.1125, 1e-12);
  EXPECT_NE(verdict_of(file).find("than where its levers start: experts 2.3×"), std::string::npos) << verdict_of(file);
}

TEST(WhatIfReports, AWaterfallGoesFromStepToStep) {
  const Figure figure = figure_named("levers", renamed("tiny-moe@dense"));
  ASSERT_EQ(figure.panels.size(), 3u);
  expect_full_rows(figure);
  const nlohmann::json values = figure_values(figure, figure.panels[1]);  // batch 8
  ASSERT_EQ(values.size(), 3u);
  EXPECT_EQ(values[0]["effect"], "where it stands");
  EXPECT_EQ(values[0]["from"], 0);
  EXPECT_NEAR(values[1]["from"].get<double>(), 0.272, 1e-6);
  EXPECT_NEAR(values[1]["to"].get<double>(), 0.336, 1e-6);
  EXPECT_EQ(values[1]["effect"], "added");
  EXPECT_EQ(values[2]["lever"], "in the end");
  // What stands before was not measured: nothing is said of a saving.
  ResultFile unmeasured = renamed("tiny-moe@dense");
  unmeasured.points.push_back(unmeasured.points[0]);
  unmeasured.points.back().model = "tiny-moe@dense@mha";
  unmeasured.points[0].parts[0].outcome = Outcome::wrong;
  unmeasured.points[0].parts[0].rounds.clear();
  const Figure one = figure_named("levers", unmeasured);
  const nlohmann::json bars = figure_values(one, one.panels[0]);
  ASSERT_EQ(bars.size(), 3u) << "start, experts, in the end";
  EXPECT_EQ(bars[1]["lever"], "experts");
  EXPECT_EQ(bars[1]["effect"], "where it stands");
  EXPECT_EQ(bars[1]["from"], 0);
}

}  // namespace
}  // namespace layercost

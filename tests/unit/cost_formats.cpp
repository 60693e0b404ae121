// Whether a smaller weight format pays, worked by hand from the numbers of result_fixture.h.
// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/formats.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <stdexcept>
#include <tuple>

#include "harness/report/data.h"
#include "harness/report/figures/figure.h"
#include "harness/report/report.h"
#include "tests/unit/figure_testing.h"
#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

// tiny-dense, decode, batch 1, bf16 and once more in another format: every part a third of the time, layers of a
// quarter of the bytes, the head of a third.
ResultFile two_formats(const char* format) {
  ResultFile file = fixture::result_file();
  file.points.erase(file.points.begin() + 1, file.points.end());
  file.pairs.clear();
  PointRecord other = file.points[0];
  other.weight_type = format;
  for (PartRecord& part : other.parts) {
    for (Round& round : part.rounds)
      for (Sample& sample : round.samples) sample.time_s /= 3, sample.section_s /= 3;
    for (OpRecord& op : part.ops) op.bytes /= part.kind == "head" ? 3 : 4;
  }
  file.points.push_back(other);
  return file;
}

TEST(Formats, PromisedPossiblePaid) {
  const ResultFile file = two_formats("q4_0");
  const auto rows = format_rows(file);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].base, "bf16");
  EXPECT_EQ(rows[0].weight_type, "q4_0");
  EXPECT_NEAR(rows[0].promised, 16 / 4.5, 1e-12);
  // 4 x 50 + 10 ms of which the layers' bytes are a quarter and the head's a third: 4 x 12.5 + 10 / 3.
  EXPECT_NEAR(*rows[0].possible, 210.0 / (50 + 10.0 / 3), 1e-12);
  EXPECT_NEAR(rows[0].paid->ratio, 3, 1e-12);
  EXPECT_EQ(rows[0].paid->rounds, 3);
  EXPECT_EQ(rows[0].verdict, Payoff::cheaper);
}

// A prompt: 200 GFLOP a layer, 400 ms at the 500 GFLOP/s of bf16, 800 ms at 250 GFLOP/s of q4_0; the head's 12.8 GFLOP
// are bf16's in both, 25.6 ms. Nothing waits for bytes. A smaller format costs there, and the roofs say so.
TEST(Formats, PossibleIsOfTheArithmeticOfEach) {
  ResultFile file = two_formats("q4_0");
  for (PointRecord& point : file.points) {
    for (PartRecord& part : point.parts)
      for (OpRecord& op : part.ops) {
        op.flops = part.kind == "head" ? 12.8e9 : 100e9;
        op.bytes = 0;
        if (point.weight_type == "bf16" || part.kind == "head") continue;
        op.product_flops = {{"bf16 x q4_0", 100e9}};
        for (Round& round : part.rounds)
          for (Sample& s : round.samples)
            s.roofs_before.product_flops_per_s = s.roofs_after.product_flops_per_s = {{"bf16 x q4_0", 250e9}};
      }
  }
  EXPECT_NEAR(*format_rows(file).at(0).possible, (4 * 0.4 + 0.0256) / (4 * 0.8 + 0.0256), 1e-12);
  file.points[1].parts[0].rounds[0].samples[0].roofs_before.product_flops_per_s.clear();
  EXPECT_FALSE(format_rows(file).at(0).possible);
}

TEST(Formats, BitsOfEach) {
  EXPECT_NEAR(format_rows(two_formats("q8_0"))[0].promised, 16 / 8.5, 1e-12);
  EXPECT_NEAR(format_rows(two_formats("mxfp4"))[0].promised, 16 / 4.25, 1e-12);
  EXPECT_NEAR(format_rows(two_formats("int4_g128"))[0].promised, 16 / 4.125, 1e-12);
}

TEST(Formats, NothingWithoutThePlainFormatOrOfAnUnknownOne) {
  ResultFile file = two_formats("q4_0");
  file.points.erase(file.points.begin());
  EXPECT_TRUE(format_rows(file).empty());
  EXPECT_TRUE(format_rows(two_formats("q5_recipe")).empty());
  EXPECT_TRUE(format_rows(fixture::result_file()).empty());
}

TEST(Formats, StandInTheReport) {
  const std::vector<ResultFile> files = {two_formats("q4_0")};
  const std::string text = find_report_format("markdown").render(files, {});
  EXPECT_NE(text.find("What a smaller weight format saves"), std::string::npos);
  EXPECT_NE(text.find("| tiny-dense · decode, batch 1, context 4096 | q4\\_0 | 3.6× | 3.9× | 3.0× |"),
            std::string::npos)
      << text;
}

// Of the only row of this kind and program.
std::map<std::string, DataValue> data_row(const ResultFile& file, const std::string& kind, const std::string& by) {
  const Data data = data_of({&file, 1});
  std::vector<std::map<std::string, DataValue>> found;
  for (const DataRow& row : data.rows) {
    std::map<std::string, DataValue> one;
    for (std::size_t c = 0; c < data.columns.size(); ++c)
      if (const DataValue* value = row.at(c)) one[data.columns[c].key] = *value;
    const auto program = one.find("implementation");  // absent where the file has no other
    if (std::get<std::string>(one["kind"]) == kind &&
        (program == one.end() ? by.empty() : std::get<std::string>(program->second) == by))
      found.push_back(one);
  }
  if (found.size() != 1) throw std::runtime_error(std::to_string(found.size()) + " rows of " + kind + " by " + by);
  return found[0];
}
double number(const std::map<std::string, DataValue>& row, const char* key) { return std::get<double>(row.at(key)); }

TEST(Formats, AreRowsOfTheData) {
  const auto row = data_row(two_formats("q4_0"), "format", "");
  EXPECT_EQ(std::get<std::string>(row.at("weight_type")), "q4_0");
  EXPECT_EQ(std::get<std::string>(row.at("format_base")), "bf16");
  EXPECT_EQ(std::get<std::string>(row.at("state")), "measured");
  EXPECT_EQ(std::get<std::int64_t>(row.at("paired_rounds")), 3);
  EXPECT_NEAR(number(row, "promised_ratio"), 16 / 4.5, 1e-12);
  EXPECT_NEAR(number(row, "possible_ratio"), 210.0 / (50 + 10.0 / 3), 1e-12);
  EXPECT_NEAR(number(row, "paid_ratio"), 3, 1e-12);
  EXPECT_NEAR(number(row, "paid_ratio_high"), 3, 1e-9);
  EXPECT_FALSE(row.contains("layers_paid_ratio"));
}

// Layers of 0.1 s in bf16 and 0.05 s in q4_0 there; 1/3 here. The head is in neither.
TEST(Formats, OfTheLayersAloneBesideOtherPrograms) {
  ResultFile file = two_formats("q4_0");
  file.peers = {fixture::peer("pytorch", "tiny-dense", 1, {0.1, 0.1, 0.1}),
                fixture::peer("pytorch", "tiny-dense", 1, {0.05, 0.05, 0.05})};
  file.peers[1].weight_type = "q4_0";
  for (const auto& [by, ratio] : {std::pair{"pytorch", 2.0}, std::pair{"layercost", 3.0}}) {
    const auto row = data_row(file, "layers_format", by);
    EXPECT_NEAR(number(row, "layers_paid_ratio"), ratio, 1e-12) << by;
    EXPECT_NEAR(number(row, "layers_possible_ratio"), 4, 1e-12) << by;
    EXPECT_FALSE(row.contains("paid_ratio")) << by;
  }
}

// q4_0 takes a third of the time in every round, q8_0 between a half and a quarter, q6_k half.
TEST(Formats, TheVerdictSaysWhatIsNotToldApart) {
  ResultFile file = two_formats("q4_0");
  for (const auto& [format, times] :
       {std::pair{"q8_0", std::array{1.5, 1.0, 0.8}}, std::pair{"q6_k", std::array{1.5, 1.5, 1.5}}}) {
    PointRecord other = file.points[1];
    other.weight_type = format;
    for (PartRecord& part : other.parts)
      for (std::size_t r = 0; r < part.rounds.size(); ++r)
        for (Sample& sample : part.rounds[r].samples) sample.time_s *= times[r], sample.section_s *= times[r];
    file.points.push_back(other);
  }
  const std::vector<ResultFile> files = {file};
  const std::string text = find_report_format("markdown").render(files, {});
  const std::size_t at = text.find("verdict");
  EXPECT_NE(text.find("than bf16; not told apart from q8\\_0; PRELIMINARY", at), std::string::npos) << text.substr(at);
}

TEST(Formats, AreDrawn) {
  const Figure figure = figure_named("formats", two_formats("q4_0"));
  ASSERT_EQ(figure.panels.size(), 1u);
  EXPECT_EQ(figure.panels[0].title, "tiny-dense · decode, batch 1, context 4096");
  const auto rows = figure_values(figure, figure.panels[0]);
  ASSERT_EQ(rows.size(), 3u);
  for (const auto& [i, what, basis, ratio] :
       {std::tuple{0u, "promised", "published", 3.55556}, std::tuple{1u, "possible", "modelled", 3.9375},
        std::tuple{2u, "paid", "measured", 3.0}}) {
    EXPECT_EQ(rows[i]["what"], what);
    EXPECT_EQ(rows[i]["basis"], basis);
    EXPECT_NEAR(rows[i]["ratio"].get<double>(), ratio, 1e-12);
  }
  EXPECT_FALSE(rows[2]["firm"].get<bool>());  // three rounds
  EXPECT_FALSE(figure_named("formats", fixture::result_file()).absent.empty());
}

}  // namespace
}  // namespace layercost

// Whether a smaller weight format pays, worked by hand from the numbers of result_fixture.h.
// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/formats.h"

#include <gtest/gtest.h>

#include "harness/report/report.h"
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

}  // namespace
}  // namespace layercost

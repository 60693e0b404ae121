// The page, its figures and LaTeX, of the file whose numbers are worked by hand in cost_*.cpp.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "harness/cost/summary.h"
#include "harness/report/figures/figure.h"
#include "harness/report/headline.h"
#include "harness/report/html.h"
#include "harness/report/latex.h"
#include "harness/result/labels.h"
#include "kernels/core/error.h"
#include "tests/unit/figure_testing.h"
#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

using nlohmann::json;

std::string page(const ResultFile& file, const std::string& viewer = "") {
  return render_html({&file, 1}, {.viewer = viewer});
}

// Operations with times, ten rounds, no label: what a figure may join by lines.
ResultFile firm_file() {
  ResultFile file = fixture::result_file();
  for (PointRecord& point : file.points) {
    for (PartRecord& part : point.parts) {
      part.labels.clear();
      for (std::int64_t i = 0; i < 7; ++i) {
        part.rounds.push_back(part.rounds[0]);
        part.rounds.back().index = 3 + i;
      }
      for (Round& round : part.rounds)
        while (round.samples.size() < 30) round.samples.push_back(round.samples[1]);
      for (OpRecord& op : part.ops) op.time_s = 0.01;
    }
    point.memory = MemoryRecord{4e9, 1e9, 0.5e9, 64e9, 12};
  }
  return file;
}

// The only row of the panel with these values.
json row_where(const Figure& figure, std::size_t panel, const json& is) {
  std::vector<json> found;
  for (const json& row : figure_values(figure, figure.panels.at(panel)))
    if (std::all_of(is.items().begin(), is.items().end(),
                    [&](const auto& cell) { return row.contains(cell.key()) && row[cell.key()] == cell.value(); }))
      found.push_back(row);
  if (found.size() == 1) return found[0];
  throw std::runtime_error(std::to_string(found.size()) + " rows of " + is.dump());
}

TEST(Html, TextStaysText) {
  EXPECT_EQ(html_text("</ScRiPt><b a=\"x\" b='y'>&amp;"),
            "&lt;/ScRiPt&gt;&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;");
  EXPECT_EQ(html_text("a\x1b[31mb\xE2\x80\xAE"), "ab?");
}

TEST(Html, HoldsTheNumbersWorkedByHand) {
  const std::string text = page(fixture::result_file());
  for (const char* cell : {">62.5 ms<", ">263 ms<", ">52.5<", ">4.0×<", ">2.3×<", ">MoE cheaper<", "Example CPU 9000"})
    EXPECT_NE(text.find(cell), std::string::npos) << cell;
  EXPECT_EQ(text.find("<script"), std::string::npos);  // nothing to draw with
  EXPECT_NE(text.find("script-src 'none'"), std::string::npos);
  EXPECT_NE(text.find("<details open>"), std::string::npos);
}

TEST(Html, EveryLabelIsShown) {
  ResultFile file = fixture::result_file();
  for (const LabelText& label : label_texts()) file.points[0].parts[0].labels.push_back(label.label);
  for (const PriceLabelText& label : price_label_texts()) file.price->labels.push_back(label.label);
  const std::string text = page(file);
  for (const LabelText& label : label_texts()) EXPECT_NE(text.find(label.shown), std::string::npos) << label.shown;
  for (const PriceLabelText& label : price_label_texts())
    EXPECT_NE(text.find(label.shown), std::string::npos) << label.shown;
}

TEST(Html, ForeignTextIsNoScriptAndEndsNone) {
  ResultFile file = firm_file();
  const std::string evil = "</script><script>alert(1)</script>\xE2\x80\xA8&<!--";
  for (ModelRecord& model : file.models) model.name += evil;
  for (PointRecord& point : file.points) {
    point.model += evil;
    for (PartRecord& part : point.parts)
      for (OpRecord& op : part.ops) op.component += evil;
  }
  file.pairs[0].dense += evil;
  file.pairs[0].moe += evil;
  const std::string viewer = "/* the viewer */", text = page(file, viewer);
  std::size_t scripts = 0, ends = 0;
  for (std::size_t at = 0; (at = text.find("<script", at)) != std::string::npos; ++at) ++scripts;
  for (std::size_t at = 0; (at = text.find("</script", at)) != std::string::npos; ++at) ++ends;
  EXPECT_EQ(scripts, 3u);  // data, viewer, page
  EXPECT_EQ(ends, 3u);
  const std::string begin = "id=\"plots\">";
  const std::size_t at = text.find(begin) + begin.size();
  const std::string data = text.substr(at, text.find("</script", at) - at);
  EXPECT_EQ(data.find_first_of("<>&"), std::string::npos);
  EXPECT_TRUE(std::all_of(data.begin(), data.end(), [](char c) { return c >= ' ' && c <= '~'; }));
  EXPECT_NE(json::parse(data).dump().find("alert(1)"), std::string::npos);  // and is there as text
}

// The hash is what `printf 'let a = 1;' | openssl dgst -sha256 -binary | base64` says.
TEST(Html, RunsTheScriptsThatWerePutInAndNoOther) {
  const std::string text = page(firm_file(), "let a = 1;");
  EXPECT_NE(text.find("'sha256-xY6QKfH9PRsQnLz56nj6MBwiK5oHg+im1Jkpdp1x/Ck='"), std::string::npos)
      << text.substr(0, 500);
  EXPECT_EQ(text.find("unsafe-eval"), std::string::npos);
  for (const char* viewer : {"a</sCRIPT>", "<!-- a"}) EXPECT_THROW(page(firm_file(), viewer), BadInput);
}

TEST(Html, SeveralResultsHaveContentsAndOneFrontier) {
  std::vector<ResultFile> files(2, firm_file());
  files[1].environment.device_name = "Other Machine";
  const std::string text = render_html(files, {});
  for (const char* piece : {"href=\"#r1\"", "href=\"#r2\"", "id=\"r2\"", "id=\"all-frontier\"", "id=\"r2-frontier\"",
                            "tiny-dense · Other Machine"})
    EXPECT_NE(text.find(piece), std::string::npos) << piece;
}

TEST(Headline, SaysWhatItCostsAndUnderWhichConditions) {
  ResultFile file = fixture::result_file();
  // The cheapest decode that fits: dense at batch 8, 4 x 64 + 16 = 272 ms; 0.72 USD/h / (8 / 0.272 s) = 6.8 USD/Mtok.
  const std::string text = headline_of(file, summarise(file));
  for (const char* piece : {"tiny-dense cost 6.80 USD", "at 3.68 tokens/s for each user", "batch 8, bf16",
                            "4096 tokens cached", "Example CPU 9000, 8 threads", "0.72 USD per hour", "of 2026-01-01",
                            "measured 2026-01-02", "a floor", "PRELIMINARY"})
    EXPECT_NE(text.find(piece), std::string::npos) << piece << ": " << text;
  EXPECT_EQ(text.find("does not fit"), std::string::npos);
  file.price.reset();
  EXPECT_EQ(headline_of(file, summarise(file)), "");
}

TEST(Figures, FrontierHoldsMoneyAndSpeed) {
  const Figure figure = figure_named("frontier", fixture::result_file());
  ASSERT_EQ(figure.panels.size(), 1u);
  // 4 x 80 + 16 = 336 ms a step of 8 tokens.
  const json moe = row_where(figure, 0, {{"series", "tiny-moe"}, {"batch", 8}});
  EXPECT_NEAR(moe["tokens_per_s_user"].get<double>(), 1 / 0.336, 1e-4);
  EXPECT_NEAR(moe["usd_per_mtok"].get<double>(), 0.72 / 3600 * 0.336 / 8 * 1e6, 1e-3);
  EXPECT_LT(moe["usd_per_mtok_low"], moe["usd_per_mtok"]);
  EXPECT_EQ(moe["firm"], false);
  EXPECT_EQ(moe["state"], "PRELIMINARY; hypothetical: does not fit");
  EXPECT_EQ(row_where(figure_named("frontier", firm_file()), 0, {{"series", "tiny-moe"}, {"batch", 8}})["firm"], true);
  ResultFile unpriced = fixture::result_file();
  unpriced.price.reset();
  EXPECT_TRUE(figure_named("frontier", unpriced).panels.empty());
  EXPECT_NE(figure_named("frontier", unpriced).absent.find("--price"), std::string::npos);
}

TEST(Figures, SavingsTellMeasuredFromModelledAndPublished) {
  const Figure figure = figure_named("over-batch", fixture::result_file());
  ASSERT_EQ(figure.panels.size(), 1u) << "decode; prefill has one batch";
  const auto at = [&](int batch, const char* what) { return row_where(figure, 0, {{"batch", batch}, {"what", what}}); };
  EXPECT_EQ(at(1, "promised")["basis"], "published");
  EXPECT_EQ(at(1, "promised")["ratio"], 4);
  EXPECT_EQ(at(8, "possible")["basis"], "modelled");
  EXPECT_NEAR(at(8, "paid")["ratio"].get<double>(), 272.0 / 336, 1e-5);
  EXPECT_EQ(at(8, "paid")["basis"], "measured");
  EXPECT_EQ(at(8, "paid")["firm"], false);
  EXPECT_NE(figure.caption.find("crossover"), std::string::npos);
  const std::string spec = figure.panels[0].spec.dump();
  EXPECT_NE(spec.find(R"({"from":1,"to":8})"), std::string::npos);  // crossover at 5.3
  EXPECT_EQ(figure_named("over-context", fixture::result_file()).absent,
            "no pair was measured at more than one context");
}

TEST(Figures, ContextsOfOneBatchMakeAFigure) {
  ResultFile file = fixture::result_file();
  for (std::size_t i : {0u, 1u}) {
    file.points.push_back(file.points[i]);
    file.points.back().context = 16384;
  }
  const Figure figure = figure_named("over-context", file);
  ASSERT_EQ(figure.panels.size(), 1u);
  EXPECT_NE(figure.panels[0].title.find("batch 1"), std::string::npos);
  EXPECT_EQ(row_where(figure, 0, {{"context", 16384}, {"what", "promised"}})["ratio"], 4);
}

TEST(Figures, SharesUtilisationRooflineAndRoutingHoldTheAnatomy) {
  const ResultFile file = firm_file();
  const Figure shares = figure_named("shares", file);
  EXPECT_EQ(row_where(shares, 0, {{"at", "decode 1 · dense"}, {"op", "mlp"}})["share"], 0.5);
  EXPECT_EQ(row_where(shares, 0, {{"at", "decode 1 · dense"}, {"op", "mlp"}})["end"], 1);
  const Figure use = figure_named("utilisation", file);
  EXPECT_NEAR(row_where(use, 0, {{"at", "decode 1 · dense"}, {"op", "whole layer"}})["possible_fraction"].get<double>(),
              0.8, 1e-6);
  EXPECT_NEAR(row_where(use, 0, {{"at", "decode 1 · dense"}, {"op", "attention"}})["possible_fraction"].get<double>(),
              0.5, 1e-6);
  const Figure roof = figure_named("roofline", file);
  const json moe = row_where(roof, 0, {{"model", "tiny-moe"}, {"at", "decode 1"}, {"kind", "moe"}});
  EXPECT_NEAR(moe["flops_per_byte"].get<double>(), 2, 1e-5);
  EXPECT_NEAR(moe["flops_per_s"].get<double>(), 24e9, 1e5);
  const Figure routing = figure_named("routing", file);
  ASSERT_EQ(routing.panels.size(), 3u);
  EXPECT_EQ(row_where(routing, 0, {{"bin", "1 to 1.25"}})["experts"], 3);
  EXPECT_EQ(figure_named("shares", fixture::result_file()).absent, "the operations of no layer were timed");
}

// A screen reader gets what is drawn, and a figure that is not there says why.
TEST(Figures, HaveATableCaptionAndConditionsOrAReason) {
  std::set<std::string_view> names;
  for (const ResultFile& file : {fixture::result_file(), firm_file(), fixture::peers_file(), ResultFile{}}) {
    const Summary summary = summarise(file);
    const std::string text = page(file);
    for (const FigureKind& kind : figure_kinds()) {
      names.insert(kind.name);
      const Figure figure = kind.build({file, summary});
      if (figure.panels.empty()) {
        EXPECT_FALSE(figure.absent.empty()) << kind.name;
        EXPECT_NE(text.find(html_text(figure.absent)), std::string::npos) << kind.name;
        continue;
      }
      EXPECT_NE(text.find("<figure id=\"r1-" + std::string(kind.name)), std::string::npos);
      EXPECT_NE(text.find(html_text(figure.caption)), std::string::npos) << kind.name;
      EXPECT_NE(figure.caption.find("Example CPU 9000"), std::string::npos) << kind.name;
      for (const FigurePanel& panel : figure.panels) {
        EXPECT_FALSE(panel.rows.empty()) << kind.name;
        for (const auto& row : panel.rows) EXPECT_EQ(row.size(), figure.columns.size()) << kind.name;
        EXPECT_EQ(figure_values(figure, panel).size(), panel.rows.size());
        const json packed = figure_rows(figure, panel);
        for (const json& row : packed["rows"]) EXPECT_EQ(row.size(), packed["fields"].size());
      }
    }
  }
  EXPECT_EQ(names.size(), figure_kinds().size());
}

// At 3.6 USD per hour, rented day and night: 86.4 USD a day are 8640 tokens at 0.01 USD each.
TEST(Figures, BreakEvenAndListPriceStandBesideTheCost) {
  ResultFile file = firm_file();
  file.price->usd_per_hour = 3.6;
  file.price->model = "rented";
  file.price->mix = MixRecord{"out", 0, 0, 1};
  EXPECT_NE(figure_named("break-even", file).absent.find("--own"), std::string::npos);
  EXPECT_NE(figure_named("list-price", file).absent.find("--list-price"), std::string::npos);
  ListPriceRecord api;
  api.id = "some-api";
  api.model = "nobody's";
  api.steps = {{1, 1e4, {}, {}}};
  file.against = AgainstRecord{{}, {api}};
  const Figure even = figure_named("break-even", file);
  ASSERT_EQ(even.panels.size(), 1u);
  EXPECT_EQ(even.panels[0].title, "rent example-owned-workstation, or ask some-api");
  const std::string at = "tiny-dense, batch 8";
  EXPECT_NEAR(row_where(even, 0, {{"at", at}, {"what", "now"}})["tokens_per_day"].get<double>(), 8640, 0.5);
  EXPECT_NEAR(row_where(even, 0, {{"at", at}, {"what", "twice the price"}})["tokens_per_day"].get<double>(), 4320, 0.5);
  // 8 tokens in 4 x 64 + 16 = 272 ms.
  EXPECT_NEAR(row_where(even, 0, {{"at", at}, {"what", "most it makes"}})["tokens_per_day"].get<double>(),
              86400 * 8 / 0.272, 5);
  const Figure price = figure_named("list-price", file);
  ASSERT_EQ(price.panels.size(), 1u);
  const json asked = row_where(price, 0, {{"at", "tiny-dense, batch 8"}, {"what", "some-api"}});
  EXPECT_EQ(asked["usd_per_mtok"], 1e4);
  EXPECT_EQ(asked["basis"], "price, published");
  const json cost = row_where(price, 0, {{"at", "tiny-dense, batch 8"}, {"basis", "cost, measured"}});
  EXPECT_NEAR(cost["usd_per_mtok"].get<double>(), 3.6 / 3600 * 0.272 / 8 * 1e6, 1e-3);
  // An API that asks a hundred-thousandth is never dearer than the rental: a row says so, and nothing is drawn for it.
  file.against->list_prices[0].steps = {{1, 0.1, {}, {}}};
  const json never = row_where(figure_named("break-even", file), 0, {{"at", at}, {"what", "now"}});
  EXPECT_FALSE(never.contains("tokens_per_day"));
  EXPECT_NE(never["never"].get<std::string>().find("makes in a day"), std::string::npos);
}

TEST(Figures, TouchedExpertsStandBesideTheCurveOfEvenChoices) {
  const Figure figure = figure_named("touched", fixture::result_file());
  ASSERT_EQ(figure.panels.size(), 1u);
  const char* series = "tiny-moe, 2 of 4";
  const auto at = [&](const char* routing, int tokens) {
    return row_where(figure, 0, {{"series", series}, {"routing", routing}, {"tokens", tokens}});
  };
  EXPECT_EQ(at("uniform routing", 1)["touched"], 2);
  EXPECT_EQ(at("uniform routing", 8)["share"], 1);
  EXPECT_EQ(at("expected", 1)["touched"], 2);
  EXPECT_EQ(at("expected", 2)["touched"], 3);  // 4 x (1 - 1/4)
  EXPECT_EQ(at("expected", 512)["share"], 1);
  ResultFile dense = fixture::result_file();
  std::erase_if(dense.points, [](const PointRecord& point) { return point.model == "tiny-moe"; });
  EXPECT_EQ(figure_named("touched", dense).absent, "no layer with experts was measured");
}

// 1024 tokens are not 1,020.
TEST(Figures, CountsKeepTheirDigitsUnderThePointer) {
  const std::string spec = figure_named("frontier", fixture::result_file()).panels[0].spec.dump();
  EXPECT_NE(spec.find(R"({"field":"context","format":"d","title":"context","type":"quantitative"})"),
            std::string::npos);
}

TEST(Figures, OnPaperHaveColoursAndData) {
  const Figure figure = figure_named("frontier", firm_file());
  const std::string text = complete_spec(figure, figure.panels[0]).dump();
  EXPECT_EQ(text.find("var(--"), std::string::npos);
  EXPECT_NE(text.find("#0072b2"), std::string::npos);  // the first series
  EXPECT_NE(figure.panels[0].spec.dump().find("var(--series1)"), std::string::npos);
  EXPECT_NE(text.find("\"values\":[{"), std::string::npos);
}

TEST(Latex, TextStaysText) {
  EXPECT_EQ(latex_text("\\input{x}$a_1^2$ 5 % & #~"),
            "\\textbackslash{}input\\{x\\}\\$a\\_1\\textasciicircum{}2\\$ 5 \\% \\& \\#\\textasciitilde{}");
  EXPECT_EQ(latex_text("4.0× ±1 µs é 模 --"), "4.0$\\times$ $\\pm$1 \\textmu{}s é ? {-}{-}");
}

TEST(Latex, HoldsTheTables) {
  const ResultFile file = fixture::result_file();
  const std::string text = render_latex({&file, 1}, {});
  for (const char* piece : {"\\toprule", "\\bottomrule", " & 62.5 ms & ", "4.0$\\times$", "MoE cheaper \\\\",
                            "\\caption{What sparsity saves"})
    EXPECT_NE(text.find(piece), std::string::npos) << piece;
  std::size_t begins = 0, ends = 0;
  for (std::size_t at = 0; (at = text.find("\\begin{", at)) != std::string::npos; ++at) ++begins;
  for (std::size_t at = 0; (at = text.find("\\end{", at)) != std::string::npos; ++at) ++ends;
  EXPECT_EQ(begins, ends);
}

}  // namespace
}  // namespace layercost

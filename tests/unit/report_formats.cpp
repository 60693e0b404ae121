// What the reports show, of a file whose numbers are worked by hand in cost_*.cpp, and of hostile ones.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "harness/cost/metrics.h"
#include "harness/report/csv.h"
#include "harness/report/markdown.h"
#include "harness/report/report.h"
#include "harness/report/section.h"
#include "harness/report/table.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"
#include "harness/result/result_io.h"
#include "kernels/core/error.h"
#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

std::string table(const ResultFile& file, bool colour = false) {
  return render_table({&file, 1}, {.colour = colour, .view = {true, true}});
}
std::string screen(const ResultFile& file, std::size_t width = 80, bool ascii = false) {
  return render_table({&file, 1}, {.ascii = ascii, .width = width});
}
std::string markdown(const ResultFile& file) { return render_markdown({&file, 1}, {}); }
std::string csv(const ResultFile& file) { return render_csv(std::vector{file}, {}); }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// The first line that holds all pieces, else "".
std::string line_with(const std::string& text, std::vector<std::string> pieces) {
  for (const std::string& line : lines_of(text)) {
    if (std::all_of(pieces.begin(), pieces.end(),
                    [&](const std::string& p) { return line.find(p) != std::string::npos; }))
      return line;
  }
  return "";
}

// An RFC 4180 reader of its own.
std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> rows(1, std::vector<std::string>(1));
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
        rows.back().back() += '"', ++i;
      } else if (c == '"') {
        quoted = false;
      } else {
        rows.back().back() += c;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == ',') {
      rows.back().emplace_back();
    } else if (c == '\n') {
      rows.emplace_back(1);
    } else {
      rows.back().back() += c;
    }
  }
  EXPECT_EQ(rows.back(), std::vector<std::string>(1)) << "the last line does not end";
  rows.pop_back();
  return rows;
}

using CsvRow = std::map<std::string, std::string>;
std::vector<CsvRow> csv_rows(const std::string& text) {
  const auto rows = parse_csv(text);
  std::vector<CsvRow> result;
  for (std::size_t i = 1; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].size(), rows[0].size());
    CsvRow row;
    for (std::size_t c = 0; c < rows[0].size(); ++c) row[rows[0][c]] = rows[i][c];
    result.push_back(row);
  }
  return result;
}

// Rows are looked for by what they are of, columns by their names: a section or a metric more changes no test.
std::vector<CsvRow> rows_where(const std::vector<CsvRow>& rows, const CsvRow& is) {
  std::vector<CsvRow> found;
  for (const CsvRow& row : rows)
    if (std::all_of(is.begin(), is.end(), [&](const auto& cell) { return row.at(cell.first) == cell.second; }))
      found.push_back(row);
  return found;
}
// The only one of a decode point.
CsvRow decode_row(const std::vector<CsvRow>& rows, const std::string& model, const std::string& batch,
                  const std::string& layer_kind, CsvRow is = {}) {
  is.insert({{"model", model}, {"phase", "decode"}, {"batch", batch}, {"layer_kind", layer_kind}});
  const std::vector<CsvRow> found = rows_where(rows, is);
  if (found.size() == 1) return found.front();
  throw std::runtime_error(std::to_string(found.size()) + " rows of " + model + " " + batch + " " + layer_kind);
}

ResultFile troubled_file() {
  ResultFile file = fixture::result_file();
  PartRecord& memory = file.points[3].parts[0];
  memory.outcome = Outcome::out_of_memory;
  memory.rounds.clear();
  memory.verdict.reset();
  memory.need_bytes = 66'100'000'000;
  memory.have_bytes = 16'800'000'000;
  PartRecord& wrong = file.points[5].parts[0];
  wrong.outcome = Outcome::wrong;
  wrong.rounds.clear();
  wrong.why = "relative L2 error 0.31 is above the limit of 0.012";
  file.points[0].parts[0].labels.push_back(Label::roof_moved);
  for (PartRecord& part : file.points[2].parts) part.rounds.resize(1);
  return file;
}

TEST(Text, ThreeSignificantDigits) {
  EXPECT_EQ(digits(12.345), "12.3");
  EXPECT_EQ(digits(0.060301), "0.0603");
  EXPECT_EQ(digits(9.996), "10.0");
  EXPECT_EQ(digits(0.9996), "1.00");
  EXPECT_EQ(digits(12345.6), "12346");
  EXPECT_EQ(digits(999.6), "1000");
  EXPECT_EQ(digits(12345678), "1.23e+07");
  EXPECT_EQ(digits(0), "0");
  EXPECT_EQ(digits(1.234e-7), "1.23e-07");
  EXPECT_EQ(digits(-2.5), "-2.50");
  EXPECT_EQ(digits(2.3456, 2), "2.3");
}

TEST(Text, TimesChooseTheirUnit) {
  EXPECT_EQ(time_text(0.0123456), "12.3 ms");
  EXPECT_EQ(time_text(0.9999), "1.00 s");
  EXPECT_EQ(time_text(0.000999), "999 µs");
  EXPECT_EQ(time_text(0.00099996), "1.00 ms");
  EXPECT_EQ(time_text(4.5e-8), "45.0 ns");
  EXPECT_EQ(time_text(75), "75.0 s");
  EXPECT_EQ(time_text(std::nullopt), "");
  EXPECT_EQ(time_text(-0.001), "-1.00 ms");
  EXPECT_EQ(time_text(0.0123456, Interval{0.010, 0.0146}), "12 ms");  // +-19 %: a third digit would be a guess
}

TEST(Text, SpreadAndPercent) {
  EXPECT_EQ(spread_text(2.0, Interval{1.9, 2.1}), "±5.0 %");
  EXPECT_EQ(spread_text(2.0, Interval{1.6, 2.4}), "±20 %");
  EXPECT_EQ(spread_text(2.0, Interval{1.99, 2.01}), "±0.5 %");
  EXPECT_EQ(spread_text(2.0, std::nullopt), "");
  EXPECT_EQ(percent_text(0.863), "86 %");
  EXPECT_EQ(percent_text(0.0347), "3.5 %");
  EXPECT_EQ(percent_text(std::nullopt), "");
  EXPECT_EQ(gigabytes_text(66.1e9), "66.1 GB");
  EXPECT_EQ(count_text(30.5e9), "30.5 B");
  EXPECT_EQ(count_text(596e6), "596 M");
  EXPECT_EQ(count_text(45.83e3), "45.8 k");
  EXPECT_EQ(count_text(999.6e3), "1.00 M");
  EXPECT_EQ(count_text(12.34), "12.3");
}

TEST(Text, WidthCountsColumnsNotBytes) {
  EXPECT_EQ(display_width("±µ×→│█"), 6u);
  EXPECT_EQ(display_width("模型"), 4u);
  EXPECT_EQ(display_width("e\xCC\x81"), 1u);
  EXPECT_EQ(pad_left("µs", 4), "  µs");
  EXPECT_EQ(shorten("qwen3-coder", 6), "qwen3…");
  EXPECT_EQ(display_width(shorten("模型模型", 4)), 3u);
  EXPECT_EQ(wrap("a bb ccc dddd", 6), (std::vector<std::string>{"a bb", "ccc", "dddd"}));
  EXPECT_EQ(wrap("abcdefgh", 3), (std::vector<std::string>{"abc", "def", "gh"}));
}

TEST(Text, EscapeSequencesAreRemoved) {
  EXPECT_EQ(plain("a\x1b[31mred\x1b[0m b"), "ared b");
  EXPECT_EQ(plain("a\x1b]0;title\x07z"), "az");
  EXPECT_EQ(plain("a\x1b]8;;http://x\x1b\\link"), "alink");
  EXPECT_EQ(plain("a\x1b"), "a");
  EXPECT_EQ(plain("a\x1b[31"), "a");
  EXPECT_EQ(plain("a\rb\nc\xC2\x9B"), "a?b?c?");
  EXPECT_EQ(plain("\xE2\x80\xAE"
                  "evil"),
            "?evil");  // right-to-left override
}

TEST(Text, EscapeSequencesHaveNoWidth) {
  const std::string faint = "\x1b[2m  over  head \x1b[0m";
  EXPECT_EQ(display_width(faint), 13u);
  EXPECT_EQ(display_width("\x1b[1;31mµs\x1b[0m"), 2u);
  EXPECT_EQ(pad_left("\x1b[1mab\x1b[0m", 4), "  \x1b[1mab\x1b[0m");
  EXPECT_EQ(shorten("\x1b[1mab\x1b[0m", 2), "\x1b[1mab\x1b[0m");
  // In pieces of five columns, not of five bytes.
  EXPECT_EQ(wrap("\x1b[2mab cd ef\x1b[0m", 5), (std::vector<std::string>{"\x1b[2mab cd", "ef\x1b[0m"}));
  EXPECT_EQ(display_width("\x1b[31"), 0u);  // cut short
  EXPECT_EQ(display_width("\x1b"), 1u);
}

TEST(Formats, AreFoundByNameAndByPath) {
  EXPECT_EQ(find_report_format("table").name, "table");
  EXPECT_EQ(report_format_of_path("out/r.md").name, "markdown");
  EXPECT_EQ(find_report_format("md").name, "markdown");
  EXPECT_EQ(report_format_of_path("r.csv").name, "csv");
  EXPECT_EQ(find_report_format("csv").name, "csv");
  EXPECT_EQ(find_report_format(".md").name, "markdown");
  using Find = const ReportFormat& (*)(const std::string&, FormatOf);
  const auto refused = [](Find find, const char* asked, FormatOf of, const char* hint) {
    try {
      find(asked, of);
      ADD_FAILURE() << asked;
    } catch (const BadInput& error) {
      EXPECT_NE(std::string(error.what()).find(hint), std::string::npos) << error.what();
    }
  };
  const auto results = FormatOf::results, sections = FormatOf::sections;
  refused(find_report_format, "tabel", results, "did you mean 'table'?");
  refused(find_report_format, "", results, "known are table, markdown, html, latex, csv, json, jsonl");
  refused(find_report_format, "html", sections, "known are table, markdown, csv, json, jsonl");
  refused(report_format_of_path, "r.cvs", results, "did you mean '.csv'?");
  refused(report_format_of_path, "r.docx", results, "known are .txt, .md, .html, .tex, .csv, .json");
  refused(report_format_of_path, "r.tex", sections, "known are .txt, .md, .csv, .json, .jsonl");
  refused(report_format_of_path, "/a.b/full", results, "/a.b/full: has no extension");
}

TEST(Formats, OfSectionsAreThoseThatCanShowThem) {
  EXPECT_EQ(report_format_names(FormatOf::sections), "table, markdown, csv, json or jsonl");
}

TEST(Formats, EachThatIsNamedInAHelpTextIsFoundByThatName) {
  std::string names = report_format_names();
  for (const std::string_view word : {", ", " or "})
    for (std::size_t at = 0; (at = names.find(word, at)) != std::string::npos;) names.replace(at, word.size(), "\n");
  const std::vector<std::string> advertised = lines_of(names);
  ASSERT_EQ(advertised.size(), report_formats().size());
  for (const std::string& name : advertised) {
    EXPECT_EQ(find_report_format(name).name, name);
    EXPECT_FALSE(find_report_format(name).render({}, {}).empty() && name == "csv");
  }
}

TEST(Table, ShowsTheNumbersWorkedByHand) {
  const std::string text = table(fixture::result_file());
  // 62.5 ms a layer, 80 % of possible; 262.5 ms a token, 3.81 tokens/s, 52.5 USD per Mtok.
  const std::string dense = line_with(text, {"    1  4× dense "});
  for (const char* piece : {"62.5 ms", "±5.0 %", "80 %", "263 ms", "3.81", "52.5"})
    EXPECT_NE(dense.find(piece), std::string::npos) << piece << ": " << dense;
  const std::string moe = line_with(text, {"    8  4× moe "});
  for (const char* piece : {"80.0 ms", "336 ms", "23.8", "8.40"})
    EXPECT_NE(moe.find(piece), std::string::npos) << piece << ": " << moe;
  const std::string first = line_with(text, {"decode", "4.0×"});
  for (const char* piece : {"3.0×", "2.3×", "2.33 to 2.33", "MoE cheaper", "████████▒▒▒░░░"})
    EXPECT_NE(first.find(piece), std::string::npos) << piece << ": " << first;
  EXPECT_NE(text.find("the MoE stops being cheaper at batch 5.3 (measured: 1 and 8)"), std::string::npos);
  EXPECT_NE(text.find("Example CPU 9000"), std::string::npos);
  EXPECT_NE(text.find("0.72 USD per hour"), std::string::npos);
  EXPECT_NE(text.find("an example, not your machine"), std::string::npos);
  EXPECT_NE(text.find("reads 20.0 GB/s"), std::string::npos);
  EXPECT_NE(text.find("PRELIMINARY"), std::string::npos);
}

// From the first line that holds `begin` up to the next empty one.
std::string section(const std::string& text, const std::string& begin) {
  const std::size_t at = text.find(begin);
  if (at == std::string::npos) return "";
  const std::size_t start = text.rfind('\n', at) + 1, end = text.find("\n\n", at);
  return text.substr(start, end == std::string::npos ? end : end + 1 - start);
}

// Ours 62.5 and 25 ms at batch 1, 64 and 80 at batch 8; the peers as result_fixture.h says.
TEST(Table, OtherProgramsStandBesideOurs) {
  ResultFile file = fixture::peers_file();
  EXPECT_EQ(section(table(file), "OTHER PROGRAMS"),
            R"( THE SAME LAYERS IN OTHER PROGRAMS  one layer, in turns with ours: 1.30× ours takes 30 % longer
─────────────────────────────────────────────┬─────────────────────────┬─────────────────────────
                          layercost     % of │          pytorch 2.15.0 │         llama.cpp b7110
   phase    batch context      time possible │     time  × ours      ± │     time  × ours      ±
 tiny-dense  4× dense · bf16
   decode       1    4096   62.5 ms     80 % │   100 ms   1.60× ±<0.1% │  50.0 ms 0.800×* ±<0.1%
   decode       8    4096   64.0 ms     78 % │  96.0 ms   1.50× ±<0.1% │
 tiny-moe  4× moe · bf16 · uniform routing
   decode       1    4096   25.0 ms     60 % │  50.0 ms   2.00× ±<0.1% │    31 ms   1.20× ±502 %
   decode       8    4096   80.0 ms     31 % │   160 ms   2.00× ±<0.1% │
   * llama.cpp, tiny-dense decode batch 1 context 4096: its weights may have come from a cache, ours
     did not; computes in f32
)");
  EXPECT_EQ(section(table(file), "IN EACH PROGRAM"),
            R"( WHAT SPARSITY SAVES IN EACH PROGRAM  the layers alone, without the head: peers measure layers
────────────────────────────────────────────────────────────────────────────────────────────────────
                                                     layercost          pytorch        llama.cpp
   phase    batch context  promised  possible     paid       ±     paid       ±     paid       ±
 tiny-dense → tiny-moe  bf16 · uniform routing
   decode       1    4096      4.0×      3.3×     2.5×  ±<0.1%     2.0×  ±<0.1%     1.7×* ±502 %
   decode       8    4096      4.0×      2.0×    0.80×  ±<0.1%    0.60×  ±<0.1%
   prefill      1     512      4.0×      3.3×     2.0×  ±<0.1%
)");
  const std::string text = table(file);
  // Whole models, as without peers.
  EXPECT_EQ(section(text, "half the cost"), section(table(fixture::result_file()), "half the cost"));
  EXPECT_NE(line_with(text, {" beside", "pytorch 2.15.0 · llama.cpp b7110, measured in turns with layercost"}), "");
  EXPECT_NE(line_with(text, {" pytorch ", "transformers 5.23.0; sdpa"}), "");
}

TEST(Table, AProgramsSettingsAreNamedOnceEach) {
  ResultFile file = fixture::peers_file();
  int n = 0;
  for (PeerRecord& peer : file.peers)
    if (peer.implementation == "pytorch")
      peer.detail = n++ == 0 ? "transformers 5.23.0; sdpa" : "transformers 5.23.0; eager";
  ASSERT_GT(n, 1);
  EXPECT_NE(line_with(table(file), {" pytorch ", "transformers 5.23.0; sdpa; eager"}), "");
  for (PeerRecord& peer : file.peers)
    peer.detail = std::string(200, 'a') + ";" + std::string(119, 'b') + ";c;" + std::string(119, 'd');
  const std::string text = table(file);  // room for 320: 120 of the first, 119, 1; the last is left out
  EXPECT_NE(text.find("c; and 1 more, named in the file"), std::string::npos);
  EXPECT_EQ(text.find("ddd"), std::string::npos);
}

TEST(Table, WithoutAHeadTheLayersAreShown) {
  ResultFile file = fixture::peers_file();
  file.peers.resize(4);
  for (PointRecord& point : file.points) {
    PartRecord& head = point.parts[1];
    head = PartRecord{};
    head.kind = "head";
    head.count = 1;
    head.why = "not asked for";
  }
  const std::string text = table(file);
  const std::string saves =
      section(text, "WHAT SPARSITY SAVES  time of the dense layers / of the MoE's, without the head");
  EXPECT_NE(line_with(saves, {"decode        1     4096      4.0×      3.3×    2.5×  2.50 to 2.50", "MoE cheaper"}),
            "");
  EXPECT_NE(line_with(saves, {"crossover in decode at context 4096"}), "");
  EXPECT_EQ(saves.find("not asked for"), std::string::npos);
  EXPECT_NE(line_with(section(text, "IN EACH PROGRAM"), {"decode       1", "2.5×", "2.0×"}), "");
  EXPECT_NE(line_with(markdown(file), {"time of the dense layers / of the MoE's, without the head"}), "");
  file.peers.clear();
  EXPECT_NE(table(file).find("head: not asked for"), std::string::npos);
}

TEST(Table, APairNeedsBothSidesOfAProgram) {
  ResultFile file = fixture::peers_file();
  std::erase_if(file.peers, [](const PeerRecord& peer) { return peer.kind == "moe"; });
  EXPECT_EQ(section(table(file), "IN EACH PROGRAM"), "");
  EXPECT_NE(section(table(file), "OTHER PROGRAMS"), "");
  EXPECT_EQ(markdown(file).find("in each program"), std::string::npos);
  for (const auto& row : csv_rows(csv(file))) {
    if (row.at("layer_kind") == "pair") {
      EXPECT_EQ(row.at("implementation"), "layercost");
    }
  }
}

TEST(Csv, OtherProgramsAndPairsHaveRows) {
  const auto rows = csv_rows(csv(fixture::peers_file()));
  const auto find = [&](const std::string& model, const std::string& kind, const std::string& by) {
    return decode_row(rows, model, "1", kind,
                      {{"implementation", by}, {"kind", kind == "pair" ? "layers_pair" : "layer"}});
  };
  EXPECT_EQ(rows_where(rows, {{"kind", "layer"}}).size(), 12u + 6u);  // ours, one per peer
  EXPECT_EQ(rows_where(rows, {{"kind", "model"}}).size(), 6u);
  EXPECT_EQ(rows_where(rows, {{"kind", "pair"}}).size(), 3u);
  EXPECT_EQ(rows_where(rows, {{"kind", "layers_pair"}}).size(), 3u + 3u);  // ours; 2 + 1 of peers
  const auto llama = find("tiny-dense", "dense", "llama.cpp");
  EXPECT_NEAR(std::stod(llama.at("time_s")), 0.05, 1e-12);
  EXPECT_NEAR(std::stod(llama.at("peer_ratio")), 0.8, 1e-12);
  EXPECT_EQ(llama.at("note"), "its weights may have come from a cache, ours did not; computes in f32");
  EXPECT_EQ(llama.at("paired_rounds"), "3");
  EXPECT_EQ(llama.at("layers_paid_ratio"), "");
  const auto pair = find("tiny-moe", "pair", "pytorch");
  EXPECT_EQ(pair.at("pair_dense"), "tiny-dense");
  EXPECT_NEAR(std::stod(pair.at("layers_paid_ratio")), 2, 1e-12);
  EXPECT_NEAR(std::stod(pair.at("layers_possible_ratio")), 10.0 / 3, 1e-12);
  EXPECT_EQ(pair.at("promised_ratio"), "4");
  EXPECT_EQ(pair.at("time_s"), "");
  EXPECT_EQ(pair.at("layer_count"), "");
  EXPECT_EQ(find("tiny-dense", "dense", "layercost").at("peer_ratio"), "");
  EXPECT_FALSE(csv_rows(csv(fixture::result_file()))[0].contains("implementation"));
}

TEST(Markdown, OtherProgramsStandBesideOurs) {
  const std::string text = markdown(fixture::peers_file());
  EXPECT_NE(
      line_with(text,
                {"| tiny-dense | 4× dense · bf16 | decode | 1 | 4096 | 62.5 ms | 80 % | 100 ms | 1.60× | 1.60 to 1.60 "
                 "| 50.0 ms | 0.800× | 0.800 to 0.800 | llama.cpp: its weights"}),
      "");
  EXPECT_NE(
      line_with(text, {"| decode | 8 | 4096 | 4.0× | 2.0× | 0.80× | 0.800 to 0.800 | 0.60× | 0.600 to 0.600 | | | |"}),
      "");
}

TEST(Table, HypotheticalStandsRightUnderTheMoney) {
  const auto lines = lines_of(table(fixture::result_file()));
  int seen = 0;
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
    if (lines[i].find("4× moe") == std::string::npos) continue;
    EXPECT_NE(lines[i + 1].find("hypothetical: does not fit"), std::string::npos) << lines[i + 1];
    ++seen;
  }
  EXPECT_EQ(seen, 3);
}

TEST(Table, WhatWasNotMeasuredSaysWhy) {
  const std::string text = table(troubled_file());
  EXPECT_NE(line_with(text, {"4× moe", "out of memory", "needs 66.1 GB, there are 16.8 GB"}), "");
  EXPECT_NE(line_with(text, {"4× moe", "WRONG"}), "");
  EXPECT_NE(text.find("relative L2 error 0.31"), std::string::npos);
  EXPECT_NE(line_with(text, {"decode", "8", "not measured"}), "");
  EXPECT_NE(line_with(text, {"state", "1 WRONG", "1 out of memory", "10 measured"}), "");
  EXPECT_NE(text.find("│   ROOF MOVED"), std::string::npos);
}

TEST(Table, IsNeverWiderThanAHundredColumns) {
  ResultFile file = troubled_file();
  file.environment.device_name = std::string(300, 'D');
  file.points[0].parts[0].kind = "dense window=4096 with a very long name indeed";
  for (PointRecord& point : file.points) {
    if (point.model == "tiny-dense") point.model = std::string(150, 'm');
  }
  file.models[0].name = file.pairs[0].dense = std::string(150, 'm');
  file.points[1].routing = std::string(90, 'r');
  file.points[1].batch = file.points[0].batch = 123456;
  file.price->usd_per_hour = 123456789;
  file.price->label = std::string(500, 'p');
  file.warnings = {{"w", std::string(500, 'w')}};
  file.depths = {fixture::depths(file.points[1], std::string(90, 'k'), {1, 2, 4}, {-1e-3 + 1, 2, 3})};
  file.depths[0].batch = 99999;
  ResultFile many = fixture::peers_file();  // four programs, long names, long remarks
  for (const PeerRecord& peer : fixture::peers_file().peers) {
    many.peers.push_back(peer);
    many.peers.back().implementation = std::string(60, 'i') + peer.implementation;
    many.peers.back().note = std::string(300, 'n');
    many.peers.back().cold = false;
    for (PeerRound& round : many.peers.back().rounds)
      for (double& sample_s : round.samples_s) sample_s *= 12345 * static_cast<double>(1 + round.index);
  }
  for (const ResultFile& f : {file, troubled_file(), fixture::result_file(), many}) {
    for (const std::string& line : lines_of(table(f))) EXPECT_LE(display_width(line), kTableWidth) << line;
    for (const std::string& line : lines_of(screen(f))) EXPECT_LE(display_width(line), 80u) << line;
  }
}

// At any width nothing is wider than the terminal; what had to leave is named, and a number is never cut.
TEST(Table, ColumnsLeaveANarrowTerminal) {
  for (const ResultFile& f : {troubled_file(), fixture::result_file(), fixture::peers_file()})
    for (const std::size_t width : {60u, 70u, 80u, 90u, 100u})
      for (const bool detail : {false, true})
        for (const bool ascii : {false, true}) {
          const std::string text = render_table({&f, 1}, {.ascii = ascii, .width = width, .view = {detail, detail}});
          for (const std::string& line : lines_of(text)) EXPECT_LE(display_width(line), width) << line;
          const bool all_ascii = std::all_of(text.begin(), text.end(), [](char c) { return c >= 0; });
          EXPECT_EQ(all_ascii, ascii);
        }
  const std::string narrow = screen(fixture::result_file(), 60);
  EXPECT_NE(line_with(narrow, {"tiny-dense", "decode", "1", "263 ms", "52.5"}), "");
  EXPECT_NE(line_with(narrow, {" not shown at 60 columns: ", "tokens/s", "promised", "±"}), "");
  EXPECT_EQ(narrow.find("3.81"), std::string::npos);
  EXPECT_EQ(screen(fixture::result_file(), 100).find("not shown"), std::string::npos);
  EXPECT_EQ(screen(fixture::result_file(), 20), screen(fixture::result_file(), 60));
  EXPECT_EQ(screen(fixture::result_file(), 300), screen(fixture::result_file(), 100));
}

TEST(Table, AsciiWritesWhatItCannotShow) {
  EXPECT_EQ(ascii_text("±5 µs → 2.0× · █▒░ a…"), "+/-5 us -> 2.0x | #=. a~");
  EXPECT_EQ(ascii_text("模e\xCC\x81"), "??e");
  const std::string text = screen(fixture::result_file(), 80, true);
  EXPECT_NE(line_with(text, {"tiny-dense", "decode", "263 ms", " 5.0 %", "80 %"}), "");
}

// 62.5 ms x 4 + 12.5 ms, 0.72 USD/h; 2.33 = 262.5 / 112.5; at batch 8 272 / 336 = 1 / 1.235.
TEST(Screen, SaysInOneSentenceWhatTheNumbersSay) {
  const std::string text = screen(fixture::result_file());
  EXPECT_NE(line_with(text, {"tiny-dense", "decode", "1", "263 ms", "±5.0 %", "80 %", "3.81", "52.5"}), "");
  EXPECT_NE(line_with(text, {" decode      8 ", "23.8*", "8.40*"}), "") << text;  // it does not fit
  EXPECT_NE(line_with(text, {"* hypothetical: does not fit (21.5 GB, there are 16.0 GB)"}), "");
  EXPECT_EQ(text.find("one layer"), std::string::npos);
  std::string sentence = text.substr(text.find(" verdict"));
  sentence.resize(std::min(sentence.find("\n\n"), sentence.size() - 1) + 1);
  for (std::size_t at = 0; (at = sentence.find("\n          ", at)) != std::string::npos;)
    sentence.replace(at, 11, " ");
  EXPECT_EQ(sentence,
            " verdict  A new token of tiny-moe (hypothetical: it does not fit here) costs 2.33 times less than of "
            "tiny-dense at batch 1 (2.33 to 2.33), 1.24 times more at batch 8 (1.24 to 1.24): cheaper up to batch 5.3; "
            "22.5 to 8.40 USD a million, at 0.720 USD per hour, all of it used; twice that at half the use; "
            "PRELIMINARY: 3 rounds, 10 make it worth quoting.\n");
}

TEST(Screen, OneModelHasAVerdictToo) {
  ResultFile file = fixture::result_file();
  file.pairs.clear();
  file.models.resize(1);
  file.points = {file.points[0]};
  EXPECT_NE(screen(file).find("A new token of tiny-dense takes 263 ms ±5.0 % at batch 1, 80 % of what"),
            std::string::npos)
      << screen(file);
  for (PartRecord& part : file.points[0].parts) part.rounds.clear(), part.outcome = Outcome::skipped;
  EXPECT_EQ(screen(file).find("verdict"), std::string::npos);
}

TEST(Screen, WhatWasNotMeasuredSaysWhy) {
  const std::string text = screen(troubled_file());
  EXPECT_NE(line_with(text, {" decode      8 ", "out of memory"}), "") << text;
  EXPECT_NE(line_with(text, {"moe: needs 66.1 GB, there are 16.8 GB"}), "");
  EXPECT_NE(line_with(text, {"WRONG"}), "");
  EXPECT_NE(text.find("relative L2 error 0.31"), std::string::npos);
  EXPECT_NE(line_with(text, {"tiny-dense", "decode", "8", "not measured"}), "");
}

// The legend comes on request and names what stands in the table.
TEST(Screen, ExplainsOnRequest) {
  const ResultFile file = fixture::result_file();
  EXPECT_EQ(screen(file).find("95 % interval from the rounds"), std::string::npos);
  const std::string text = render_table({&file, 1}, {.width = 80, .view = {false, true}});
  for (const char* word : {" per step", " possible", " promised", " paid", " PRELIMINARY", " hypothetical"})
    EXPECT_NE(line_with(text.substr(text.find(" possible    ")), {word}), "") << word;
  EXPECT_EQ(text.find("█"), std::string::npos);
  EXPECT_EQ(text.find("ROOF MOVED"), std::string::npos);
}

// A probe below the truth makes a sample faster than physics: it is withheld from every number that follows.
TEST(Screen, WhatIsImpossibleIsWithheld) {
  ResultFile file = fixture::result_file();
  for (Round& round : file.points[1].parts[0].rounds)
    for (Sample& sample : round.samples) sample.roofs_before = sample.roofs_after = {10e9, 500e9};
  const std::string text = screen(file);
  // 0.3 GB at 10 GB/s are 30 ms; 25 ms were measured: 120 %.
  EXPECT_NE(text.find("withheld: moe is IMPOSSIBLE, 120 % of what the machine's limits allow"), std::string::npos)
      << text;
  EXPECT_EQ(line_with(text, {"tiny-moe", "decode", "1", "113 ms"}), "");
  EXPECT_EQ(text.find("2.33 times less"), std::string::npos);
  EXPECT_NE(text.find("1.24 times more than of"), std::string::npos) << text;
  for (const auto& row : csv_rows(csv(file)))
    if (row.at("model") == "tiny-moe" && row.at("batch") == "1" && row.at("phase") == "decode" &&
        (row.at("kind") == "model" || row.at("kind") == "pair")) {
      EXPECT_EQ(row.at("usd_per_mtok") + row.at("paid_ratio") + row.at("time_s"), "") << row.at("kind");
      EXPECT_NE(row.at("why").find("IMPOSSIBLE"), std::string::npos);
    }
}

TEST(Table, ColourIsOnlyPaint) {
  const ResultFile file = troubled_file();
  const std::string painted = table(file, true), bare = table(file);
  EXPECT_EQ(bare.find('\x1b'), std::string::npos);
  EXPECT_NE(painted.find('\x1b'), std::string::npos);
  std::string stripped;
  for (const std::string& line : lines_of(painted)) {
    std::string plain_line = plain(line, 10'000);
    while (plain_line.ends_with(' ')) plain_line.pop_back();
    stripped += plain_line + "\n";
  }
  EXPECT_EQ(stripped, bare);
}

TEST(Table, WithoutAPriceThereIsNoMoney) {
  ResultFile file = fixture::result_file();
  file.price.reset();
  const std::string text = table(file);
  EXPECT_EQ(text.find('$'), std::string::npos);
  EXPECT_EQ(text.find("Mtok"), std::string::npos);
  EXPECT_NE(text.find("--price"), std::string::npos);
  for (const auto& row : csv_rows(csv(file))) {
    EXPECT_EQ(row.at("usd_per_mtok"), "");
    EXPECT_EQ(row.at("price_id"), "");
  }
}

TEST(Table, AnEmptyFileIsShownToo) {
  ResultFile file;
  EXPECT_NO_THROW(table(file));
  EXPECT_NO_THROW(markdown(file));
  EXPECT_EQ(lines_of(csv(file)).size(), 1u);
}

TEST(Csv, HasARowPerLayerKindAndOneForTheModel) {
  const auto rows = csv_rows(csv(fixture::result_file()));
  EXPECT_EQ(rows_where(rows, {{"kind", "layer"}}).size(), 12u);  // 6 points, a layer and the head of each
  EXPECT_EQ(rows_where(rows, {{"kind", "model"}}).size(), 6u);
  // Of a point the layers, the head, the whole; what else is of it comes behind.
  EXPECT_EQ(rows.at(0).at("layer_kind") + " " + rows.at(1).at("layer_kind") + " " + rows.at(2).at("layer_kind"),
            "dense head model");
  const CsvRow layer = decode_row(rows, "tiny-dense", "1", "dense");
  for (const char* column : {"tokens", "weight_type", "activation_type", "kv_type", "device", "routing",
                             "possible_fraction", "state", "labels", "price_id", "note"}) {
    EXPECT_TRUE(layer.contains(column)) << column;
  }
  EXPECT_EQ(layer.at("time_s"), "0.0625");
  EXPECT_EQ(layer.at("tokens_per_s"), "16");
  for (const char* column : {"usd_per_mtok", "memory_required_bytes", "fits"})  // of the whole model
    EXPECT_EQ(layer.at(column), "") << column;
  const CsvRow whole = decode_row(rows, "tiny-dense", "1", "model");
  EXPECT_NEAR(std::stod(whole.at("time_s")), 0.2625, 1e-12);
  EXPECT_NEAR(std::stod(whole.at("usd_per_mtok")), 52.5, 1e-9);
  EXPECT_NEAR(std::stod(whole.at("time_low_s")), 0.24974178, 1e-8);  // 0.2625 x (1, 1.02, 0.98), on the logarithm
  EXPECT_NEAR(std::stod(whole.at("time_high_s")), 0.27583640, 1e-8);
  EXPECT_EQ(whole.at("state"), "measured");
  EXPECT_EQ(whole.at("note"), "");
  EXPECT_EQ(whole.at("fits"), "true");
  EXPECT_EQ(whole.at("memory_required_bytes"), "5500000000");
  const CsvRow mixture = decode_row(rows, "tiny-moe", "1", "model");
  EXPECT_EQ(mixture.at("note"), "hypothetical: does not fit");
  EXPECT_EQ(mixture.at("state"), "measured");
  EXPECT_EQ(mixture.at("fits"), "false");
  EXPECT_EQ(decode_row(rows, "tiny-moe", "1", "moe").at("labels"), "preliminary");
  EXPECT_EQ(decode_row(rows, "tiny-moe", "1", "moe").at("routing"), "uniform");
}

TEST(Csv, EveryRowSaysWhatItIsAndOfWhichRun) {
  const ResultFile file = fixture::result_file();
  const auto rows = csv_rows(csv(file));
  std::map<std::string, int> kinds;
  std::set<std::string> runs;
  for (const auto& row : rows) {
    ++kinds[row.at("kind")];
    runs.insert(row.at("run_id"));
    EXPECT_EQ(row.at("commit"), "0123456789abcdef");
    EXPECT_EQ(row.at("threads"), "8");
    EXPECT_EQ(row.at("usd_per_hour"), "0.72");
    if (row.at("kind") == "layer" || row.at("kind") == "model") {
      EXPECT_EQ(row.at("rounds"), "3") << row.at("kind");
    }
    if (row.at("kind") != "model") {
      EXPECT_EQ(row.at("usd_per_mtok"), "") << row.at("kind");
    }
  }
  for (const auto& [kind, count] : std::map<std::string, int>{{"layer", 12}, {"model", 6}, {"pair", 3}})
    EXPECT_EQ(kinds[kind], count) << kind;
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs.begin()->size(), 16u);
  ResultFile later = file;
  later.started_at = "2026-01-02T03:04:06Z";
  EXPECT_NE(csv_rows(csv(later))[0].at("run_id"), *runs.begin());
  const CsvRow pair = decode_row(rows, "tiny-moe", "1", "pair");
  EXPECT_EQ(pair.at("pair_dense"), "tiny-dense");
  EXPECT_EQ(pair.at("promised_ratio"), "4");
  EXPECT_NEAR(std::stod(pair.at("possible_ratio")), 210.0 / 70, 1e-9);  // 4 x 50 + 10 and 4 x 15 + 10 ms
  EXPECT_NEAR(std::stod(pair.at("paid_ratio")), 262.5 / 112.5, 1e-9);
  EXPECT_NEAR(std::stod(pair.at("paid_ratio_low")), 262.5 / 112.5, 1e-9);  // the same in every round
  EXPECT_EQ(pair.at("paired_rounds"), "3");
}

TEST(Json, HasTheSameRows) {
  const ResultFile file = troubled_file();
  const auto rows = csv_rows(csv(file));
  const auto array = nlohmann::json::parse(find_report_format("json").render({&file, 1}, {}));
  const std::vector<std::string> lines = lines_of(find_report_format("jsonl").render({&file, 1}, {}));
  ASSERT_EQ(array.size(), rows.size());
  ASSERT_EQ(lines.size(), rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(nlohmann::json::parse(lines[i]), array[i]);
    for (const auto& [key, cell] : rows[i]) {
      const auto value = array[i].find(key);
      if (value == array[i].end()) {
        EXPECT_EQ(cell, "") << key;
      } else if (value->is_number()) {
        EXPECT_EQ(value->get<double>(), std::stod(cell)) << key;
      } else if (value->is_string()) {
        EXPECT_EQ(value->get<std::string>(), cell) << key;
      } else if (value->is_boolean()) {
        EXPECT_EQ(value->get<bool>() ? "true" : "false", cell) << key;
      }
    }
  }
  EXPECT_EQ(array[0].at("labels"), (nlohmann::json{"preliminary", "roof_moved"}));
}

// The second has lost its layers' straight line, the third has too few stacks to tell.
TEST(Csv, StacksOfGrowingDepthHaveRows) {
  ResultFile file = fixture::result_file();
  file.depths = {fixture::depths(file.points[1], "moe", {1, 2, 4}, {0.029, 0.053, 0.101}),
                 fixture::depths(file.points[0], "dense", {1, 2, 4}, {1, 2, 6}),
                 fixture::depths(file.points[3], "moe", {1, 2}, {0.08, 0.16}),
                 fixture::depths(file.points[2], "dense", {4}, {0.25})};
  const auto all = csv_rows(csv(file));
  const auto rows = rows_where(all, {{"kind", "depth"}});
  ASSERT_EQ(rows.size(), 4u);
  const CsvRow straight = decode_row(rows, "tiny-moe", "1", "moe");
  EXPECT_EQ(straight.at("depths"), "1 2 4");
  EXPECT_NEAR(std::stod(straight.at("overhead_s")), 0.005, 1e-12);
  EXPECT_NEAR(std::stod(straight.at("layer_s")), 0.024, 1e-12);
  EXPECT_NEAR(std::stod(straight.at("depth_residual_fraction")), 0, 1e-12);
  EXPECT_NEAR(std::stod(straight.at("depth_spread_fraction")), 0.029 / (0.101 / 4) - 1, 1e-12);
  EXPECT_NEAR(std::stod(straight.at("depth_off_layer_fraction")), 0.01, 1e-12);  // 4 layers: 101 ms, and 4 x 25
  EXPECT_EQ(straight.at("adds_up"), "true");
  EXPECT_EQ(straight.at("state"), "measured");
  EXPECT_EQ(straight.at("run_id"), all.at(0).at("run_id"));
  EXPECT_EQ(straight.at("weight_type") + straight.at("routing") + straight.at("context"), "bf16uniform4096");
  EXPECT_EQ(decode_row(rows, "tiny-dense", "1", "dense").at("adds_up"), "false");
  const CsvRow two = decode_row(rows, "tiny-moe", "8", "moe");
  EXPECT_NEAR(std::stod(two.at("layer_s")), 0.08, 1e-12);
  EXPECT_EQ(two.at("depth_residual_fraction") + two.at("depth_off_layer_fraction") + two.at("adds_up"), "");
  const CsvRow one = decode_row(rows, "tiny-dense", "8", "dense");
  EXPECT_EQ(one.at("state"), "skipped");
  EXPECT_EQ(one.at("why"), "too few depths");
  EXPECT_EQ(one.at("layer_s"), "");
  EXPECT_EQ(rows_where(all, {{"depths", ""}}).size(), all.size() - 4);
  EXPECT_FALSE(csv_rows(csv(fixture::result_file())).at(0).contains("depths"));
  file.depths[0].batch = 2;  // of no point here: nothing says what it is of
  EXPECT_EQ(rows_where(csv_rows(csv(file)), {{"kind", "depth"}}).size(), 3u);
}

TEST(Csv, MissingIsEmptyAndNeverZero) {
  ResultFile file = troubled_file();
  file.points[0].memory = {};
  const auto rows = csv_rows(csv(file));
  for (const char* kind : {"layer", "model", "pair"})
    for (const CsvRow& row : rows_where(rows, {{"kind", kind}})) {
      if (row.at("state") == "measured") continue;
      for (const char* column :
           {"time_s", "time_low_s", "time_high_s", "tokens_per_s", "possible_fraction", "usd_per_mtok"}) {
        EXPECT_EQ(row.at(column), "") << column;
      }
      EXPECT_NE(row.at("why"), "");
    }
  EXPECT_EQ(decode_row(rows, "tiny-moe", "8", "moe").at("state"), "out_of_memory");
  EXPECT_EQ(decode_row(rows, "tiny-moe", "8", "model").at("state"), "out_of_memory");
  EXPECT_EQ(decode_row(rows, "tiny-moe", "8", "head").at("state"), "measured");
  const CsvRow one_round = decode_row(rows, "tiny-dense", "8", "dense");
  EXPECT_EQ(one_round.at("time_low_s"), "");
  EXPECT_NE(one_round.at("time_s"), "");
  const CsvRow unknown = decode_row(rows, "tiny-dense", "1", "model");
  EXPECT_EQ(unknown.at("memory_required_bytes"), "");
  EXPECT_EQ(unknown.at("fits"), "");
}

TEST(Csv, FilesShareOneHeader) {
  const ResultFile file = fixture::result_file();
  const auto one = parse_csv(csv(file)), both = parse_csv(render_csv(std::vector{file, file}, {}));
  ASSERT_EQ(both.size(), 2 * one.size() - 1);
  EXPECT_EQ(both[0], one[0]);
  for (std::size_t i = 1; i < one.size(); ++i) {
    EXPECT_EQ(both[i], one[i]);
    EXPECT_EQ(both[one.size() - 1 + i], one[i]);
  }
}

// 8000 contexts, each a table of its own. In CPU time, and held against reading the same file, so that neither the
// machine nor its other programs decide: 0.4 times as long; 1.8 times where each table and row builds its columns.
TEST(Csv, ManyContextsTakeNoLongerThanReadingThem) {
  ResultFile file = fixture::result_file();
  const PointRecord point = file.points[0];
  file.points.assign(8000, point);
  for (std::size_t i = 0; i < file.points.size(); ++i) {
    file.points[i].context = static_cast<std::int64_t>(i);
    for (PartRecord& part : file.points[i].parts) {
      part.outcome = Outcome::skipped;
      part.why = "not reached";
      part.rounds.clear();
      part.ops.clear();
    }
  }
  const std::string text = result_to_text(file, nullptr);
  const auto cpu_s = [](const auto& work) {
    double best_s = 1e9;
    for (int i = 0; i < 3; ++i) {
      const std::clock_t begin = std::clock();
      work();
      best_s = std::min(best_s, static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
    }
    return best_s;
  };
  const double read_s = cpu_s([&] { result_from_text("r.json", text); });
  const std::vector<ResultFile> files = {file};
  const double csv_s = cpu_s([&] { EXPECT_GT(render_csv(files, {}).size(), 8000u); });
  EXPECT_LT(csv_s, read_s) << csv_s << " s and " << read_s << " s";
}

TEST(Csv, ColumnsAreExplained) {
  std::set<std::string> explained, keys;
  ResultFile file = fixture::peers_file();
  file.depths = {fixture::depths(file.points[1], "moe", {1, 2, 4}, {1, 2, 4})};
  for (const Section& section : sections_of(file))
    for (const Table& table : section.tables)
      for (const Panel& panel : table.panels)
        for (const Column& column : panel.columns) {
          keys.insert({column.key, column.low_key, column.high_key});
          if (!column.meaning.empty()) explained.insert(column.key);
        }
  keys.erase("");
  for (const char* key : {"model", "time_s", "time_low_s", "paid_ratio", "peer_ratio", "run_id", "layer_s"})
    EXPECT_TRUE(keys.contains(key)) << key;
  for (const std::string& key : keys) EXPECT_NE(explained.contains(key), find_metric(key) != nullptr) << key;
}

TEST(Sections, EveryRowHasACellForEachColumn) {
  ResultFile deep = fixture::result_file();
  deep.depths = {fixture::depths(deep.points[1], "moe", {1, 2, 4}, {1, 2, 4})};
  for (const ResultFile& file : {fixture::peers_file(), troubled_file(), deep, ResultFile()})
    for (const Section& section : sections_of(file))
      for (const Table& table : section.tables)
        for (const Group& group : table.groups)
          for (const Entry& entry : group.entries) {
            ASSERT_EQ(entry.panels.size(), table.panels.size()) << table.title;
            for (std::size_t p = 0; p < entry.panels.size(); ++p)
              for (const Row& row : entry.panels[p])
                EXPECT_EQ(row.cells.size(), table.panels[p].columns.size()) << table.title;
          }
}

bool is_data(const ReportFormat& format) {
  return format.name == "csv" || format.name == "json" || format.name == "jsonl";
}

std::string without_escapes(std::string text) {
  std::erase(text, '\\');
  return text;
}

// Every label of the closed lists, on one part, on all of them, and on the price.
TEST(Labels, AreShownByEveryFormat) {
  for (const LabelText& label : label_texts()) {
    ResultFile one = fixture::result_file(), all = one;
    one.points[0].parts[0].labels = {label.label};
    for (PointRecord& point : all.points)
      for (PartRecord& part : point.parts) part.labels = {label.label};
    for (const ResultFile& file : {one, all})
      for (const ReportFormat& format : report_formats()) {
        const std::string text = without_escapes(format.render({&file, 1}, {.view = {true, true}}));
        const std::string_view word = is_data(format) ? label.name : label.shown;
        const std::size_t first = text.find(word);
        ASSERT_NE(first, std::string::npos) << label.name << " in " << format.name;
        // Beside what it is of, and explained.
        EXPECT_NE(text.find(word, first + 1), std::string::npos) << label.name << " in " << format.name;
      }
    EXPECT_NE((" " + csv_rows(csv(one))[0].at("labels") + " ").find(" " + std::string(label.name) + " "),
              std::string::npos);
  }
}

TEST(Labels, OfThePriceAreShownByEveryFormat) {
  for (const PriceLabelText& label : price_label_texts()) {
    ResultFile file = fixture::result_file();
    for (const ReportFormat& format : report_formats())
      EXPECT_EQ(format.render({&file, 1}, {}).find(label.shown), std::string::npos) << label.shown;
    file.price->labels = {label.label};
    for (const ReportFormat& format : report_formats()) {
      const std::string text = without_escapes(format.render({&file, 1}, {}));
      EXPECT_NE(text.find(is_data(format) ? label.name : label.shown), std::string::npos)
          << label.name << " in " << format.name;
    }
    EXPECT_EQ(csv_rows(csv(file))[0].at("price_labels"), label.name);
  }
}

// Of six rows: what one or two carry stands on those, what three carry is said once below, what all parts carry above.
TEST(Labels, StandOnARowOnlyForWhatMakesThatRowDoubtful) {
  const auto count = [](const std::string& text, const std::string& word) {
    std::size_t n = 0;
    for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; ++at) ++n;
    return n;
  };
  const auto labelled = [](std::size_t points, Label label) {
    ResultFile file = fixture::result_file();
    for (std::size_t p = 0; p < points; ++p) file.points[p].parts[0].labels.push_back(label);
    return file;
  };
  for (const std::size_t n : {1u, 2u, 3u, 5u, 6u})
    for (const bool as_table : {true, false}) {
      const ResultFile file = labelled(n, Label::roof_moved);
      const std::string text = as_table ? table(file) : markdown(file);
      EXPECT_EQ(count(text, "ROOF MOVED"), n < 3 ? n + 1 : 1) << n;  // the legend's line, and each row
      EXPECT_EQ(count(text, std::to_string(n) + " of 6 rows. The machine's own limit"), n < 3 ? 0u : 1u) << n;
    }
  EXPECT_EQ(count(table(labelled(5, Label::impossible)), "IMPOSSIBLE"), 6u);
  ResultFile two = labelled(2, Label::roof_moved);  // of a few rows, each says its own
  two.points.resize(2);
  EXPECT_EQ(count(table(two), "ROOF MOVED"), 3u);
  const auto rows = csv_rows(csv(labelled(5, Label::roof_moved)));
  EXPECT_EQ(std::count_if(rows.begin(), rows.end(),
                          [](const auto& row) { return row.at("labels").find("roof_moved") != std::string::npos; }),
            10);  // data keep them on every row: five parts and their models
}

TEST(Outcomes, AreShownByEveryFormat) {
  for (const OutcomeText& outcome : outcome_texts()) {
    ResultFile file = fixture::result_file();
    PartRecord& part = file.points[1].parts[0];
    part.outcome = outcome.outcome;
    if (outcome.outcome != Outcome::measured) part.rounds.clear();
    for (const ReportFormat& format : report_formats()) {
      const std::string text = format.render({&file, 1}, {.view = {true, true}});
      EXPECT_NE(text.find(is_data(format) ? outcome.name : outcome.shown), std::string::npos)
          << outcome.name << " in " << format.name;
    }
  }
}

// TX-09
TEST(Hostile, CellsCannotBecomeFormulasMarkupOrEscapes) {
  EXPECT_EQ(csv_text("=1+1"), "'=1+1");
  EXPECT_EQ(csv_text("+1"), "'+1");
  EXPECT_EQ(csv_text("-1"), "'-1");
  EXPECT_EQ(csv_text("@x"), "'@x");
  EXPECT_EQ(csv_text("\x1b[0m=1"), "'=1");  // hidden behind an escape sequence
  EXPECT_EQ(csv_text(" =1+1"), "' =1+1");   // spreadsheets skip blanks
  EXPECT_EQ(csv_text("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_text("a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(csv_text("a\nb"), "a?b");
  EXPECT_EQ(csv_text("=\"a\",1"), "\"'=\"\"a\"\",1\"");
  EXPECT_EQ(csv_text(" a"), "\" a\"");
  EXPECT_EQ(markdown_text("a|b*c_d`e<f>&[g](h)!@x\\"), "a\\|b\\*c\\_d\\`e&lt;f&gt;&amp;\\[g\\](h)\\!&#64;x\\\\");
}

TEST(Hostile, NoFieldOfAFileEscapes) {
  const std::string evil = "=cmd|'/c calc'!A1</ScRiPt><!--\x1b[2J\x1b]0;x\x07]]>\xE2\x80\xA8\xE2\x80\xAE\r\n|@x\"";
  ResultFile file = troubled_file();
  const auto spoil = [&](std::string& text) { text = evil + text; };
  for (ModelRecord& model : file.models) spoil(model.name);
  spoil(file.pairs[0].dense);
  spoil(file.pairs[0].moe);
  for (std::string* text : {&file.environment.device_name, &file.suite, &file.commit, &file.program_version,
                            &file.started_at, &file.price->id, &file.price->label, &file.schema_version}) {
    spoil(*text);
  }
  file.environment.libraries = {{evil, evil}};
  file.warnings = {{evil, evil}};
  for (PointRecord& point : file.points) {
    for (std::string* text :
         {&point.model, &point.weight_type, &point.activation_type, &point.kv_type, &point.device, &point.routing})
      spoil(*text);
    for (PartRecord& part : point.parts) {
      spoil(part.kind);
      spoil(part.why);
    }
  }
  file.depths = {fixture::depths(file.points[1], evil, {1, 2, 4}, {1, 2, 4})};
  file.peers = fixture::peers_file().peers;
  for (PeerRecord& peer : file.peers)
    for (std::string* text :
         {&peer.implementation, &peer.version, &peer.detail, &peer.model, &peer.weight_type, &peer.kind, &peer.note})
      spoil(*text);
  const auto has_control = [](const std::string& text) {
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return (c >= 0 && c < 0x20 && c != '\n') || c == 0x7F; }) ||
           text.find("\xE2\x80\xA8") != std::string::npos || text.find("\xE2\x80\xAE") != std::string::npos;
  };
  for (const ReportFormat& format : report_formats()) {
    const std::string text = format.render({&file, 1}, {});
    EXPECT_FALSE(has_control(text)) << format.name;
    EXPECT_FALSE(text.empty());
  }
  const std::string md = markdown(file);
  EXPECT_EQ(md.find('<'), std::string::npos);
  EXPECT_EQ(md.find("@x"), std::string::npos);
  // A pipe in a cell would make a column: every row of a table has as many as its head.
  std::size_t bars = 0;
  for (const std::string& line : lines_of(md)) {
    if (!line.starts_with('|')) {
      bars = 0;
      continue;
    }
    std::size_t n = 0;
    for (std::size_t i = 0; i < line.size(); ++i) n += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
    if (bars == 0) bars = n;
    EXPECT_EQ(n, bars) << line;
  }
  for (const auto& row : parse_csv(csv(file))) {
    for (const std::string& cell : row) {
      ASSERT_TRUE(cell.empty() || std::string("=+@").find(cell[0]) == std::string::npos) << cell;
    }
  }
}

// The cells of the first row of a document's tables that begins so, under the titles of their columns, one after the
// other where several have the same.
std::map<std::string, std::vector<std::string>> document_row(const std::string& text, const std::string& begin) {
  const auto cells = [](const std::string& line) {
    std::vector<std::string> all;
    for (std::size_t at = line.find('|'), end = 0; (end = line.find(" |", at + 1)) != std::string::npos; at = end + 1)
      all.push_back(line.substr(at + 2, end - at - 2));
    return all;
  };
  std::vector<std::string> titles;
  bool inside = false;
  for (const std::string& line : lines_of(text)) {
    if (line.starts_with('|') && !inside) titles = cells(line);
    inside = line.starts_with('|');
    if (!line.starts_with(begin)) continue;
    std::map<std::string, std::vector<std::string>> row;
    const std::vector<std::string> of_row = cells(line);
    EXPECT_EQ(of_row.size(), titles.size()) << line;
    for (std::size_t i = 0; i < std::min(of_row.size(), titles.size()); ++i) row[titles[i]].push_back(of_row[i]);
    return row;
  }
  return {};
}

TEST(Markdown, ShowsTheSameNumbers) {
  const std::string text = markdown(fixture::result_file());
  using Cells = std::vector<std::string>;
  const auto row = document_row(text, "| tiny-dense | 4× dense | 1 |");
  ASSERT_FALSE(row.empty()) << text;
  EXPECT_EQ(row.at("one layer"), Cells{"62.5 ms"});
  EXPECT_EQ(row.at("±"), (Cells{"±5.0 %", "±5.0 %"}));
  EXPECT_EQ(row.at("% of possible"), (Cells{"80 %", "80 %"}));
  EXPECT_EQ(row.at("whole model, per step"), Cells{"263 ms"});
  EXPECT_EQ(row.at("tokens/s"), Cells{"3.81"});
  EXPECT_EQ(row.at("\\$ per Mtok out"), Cells{"52.5"});
  EXPECT_NE(line_with(text, {"| decode | 8 | 4096 | 4.0× | 1.9× | 0.81× |", "MoE dearer |"}), "");
  EXPECT_NE(line_with(text, {"hypothetical: does not fit; needs 21.5 GB, has 16.0 GB"}), "");
}

}  // namespace
}  // namespace layercost

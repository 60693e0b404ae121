// SPDX-License-Identifier: Apache-2.0
#include "harness/report/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "harness/report/data.h"
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

struct Files {
  std::span<const ResultFile> files;
  std::span<const std::string> names;
};

struct Subject {
  const Files& all;
  const ComparedWork& work;
  const ComparedSide& side;
  const ResultFile& file() const { return all.files[side.file]; }
  bool is_base() const { return &side == &work.sides.front(); }
};

std::string money_word(Comparison verdict) {
  switch (verdict) {
    case Comparison::faster:
      return "CHEAPER";
    case Comparison::slower:
      return "DEARER";
    case Comparison::same:
    case Comparison::inconclusive:
      break;
  }
  return std::string(to_string(verdict));
}

std::string label_words(const std::vector<Label>& labels) { return shown(TableCell{labels}, Form::text); }

// Below a row: what speaks against it, and why something is missing.
std::string remarks(const Subject& s) {
  std::vector<std::string> all = {label_words(s.side.labels), s.side.note};
  if (!s.is_base() && s.side.time_s && !s.side.why_no_verdict.empty())
    all.push_back("no verdict: " + s.side.why_no_verdict);
  if (s.side.verdict && !s.side.time_ratio->interval) all.emplace_back("a single round has no interval");
  if (!s.is_base() && s.side.usd_per_mtok && !s.side.why_no_cost.empty())
    all.push_back("costs not compared: " + s.side.why_no_cost);
  return plain(joined(all, "; "));
}

TableCell verdict_cell(const Subject& s) {
  if (s.is_base()) return text_cell("base");
  if (s.side.verdict) return text_cell(std::string(to_string(*s.side.verdict)));
  return s.side.time_s ? TableCell{Absent{"no verdict", ""}} : TableCell{};
}

// On a narrow terminal a verdict leaves before its interval does: that of the time never, with all that it rests on.
std::vector<ColumnOf<Subject>> columns(bool with_money) {
  std::vector<ColumnOf<Subject>> all = {
      {{.key = "file", .meaning = "the file that the row is of, as it was given"},
       [](const Subject& s) { return text_cell(s.all.names[s.side.file]); }},
      {{.key = "base_file", .meaning = "the file that it is held against"},
       [](const Subject& s) { return text_cell(s.all.names[s.work.sides.front().file]); }},
      {{.key = "rank",
        .meaning = "1 + how many files are shown to be faster; files of one rank are tied",
        .title = "rank",
        .head = "rank",
        .width = 5,
        .leaves = 5},
       [](const Subject& s) {
         return s.side.rank ? TableCell{*s.side.rank, s.side.tied ? "=" : " "} : TableCell{};
       }},
      {{.title = "file", .head = "file", .width = 4, .align = Align::left},
       [](const Subject& s) { return text_cell(file_letter(s.side.file)); }},
      {{.title = "machine", .head = "machine", .width = 9, .most = 30, .align = Align::left, .shrinks = true},
       [](const Subject& s) { return text_cell(plain(s.file().environment.device_name, 80)); }},
      {{.key = "time_s",
        .low_key = "time_low_s",
        .high_key = "time_high_s",
        .title = "time",
        .head = "time",
        .width = 8,
        .form = Form::time},
       [](const Subject& s) {
         return s.side.time_s ? number_cell(s.side.time_s, s.side.time_interval)
                              : TableCell{Absent{std::string(text_of(s.side.outcome).shown), plain(s.side.why)}};
       }},
      {{.title = "±", .head = "±", .width = 7, .form = Form::spread, .leaves = 6},
       [](const Subject& s) { return number_cell(s.side.time_s, s.side.time_interval); }},
      {{.key = "possible_fraction",
        .title = "% of possible",
        .over = "% of",
        .head = "possible",
        .width = 8,
        .form = Form::percent,
        .leaves = 1},
       [](const Subject& s) { return number_cell(s.side.possible_fraction); }},
      {{.key = "time_ratio",
        .low_key = "time_ratio_low",
        .high_key = "time_ratio_high",
        .meaning = "time of the file / of the base file, with its 95 % interval",
        .title = "time / base",
        .over = "time",
        .head = "/ base",
        .width = 7,
        .form = Form::ratio},
       [](const Subject& s) { return ratio_cell(s.side.time_ratio); }},
      {{.title = "95 % interval",
        .head = "95 % interval",
        .width = 14,
        .gap = 2,
        .align = Align::left,
        .form = Form::range},
       [](const Subject& s) { return ratio_cell(s.side.time_ratio); }},
      {{.key = "time_verdict",
        .meaning = "FASTER, SLOWER, SAME or INCONCLUSIVE, of the file against the base file",
        .title = "verdict",
        .head = " ",
        .width = 12,
        .align = Align::left,
        .strong = true},
       verdict_cell},
  };
  if (with_money) {
    const std::vector<ColumnOf<Subject>> money = {
        {{.key = "usd_per_mtok",
          .low_key = "usd_per_mtok_low",
          .high_key = "usd_per_mtok_high",
          .title = "$ / Mtok",
          .over = "$ per",
          .head = "Mtok",
          .width = 7,
          .form = Form::number,
          .leaves = 3},
         [](const Subject& s) { return number_cell(s.side.usd_per_mtok, s.side.usd_per_mtok_interval); }},
        {{.key = "cost_ratio",
          .low_key = "cost_ratio_low",
          .high_key = "cost_ratio_high",
          .meaning = "cost of the file / of the base file; the interval is that of the time, as prices have none",
          .title = "cost / base",
          .over = "cost",
          .head = "/ base",
          .width = 7,
          .form = Form::ratio,
          .leaves = 4},
         [](const Subject& s) { return ratio_cell(s.side.cost_ratio); }},
        {{.title = "95 % interval of the cost",
          .over = "of the cost",
          .head = "95 % interval",
          .width = 14,
          .gap = 2,
          .align = Align::left,
          .form = Form::range,
          .leaves = 2},
         [](const Subject& s) { return ratio_cell(s.side.cost_ratio); }},
        {{.key = "cost_verdict",
          .meaning = "CHEAPER, DEARER, SAME or INCONCLUSIVE, of the file against the base file",
          .title = "cost verdict",
          .head = "cost verdict",
          .width = 12,
          .align = Align::left,
          .leaves = 2},
         [](const Subject& s) {
           return s.side.cost_verdict ? text_cell(money_word(*s.side.cost_verdict)) : TableCell{};
         }},
    };
    all.insert(all.end(), money.begin(), money.end());
  }
  all.push_back({{.key = "labels", .meaning = "separated by spaces; see result/labels.h"},
                 [](const Subject& s) { return TableCell{s.side.labels}; }});
  all.push_back({{.key = "note", .meaning = "what must be known beside the row"},
                 [](const Subject& s) { return text_cell(remarks(s)); }});
  return all;
}

std::string title_of(const ComparedWork& work) {
  const std::string whole = fmt::format("{} {}", plain(work.of.model, 80), step_text(work.of));
  if (work.kind.empty()) return whole;
  return whole + ": " +
         (work.kind == "head" ? "the head" : fmt::format("one of {} layers '{}'", work.count, plain(work.kind, 60)));
}

Table works_table(const CompareReport& report, const Files& files, bool whole, bool layers) {
  bool with_money = false;
  for (const ComparedWork& work : report.works)
    for (const ComparedSide& side : work.sides) with_money |= side.usd_per_mtok.has_value();
  const auto own = columns(with_money);
  Table table;
  table.title = "Side by side";
  table.about = fmt::format("time and cost of each file / of the base: 0.50× is half; {}",
                            report.band > 0 ? fmt::format("SAME is within {:.3g} %", 100 * report.band) : "no band");
  table.panels.push_back({.columns = behind_identity(columns_of(own)), .tail = 0});
  table.notes_column = true;
  std::size_t place = 0;
  for (const ComparedWork& work : report.works) {
    if (!(work.kind.empty() ? whole : layers)) continue;
    Group group{title_of(work),
                joined({types_text(work.of), routing_text(work.of.routing),
                        work.of.shard.empty() ? "" : "shard " + plain(work.of.shard, 40),
                        work.sides.front().file == report.base ? "" : "base " + file_letter(work.sides.front().file)},
                       " · ")};
    for (const ComparedSide& side : work.sides) {
      const Subject subject{files, work, side};
      ModelRow scenario;
      static_cast<ScenarioRecord&>(scenario) = work.of;
      const PointRecord& point = files.files[side.file].points[side.point];
      scenario.device = point.device;
      scenario.tokens = point.tokens;
      Row row{identity_cells(files.files[side.file], scenario, work.kind.empty() ? "model" : work.kind, "compared"),
              Place{place++, 0, 0}};
      for (TableCell& cell : cells_of(own, subject)) row.cells.push_back(std::move(cell));
      Entry entry{{{std::move(row)}}};
      if (const std::string text = remarks(subject); !text.empty()) entry.notes.push_back({text});
      group.entries.push_back(std::move(entry));
    }
    table.groups.push_back(std::move(group));
  }
  if (report.verdicts > 1)
    table.footnotes.push_back(fmt::format(
        "{} verdicts at 95 %: by chance alone up to {:.2g} of them may be wrong. Each interval is of the rounds of one "
        "session; another day can differ by more.",
        report.verdicts, 0.05 * static_cast<double>(report.verdicts)));
  return table;
}

struct Refusal {
  const Files& all;
  const NotCompared& refused;
  std::size_t file;
  bool is_last() const { return file == refused.where.back().first; }  // of the files with this scenario
};

Table refused_table(const CompareReport& report, const Files& files) {
  static const std::vector<ColumnOf<Refusal>> own = {
      {{.key = "file", .meaning = "the file that the row is of, as it was given"},
       [](const Refusal& r) { return text_cell(r.all.names[r.file]); }},
      {{.key = "why", .meaning = "why it has no value"}, [](const Refusal& r) { return text_cell(r.refused.why); }},
      {{.key = "nearest", .meaning = "what comes closest, and in which file"},
       [](const Refusal& r) { return text_cell(r.refused.nearest); }},
      {{.title = "file", .head = "file", .width = 4, .gap = 3, .align = Align::left},
       [](const Refusal& r) { return text_cell(file_letter(r.file)); }},
      {{.title = "scenario", .head = "scenario", .width = 30, .most = 90, .align = Align::left, .shrinks = true},
       [](const Refusal& r) { return text_cell(plain(to_text(r.refused.of), 200)); }},
      {{.title = "why not", .head = " ", .width = 1, .gap = 0, .align = Align::left},
       [](const Refusal& r) {
         if (!r.is_last()) return TableCell{};
         return TableCell{Absent{
             "", plain(r.refused.why + (r.refused.nearest.empty() ? "" : "; nearest: " + r.refused.nearest), 1000)}};
       }},
  };
  Table table;
  table.title = "Not compared";
  table.about = "not the same work";
  table.frame = Frame::none;
  table.panels.push_back({.columns = behind_identity(columns_of(own)), .tail = 0});
  Group group;
  std::size_t place = 0;
  for (const NotCompared& refused : report.refused) {
    Entry entry{{{}}};
    for (const auto& [file, point] : refused.where) {
      ModelRow scenario;
      static_cast<ScenarioRecord&>(scenario) = refused.of;
      scenario.device = files.files[file].points[point].device;
      scenario.tokens = files.files[file].points[point].tokens;
      Row row{identity_cells(files.files[file], scenario, "model", "not_compared"), Place{1, place++, 0}};
      for (TableCell& cell : cells_of(own, {files, refused, file})) row.cells.push_back(std::move(cell));
      entry.panels[0].push_back(std::move(row));
    }
    group.entries.push_back(std::move(entry));
  }
  if (!group.entries.empty()) table.groups.push_back(std::move(group));
  return table;
}

// "FASTER 5, SAME 1", of whole models, or of layers where there are none.
std::string counts_of(const CompareReport& report, std::size_t file, bool layers) {
  std::map<Comparison, std::int64_t> counts;
  for (const ComparedWork& work : report.works)
    if (work.kind.empty() != layers)
      for (const ComparedSide& side : work.sides)
        if (side.file == file && side.verdict) ++counts[*side.verdict];
  std::string text;
  for (const auto& [verdict, count] : counts)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", to_string(verdict), count);
  return text;
}

std::string price_of(const ResultFile& file) {
  if (!file.price) return "no price";
  const PriceRecord& p = *file.price;
  std::vector<std::string> words;
  for (const PriceLabel label : p.labels) words.emplace_back(text_of(label).shown);
  std::string text = fmt::format("{} USD/h", digits(p.usd_per_hour));
  if (!p.retrieved_at.empty()) text += " of " + plain(p.retrieved_at, 10);
  if (!words.empty()) text += " (" + joined(words, ", ") + ")";
  if (p.utilisation) text += fmt::format(", utilisation {:.4g}", *p.utilisation);
  return text;
}

Section files_section(const CompareReport& report, const Files& files, bool layers) {
  Section section;
  section.title = "Files";
  for (std::size_t f = 0; f < files.files.size(); ++f) {
    const ResultFile& file = files.files[f];
    const EnvironmentRecord& machine = file.environment;
    const std::string hash = "sha256 " + file.content_hash.substr(0, 16);
    std::string head = f == report.base ? "base" : counts_of(report, f, layers);
    section.items.push_back(
        {file_letter(f),
         joined({plain(files.names[f], 200), plain(machine.device_name, 80),
                 machine.threads > 0 && !machine.gpu ? fmt::format("{} threads", machine.threads) : "",
                 machine.gpu && !machine.gpu->driver.empty() ? "driver " + plain(machine.gpu->driver, 40) : "",
                 price_of(file), plain(file.started_at.substr(0, 10), 10),
                 plain(file.program_version, 20) +
                     (file.commit.empty() ? "" : " " + plain(file.commit.substr(0, 12), 12)) +
                     (file.commit_dirty ? "+" : ""),
                 file.complete ? "" : "INCOMPLETE", hash, head},
                " · ")});
  }
  return section;
}

}  // namespace

std::string render_comparison(const CompareReport& report, std::span<const ResultFile> files,
                              std::span<const std::string> names, std::string_view format,
                              const ReportOptions& options) {
  const Files all{files, names};
  const bool data = format != "table" && format != "markdown";
  const bool any_whole = std::any_of(report.works.begin(), report.works.end(), [](const ComparedWork& work) {
    return work.kind.empty() && std::any_of(work.sides.begin(), work.sides.end(),
                                            [](const ComparedSide& side) { return side.verdict.has_value(); });
  });
  std::vector<Section> sections = {files_section(report, all, !any_whole), {}, {}};
  sections[1].tables.push_back(works_table(report, all, any_whole || data, !any_whole || data || options.view.detail));
  sections[2].tables.push_back(refused_table(report, all));
  return (format == "markdown" ? "## Result files compared\n" : "") +
         render_sections(sections, format, options);
}

}  // namespace layercost

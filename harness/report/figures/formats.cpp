// What a smaller weight format saves at each point: promised by its bytes, possible, paid.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "harness/report/figures/shared.h"
#include "harness/report/figures/tones.h"
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

constexpr int kRowHeight = 26;

struct OfPoint {
  FigurePanel figure;
  std::vector<std::string> formats = {}, names = {};  // of its rows and its series, in order
  double most = 1;
};

void add_row(OfPoint& panel, const FormatRow& row, const std::string& name, const std::string& basis,
             const TableCell& ratio, const std::string& state, bool firm) {
  const Number* number = std::get_if<Number>(&ratio.value);
  if (number == nullptr) return;
  panel.most = std::max({panel.most, number->value, number->interval ? number->interval->high : 0});
  panel.formats.push_back(plain(row.weight_type, 20));
  panel.names.push_back(name);
  panel.figure.rows.push_back({text_cell(plain(row.weight_type, 20)), text_cell(name), text_cell(basis), ratio, ratio,
                               text_cell(state), TableCell{firm}});
}

void add_rows(OfPoint& panel, const FormatRow& row, const Summary& summary) {
  const bool of_layers = !summary.peers.empty();
  const auto [state, firm] = standing_of(both_points(row, summary));
  add_row(panel, row, "promised", "published", number_cell(row.promised), "", true);
  add_row(panel, row, "possible", "modelled", number_cell(of_layers ? row.possible_layers : row.possible), "", true);
  if (!of_layers) add_row(panel, row, "paid", "measured", ratio_cell(row.paid), state, firm);
  for (const PaidBy& by : row.layers)
    add_row(panel, row, "paid in " + plain(by.implementation, 20), "measured", ratio_cell(by.paid), state,
            firm && !by.remarked);
}

Spec formats_spec(const Figure& figure, const OfPoint& panel, const std::string& base) {
  const std::vector<std::string> names = distinct(panel.names);
  std::vector<std::string> tones, shapes;
  constexpr std::array kOfPrograms = {"circle", "triangle-up", "triangle-down", "triangle-right", "triangle-left"};
  std::size_t programs = 0;
  for (const std::string& name : names) {
    const bool promised = name == "promised", possible = name == "possible";
    tones.push_back(promised ? tone("quiet") : possible ? tone("series1") : series_tone(1 + programs));
    shapes.push_back(promised ? "diamond" : possible ? "square" : kOfPrograms[programs % kOfPrograms.size()]);
    if (!promised && !possible) ++programs;
  }
  const Spec y = words("format", {{"axis", label_axis()}});
  const Spec x = quantity("ratio", fmt::format("times cheaper than {}", base),
                          {{"domain", {0, 1.08 * panel.most}}, {"nice", false}},
                          {{"labelExpr", "datum.label + '×'"}, {"tickCount", 5}});
  Spec colour = words("what", {{"scale", {{"domain", names}, {"range", tones}}}, {"legend", {{"orient", "top"}}}});
  Spec shape = words("what", {{"scale", {{"domain", names}, {"range", shapes}}}, {"legend", {{"orient", "top"}}}});
  make_room(colour, shape, names);
  Spec layers = Spec::array();
  layers.push_back({{"data", {{"values", {{{"ratio", 1}}}}}},
                    {"mark", {{"type", "rule"}, {"color", tone("ink")}, {"strokeWidth", 1}}},
                    {"encoding", {{"x", x}}}});
  Spec from = x;
  from["field"] = "ratio_low";
  layers.push_back({{"mark", {{"type", "rule"}, {"strokeWidth", 2}}},
                    {"transform", only("datum.basis == 'measured' && isValid(datum.ratio_low)")},
                    {"encoding", {{"x", from}, {"x2", {{"field", "ratio_high"}}}, {"y", y}, {"color", colour}}}});
  const Spec encoding = {{"x", x}, {"y", y}, {"color", colour}, {"shape", shape}, {"tooltip", tooltip(figure.columns)}};
  layers.push_back(
      {{"mark", {{"type", "point"}, {"size", 60}, {"strokeWidth", 1.5}, {"opacity", 1}, {"filled", false}}},
       {"transform", only("datum.basis != 'measured'")},
       {"encoding", encoding}});
  for (Spec& one : points(encoding, "datum.basis == 'measured'")) layers.push_back(std::move(one));
  return layered(std::move(layers), kRowHeight * static_cast<int>(distinct(panel.formats).size()));
}

}  // namespace

Figure formats_figure(const FigureSource& source) {
  const Summary& summary = source.summary;
  Figure figure;
  figure.columns = {{"format", "format"},
                    {"what", "ratio"},
                    {"basis", "basis"},
                    {"ratio", "plain / this format", Form::times},
                    {"interval", "95 % interval", Form::range},
                    {"state", "state"},
                    {"firm"}};
  std::vector<const FormatRow*> rows;
  for (const FormatRow& row : summary.formats) rows.push_back(&row);
  while (!rows.empty()) {
    const FormatRow& first = *rows.front();
    OfPoint panel{.figure = {.title = joined({plain(first.model, 60), step_text(first)}, " · "), .spec = {}}};
    std::erase_if(rows, [&](const FormatRow* row) {
      const bool here = row->base == first.base && same_except(*row, first, {Member::weight_type});
      if (here) add_rows(panel, *row, summary);
      return here;
    });
    panel.figure.spec = formats_spec(figure, panel, plain(first.base, 20));
    figure.panels.push_back(std::move(panel.figure));
  }
  if (figure.panels.empty()) {
    figure.absent = "no point was measured in a plain format and in a smaller one (--suite formats)";
    return figure;
  }
  figure.caption = fmt::format(
      "Right of the line the format saves. Promised: bytes of a matrix. Possible: what the machine's limits leave of "
      "it, cache, norms, router and head included. Paid: measured, with 95 % intervals{}. {}.",
      summary.peers.empty() ? "" : ", the layers alone", conditions_of(source));
  return figure;
}

}  // namespace layercost

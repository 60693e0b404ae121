// How much of what the machine can do each layer reaches, and each operation in it: a model has a panel.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "harness/cost/anatomy.h"
#include "harness/report/figures/shared.h"
#include "harness/report/figures/tones.h"
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

constexpr int kRowHeight = 26;

Spec utilisation_spec(const Figure& figure, std::size_t rows) {
  const Spec y = words("at", {{"axis", label_axis()}});
  const Spec x = quantity("possible_fraction", "share of possible", {{"domainMin", 0}, {"domainMax", 1.05}},
                          {{"format", ".0%"}, {"tickCount", 5}, {"labelFlush", false}});
  Spec axis = x;
  axis["scale"]["clamp"] = true;
  const Spec bar = {
      {"mark", {{"type", "bar"}, {"height", 12}, {"color", tone("series1")}, {"stroke", tone("series1")}}},
      {"transform", only("datum.op == 'whole layer'")},
      {"encoding",
       {{"y", y},
        {"x", axis},
        {"fillOpacity", {{"condition", {{"test", "datum.firm"}, {"value", 0.75}}}, {"value", 0.15}}},
        {"tooltip", tooltip(figure.columns)}}}};
  const Spec ops = {{"mark", {{"type", "circle"}, {"color", tone("series2")}, {"opacity", 0.75}}},
                    {"transform", only("datum.op != 'whole layer' && isValid(datum.possible_fraction)")},
                    {"encoding",
                     {{"y", y},
                      {"x", axis},
                      {"size", quantity("share", "", {{"domain", {0, 1}}, {"range", {10, 420}}})},
                      {"tooltip", tooltip(figure.columns)}}}};
  const Spec limit = {{"data", {{"values", {{{"possible_fraction", 1}}}}}},
                      {"mark", {{"type", "rule"}, {"strokeDash", {7, 4}}, {"color", tone("ink")}}},
                      {"encoding", {{"x", axis}}}};
  Spec sized = ops;
  sized["encoding"]["size"]["legend"] = nullptr;
  Spec spec = layered({bar, sized, limit}, 0);
  spec["height"] = kRowHeight * static_cast<int>(rows);
  return spec;
}

}  // namespace

Figure utilisation_figure(const FigureSource& source) {
  Figure figure;
  figure.columns = {{"at", "step, layers"},
                    {"op", "operation"},
                    {"possible_fraction", "% of possible", Form::percent},
                    {"share", "share of the layer's time", Form::percent},
                    {"state", "state"},
                    {"firm"}};
  std::vector<std::string> titles;
  std::vector<std::size_t> bars;
  for (std::size_t m = 0; m < source.summary.models.size(); ++m) {
    const ModelRow& row = source.summary.models[m];
    for (std::size_t p = 0; p < row.parts.size(); ++p) {
      const PartRow& part = row.parts[p];
      if (!part.possible_fraction) continue;
      const std::string title = plain(row.model, 80);
      std::size_t at = static_cast<std::size_t>(std::find(titles.begin(), titles.end(), title) - titles.begin());
      if (at == titles.size()) {
        titles.push_back(title);
        figure.panels.push_back({.title = title, .spec = {}});
        bars.push_back(0);
      }
      ++bars[at];
      const std::string where = point_name(row, source.summary) + " · " + plain(part.kind, 40);
      auto& rows = figure.panels[at].rows;
      rows.push_back({text_cell(where), text_cell("whole layer"), number_cell(part.possible_fraction), number_cell(1.0),
                      text_cell(state_of(part.labels)), TableCell{is_firm(part.labels)}});
      for (const OpShare& op : op_shares(source.file.points[m].parts[p]))
        rows.push_back({text_cell(where), text_cell(plain(op.component, 40)), number_cell(op.possible_fraction),
                        number_cell(op.share), text_cell("instrumented pass"), TableCell{false}});
    }
  }
  if (figure.panels.empty()) {
    figure.absent = "no layer was measured beside probes of the machine's limits";
    return figure;
  }
  for (std::size_t i = 0; i < figure.panels.size(); ++i) figure.panels[i].spec = utilisation_spec(figure, bars[i]);
  figure.caption = fmt::format(
      "Bars: one layer, held against the limits probed beside each sample; pale where PRELIMINARY. Circles: its "
      "operations in a second, instrumented pass, as large as their share of the time; one beyond the line "
      "had help from a cache. {}.",
      conditions_of(source));
  return figure;
}

}  // namespace layercost

// What each design decision saves: the time of a step of the model, from one to the next.
// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/levers.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/report/figures/shared.h"
#include "harness/report/figures/tones.h"
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

constexpr int kRowHeight = 34;

Spec spec_of(const Figure& figure, const FigurePanel& panel) {
  constexpr double kRoom = 1.2;  // for the last label
  double most = 0;
  for (const auto& row : panel.rows) most = std::max(most, std::get<Number>(row[8].value).value);
  const bool short_ones = most < 1;
  const Spec y = words("lever", {{"axis", label_axis()}});
  Spec x = quantity(
      "from", "time of one step", {{"domain", {0, kRoom * most}}, {"nice", false}},
      {{"labelExpr", short_ones ? "format(1000 * datum.value, '~g') + ' ms'" : "format(datum.value, '~g') + ' s'"},
       {"tickCount", 4}});
  const Spec to = {{"field", "to"}};
  const Spec colour = words("effect", {{"scale",
                                        {{"domain", {"where it stands", "saved", "added"}},
                                         {"range", {tone("quiet"), tone("series1"), tone("series2")}}}},
                                       {"legend", {{"orient", "top"}}}});
  Spec at_end = x;
  at_end["field"] = "last";
  const Spec hollow = {{"condition", {{"test", "datum.firm"}, {"value", 1}}}, {"value", 0.15}};
  Spec edge = colour;
  edge["legend"] = nullptr;
  const Spec encoding = {{"x", x},
                         {"x2", to},
                         {"y", y},
                         {"fill", colour},
                         {"stroke", edge},
                         {"fillOpacity", hollow},
                         {"tooltip", tooltip(figure.columns)}};
  Spec layers = Spec::array();
  layers.push_back({{"mark", {{"type", "bar"}, {"height", {{"band", 0.6}}}}}, {"encoding", encoding}});
  layers.push_back({{"mark", {{"type", "text"}, {"align", "left"}, {"dx", 6}, {"color", tone("ink")}}},
                    {"encoding", {{"x", at_end}, {"y", y}, {"text", {{"field", "label"}}}}}});
  return layered(std::move(layers), kRowHeight * static_cast<int>(panel.rows.size()));
}

struct Bar {
  std::string lever;
  std::optional<double> before;  // none: what stands before was not measured, and the bar begins at 0
  std::string label;
  std::optional<Ratio> saves = {};
};
std::vector<TableCell> row_of(const Bar& bar, const ModelRow& model) {
  const double now = *model.time_s, from = bar.before.value_or(0);
  return {text_cell(bar.lever),
          text_cell(plain(model.model, 80)),
          number_cell(model.time_s, model.time_interval),
          number_cell(model.time_s, model.time_interval),
          ratio_cell(bar.saves),
          text_cell(state_of(model.labels, model.note)),
          number_cell(from),
          number_cell(now),
          number_cell(std::max(from, now)),
          text_cell(!bar.before   ? "where it stands"
                    : now <= from ? "saved"
                                  : "added"),
          text_cell(bar.label),
          TableCell{is_firm(model.labels, model.note)}};
}

// The start and the end stand on 0; between them a bar is what is saved, or added. Formats all follow the plain one.
std::vector<std::vector<TableCell>> rows_of(const LadderRow& ladder, const Summary& summary) {
  std::vector<std::vector<TableCell>> rows;
  std::optional<double> before, plain_format;
  for (const LeverStep& step : ladder.steps) {
    const ModelRow& model = summary.models.at(step.point);
    if (same_except(model, ladder, {})) plain_format = model.time_s;
    else if (model.model == ladder.model) before = plain_format;
    const auto paid = step.factor ? step.factor->paid : std::nullopt;
    const std::string time = time_text(model.time_s, model.time_interval);
    if (model.time_s)
      rows.push_back(row_of({plain(lever_text(step), 40), before, paid ? times_text(paid->ratio) : time, paid}, model));
    before = model.time_s;
  }
  const ModelRow& last = summary.models.at(ladder.steps.back().point);
  if (last.time_s) rows.push_back(row_of({"in the end", {}, time_text(last.time_s, last.time_interval)}, last));
  return rows;
}

}  // namespace

Figure levers_figure(const FigureSource& source) {
  Figure figure;
  figure.columns = {{"lever", "lever"},
                    {"model", "model"},
                    {"time_s", "time of one step", Form::time},
                    {"interval", "95 % interval, s", Form::range},
                    {"saves", "saves", Form::times},
                    {"state", "state"},
                    {"from"},
                    {"to"},
                    {"last"},
                    {"effect"},
                    {"label"},
                    {"firm"}};
  for (const LadderRow& ladder : source.summary.ladders) {
    FigurePanel panel{.title = plain(ladder.model, 60) + " · " + step_text(ladder), .spec = {}};
    panel.rows = rows_of(ladder, source.summary);
    if (panel.rows.size() < 2) continue;
    panel.spec = spec_of(figure, panel);
    figure.panels.push_back(std::move(panel));
  }
  if (figure.panels.empty()) {
    figure.absent = "no model was measured from a dense transformer on (--suite levers)";
    return figure;
  }
  figure.caption = fmt::format(
      "From a dense transformer as large to the model as it is, one lever at a time: the factor is the time of the "
      "step "
      "before over that of this one. Nobody trained the models between. {}.",
      conditions_of(source));
  return figure;
}

}  // namespace layercost

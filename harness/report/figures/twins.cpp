// From which size on a dense model that nobody trained costs more than the mixture of experts, over batch, by context.
// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/twins.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "harness/report/figures/shared.h"
#include "harness/report/figures/tones.h"
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

constexpr int kHeight = 260;
constexpr double kRoom = 1.25;

// Points of the same task: all models that were measured at it.
using Tasks = std::map<ScenarioRecord, std::vector<const ModelRow*>>;
ScenarioRecord task_of(const ScenarioRecord& scenario) { return without(scenario, {Member::model, Member::routing}); }

// The points that the isoline comes from.
std::vector<const ModelRow*> points_of(const TwinRow& row, const Tasks& tasks) {
  std::vector<const ModelRow*> all;
  for (const ModelRow* model : tasks.at(task_of(row)))
    if (model->model == row.model || !twin_of(model->model, row.model).empty()) all.push_back(model);
  return all;
}

std::vector<TableCell> cells(const TwinRow& row, const Tasks& tasks) {
  const Standing standing = standing_of(points_of(row, tasks));
  const Isoline& line = *row.isoline;
  const double at = line.q.value_or(line.kind == CrossoverKind::from_smallest ? line.below : line.above);
  return {TableCell{row.batch},
          text_cell(fmt::format("context {}", row.context)),
          number_cell(at, line.interval),
          number_cell(at, line.interval),
          text_cell(line.q ? fmt::format("between {} and {}", digits(line.below), digits(line.above))
                           : fmt::format("{}, the {} measured", isoline_text(line),
                                         line.kind == CrossoverKind::from_smallest ? "smallest" : "largest")),
          text_cell(standing.state),
          text_cell(std::string(to_string(line.kind))),
          TableCell{standing.firm}};
}

Spec spec_of(const Figure& figure, const FigurePanel& panel, const std::vector<const TwinRow*>& rows) {
  std::set<std::int64_t> batches;
  double low = 1, high = 1;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Isoline& line = *rows[i]->isoline;
    batches.insert(rows[i]->batch);
    low = std::min({low, line.below, line.interval ? line.interval->low : low});
    high = std::max({high, line.above, line.interval ? line.interval->high : high});
    names.push_back(std::get<std::string>(panel.rows[i][1].value));
  }
  names = distinct(names);
  const Spec x =
      quantity("batch", "batch",
               logarithmic(static_cast<double>(*batches.begin()), static_cast<double>(*batches.rbegin()), 1.15, 2),
               {{"values", batches}, {"format", "d"}, {"grid", false}});
  const char* title = "q: active parameters / the mixture's";
  const Spec scale = logarithmic(low, high, kRoom), axis = logarithmic_axis(low, high, kRoom);
  const Spec y = quantity("q", title, scale, axis), colour = series_colour("context", names);
  Spec layers = Spec::array();
  layers.push_back({{"mark", {{"type", "line"}, {"strokeWidth", 2}}},
                    {"transform", only("datum.kind == 'between' && datum.firm")},
                    {"encoding", {{"x", x}, {"y", y}, {"color", colour}}}});
  layers.push_back(
      {{"mark", {{"type", "rule"}, {"strokeWidth", 2}}},
       {"transform", only("isValid(datum.q_low)")},
       {"encoding",
        {{"x", x}, {"y", quantity("q_low", title, scale, axis)}, {"y2", {{"field", "q_high"}}}, {"color", colour}}}});
  const Spec encoding = {{"x", x},
                         {"y", y},
                         {"color", colour},
                         {"shape", words("kind", {{"legend", nullptr},
                                                  {"scale",
                                                   {{"domain", {"between", "from_smallest", "not_reached"}},
                                                    {"range", {"circle", "triangle-down", "triangle-up"}}}}})},
                         {"tooltip", tooltip(figure.columns)}};
  for (Spec& one : points(encoding)) layers.push_back(std::move(one));
  return layered(std::move(layers), kHeight);
}

}  // namespace

Figure twins_figure(const FigureSource& source) {
  const Summary& summary = source.summary;
  Figure figure;
  figure.columns = {{"batch", "batch", Form::number, true},
                    {"context", "context"},
                    {"q", "the mixture is cheaper above q", Form::number},
                    {"interval", "95 % interval", Form::range},
                    {"twins", "q measured"},
                    {"state", "state"},
                    {"kind"},
                    {"firm"}};
  Tasks tasks;
  if (!summary.twins.empty())
    for (const ModelRow& model : summary.models) tasks[task_of(model)].push_back(&model);
  std::vector<std::vector<const TwinRow*>> panels;
  for (const TwinRow& row : summary.twins) {
    if (!row.isoline) continue;
    const auto panel = std::find_if(panels.begin(), panels.end(), [&](const auto& p) {
      return same_except(*p.front(), row, {Member::batch, Member::context, Member::new_tokens});
    });
    if (panel == panels.end()) panels.push_back({&row});
    else panel->push_back(&row);
  }
  for (auto& rows : panels) {
    std::stable_sort(rows.begin(), rows.end(), [](const TwinRow* a, const TwinRow* b) {
      return std::pair(a->context, a->batch) < std::pair(b->context, b->batch);
    });
    FigurePanel panel{.title = joined({plain(rows.front()->model, 60), plain(rows.front()->phase, 20),
                                       types_text(*rows.front()), routing_text(rows.front()->routing)},
                                      " · "),
                      .spec = {}};
    for (const TwinRow* row : rows) panel.rows.push_back(cells(*row, tasks));
    panel.spec = spec_of(figure, panel, rows);
    figure.panels.push_back(std::move(panel));
  }
  if (figure.panels.empty()) {
    figure.absent = "no mixture was measured beside dense models of its own layers (--twin)";
    return figure;
  }
  figure.caption = fmt::format(
      "Dense models that nobody trained, alike but for an MLP in place of the experts: the mixture is cheaper than "
      "those "
      "above a line, dearer than those below. How large one has to be to answer as well is the reader's to set. A "
      "triangle that points down: cheaper than every one measured; up: than none. {}.",
      conditions_of(source));
  return figure;
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/report/figures/savings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "harness/report/figures/shared.h"
#include "harness/report/figures/tones.h"
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

constexpr int kHeight = 260;
constexpr double kRoom = 1.25;  // of the logarithmic axis around the ratios

// A line of a panel: whose ratio, on what it rests, and how it looks.
struct Series {
  std::string name, basis, colour;
};

struct Lines {
  std::vector<TradeoffRow> rows;  // by rising value
  std::vector<Series> series;
  double low = 1, high = 1;  // of all ratios and their intervals, and 1
};

std::int64_t value_of(const ScenarioRecord& s, Member over) { return over == Member::batch ? s.batch : s.context; }

std::string state_of_point(const TradeoffRow& row, const Summary& summary) {
  std::vector<std::string> doubts;
  for (const ModelRow& model : summary.models)
    if (same_except(model, row, {Member::model, Member::routing}) &&
        (model.model == row.dense || model.model == row.moe))
      for (const Label label : model.labels) doubts.emplace_back(text_of(label).shown);
  const std::string text = joined(distinct(doubts), ", ");
  return text.empty() ? "measured" : text;
}

bool is_firm_point(const TradeoffRow& row, const Summary& summary) {
  return std::all_of(summary.models.begin(), summary.models.end(), [&](const ModelRow& model) {
    const bool one_of_them = same_except(model, row, {Member::model, Member::routing}) &&
                             (model.model == row.dense || model.model == row.moe);
    return !one_of_them || is_firm(model.labels, model.note);
  });
}

void add_row(FigurePanel& panel, Lines& all, std::int64_t at, const Series& series, const TableCell& ratio,
             const std::string& state, bool firm) {
  if (absent(ratio) != nullptr) return;
  const Number& number = std::get<Number>(ratio.value);
  for (const double v : {number.value, number.interval ? number.interval->low : number.value,
                         number.interval ? number.interval->high : number.value}) {
    all.low = std::min(all.low, v);
    all.high = std::max(all.high, v);
  }
  if (std::none_of(all.series.begin(), all.series.end(), [&](const Series& s) { return s.name == series.name; }))
    all.series.push_back(series);
  panel.rows.push_back({TableCell{at}, text_cell(series.name), text_cell(series.basis), ratio, ratio,
                        text_cell(series.basis == "measured" ? state : ""), TableCell{firm}});
}

void add_rows(FigurePanel& panel, Lines& all, Member over, const Summary& summary, bool layers_alone) {
  for (const TradeoffRow& row : all.rows) {
    const std::int64_t at = value_of(row, over);
    const std::string state = state_of_point(row, summary);
    const bool firm = is_firm_point(row, summary);
    add_row(panel, all, at, {"promised", "published", tone("quiet")}, number_cell(row.promised), "", true);
    add_row(panel, all, at, {"possible", "modelled", tone("series1")}, number_cell(row.possible), "", true);
    add_row(panel, all, at, {layers_alone ? "paid in " + std::string(kOurName) : "paid", "measured", tone("series2")},
            ratio_cell(row.paid), state, firm);
    if (!layers_alone) continue;
    for (std::size_t i = 1; i < row.layers.size(); ++i)
      add_row(panel, all, at, {"paid in " + plain(row.layers[i].implementation, 20), "measured", series_tone(i + 1)},
              ratio_cell(row.layers[i].paid), state, firm && !row.layers[i].remarked);
  }
}

// Names at the right end of their lines, in pixels from above, pushed apart where they would touch.
Spec end_labels(const FigurePanel& panel, const Lines& all) {
  struct Label {
    std::string text, colour;
    double y;
  };
  std::vector<Label> labels;
  const double span = std::log(all.high / all.low * kRoom * kRoom);
  for (const Series& series : all.series) {
    const auto last = std::find_if(panel.rows.rbegin(), panel.rows.rend(),
                                   [&](const auto& row) { return std::get<std::string>(row[1].value) == series.name; });
    const double ratio = std::get<Number>((*last)[3].value).value;
    labels.push_back({fmt::format("{} {}", series.name, times_text(ratio)), series.colour,
                      kHeight * std::log(all.high * kRoom / ratio) / span});
  }
  std::sort(labels.begin(), labels.end(), [](const Label& a, const Label& b) { return a.y < b.y; });
  constexpr double kLine = 15;
  for (std::size_t i = 1; i < labels.size(); ++i) labels[i].y = std::max(labels[i].y, labels[i - 1].y + kLine);
  for (std::size_t i = labels.size(); i-- > 0;)
    labels[i].y = std::min(labels[i].y, kHeight - kLine * static_cast<double>(labels.size() - 1 - i));
  Spec layers = Spec::array();
  for (const Label& label : labels)
    layers.push_back({{"data", {{"values", {{{"text", label.text}}}}}},
                      {"mark",
                       {{"type", "text"},
                        {"align", "left"},
                        {"baseline", "middle"},
                        {"dx", 10},
                        {"x", "width"},
                        {"y", label.y},
                        {"color", label.colour}}},
                      {"encoding", {{"text", {{"field", "text"}}}}}});
  return layers;
}

Spec line_of(const char* basis, const Spec& x, const Spec& y, const Spec& colour, Spec dash) {
  return {{"mark", {{"type", "line"}, {"strokeWidth", 2}, {"strokeDash", std::move(dash)}}},
          {"transform", only(fmt::format("datum.basis == '{}' && datum.firm", basis))},
          {"encoding", {{"x", x}, {"y", y}, {"color", colour}}}};
}

// The band between the measured values around the crossover.
Spec crossover_layer(const Crossover& c, const Spec& x) {
  Spec from = x, to = x;
  from["field"] = "from";
  return {{"data", {{"values", {{{"from", c.below}, {"to", c.above}}}}}},
          {"mark", {{"type", "rect"}, {"color", tone("accent")}, {"opacity", 0.1}}},
          {"encoding", {{"x", from}, {"x2", {{"field", "to"}}}}}};
}

Spec savings_spec(const Figure& figure, const FigurePanel& panel, const Lines& all, Member over,
                  const Crossover* crossover) {
  std::set<std::int64_t> values;
  for (const TradeoffRow& row : all.rows) values.insert(value_of(row, over));
  const bool by_batch = over == Member::batch;
  const Spec x =
      quantity(by_batch ? "batch" : "context", by_batch ? "batch" : "context, tokens",
               logarithmic(static_cast<double>(*values.begin()), static_cast<double>(*values.rbegin()), 1.15, 2),
               {{"values", values}, {"format", "d"}, {"grid", false}});
  const Spec scale = logarithmic(all.low, all.high, kRoom);
  Spec axis = logarithmic_axis(all.low, all.high, kRoom);
  axis["labelExpr"] = "datum.label + '×'";
  const char* title = "times cheaper than the dense model";
  const Spec y = quantity("ratio", title, scale, axis);
  std::vector<std::string> names, tones;
  for (const Series& series : all.series) {
    names.push_back(series.name);
    tones.push_back(series.colour);
  }
  const Spec colour = words("what", {{"scale", {{"domain", names}, {"range", tones}}}, {"legend", nullptr}});
  Spec layers = Spec::array();
  if (crossover != nullptr) layers.push_back(crossover_layer(*crossover, x));
  layers.push_back({{"data", {{"values", {{{"ratio", 1}}}}}},
                    {"mark", {{"type", "rule"}, {"color", tone("ink")}, {"strokeWidth", 1}}},
                    {"encoding", {{"y", y}}}});
  layers.push_back(line_of("published", x, y, colour, {2, 3}));
  layers.push_back(line_of("modelled", x, y, colour, {7, 4}));
  layers.push_back(line_of("measured", x, y, colour, {1, 0}));
  layers.push_back({{"mark", {{"type", "rule"}, {"strokeWidth", 2}}},
                    {"transform", only("datum.basis == 'measured' && isValid(datum.ratio_low)")},
                    {"encoding",
                     {{"x", x},
                      {"y", quantity("ratio_low", title, scale, axis)},
                      {"y2", {{"field", "ratio_high"}}},
                      {"color", colour}}}});
  const Spec encoding = {{"x", x}, {"y", y}, {"color", colour}, {"tooltip", tooltip(figure.columns)}};
  for (Spec& one : points(encoding, "datum.basis == 'measured'")) layers.push_back(std::move(one));
  for (Spec& label : end_labels(panel, all)) layers.push_back(std::move(label));
  return layered(std::move(layers), kHeight);
}

const Crossover* crossover_of(const std::vector<Crossover>& crossovers, const TradeoffRow& row) {
  const auto found = std::find_if(crossovers.begin(), crossovers.end(), [&](const Crossover& c) {
    return c.dense == row.dense && c.moe == row.moe && same_except(c.of, row, {Member::batch});
  });
  return found == crossovers.end() ? nullptr : &*found;
}

std::string panel_title(const TradeoffRow& row, Member over, const Summary& summary) {
  std::vector<std::string> facts;
  for (const PairGroup& group : pair_groups(summary)) facts.push_back(group.facts);
  const bool by_batch = over == Member::batch;
  return joined({plain(row.dense, 60) + " → " + plain(row.moe, 60), plain(row.phase, 20),
                 fmt::format("{} {}", by_batch ? "context" : "batch", by_batch ? row.context : row.batch),
                 distinct(facts).size() > 1 ? joined({types_text(row), routing_text(row.routing)}, ", ") : ""},
                " · ");
}

}  // namespace

Figure savings_figure(const FigureSource& source, Member over) {
  const Summary& summary = source.summary;
  const bool layers_alone = shows_layers_alone(summary), by_batch = over == Member::batch;
  const std::vector<TradeoffRow> rows = layers_alone ? of_layers_alone(summary.tradeoffs) : summary.tradeoffs;
  Figure figure;
  figure.columns = {{by_batch ? "batch" : "context", by_batch ? "batch" : "context", Form::number, true},
                    {"what", "ratio"},
                    {"basis", "basis"},
                    {"ratio", "dense / MoE", Form::times},
                    {"interval", "95 % interval", Form::range},
                    {"state", "state"},
                    {"firm"}};
  if (rows.empty()) {
    figure.absent = "the file has no pair of a dense model and a mixture of experts";
    return figure;
  }
  std::vector<Lines> panels;
  for (const TradeoffRow& row : rows) {
    const auto panel = std::find_if(panels.begin(), panels.end(), [&](const Lines& p) {
      const TradeoffRow& first = p.rows.front();
      return first.dense == row.dense && (by_batch ? same_except(first, row, {Member::batch})
                                                   : same_except(first, row, {Member::context, Member::new_tokens}));
    });
    if (panel == panels.end()) panels.push_back({.rows = {row}, .series = {}});
    else panel->rows.push_back(row);
  }
  bool has_band = false;
  for (Lines& all : panels) {
    std::stable_sort(all.rows.begin(), all.rows.end(),
                     [&](const TradeoffRow& a, const TradeoffRow& b) { return value_of(a, over) < value_of(b, over); });
    if (value_of(all.rows.front(), over) == value_of(all.rows.back(), over)) continue;
    FigurePanel panel{.title = panel_title(all.rows.front(), over, summary), .spec = {}};
    add_rows(panel, all, over, summary, layers_alone);
    if (panel.rows.empty()) continue;
    const auto& crossovers = layers_alone ? summary.layers_crossovers : summary.crossovers;
    const Crossover* crossover = by_batch ? crossover_of(crossovers, all.rows.front()) : nullptr;
    if (crossover != nullptr && crossover->kind != CrossoverKind::between) crossover = nullptr;
    has_band = has_band || crossover != nullptr;
    panel.spec = savings_spec(figure, panel, all, over, crossover);
    figure.panels.push_back(std::move(panel));
  }
  if (figure.panels.empty()) {
    figure.absent = fmt::format("no pair was measured at more than one {}", by_batch ? "batch" : "context");
    return figure;
  }
  figure.caption = fmt::format(
      "Above 1 the mixture is cheaper. Promised: active parameters. Possible: what the machine's limits leave of it. "
      "Paid: measured, with 95 % intervals{}.{} {}.",
      layers_alone ? ", the layers alone" : "",
      has_band ? " The shaded band lies between the measured batches around the crossover." : "",
      conditions_of(source));
  return figure;
}

}  // namespace layercost

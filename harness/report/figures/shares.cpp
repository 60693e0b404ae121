// What a layer's time is spent on: a bar of its operations, a panel for each model.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "harness/cost/anatomy.h"
#include "harness/report/figures/shared.h"
#include "harness/report/figures/tones.h"
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

constexpr int kRowHeight = 30;
const char* const kOther = "other";
const char* const kHead = "head";  // one product

struct LayerBar {
  std::string title, at, state;
  std::vector<OpShare> ops;
};

std::vector<LayerBar> bars_of(const FigureSource& source) {
  std::vector<LayerBar> bars;
  for (std::size_t m = 0; m < source.summary.models.size(); ++m) {
    const ModelRow& row = source.summary.models[m];
    for (std::size_t p = 0; p < row.parts.size(); ++p) {
      std::vector<OpShare> ops = op_shares(source.file.points[m].parts[p]);
      if (row.parts[p].kind != kHead && ops.size() > 1)
        bars.push_back({plain(row.model, 80), point_name(row, source.summary) + " · " + plain(row.parts[p].kind, 40),
                        state_of(row.parts[p].labels), std::move(ops)});
    }
  }
  return bars;
}

// As many as there are tones, by their share of all bars; the smallest are "other".
std::vector<std::string> named_components(const std::vector<LayerBar>& bars) {
  std::map<std::string, double> sums;
  std::vector<std::string> names;
  for (const LayerBar& bar : bars)
    for (const OpShare& op : bar.ops) {
      sums[op.component] += op.share;
      names.push_back(op.component);
    }
  names = distinct(std::move(names));
  if (names.size() <= kSeriesTones) return names;
  std::vector<std::string> largest = names;
  std::stable_sort(largest.begin(), largest.end(),
                   [&](const std::string& a, const std::string& b) { return sums[a] > sums[b]; });
  largest.resize(kSeriesTones - 1);
  std::erase_if(names,
                [&](const std::string& n) { return std::find(largest.begin(), largest.end(), n) == largest.end(); });
  return names;
}

Spec shares_spec(const Figure& figure, const std::vector<std::string>& names, std::size_t bars) {
  const Spec y = words("at", {{"axis", label_axis()}});
  Spec x = quantity("share", "share of the layer's time", {{"domain", {0, 1}}},
                    {{"format", ".0%"}, {"tickCount", 5}, {"labelFlush", false}});
  Spec from = x;
  from["field"] = "begin";
  Spec colour = series_colour("group", names);
  colour["legend"] = {{"columns", 3}};
  const Spec bar = {
      {"mark", {{"type", "bar"}, {"height", 20}, {"stroke", tone("ground")}, {"strokeWidth", 1}}},
      {"encoding",
       {{"y", y}, {"x", from}, {"x2", {{"field", "end"}}}, {"color", colour}, {"tooltip", tooltip(figure.columns)}}}};
  Spec middle = x;
  middle["field"] = "middle";
  const Spec text = {{"mark", {{"type", "text"}, {"color", tone("ground")}, {"fontSize", 11}}},
                     {"transform", only("datum.share * width > 7 * length(datum.op) + 4")},
                     {"encoding", {{"y", y}, {"x", middle}, {"text", {{"field", "op"}}}}}};
  Spec spec = layered({bar, text}, 0);
  spec["height"] = kRowHeight * static_cast<int>(bars);
  return spec;
}

}  // namespace

Figure shares_figure(const FigureSource& source) {
  Figure figure;
  figure.columns = {{"at", "step, layers"},
                    {"op", "operation"},
                    {"share", "share of the layer's time", Form::percent},
                    {"time_s", "time", Form::time},
                    {"state", "state"},
                    {"group"},
                    {"begin", "", Form::number},
                    {"middle", "", Form::number},
                    {"end", "", Form::number}};
  const std::vector<LayerBar> bars = bars_of(source);
  std::vector<std::string> names = named_components(bars), shown_names;
  const auto is_named = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  bool others = false;
  std::vector<std::size_t> counts;
  for (const LayerBar& bar : bars) {
    auto panel = std::find_if(figure.panels.begin(), figure.panels.end(),
                              [&](const FigurePanel& p) { return p.title == bar.title; });
    if (panel == figure.panels.end()) {
      panel = figure.panels.insert(figure.panels.end(), FigurePanel{.title = bar.title, .spec = {}});
      counts.push_back(0);
    }
    ++counts[static_cast<std::size_t>(panel - figure.panels.begin())];
    double begin = 0;
    for (const OpShare& op : bar.ops) {
      const std::string name = plain(op.component, 40);
      others = others || !is_named(op.component);
      panel->rows.push_back({text_cell(bar.at), text_cell(name), number_cell(op.share), number_cell(op.time_s),
                             text_cell(bar.state), text_cell(is_named(op.component) ? name : kOther),
                             number_cell(begin), number_cell(begin + op.share / 2), number_cell(begin + op.share)});
      begin += op.share;
    }
  }
  if (figure.panels.empty()) {
    figure.absent = "the operations of no layer were timed";
    return figure;
  }
  for (std::string& name : names) shown_names.push_back(plain(name, 40));
  if (others) shown_names.emplace_back(kOther);
  for (std::size_t i = 0; i < counts.size(); ++i) figure.panels[i].spec = shares_spec(figure, shown_names, counts[i]);
  figure.caption = fmt::format(
      "From a second, instrumented pass, which explains the layer's time and is never the headline; without the head, "
      "which is one product. {}.",
      conditions_of(source));
  return figure;
}

}  // namespace layercost

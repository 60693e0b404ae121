// How many experts a step touches, over its tokens: drawn, and as even and independent choices would.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "harness/cost/touched_experts.h"
#include "harness/report/figures/shared.h"
#include "harness/report/figures/tones.h"
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

constexpr int kHeight = 240;
constexpr double kRoom = 1.25;

// One place of the curve: of so many tokens.
std::vector<TableCell> curve_row(const std::string& series, std::int64_t tokens, const TouchedExperts& of) {
  const double expected = evenly_touched_experts(of.experts, of.top_k, tokens);
  return {text_cell(series), text_cell("expected"), TableCell{tokens}, number_cell(expected),
          number_cell(expected / static_cast<double>(of.experts))};
}

Spec touched_spec(const Figure& figure, const std::vector<std::string>& series, double most_tokens) {
  const Spec x = quantity("tokens", "tokens of a step", logarithmic(1, most_tokens, kRoom),
                          logarithmic_axis(1, most_tokens, kRoom, ",d"));
  const Spec y = quantity("share", "experts touched", {{"domain", {0, 1.03}}}, {{"format", ".0%"}, {"tickCount", 5}});
  Spec colour = series_colour("series", series), shape = series_shape("series", series);
  make_room(colour, shape, series);
  Spec layers = Spec::array();
  layers.push_back(
      {{"mark", {{"type", "line"}, {"strokeWidth", 2}, {"strokeDash", {6, 4}}, {"interpolate", "monotone"}}},
       {"transform", only("datum.routing == 'expected'")},
       {"encoding", {{"x", x}, {"y", y}, {"color", colour}}}});
  layers.push_back(
      {{"mark", {{"type", "point"}, {"size", 80}, {"strokeWidth", 2}, {"opacity", 1}, {"filled", true}}},
       {"transform", only("datum.routing != 'expected'")},
       {"encoding", {{"x", x}, {"y", y}, {"color", colour}, {"shape", shape}, {"tooltip", tooltip(figure.columns)}}}});
  return layered(std::move(layers), kHeight);
}

}  // namespace

Figure touched_figure(const FigureSource& source) {
  Figure figure;
  figure.columns = {{"series", "model, experts"},
                    {"routing", "routing"},
                    {"tokens", "tokens", Form::number, true},
                    {"touched", "experts touched", Form::number},
                    {"share", "share of them", Form::percent}};
  // Points of one context each: what is cached chooses no expert.
  std::vector<std::pair<std::string, TouchedExperts>> drawn;
  for (const PointRecord& point : source.file.points)
    for (const TouchedExperts& one : touched_experts(point)) {
      std::string series = fmt::format("{}, {} of {}", plain(one.model, 60), one.top_k, one.experts);
      const bool known = std::any_of(drawn.begin(), drawn.end(), [&](const auto& other) {
        return other.first == series && other.second.tokens == one.tokens && other.second.routing == one.routing;
      });
      if (!known) drawn.emplace_back(std::move(series), one);
    }
  if (drawn.empty()) {
    figure.absent = "no layer with experts was measured";
    return figure;
  }
  std::stable_sort(drawn.begin(), drawn.end(), [](const auto& a, const auto& b) {
    return std::tuple(a.second.routing, a.second.tokens) < std::tuple(b.second.routing, b.second.tokens);
  });
  std::vector<std::string> series;
  std::int64_t most = 2;
  FigurePanel panel;
  for (const auto& [name, one] : drawn) {
    series.push_back(name);
    most = std::max(most, one.tokens);
    panel.rows.push_back({text_cell(name), text_cell(routing_text(one.routing)), TableCell{one.tokens},
                          number_cell(one.touched), number_cell(one.touched / static_cast<double>(one.experts))});
  }
  series = distinct(series);
  for (const std::string& name : series) {
    const TouchedExperts& one =
        std::find_if(drawn.begin(), drawn.end(), [&](const auto& other) { return other.first == name; })->second;
    for (std::int64_t tokens = 1; tokens < most; tokens *= 2) panel.rows.push_back(curve_row(name, tokens, one));
    panel.rows.push_back(curve_row(name, most, one));
  }
  panel.spec = touched_spec(figure, series, static_cast<double>(most));
  figure.panels.push_back(std::move(panel));
  figure.caption = fmt::format(
      "Experts that one step of a layer touches: points as they were drawn, dashed what tokens that choose k of E "
      "independently and evenly touch, E (1 - (1 - k/E)^tokens). Each of them is read once, so the saving "
      "wears off along this line. {}.",
      conditions_of(source));
  return figure;
}

}  // namespace layercost

// How evenly tokens were spread over the experts: how many experts had how much of the mean load.
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

// `end`: of the last bin that has an expert.
Spec routing_spec(const Figure& figure, double end) {
  const Spec x = quantity("load", "tokens of an expert / mean", {{"domain", {0, std::max(2.0, end)}}},
                          {{"values", {0, 1, 2, 3, 4}}, {"format", "d"}, {"grid", false}});
  const Spec bars = {{"mark", {{"type", "rect"}, {"color", tone("series1")}, {"stroke", tone("ground")}}},
                     {"encoding",
                      {{"x", x},
                       {"x2", {{"field", "load_end"}}},
                       {"y", quantity("experts", "experts", {{"domainMin", 0}},
                                      {{"tickCount", 4}, {"tickMinStep", 1}, {"format", "d"}})},
                       {"y2", {{"datum", 0}}},
                       {"tooltip", tooltip(figure.columns)}}}};
  const Spec mean = {{"data", {{"values", {{{"load", 1}}}}}},
                     {"mark", {{"type", "rule"}, {"strokeDash", {7, 4}}, {"color", tone("ink")}}},
                     {"encoding", {{"x", x}}}};
  return layered({bars, mean}, 150);
}

std::string bin_text(std::size_t bin) {
  const double from = kLoadStep * static_cast<double>(bin);
  return bin + 1 == kLoadBins ? fmt::format("{} and more", from) : fmt::format("{} to {}", from, from + kLoadStep);
}

}  // namespace

Figure routing_figure(const FigureSource& source) {
  Figure figure;
  figure.columns = {{"bin", "load, of the mean"},
                    {"experts", "experts", Form::number, true},
                    {"load", "", Form::number},
                    {"load_end", "", Form::number}};
  for (std::size_t m = 0; m < source.file.points.size(); ++m) {
    const PointRecord& point = source.file.points[m];
    for (const PartRecord& part : point.parts) {
      if (!part.routing) continue;
      const std::vector<std::int64_t> bins = load_histogram(*part.routing);
      if (bins.empty()) continue;
      const auto last = static_cast<std::size_t>(
          std::find_if(bins.rbegin(), bins.rend(), [](std::int64_t n) { return n > 0; }).base() - bins.begin());
      FigurePanel panel{
          .title = fmt::format("{} · {} · {}; {} of {} experts touched in a layer's step", plain(point.model, 60),
                               point_name(source.summary.models[m], source.summary), routing_text(part.routing->name),
                               digits(part.routing->distinct_experts), part.routing->experts),
          .spec = routing_spec(figure, kLoadStep * static_cast<double>(last))};
      for (std::size_t bin = 0; bin < last; ++bin)
        panel.rows.push_back({text_cell(bin_text(bin)), TableCell{bins[bin]},
                              number_cell(kLoadStep * static_cast<double>(bin)),
                              number_cell(kLoadStep * static_cast<double>(bin + 1))});
      figure.panels.push_back(std::move(panel));
    }
  }
  if (figure.panels.empty()) {
    figure.absent = "no layer with experts was measured";
    return figure;
  }
  figure.caption = fmt::format(
      "Experts by their tokens over all draws; an even spread has every expert at 1. The weights of the step are read "
      "once for "
      "each expert that is touched, so that spread decides what possible leaves of the promise. {}.",
      conditions_of(source));
  return figure;
}

}  // namespace layercost

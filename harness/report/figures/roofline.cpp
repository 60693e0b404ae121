// Arithmetic against traffic: each layer below the machine's measured limits.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "harness/cost/anatomy.h"
#include "harness/report/figures/shared.h"
#include "harness/report/figures/tones.h"
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

struct Extent {
  double low_x = INFINITY, high_x = 0, low_y = INFINITY, high_y = 0;
  void take(double x, double y) {
    low_x = std::min(low_x, x);
    high_x = std::max(high_x, x);
    low_y = std::min(low_y, y);
    high_y = std::max(high_y, y);
  }
};

constexpr double kRoom = 1.6;
const char* const kX = "floating-point operations per byte";
const char* const kY = "floating-point operations per second";

Spec scaled_x(const char* field, const Extent& extent) {
  return quantity(field, kX, logarithmic(extent.low_x, extent.high_x, kRoom),
                  logarithmic_axis(extent.low_x, extent.high_x, kRoom));
}
Spec scaled_y(const char* field, const Extent& extent) {
  return quantity(field, kY, logarithmic(extent.low_y, extent.high_y, kRoom),
                  logarithmic_axis(extent.low_y, extent.high_y, kRoom, ".2~s"));
}

// The roof of one arithmetic: the slope of the reads, with the band in which nine tenths of the probes lay, then flat.
Spec roof_layers(const RoofRow& roof, const Extent& extent) {
  Spec values = Spec::array();
  const double begin = extent.low_x / kRoom, end = extent.high_x * kRoom;
  // Straight on logarithmic axes but for the three ridges.
  std::set<double> corners = {begin, end};
  for (const double read : {roof.read_low_bytes_per_s, roof.read_bytes_per_s, roof.read_high_bytes_per_s})
    corners.insert(std::clamp(roof.flops_per_s / read, begin, end));
  for (const double x : corners) {
    const auto at = [&](double read) { return std::min(read * x, roof.flops_per_s); };
    values.push_back({{"x", x},
                      {"y", at(roof.read_bytes_per_s)},
                      {"low", at(roof.read_low_bytes_per_s)},
                      {"high", at(roof.read_high_bytes_per_s)}});
  }
  Spec band = {
      {"data", {{"values", values}}},
      {"mark", {{"type", "area"}, {"color", tone("quiet")}, {"opacity", 0.18}, {"clip", true}}},
      {"encoding", {{"x", scaled_x("x", extent)}, {"y", scaled_y("low", extent)}, {"y2", {{"field", "high"}}}}}};
  Spec line = {{"data", {{"values", std::move(values)}}},
               {"mark", {{"type", "line"}, {"color", tone("quiet")}, {"strokeWidth", 2}, {"clip", true}}},
               {"encoding", {{"x", scaled_x("x", extent)}, {"y", scaled_y("y", extent)}}}};
  return {std::move(band), std::move(line)};
}

Spec roofline_spec(const Figure& figure, const Summary& summary, const Extent& extent,
                   const std::vector<std::string>& models, const std::vector<std::string>& steps) {
  Spec layers = Spec::array();
  for (const RoofRow& roof : summary.roofs)
    for (Spec& one : roof_layers(roof, extent)) layers.push_back(std::move(one));
  for (const RoofRow& roof : summary.roofs)
    layers.push_back(
        {{"data", {{"values", {{{"y", roof.flops_per_s}, {"text", "measured in " + plain(roof.arithmetic, 20)}}}}}},
         {"mark", {{"type", "text"}, {"align", "right"}, {"dy", -9}, {"x", "width"}, {"color", tone("quiet")}}},
         {"encoding", {{"y", scaled_y("y", extent)}, {"text", {{"field", "text"}}}}}});
  const Spec colour = series_colour("model", models);
  Spec shape = series_shape("at", steps);
  // Without this its symbols take the fill of a mark that has none here.
  shape["legend"] = {
      {"orient", "bottom"},
      {"encode",
       {{"symbols", {{"update", {{"fill", {{"value", "transparent"}}}, {"stroke", {{"value", tone("quiet")}}}}}}}}}};
  for (Spec& one : points({{"x", scaled_x("flops_per_byte", extent)},
                           {"y", scaled_y("flops_per_s", extent)},
                           {"color", colour},
                           {"shape", shape},
                           {"tooltip", tooltip(figure.columns)}}))
    layers.push_back(std::move(one));
  return layered(std::move(layers), 320);
}

}  // namespace

Figure roofline_figure(const FigureSource& source) {
  Figure figure;
  figure.columns = {{"model", "model"},
                    {"at", "step"},
                    {"kind", "layers"},
                    {"flops_per_byte", "FLOP/byte", Form::number},
                    {"flops_per_s", "FLOP/s", Form::number},
                    {"possible_fraction", "% of possible", Form::percent},
                    {"state", "state"},
                    {"firm"}};
  FigurePanel panel;
  std::vector<std::string> models, steps;
  Extent extent;
  for (std::size_t m = 0; m < source.summary.models.size(); ++m) {
    const ModelRow& row = source.summary.models[m];
    for (std::size_t p = 0; p < row.parts.size(); ++p) {
      const PartRow& part = row.parts[p];
      const auto work = work_point(source.file.points[m].parts[p], part.time_s);
      if (!work) continue;
      extent.take(work->flops_per_byte, work->flops_per_s);
      models.push_back(plain(row.model, 80));
      steps.push_back(point_name(row, source.summary));
      panel.rows.push_back({text_cell(models.back()), text_cell(steps.back()), text_cell(plain(part.kind, 40)),
                            number_cell(work->flops_per_byte), number_cell(work->flops_per_s),
                            number_cell(part.possible_fraction), text_cell(state_of(part.labels)),
                            TableCell{is_firm(part.labels)}});
    }
  }
  if (panel.rows.empty() || source.summary.roofs.empty()) {
    figure.absent = "no layer was measured beside probes of the machine's limits";
    return figure;
  }
  for (const RoofRow& roof : source.summary.roofs)
    extent.take(roof.flops_per_s / roof.read_bytes_per_s, roof.flops_per_s);  // the ridge
  panel.spec = roofline_spec(figure, source.summary, extent, distinct(models), distinct(steps));
  figure.panels.push_back(std::move(panel));
  figure.caption = fmt::format(
      "Grey: the limits as probed beside the samples; nine tenths of the probed read rates lie in the band around the "
      "slope. Each sample is held against its own probes, so that a point may lie a little outside. Bytes are those "
      "that "
      "must be read. {}.",
      conditions_of(source));
  return figure;
}

}  // namespace layercost

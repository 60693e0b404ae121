// Money for a million new tokens against the speed that one user sees, by batch: down and to the right is better.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/report/figures/shared.h"
#include "harness/report/figures/tones.h"
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

struct Range {
  double low = INFINITY, high = 0;
  void take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

Spec frontier_spec(const Figure& figure, const std::vector<std::string>& names, const Range& speed,
                   const Range& money) {
  const Spec x = quantity("tokens_per_s_user", "tokens per second for each user",
                          logarithmic(speed.low, speed.high, 1.5), number_axis());
  const Spec scale = logarithmic(money.low, money.high, 1.3);
  const Spec y = quantity("usd_per_mtok", "US dollars per million new tokens", scale, number_axis());
  const Spec low = quantity("usd_per_mtok_low", "US dollars per million new tokens", scale, number_axis());
  const Spec colour = series_colour("series", names);
  const Spec line = {{"mark", {{"type", "line"}, {"strokeWidth", 2}}},
                     {"transform", only("datum.firm")},
                     {"encoding", {{"x", x}, {"y", y}, {"stroke", colour}, {"order", quantity("batch", "")}}}};
  const Spec bar = {{"mark", {{"type", "rule"}, {"strokeWidth", 1.5}}},
                    {"transform", only("isValid(datum.usd_per_mtok_low)")},
                    {"encoding", {{"x", x}, {"y", low}, {"y2", {{"field", "usd_per_mtok_high"}}}, {"stroke", colour}}}};
  const Spec point = {{"mark", {{"type", "point"}, {"size", 80}, {"strokeWidth", 2}, {"opacity", 1}}},
                      {"encoding",
                       {{"x", x},
                        {"y", y},
                        {"stroke", colour},
                        {"fill", firm_fill(colour)},
                        {"shape", series_shape("series", names)},
                        {"tooltip", tooltip(figure.columns)}}}};
  const Spec text = {
      {"mark",
       {{"type", "text"}, {"align", "left"}, {"dx", 9}, {"dy", -7}, {"fontSize", 11}, {"color", tone("quiet")}}},
      {"encoding", {{"x", x}, {"y", y}, {"text", {{"field", "at"}}}}}};
  return layered({line, bar, point, text}, 300);
}

}  // namespace

Figure frontier_figure(const FigureSource& source) {
  Figure figure;
  if (!source.file.price) {
    figure.absent = "no price was given, so there is no money (layercost cost FILE --price 2.50/h)";
    return figure;
  }
  figure.columns = {{"series", "model"},
                    {"batch", "batch", Form::number},
                    {"context", "context", Form::number},
                    {"tokens_per_s_user", "tokens/s per user", Form::number},
                    {"usd_per_mtok", "$ per Mtok out", Form::number},
                    {"state", "state"},
                    {"firm"},
                    {"at"}};
  FigurePanel panel;
  std::vector<std::string> names;
  Range speed, money;
  for (const ModelRow& row : source.summary.models) {
    if (row.phase != "decode" || !row.tokens_per_s || !row.usd_per_mtok || !row.time_s) continue;
    names.push_back(series_name(row, source.summary));
    speed.take(1 / *row.time_s);
    money.take(row.usd_per_mtok_interval ? row.usd_per_mtok_interval->low : *row.usd_per_mtok);
    money.take(row.usd_per_mtok_interval ? row.usd_per_mtok_interval->high : *row.usd_per_mtok);
    panel.rows.push_back({text_cell(names.back()), TableCell{row.batch}, TableCell{row.context},
                          number_cell(1 / *row.time_s, {}, relative_half_width(row.time_s, row.time_interval)),
                          number_cell(row.usd_per_mtok, row.usd_per_mtok_interval),
                          text_cell(state_of(row.labels, row.note)), TableCell{is_firm(row.labels, row.note)},
                          text_cell(fmt::format("batch {}", row.batch))});
  }
  if (panel.rows.empty()) {
    figure.absent = "no decode step of a whole model was measured";
    return figure;
  }
  panel.spec = frontier_spec(figure, distinct(names), speed, money);
  figure.caption = fmt::format(
      "Down and to the right is better. A step of the whole model gives each user of the batch one token; at {:.4g} "
      "USD "
      "per hour, a floor. {}.",
      source.file.price->usd_per_hour, conditions_of(source));
  figure.panels.push_back(std::move(panel));
  return figure;
}

}  // namespace layercost

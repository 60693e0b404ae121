// Money for a million new tokens against the speed that one user sees, by batch: down and to the right is better.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "harness/report/figures/shared.h"
#include "harness/report/figures/tones.h"
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

constexpr double kSpeedRoom = 1.5, kMoneyRoom = 1.3;

// A point's text stands above it to the right, else below, else to the left: where no earlier point's text is. One text
// serves neighbours that say the same.
enum class Side { above, below, left, none };

struct Placed {
  double x, y;  // shares of the frame
  std::string text;
};

Side side_of(const std::vector<Placed>& earlier, const Placed& point) {
  std::ptrdiff_t near = 0;
  for (const Placed& other : earlier) {
    if (std::abs(other.x - point.x) > 0.12 || std::abs(other.y - point.y) > 0.07) continue;
    if (other.text == point.text) return Side::none;
    ++near;
  }
  return static_cast<Side>(std::min<std::ptrdiff_t>(near, 3));
}

Spec text_layer(Side side, const Spec& x, const Spec& y) {
  const bool left = side == Side::left;
  return {{"mark",
           {{"type", "text"},
            {"align", left ? "right" : "left"},
            {"dx", left ? -9 : 9},
            {"dy", side == Side::below ? 11 : -7},
            {"fontSize", 11},
            {"color", tone("quiet")}}},
          {"transform", only(fmt::format("datum.side == {}", static_cast<int>(side)))},
          {"encoding", {{"x", x}, {"y", y}, {"text", {{"field", "at"}}}}}};
}

Spec frontier_spec(const Figure& figure, const std::vector<std::string>& names, const Range& speed,
                   const Range& money) {
  const Spec x =
      quantity("tokens_per_s_user", "tokens per second for each user", logarithmic(speed.low, speed.high, kSpeedRoom),
               logarithmic_axis(speed.low, speed.high, kSpeedRoom));
  const Spec y =
      quantity("usd_per_mtok", "US dollars per million new tokens", logarithmic(money.low, money.high, kMoneyRoom),
               logarithmic_axis(money.low, money.high, kMoneyRoom));
  Spec low = y;
  low["field"] = "usd_per_mtok_low";
  Spec colour = series_colour("series", names), shape = series_shape("series", names);
  make_room(colour, shape, names);
  Spec layers = {{{"mark", {{"type", "line"}, {"strokeWidth", 2}}},
                  {"transform", only("datum.firm")},
                  {"encoding", {{"x", x}, {"y", y}, {"color", colour}, {"order", quantity("batch", "")}}}},
                 {{"mark", {{"type", "rule"}, {"strokeWidth", 1.5}}},
                  {"transform", only("isValid(datum.usd_per_mtok_low)")},
                  {"encoding", {{"x", x}, {"y", low}, {"y2", {{"field", "usd_per_mtok_high"}}}, {"color", colour}}}}};
  for (Spec& one :
       points({{"x", x}, {"y", y}, {"color", colour}, {"shape", shape}, {"tooltip", tooltip(figure.columns)}}))
    layers.push_back(std::move(one));
  for (const Side side : {Side::above, Side::below, Side::left}) layers.push_back(text_layer(side, x, y));
  return layered(std::move(layers), 300);
}

// Each point's place in the frame, as shares of it, decides the side of its text.
void add_sides(FigurePanel& panel, const Range& speed, const Range& money) {
  const auto share = [](double value, const Range& range, double room) {
    return std::log(value / range.low * room) / std::log(range.high / range.low * room * room);
  };
  std::vector<Placed> places;
  for (auto& row : panel.rows) {
    const Placed at{share(std::get<Number>(row[3].value).value, speed, kSpeedRoom),
                    share(std::get<Number>(row[4].value).value, money, kMoneyRoom),
                    std::get<std::string>(row[7].value)};
    row.emplace_back().value = static_cast<std::int64_t>(side_of(places, at));
    places.push_back(at);
  }
}

}  // namespace

Figure frontier_across(std::span<const FigureSource> sources) {
  Figure figure;
  figure.columns = {{"series", "model"},
                    {"batch", "batch", Form::number, true},
                    {"context", "context", Form::number, true},
                    {"tokens_per_s_user", "tokens/s per user", Form::number},
                    {"usd_per_mtok", "$ per Mtok out", Form::number},
                    {"state", "state"},
                    {"firm"},
                    {"at"},
                    {"side"}};
  FigurePanel panel;
  std::vector<std::string> names, conditions;
  Range speed, money;
  bool priced = false;
  for (const FigureSource& source : sources) {
    priced = priced || source.file.price;
    for (const ModelRow& row : source.summary.models) {
      if (!row.tokens_per_s_user || !row.usd_per_mtok) continue;
      names.push_back(joined(
          {series_name(row, source.summary), sources.size() > 1 ? plain(source.file.environment.device_name, 40) : ""},
          " · "));
      conditions.push_back(
          fmt::format("at {:.4g} USD per hour, {}", source.file.price->usd_per_hour, conditions_of(source)));
      speed.take(*row.tokens_per_s_user);
      money.take(row.usd_per_mtok_interval ? row.usd_per_mtok_interval->low : *row.usd_per_mtok);
      money.take(row.usd_per_mtok_interval ? row.usd_per_mtok_interval->high : *row.usd_per_mtok);
      panel.rows.push_back({text_cell(names.back()), TableCell{row.batch}, TableCell{row.context},
                            number_cell(*row.tokens_per_s_user, {}, relative_half_width(row.time_s, row.time_interval)),
                            number_cell(row.usd_per_mtok, row.usd_per_mtok_interval),
                            text_cell(state_of(row.labels, row.note)), TableCell{is_firm(row.labels, row.note)},
                            text_cell(fmt::format("batch {}", row.batch))});
    }
  }
  if (panel.rows.empty()) {
    figure.absent = priced ? "no decode step of a whole model was measured"
                           : "no price was given, so there is no money (layercost cost FILE --price 2.50/h)";
    return figure;
  }
  add_sides(panel, speed, money);
  panel.spec = frontier_spec(figure, distinct(names), speed, money);
  figure.caption = fmt::format(
      "Down and to the right is better. A step of the whole model gives each user of the batch one token; a floor, {}.",
      joined(distinct(conditions), "; "));
  figure.panels.push_back(std::move(panel));
  return figure;
}

Figure frontier_figure(const FigureSource& source) { return frontier_across({&source, 1}); }

}  // namespace layercost

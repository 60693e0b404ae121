// What a million tokens of a mix cost here, with every paid hour in use, beside what an API asks for them.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "harness/cost/break_even.h"
#include "harness/report/figures/shared.h"
#include "harness/report/figures/tones.h"
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

constexpr int kRowHeight = 44;
constexpr double kRoom = 1.5;

Spec list_price_spec(const Figure& figure, std::size_t bars, const Range& money) {
  const Spec y = words("at", {{"axis", label_axis()}});
  const Spec x = quantity("usd_per_mtok", "US dollars per million tokens of the mix",
                          logarithmic(money.low, money.high, kRoom), logarithmic_axis(money.low, money.high, kRoom));
  const auto mark = [&](Spec look, const char* test) {
    return Spec{{"mark", std::move(look)},
                {"transform", only(test)},
                {"encoding", {{"x", x}, {"y", y}, {"tooltip", tooltip(figure.columns)}}}};
  };
  Spec layers = Spec::array();
  Spec dots = mark({{"type", "point"}, {"size", 90}, {"strokeWidth", 2}, {"opacity", 1}, {"color", tone("series1")}},
                   "datum.basis == 'cost, measured' && !datum.firm");
  dots["mark"]["fill"] = tone("ground");
  layers.push_back(std::move(dots));
  layers.push_back(mark({{"type", "point"}, {"size", 90}, {"filled", true}, {"opacity", 1}, {"color", tone("series1")}},
                        "datum.basis == 'cost, measured' && datum.firm"));
  layers.push_back(mark({{"type", "tick"}, {"thickness", 3}, {"size", 26}, {"color", tone("series2")}},
                        "datum.basis == 'price, published'"));
  // Above the first row's.
  layers.push_back(mark({{"type", "text"}, {"dy", -21}, {"fontSize", 11}, {"color", tone("quiet")}},
                        "datum.first && datum.basis == 'price, published'"));
  layers.back()["encoding"]["text"] = Spec{{"field", "what"}};
  return layered(std::move(layers), kRowHeight * static_cast<int>(bars));
}

}  // namespace

Figure list_price_figure(const FigureSource& source) {
  Figure figure;
  figure.columns = {{"at", "model"},    {"basis", "basis"},
                    {"what", "whose"},  {"usd_per_mtok", "$ per Mtok of the mix", Form::number},
                    {"state", "state"}, {"firm"},
                    {"first"}};
  FigurePanel panel;
  std::vector<std::string> bars;
  std::set<std::pair<std::string, std::string>> asked;  // of a bar's model, which APIs have their tick
  Range money;
  for (const BreakEvenRow& row : break_evens(source.file, source.summary)) {
    if (!row.list_usd_per_mtok) continue;
    const auto blend = std::find_if(source.summary.blends.begin(), source.summary.blends.end(),
                                    [&](const BlendRow& b) { return b.point == row.point; });
    if (blend == source.summary.blends.end() || !blend->blended_usd_per_mtok) continue;
    const ModelRow& model = source.summary.models[row.point];
    const std::string at = fmt::format("{}, batch {}", series_name(model, source.summary), model.batch);
    const auto add = [&](const std::string& basis, const std::string& what, double usd, const std::string& state,
                         bool firm) {
      std::vector<TableCell> cells = {
          text_cell(at),   text_cell(basis),           text_cell(what), number_cell(usd), text_cell(state),
          TableCell{firm}, TableCell{bars.size() == 1}};
      money.take(usd);
      panel.rows.push_back(std::move(cells));
    };
    if (std::find(bars.begin(), bars.end(), at) == bars.end()) {
      bars.push_back(at);
      add("cost, measured", plain(source.file.price->id, 60), *blend->blended_usd_per_mtok,
          state_of(model.labels, blend->note), is_firm(model.labels, blend->note));
    }
    const std::string api = plain(row.second, 60);
    if (asked.emplace(at, api).second) add("price, published", api, *row.list_usd_per_mtok, "asked, not a cost", true);
  }
  if (bars.empty()) {
    figure.absent = "no list price to hold the cost against (layercost cost FILE --price ID --mix 3:1 --list-price ID)";
    return figure;
  }
  panel.spec = list_price_spec(figure, bars.size(), money);
  figure.panels.push_back(std::move(panel));
  figure.caption = fmt::format(
      "Circles: what the mix {} costs here with every paid hour in use, a floor; ticks: what an API asks for it, a "
      "price that says nothing of its cost. The API's model, format and speed may be others. {}.",
      plain(source.file.price->mix->name, 20), conditions_of(source));
  return figure;
}

}  // namespace layercost

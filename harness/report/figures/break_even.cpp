// From how many tokens a day one way to pay is cheaper than another, and what half and twice of everything makes of it.
// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/break_even.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/report/figures/shared.h"
#include "harness/report/figures/tones.h"
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

constexpr int kRowHeight = 44;
constexpr double kRoom = 2;

std::string ways_text(const BreakEvenRow& row) {
  const std::string first = plain(row.first, 40), second = plain(row.second, 40);
  switch (row.ways) {
    case Ways::own_or_rent:
      return fmt::format("own {}, or rent {}", first, second);
    case Ways::own_or_api:
      return fmt::format("own {}, or ask {}", first, second);
    case Ways::rent_or_api:
      return fmt::format("rent {}, or ask {}", first, second);
  }
  return "";
}

Spec break_even_spec(const Figure& figure, std::size_t bars, const Range& range) {
  const Spec y = words("at", {{"axis", label_axis()}});
  const Spec x = quantity("tokens_per_day", "tokens a day", logarithmic(range.low, range.high, kRoom),
                          logarithmic_axis(range.low, range.high, kRoom, "~s"));
  const auto mark = [&](Spec look, const char* test) {
    return Spec{{"mark", std::move(look)},
                {"transform", only(fmt::format("isValid(datum.tokens_per_day) && {}", test))},
                {"encoding", {{"x", x}, {"y", y}, {"tooltip", tooltip(figure.columns)}}}};
  };
  Spec layers = Spec::array();
  layers.push_back(mark({{"type", "line"}, {"strokeWidth", 2}, {"color", tone("series1")}, {"opacity", 0.5}},
                        "datum.what != 'most it makes'"));
  layers.back()["encoding"]["detail"] = Spec{{"field", "at"}, {"type", "nominal"}};
  layers.push_back(mark({{"type", "tick"}, {"thickness", 2}, {"size", 18}, {"color", tone("series1")}},
                        "datum.what != 'most it makes' && datum.what != 'now'"));
  layers.push_back(mark({{"type", "point"},
                         {"size", 90},
                         {"strokeWidth", 2},
                         {"filled", false},
                         {"fill", tone("ground")},
                         {"opacity", 1},
                         {"color", tone("series1")}},
                        "datum.what == 'now' && !datum.firm"));
  layers.push_back(mark({{"type", "point"}, {"size", 90}, {"filled", true}, {"opacity", 1}, {"color", tone("series1")}},
                        "datum.what == 'now' && datum.firm"));
  layers.push_back(mark({{"type", "tick"}, {"thickness", 3}, {"size", 26}, {"color", tone("ink")}},
                        "datum.what == 'most it makes'"));
  return layered(std::move(layers), kRowHeight * static_cast<int>(bars));
}

}  // namespace

Figure break_even_figure(const FigureSource& source) {
  Figure figure;
  figure.columns = {{"at", "model"}, {"what", "with"},   {"tokens_per_day", "tokens a day", Form::count},
                    {"never", "or"}, {"state", "state"}, {"firm"}};
  std::vector<Range> ranges;  // of the panels, one for each two ways to pay
  std::vector<std::size_t> bars;
  for (const BreakEvenRow& row : break_evens(source.file, source.summary)) {
    const std::string title = ways_text(row);
    const auto panel = std::find_if(figure.panels.begin(), figure.panels.end(),
                                    [&](const FigurePanel& p) { return p.title == title; });
    const auto i = static_cast<std::size_t>(panel - figure.panels.begin());
    if (panel == figure.panels.end()) {
      figure.panels.push_back({.title = title, .spec = {}});
      ranges.emplace_back();
      bars.push_back(0);
    }
    ++bars[i];
    const ModelRow& model = source.summary.models[row.point];
    const std::string at = fmt::format("{}, batch {}", series_name(model, source.summary), model.batch);
    const auto add = [&](const std::string& what, const std::optional<double>& tokens, const std::string& why,
                         const std::optional<Interval>& interval = {}) {
      if (tokens) ranges[i].take(*tokens);
      figure.panels[i].rows.push_back(
          {text_cell(at), text_cell(what), number_cell(tokens, interval), text_cell(tokens ? "" : "never: " + why),
           text_cell(state_of(model.labels, model.note)), TableCell{is_firm(model.labels, model.note)}});
    };
    add("now", row.now.tokens_per_day, row.now.why, row.interval);
    for (const BreakEvenChange& change : row.changes) add(change.what, change.then.tokens_per_day, change.then.why);
    add("most it makes", row.now.capacity_tokens_per_day, "");
  }
  if (figure.panels.empty()) {
    figure.absent =
        "nothing to hold an owned machine or a rental against (layercost cost FILE --own ID --price ID, or "
        "--mix 3:1 --list-price ID)";
    return figure;
  }
  for (std::size_t i = 0; i < figure.panels.size(); ++i)
    figure.panels[i].spec = break_even_spec(figure, bars[i], ranges[i]);
  figure.caption = fmt::format(
      "From the circle on the first way is cheaper than the second; small ticks: with half the use, half and twice the "
      "second's price, half and twice the machine's life; the dark tick is the most that the machine makes in a day, "
      "and what would lie beyond it is never reached. {}.",
      conditions_of(source));
  return figure;
}

}  // namespace layercost

// What:    what several figures are made of: axes, marks and the words of a point.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "harness/cost/summary.h"
#include "harness/report/figures/figure.h"

namespace layercost {

// Whether a number may stand filled and be joined by lines: enough rounds, nothing that makes it unusable, and a model
// that fits.
bool is_firm(const std::vector<Label>& labels, const std::string& note = "");
// "measured", or what speaks against it: "PRELIMINARY, ROOF MOVED; hypothetical: does not fit".
std::string state_of(const std::vector<Label>& labels, const std::string& note = "");

// The same of a number that rests on all of these points.
struct Standing {
  std::string state;
  bool firm = true;
};
Standing standing_of(const std::vector<const ModelRow*>& points);

// What the file's points have in common: "bf16 · uniform routing · Example CPU 9000, 2 threads · 2026-11-23".
std::string conditions_of(const FigureSource& source);
// "decode, batch 8", with the context, types and routing where the file has several.
std::string point_name(const ScenarioRecord& scenario, const Summary& summary);
// The model, with types, routing and context where it has several.
std::string series_name(const ScenarioRecord& scenario, const Summary& summary);

// Each text once, in order.
std::vector<std::string> distinct(std::vector<std::string> texts);

// Of positive numbers, for the domain of an axis.
struct Range {
  double low = INFINITY, high = 0;
  void take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

using Spec = nlohmann::json;
Spec layered(Spec layers, int height);  // as wide as its place
// A channel of a field that holds numbers, and of one that holds words, in the order of the rows.
Spec quantity(const std::string& field, const std::string& title, Spec scale = {}, Spec axis = {});
Spec words(const std::string& field, Spec more = {});
// A logarithmic scale over both, with room around them, and its axis: at 1, 2, 5 or, over many decades, powers of ten.
Spec logarithmic(double low, double high, double room, double base = 10);
Spec logarithmic_axis(double low, double high, double room, const std::string& format = ",.3~r");
// Of `field`: the i-th name has the i-th tone, and the i-th shape.
Spec series_colour(const std::string& field, const std::vector<std::string>& names);
Spec series_shape(const std::string& field, const std::vector<std::string>& names);
// In the legend of both, names that are too long for two columns stand one below the other, whole.
void make_room(Spec& colour, Spec& shape, const std::vector<std::string>& names);
// What a pointer over a mark tells: the columns that the table has.
Spec tooltip(const std::vector<FigureColumn>& columns);
// Points of the rows, filled where these are firm, else hollow. `encoding`: x, y, colour and so on.
std::vector<Spec> points(const Spec& encoding, const std::string& test = "true");
// The labels of a categorical axis.
Spec label_axis();
Spec only(const std::string& test);  // a transform that keeps the rows for which the expression holds

}  // namespace layercost

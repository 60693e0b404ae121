// SPDX-License-Identifier: Apache-2.0
#include "harness/report/figures/shared.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "harness/report/figures/tones.h"
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

bool has(const std::vector<Label>& labels, Label label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

// Whether the file's points differ in what `member` gives.
template <typename Get>
bool differ(const Summary& summary, Get member) {
  return std::any_of(summary.models.begin(), summary.models.end(),
                     [&](const ModelRow& row) { return member(row) != member(summary.models.front()); });
}
bool several_types(const Summary& summary) {
  return differ(summary, [](const ModelRow& row) { return types_text(row); });
}
std::set<std::string> routings(const Summary& summary) {
  std::set<std::string> names;
  for (const ModelRow& row : summary.models)
    if (!row.routing.empty()) names.insert(row.routing);
  return names;
}
bool several_contexts(const Summary& summary, const std::string& phase) {
  std::set<std::int64_t> contexts;
  for (const ModelRow& row : summary.models)
    if (row.phase == phase) contexts.insert(row.context);
  return contexts.size() > 1;
}

std::vector<std::string> distinguishing(const ScenarioRecord& scenario, const Summary& summary) {
  return {several_contexts(summary, scenario.phase) ? fmt::format("context {}", scenario.context) : "",
          several_types(summary) ? types_text(scenario) : "",
          routings(summary).size() > 1 ? routing_text(scenario.routing) : "", plain(scenario.shard, 40)};
}

Spec filled_to(Spec names, std::vector<std::string> range) {
  while (range.size() < names.size()) range.push_back(range[range.size() % kSeriesTones]);
  range.resize(std::max<std::size_t>(1, names.size()));
  return {{"domain", std::move(names)}, {"range", std::move(range)}};
}

}  // namespace

bool is_firm(const std::vector<Label>& labels, const std::string& note) {
  return note.empty() && std::none_of(labels.begin(), labels.end(), [](Label label) {
           return label == Label::preliminary || label == Label::impossible || label == Label::cache_partial ||
                  label == Label::overhead_bound;
         });
}

std::string state_of(const std::vector<Label>& labels, const std::string& note) {
  const std::string text = joined({shown(TableCell{labels}, Form::text), note}, "; ");
  return text.empty() ? "measured" : has(labels, Label::impossible) ? "unusable: " + text : text;
}

Standing standing_of(const std::vector<const ModelRow*>& points) {
  Standing standing;
  std::vector<Label> labels;
  std::string note;
  for (const ModelRow* point : points) {
    standing.firm = standing.firm && is_firm(point->labels, point->note);
    labels.insert(labels.end(), point->labels.begin(), point->labels.end());
    if (note.empty()) note = point->note;
  }
  std::sort(labels.begin(), labels.end());
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  standing.state = state_of(labels, note);
  return standing;
}

std::string conditions_of(const FigureSource& source) {
  const EnvironmentRecord& machine = source.file.environment;
  const std::set<std::string> routed = routings(source.summary);
  const bool one_type = !source.summary.models.empty() && !several_types(source.summary);
  return joined({one_type ? types_text(source.summary.models.front()) : "",
                 routed.size() == 1 ? routing_text(*routed.begin()) : "",
                 plain(machine.device_name, 80) +
                     (machine.threads > 0 && !machine.gpu ? fmt::format(", {} threads", machine.threads) : ""),
                 plain(source.file.started_at.substr(0, 10), 10)},
                " · ");
}

std::string point_name(const ScenarioRecord& scenario, const Summary& summary) {
  std::vector<std::string> parts = distinguishing(scenario, summary);
  parts.insert(parts.begin(), fmt::format("{} {}", plain(scenario.phase, 20), scenario.batch));
  return joined(parts, " · ");
}

std::string series_name(const ScenarioRecord& scenario, const Summary& summary) {
  std::vector<std::string> parts = distinguishing(scenario, summary);
  parts.insert(parts.begin(), plain(scenario.model, 80));
  return joined(parts, " · ");
}

std::vector<std::string> distinct(std::vector<std::string> texts) {
  std::vector<std::string> once;
  for (std::string& text : texts)
    if (std::find(once.begin(), once.end(), text) == once.end()) once.push_back(std::move(text));
  return once;
}

Spec layered(Spec layers, int height) {
  return {{"$schema", "https://vega.github.io/schema/vega-lite/v6.json"},
          {"width", "container"},
          {"height", height},
          {"autosize", {{"type", "fit-x"}, {"contains", "padding"}}},
          {"layer", std::move(layers)}};
}

Spec quantity(const std::string& field, const std::string& title, Spec scale, Spec axis) {
  Spec channel = {{"field", field}, {"type", "quantitative"}};
  if (title.empty()) channel["title"] = nullptr;
  else channel["title"] = title;
  if (!scale.is_null()) channel["scale"] = std::move(scale);
  if (!axis.is_null()) channel["axis"] = std::move(axis);
  return channel;
}

Spec words(const std::string& field, Spec more) {
  Spec channel = {{"field", field}, {"type", "nominal"}, {"sort", nullptr}, {"title", nullptr}};
  if (!more.is_null()) channel.update(more);
  return channel;
}

Spec logarithmic(double low, double high, double room, double base) {
  return {{"type", "log"}, {"base", base}, {"nice", false}, {"domain", {low / room, high * room}}};
}

Spec logarithmic_axis(double low, double high, double room, const std::string& format) {
  low /= room;
  high *= room;
  const bool wide = high / low > 300;  // two and a half decades
  Spec values = Spec::array();
  for (double decade = std::pow(10.0, std::floor(std::log10(low))); decade <= high; decade *= 10)
    for (const double step : {1.0, 2.0, 5.0})
      if (decade * step >= low && decade * step <= high && (step == 1 || !wide)) values.push_back(decade * step);
  return {{"format", format}, {"values", std::move(values)}};
}

Spec series_colour(const std::string& field, const std::vector<std::string>& names) {
  std::vector<std::string> tones;
  for (std::size_t i = 0; i < names.size(); ++i) tones.push_back(series_tone(i));
  return words(field, {{"scale", filled_to(names, std::move(tones))}});
}

Spec series_shape(const std::string& field, const std::vector<std::string>& names) {
  // Seven, so that with eight tones 56 series differ.
  static const std::vector<std::string> kShapes = {"circle",        "square",         "triangle-up",  "diamond",
                                                   "triangle-down", "triangle-right", "triangle-left"};
  std::vector<std::string> shapes;
  for (std::size_t i = 0; i < names.size(); ++i) shapes.push_back(kShapes[i % kShapes.size()]);
  return words(field, {{"scale", filled_to(names, std::move(shapes))}});
}

void make_room(Spec& colour, Spec& shape, const std::vector<std::string>& names) {
  if (std::any_of(names.begin(), names.end(), [](const std::string& name) { return display_width(name) > 22; }))
    colour["legend"] = shape["legend"] = {{"columns", 1}, {"labelLimit", 320}};
}

Spec tooltip(const std::vector<FigureColumn>& columns) {
  Spec all = Spec::array();
  for (const FigureColumn& column : columns) {
    if (column.title.empty() || column.form == Form::range) continue;
    const bool text = column.form == Form::text;
    Spec one = {{"field", column.field}, {"title", column.title}, {"type", text ? "nominal" : "quantitative"}};
    if (!text) one["format"] = column.whole ? "d" : column.form == Form::percent ? ".2~p" : ",.3~r";
    all.push_back(std::move(one));
  }
  return all;
}

std::vector<Spec> points(const Spec& encoding, const std::string& test) {
  const auto one = [&](bool firm) {
    Spec mark = {{"type", "point"}, {"size", 80}, {"strokeWidth", 2}, {"opacity", 1}, {"filled", firm}};
    if (!firm) mark["fill"] = tone("ground");
    return Spec{{"mark", std::move(mark)},
                {"transform", only(test + (firm ? " && datum.firm" : " && !datum.firm"))},
                {"encoding", encoding}};
  };
  return {one(false), one(true)};
}

Spec label_axis() { return {{"domain", false}, {"ticks", false}, {"labelPadding", 8}, {"labelColor", tone("ink")}}; }

Spec only(const std::string& test) { return {{{"filter", test}}}; }

}  // namespace layercost

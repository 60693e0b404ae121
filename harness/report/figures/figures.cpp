// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>
#include <set>

#include "harness/report/figures/figure.h"
#include "harness/report/figures/tones.h"

namespace layercost {
namespace {

// THE list of figures, in the order of the page.
constexpr std::array kFigures = {
    FigureKind{"frontier", "Cost against speed", frontier_figure, frontier_across},
    FigureKind{"over-batch", "What sparsity saves, over batch", over_batch_figure},
    FigureKind{"over-context", "What sparsity saves, over context", over_context_figure},
    FigureKind{"formats", "What a smaller weight format saves", formats_figure},
    FigureKind{"twins", "Against dense models that nobody trained", twins_figure},
    FigureKind{"levers", "What each lever saves", levers_figure},
    FigureKind{"list-price", "Cost against list price", list_price_figure},
    FigureKind{"break-even", "Break-even", break_even_figure},
    FigureKind{"energy", "Energy", energy_figure},
    FigureKind{"utilisation", "How close to what the machine can do", utilisation_figure},
    FigureKind{"roofline", "Roofline", roofline_figure},
    FigureKind{"shares", "Where a layer's time goes", shares_figure},
    FigureKind{"touched", "How many experts a step touches", touched_figure},
    FigureKind{"routing", "How tokens spread over experts", routing_figure},
};

double six_digits(double value) { return std::stod(fmt::format("{:.6g}", value)); }

void add_value(nlohmann::json& row, const std::string& field, const TableCell& cell, Form form) {
  if (absent(cell) != nullptr || form == Form::range) return;  // the number itself brings the ends of its interval
  if (const auto* number = std::get_if<Number>(&cell.value)) {
    row[field] = six_digits(number->value);
    if (number->interval) {
      row[field + "_low"] = six_digits(number->interval->low);
      row[field + "_high"] = six_digits(number->interval->high);
    }
  } else if (const auto* integer = std::get_if<std::int64_t>(&cell.value)) {
    row[field] = *integer;
  } else if (const auto* flag = std::get_if<bool>(&cell.value)) {
    row[field] = *flag;
  } else {
    row[field] = shown(cell, form);
  }
}

// "var(--ink)" -> "#1b1f24", everywhere in a specification.
void put_on_paper(nlohmann::json& spec) {
  if (spec.is_string()) {
    for (const Tone& one : kTones)
      if (spec.get_ref<const std::string&>() == tone(one.name)) {
        spec = one.light;
        return;
      }
  }
  if (spec.is_structured())
    for (nlohmann::json& part : spec) put_on_paper(part);
}

}  // namespace

std::span<const FigureKind> figure_kinds() { return kFigures; }

nlohmann::json figure_values(const Figure& figure, const FigurePanel& panel) {
  nlohmann::json values = nlohmann::json::array();
  for (const auto& cells : panel.rows) {
    nlohmann::json& row = values.emplace_back(nlohmann::json::object());
    for (std::size_t c = 0; c < cells.size(); ++c)
      add_value(row, figure.columns[c].field, cells[c], figure.columns[c].form);
  }
  return values;
}

nlohmann::json figure_rows(const Figure& figure, const FigurePanel& panel) {
  const nlohmann::json values = figure_values(figure, panel);
  std::set<std::string> fields;
  for (const nlohmann::json& row : values)
    for (const auto& [field, value] : row.items()) fields.insert(field);
  nlohmann::json rows = nlohmann::json::array();
  for (const nlohmann::json& row : values) {
    nlohmann::json& cells = rows.emplace_back(nlohmann::json::array());
    for (const std::string& field : fields) cells.push_back(row.value(field, nlohmann::json()));
  }
  return {{"fields", fields}, {"rows", std::move(rows)}};
}

nlohmann::json figure_config() {
  const std::string ink = tone("ink"), quiet = tone("quiet"), line = tone("line");
  return {{"font", "system-ui, sans-serif"},
          {"background", nullptr},
          {"view", {{"stroke", nullptr}}},
          {"axis",
           {{"labelColor", quiet},
            {"titleColor", quiet},
            {"titleFontWeight", "normal"},
            {"labelFontSize", 12},
            {"titleFontSize", 12},
            {"gridColor", line},
            {"domainColor", line},
            {"tickColor", line},
            {"labelLimit", 190}}},
          {"legend",
           {{"orient", "top"},
            {"direction", "horizontal"},
            {"columns", 2},
            {"labelColor", ink},
            {"titleColor", quiet},
            {"labelFontSize", 12},
            {"labelLimit", 150},
            {"title", nullptr},
            {"symbolSize", 70}}},
          {"text", {{"color", ink}, {"fontSize", 12}}}};
}

nlohmann::json complete_spec(const Figure& figure, const FigurePanel& panel) {
  nlohmann::json spec = panel.spec;
  spec["config"] = figure_config();
  spec["config"]["background"] = "white";
  put_on_paper(spec);
  spec["width"] = 480;
  spec["data"] = {{"values", figure_values(figure, panel)}};
  return spec;
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/report/section.h"

#include <fmt/format.h>

#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

// THE list of sections, in the order of the report. One without anything to show has no items and no groups.
constexpr std::array kSections = {
    head_section,       models_section,  sensitivity_section, frontier_section, blends_section,
    break_even_section, peers_section,   tradeoffs_section,   twins_section,    levers_section,
    programs_section,   formats_section, depths_section,      words_section,    verdict_section,
};

std::string number_shown(const Number& number, Form form) {
  switch (form) {
    case Form::time:
      return time_text(number.value, number.interval);
    case Form::spread:
      return spread_text(number.value, number.interval);
    case Form::range:
      return number.interval ? fmt::format("{} to {}", digits(number.interval->low), digits(number.interval->high))
                             : "";
    case Form::percent:
      return percent_text(number.value);
    case Form::text:
    case Form::number:
      return number_text(number.value,
                         number.half_width ? number.half_width : relative_half_width(number.value, number.interval));
    case Form::count:
      return count_text(number.value);
    case Form::times:
      return times_text(number.value);
    case Form::ratio:
      return ratio_text(number.value);
    case Form::bar:
      return "";
  }
  return "";
}

template <typename T>
std::string labels_shown(const std::vector<T>& labels) {
  std::string text;
  for (const T label : labels) text += (text.empty() ? "" : ", ") + std::string(text_of(label).shown);
  return text;
}

}  // namespace

TableCell text_cell(std::string text) { return text.empty() ? TableCell{} : TableCell{std::move(text)}; }

TableCell number_cell(std::optional<double> value, const std::optional<Interval>& interval,
                      std::optional<double> half_width) {
  return value ? TableCell{Number{*value, interval, half_width}} : TableCell{};
}

TableCell ratio_cell(const std::optional<Ratio>& ratio) {
  return ratio ? number_cell(ratio->ratio, ratio->interval) : TableCell{};
}

const Absent* absent(const TableCell& cell) { return std::get_if<Absent>(&cell.value); }

std::string shown(const TableCell& cell, Form form) {
  struct Shown {
    Form form;
    std::string operator()(const Absent& a) const { return a.word; }
    std::string operator()(const std::string& text) const { return text; }
    std::string operator()(std::int64_t value) const { return fmt::format("{}", value); }
    std::string operator()(bool value) const { return value ? "yes" : "no"; }
    std::string operator()(const Number& number) const { return number_shown(number, form); }
    std::string operator()(const std::vector<Label>& labels) const { return labels_shown(labels); }
    std::string operator()(const std::vector<PriceLabel>& labels) const { return labels_shown(labels); }
    std::string operator()(const Bar&) const { return ""; }
  };
  return std::visit(Shown{form}, cell.value);
}

std::vector<Section> sections_of(const ResultFile& file, const View& view) {
  const Summary summary = summarise(file);
  std::vector<Section> sections;
  for (const auto& build : kSections) sections.push_back(build(file, summary, view));
  return sections;
}

}  // namespace layercost

// What:    the words for outcomes and labels: how they are written in files and tables, what they mean, what to do
//          about them. The only place that knows.
// Errors:  std::nullopt for a word that is not in the list.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "harness/result/record.h"

namespace layercost {

struct OutcomeText {
  Outcome outcome;
  std::string_view name;     // in files: "out_of_memory"
  std::string_view shown;    // in tables: "out of memory"
  std::string_view meaning;
  std::string_view advice;
};

struct LabelText {
  Label label;
  std::string_view name;     // in files: "roof_moved"
  std::string_view shown;    // in tables: "ROOF MOVED"
  std::string_view meaning;
  std::string_view advice;
};

struct PriceLabelText {
  PriceLabel label;
  std::string_view name;     // in files: "no_electricity"
  std::string_view shown;    // in reports: "NO_ELECTRICITY"
  std::string_view meaning;  // a few words
};

std::span<const OutcomeText> outcome_texts();  // in the order of the enumeration
std::span<const LabelText> label_texts();
std::span<const PriceLabelText> price_label_texts();

const OutcomeText& text_of(Outcome);
const LabelText& text_of(Label);
const PriceLabelText& text_of(PriceLabel);
inline std::string_view to_string(Outcome outcome) { return text_of(outcome).name; }
inline std::string_view to_string(Label label) { return text_of(label).name; }
inline std::string_view to_string(PriceLabel label) { return text_of(label).name; }
std::optional<Outcome> outcome_from_string(std::string_view name);
std::optional<Label> label_from_string(std::string_view name);

}  // namespace layercost

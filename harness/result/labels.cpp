// SPDX-License-Identifier: Apache-2.0
#include "harness/result/labels.h"

#include <array>
#include <stdexcept>

namespace layercost {
namespace {

constexpr std::array kOutcomes = {
    OutcomeText{Outcome::measured, "measured", "measured", "Timed, and its output was checked.", ""},
    OutcomeText{Outcome::wrong, "wrong", "WRONG", "The output failed its check, so there is no time.",
                "Please report it with the result file; `layercost check` shows the op at fault."},
    OutcomeText{Outcome::unsupported, "unsupported", "unsupported", "No variant on this device can compute it.",
                "`layercost list variants` says what each one needs."},
    OutcomeText{Outcome::out_of_memory, "out_of_memory", "out of memory", "It needs more memory than there is.",
                "Try a smaller batch or context, or a device with more memory."},
    OutcomeText{Outcome::failed, "failed", "FAILED", "Something broke that should not.",
                "Please report it with the result file and the output of `layercost doctor`."},
    OutcomeText{Outcome::skipped, "skipped", "skipped", "Not reached or not asked for.",
                "`layercost run --resume FILE` measures what is missing."},
};

constexpr std::array kLabels = {
    LabelText{Label::preliminary, "preliminary", "PRELIMINARY", "Fewer than 10 rounds or 30 samples a round.",
              "Run again with --rounds 10 before you quote it."},
    LabelText{Label::roof_moved, "roof_moved", "ROOF MOVED",
              "The machine's own limit changed by more than 10 % around a sample.",
              "Something else used the machine; run again when it is quiet."},
    LabelText{Label::cache_partial, "cache_partial", "CACHE PARTIAL",
              "Too little memory to keep weights out of the cache: real models can be slower.",
              "Free memory or use a machine with more of it."},
    LabelText{Label::drifting, "drifting", "DRIFTING",
              "Later samples of a round differ from earlier ones by more than 1 % and than the interval's width.",
              "The machine was still warming up or slowing down; run longer rounds."},
    LabelText{Label::overhead_bound, "overhead_bound", "OVERHEAD BOUND", "A sample stayed shorter than 500 us.",
              "The time includes the cost of starting work; use a larger batch."},
    LabelText{Label::impossible, "impossible", "IMPOSSIBLE", "Faster than the hard bound by more than 2 %.",
              "Do not use it. The measurement or its roofs are wrong; please report it."},
    LabelText{Label::best_load_case, "best_load_case", "BEST LOAD CASE",
              "Experts were loaded evenly, as real text never does.",
              "Measure with --routing uniform or a trace as well."},
    LabelText{Label::shared, "shared", "SHARED", "Other processes used more than a tenth of a CPU, or the same GPU.",
              "Stop them and run again."},
    LabelText{Label::power_capped, "power_capped", "POWER CAPPED",
              "The GPU was held back by its power limit for more than 1 % of the time.",
              "This is how the card runs under load; compare only with runs under the same limit."},
    LabelText{Label::thermal, "thermal", "THERMAL", "The GPU was held back by its temperature or its board.",
              "Not a headline: improve the cooling and run again."},
    LabelText{Label::queue_gap, "queue_gap", "QUEUE GAP",
              "The host's clock saw a section more than 5 % longer than the GPU's own.",
              "Something beside the measured work took time; run again on a quiet host."},
};

constexpr std::array kPriceLabels = {
    PriceLabelText{PriceLabel::stale, "stale", "STALE", "older than 90 days"},
    PriceLabelText{PriceLabel::expired, "expired", "EXPIRED", "past the last day it was offered for"},
    PriceLabelText{PriceLabel::promotional, "promotional", "PROMOTIONAL", "an offer that will end"},
    PriceLabelText{PriceLabel::estimate, "estimate", "ESTIMATE", "nobody offers it at that"},
    PriceLabelText{PriceLabel::example, "example", "EXAMPLE", "nobody's real machine"},
    PriceLabelText{PriceLabel::no_electricity, "no_electricity", "NO_ELECTRICITY", "what it draws is not in it"},
    PriceLabelText{PriceLabel::command_line, "command_line", "COMMAND_LINE", "nothing else is known of it"},
    PriceLabelText{PriceLabel::other_device, "other_device", "OTHER_DEVICE", "of a device that was not measured"},
    PriceLabelText{PriceLabel::price_superseded, "price_superseded", "PRICE_SUPERSEDED",
                   "the record has moved by more than 2 % since"},
};

template <typename Table, typename Value>
const auto& find(const Table& table, Value value) {
  // Row i holds value i; a test walks both tables.
  const auto index = static_cast<std::size_t>(value);
  if (index >= table.size()) throw std::invalid_argument("no such outcome or label");
  return table[index];
}

}  // namespace

std::span<const OutcomeText> outcome_texts() { return kOutcomes; }
std::span<const LabelText> label_texts() { return kLabels; }
const OutcomeText& text_of(Outcome outcome) { return find(kOutcomes, outcome); }
const LabelText& text_of(Label label) { return find(kLabels, label); }
std::span<const PriceLabelText> price_label_texts() { return kPriceLabels; }
const PriceLabelText& text_of(PriceLabel label) { return find(kPriceLabels, label); }

std::optional<Outcome> outcome_from_string(std::string_view name) {
  for (const OutcomeText& row : kOutcomes) {
    if (row.name == name) return row.outcome;
  }
  return std::nullopt;
}

std::optional<Label> label_from_string(std::string_view name) {
  for (const LabelText& row : kLabels) {
    if (row.name == name) return row.label;
  }
  return std::nullopt;
}

}  // namespace layercost

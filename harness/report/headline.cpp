// SPDX-License-Identifier: Apache-2.0
#include "harness/report/headline.h"

#include <fmt/format.h>

#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"
#include "harness/spec/part_name.h"

namespace layercost {
namespace {

const ModelRow* cheapest(const Summary& summary) {
  const ModelRow* best = nullptr;
  for (const ModelRow& row : summary.models) {
    if (row.phase != "decode" || !row.time_s || !row.usd_per_mtok) continue;
    if (!split_changes(row.model).changes.empty()) continue;  // nobody can use it
    if (best == nullptr ||
        std::pair(!row.note.empty(), *row.usd_per_mtok) < std::pair(!best->note.empty(), *best->usd_per_mtok))
      best = &row;
  }
  return best;
}

std::string price_text(const PriceRecord& price) {
  std::vector<std::string> facts = {plain(price.id, 60)};
  if (!price.retrieved_at.empty()) facts.push_back("of " + plain(price.retrieved_at.substr(0, 10), 10));
  for (const PriceLabel label : price.labels) facts.emplace_back(text_of(label).shown);
  return fmt::format("{:.4g} USD per hour ({})", price.usd_per_hour, joined(facts, ", "));
}

}  // namespace

std::string headline_of(const ResultFile& file, const Summary& summary) {
  const ModelRow* row = cheapest(summary);
  if (row == nullptr || !file.price) return "";
  const EnvironmentRecord& machine = file.environment;
  const auto precision = relative_half_width(row->time_s, row->time_interval);
  const auto& money = row->usd_per_mtok_interval;
  std::string text = fmt::format(
      "A million new tokens of {} cost {} USD{} at {} tokens/s for each user: {}, {} tokens cached, on {}, at {}, "
      "measured {}; a floor of layers and head",
      plain(row->model, 80), number_text(row->usd_per_mtok, precision),
      money ? fmt::format(" ({} to {})", digits(money->low), digits(money->high)) : "",
      number_text(*row->tokens_per_s_user, precision),
      joined({fmt::format("batch {}", row->batch), types_text(*row), routing_text(row->routing)}, ", "), row->context,
      joined({plain(machine.device_name, 80),
              machine.threads > 0 && !machine.gpu ? fmt::format("{} threads", machine.threads) : ""},
             ", "),
      price_text(*file.price), plain(file.started_at.substr(0, 10), 10));
  if (!row->note.empty()) text += "; " + row->note;
  const std::string labels = shown(TableCell{row->labels}, Form::text);
  return text + (labels.empty() ? "." : "; " + labels + ".");
}

}  // namespace layercost

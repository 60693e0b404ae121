// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/break_even.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "harness/cost/frontier.h"
#include "harness/cost/token_cost.h"
#include "harness/spec/price_spec.h"

namespace layercost {
namespace {

constexpr double kSecondsPerDay = 86400, kDaysPerYear = 365, kHoursPerDay = 24, kTokensPerMtok = 1e6;

struct Scale {
  const char* what;
  double use = 1, price = 1, life = 1;
};
constexpr Scale kNow{"now"};
constexpr std::array kScales = {Scale{"half the use", 0.5}, Scale{"half the price", 1, 0.5},
                                Scale{"twice the price", 1, 2}, Scale{"half the life", 1, 1, 0.5},
                                Scale{"twice the life", 1, 1, 2}};

// Everything that a comparison of one machine with another way to pay needs.
struct Case {
  Ways ways;
  double s = 0;                      // seconds of the machine for a token, at full use
  double use = 1;                    // of the file's price
  const OwnedRecord* own = nullptr;  // of own_or_*
  double usd_per_hour = 0;           // of the rental, where there is one
  double list_usd_per_token = 0;     // of the API, where there is one
};

BreakEven of(const Case& c, const Scale& by) {
  const double s = c.s / (c.use * by.use);
  const double api = c.list_usd_per_token * by.price;
  if (c.ways == Ways::rent_or_api) return break_even(kHoursPerDay * c.usd_per_hour, 0, api, kSecondsPerDay / s);
  const OwnedRecord& own = *c.own;
  const double fixed =
      (own.capex_usd * capital_recovery_factor(own.rate, own.years * by.life) + own.opex_usd_per_year) / kDaysPerYear;
  const double per_s = 1.0 / 3600;
  const double other = c.ways == Ways::own_or_api ? api : c.usd_per_hour * by.price * per_s * s;
  return break_even(fixed, own.energy_usd_per_hour * per_s * s, other, kSecondsPerDay * own.availability / s);
}

BreakEvenRow row_of(Case c, double s_low, double s_high) {
  BreakEvenRow row;
  row.ways = c.ways;
  row.now = of(c, kNow);
  for (const Scale& scale : kScales)
    if (scale.life == 1 || c.own != nullptr) row.changes.push_back({scale.what, of(c, scale)});
  if (!(s_low < s_high)) return row;
  Case low = c, high = c;
  low.s = s_low;
  high.s = s_high;
  const BreakEven one = of(low, kNow), other = of(high, kNow);
  if (one.tokens_per_day && other.tokens_per_day)
    row.interval = Interval{std::min(*one.tokens_per_day, *other.tokens_per_day),
                            std::max(*one.tokens_per_day, *other.tokens_per_day)};
  return row;
}

// Seconds of the machine for a token of a step: the middle, and the ends of its interval.
struct Seconds {
  double middle = 0, low = 0, high = 0;
};
Seconds seconds_of(const ModelRow& row, double share) {
  const double each = 1 / *row.tokens_per_s;
  const double low = row.time_interval ? std::max(0.0, row.time_interval->low) / *row.time_s : 1;
  const double high = row.time_interval ? row.time_interval->high / *row.time_s : 1;
  return {share * each, share * each * low, share * each * high};
}

const ModelRow* cheapest_prompt(const ModelRow& decode, const Summary& summary) {
  const ModelRow* best = nullptr;
  for (const ModelRow& row : summary.models)
    if (row.phase == "prefill" && row.tokens_per_s &&
        same_except(row, decode, {Member::phase, Member::batch, Member::context, Member::new_tokens}) &&
        (best == nullptr || *row.tokens_per_s > *best->tokens_per_s))
      best = &row;
  return best;
}

bool is_measured(const std::string& model, const Summary& summary) {
  return std::any_of(summary.models.begin(), summary.models.end(),
                     [&](const ModelRow& row) { return row.model == model; });
}

}  // namespace

BreakEven break_even(double fixed_usd_per_day, double usd_per_token, double other_usd_per_token,
                     double capacity_tokens_per_day) {
  BreakEven result;
  result.capacity_tokens_per_day = capacity_tokens_per_day;
  if (!(other_usd_per_token > usd_per_token)) {
    result.why = "its electricity alone costs as much as the other way";
    return result;
  }
  const double tokens = fixed_usd_per_day / (other_usd_per_token - usd_per_token);
  if (tokens > capacity_tokens_per_day) result.why = "above what the machine makes in a day";
  else result.tokens_per_day = tokens;
  return result;
}

double list_usd_per_mtok(const ListPriceRecord& price, const MixRecord& mix, std::int64_t input_tokens) {
  auto step = price.steps.begin();
  while (step + 1 != price.steps.end() && step->up_to_tokens && input_tokens > *step->up_to_tokens) ++step;
  return mix.input * step->input + mix.cached_input * step->cached_input.value_or(step->input) +
         mix.output * step->output;
}

std::vector<BreakEvenRow> break_evens(const ResultFile& file, const Summary& summary) {
  std::vector<BreakEvenRow> rows;
  if (!file.against) return rows;
  const bool rents = file.price && file.price->model != "owned";
  const std::optional<OwnedRecord>& owned = file.against->owned;
  const MixRecord* mix = file.price && file.price->mix ? &*file.price->mix : nullptr;
  for (const Frontier& frontier : frontiers(summary)) {
    const ModelRow* decode = cheapest(frontier, 0).perhaps;
    if (const ModelRow* sure = cheapest(frontier, 0).point; decode == nullptr) decode = sure;
    if (decode == nullptr) continue;
    const ModelRow* prompt = mix != nullptr && mix->input > 0 ? cheapest_prompt(*decode, summary) : nullptr;
    if (mix != nullptr && mix->input > 0 && prompt == nullptr) continue;
    Seconds s = seconds_of(*decode, mix != nullptr ? mix->output : 1);
    if (prompt != nullptr) {
      const Seconds in = seconds_of(*prompt, mix->input);
      s = {s.middle + in.middle, s.low + in.low, s.high + in.high};
    }
    Case c{};
    c.s = s.middle;
    c.use = file.price ? file.price->utilisation.value_or(kUtilisationFloor) : kUtilisationFloor;
    c.usd_per_hour = rents ? file.price->usd_per_hour : 0;
    const auto add = [&](Ways ways, const std::string& first, const std::string& second, const ListPriceRecord* api) {
      c.ways = ways;
      c.own = ways == Ways::rent_or_api ? nullptr : &*owned;
      const std::int64_t input = prompt != nullptr ? prompt->context : decode->context;
      const double usd = api != nullptr ? list_usd_per_mtok(*api, *mix, input) : 0;
      c.list_usd_per_token = usd / kTokensPerMtok;
      BreakEvenRow row = row_of(c, s.low, s.high);
      row.point = static_cast<std::size_t>(decode - summary.models.data());
      if (prompt != nullptr) {
        row.prompt_batch = prompt->batch;
        row.prompt_tokens = prompt->context;
      }
      row.first = first;
      row.second = second;
      if (api != nullptr) row.list_usd_per_mtok = usd;
      rows.push_back(std::move(row));
    };
    if (owned && rents) add(Ways::own_or_rent, owned->id, file.price->id, nullptr);
    for (const ListPriceRecord& list : file.against->list_prices) {
      if (mix == nullptr || (is_measured(list.model, summary) && decode->model != list.model)) continue;
      if (owned) add(Ways::own_or_api, owned->id, list.id, &list);
      if (rents) add(Ways::rent_or_api, file.price->id, list.id, &list);
    }
  }
  return rows;
}

}  // namespace layercost

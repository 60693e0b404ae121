// What:    from how many tokens a day one way to pay is cheaper than another: to own, to rent, to ask an API.
// Formula: s         seconds of the machine for one token of the mix: input / prefill rate + output / decode rate;
//                    cached input takes no step of its own
//          own       fixed = (capex * CRF(rate, years) + opex a year) / 365 a day, whether it works or not;
//                    e     = USD per hour of its power / 3600 * s / U a token; idle it draws nothing
//          rent      price / 3600 * s / U a token, for the hours that are used; or 24 * price a day, kept all day
//          API       input share * input price + cached share * price of cached input (of input, where none is named)
//                    + output share * output price
//          break-even = fixed / (cost of the other way - e) tokens a day
//          capacity   = 86400 * availability * U / s
//          Never, if a token costs the other way no more than e, or if the break-even is above the capacity.
//          Its interval: at both ends of the time's.
// Means:   a token here is one that the machine computed in the layers that were measured: a floor (composition.h). An
//          API sells a service: model, format and speed may be others. U is the price's utilisation: the share of the
//          hours at work that do this work at this rate.
// Units:   tokens a day, USD. `devices` of an owned machine share its cost.
// Errors:  nothing is guessed: without the points, the price or the mix that it needs there is no row.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/cost/summary.h"
#include "harness/result/record.h"

namespace layercost {

struct BreakEven {
  std::optional<double> tokens_per_day;  // absent: never
  double capacity_tokens_per_day = 0;
  std::string why;  // when never
};
// What is paid a day whatever is done, for a token of this machine's work, and for a token the other way; USD.
BreakEven break_even(double fixed_usd_per_day, double usd_per_token, double other_usd_per_token,
                     double capacity_tokens_per_day);

// USD per million tokens of the mix, after a prompt of that many tokens.
double list_usd_per_mtok(const ListPriceRecord& price, const MixRecord& mix, std::int64_t input_tokens);

enum class Ways { own_or_rent, own_or_api, rent_or_api };
struct BreakEvenChange {
  std::string what;  // "half the use", "half the price", "twice the price", "half the life", "twice the life"
  BreakEven then;
};
struct BreakEvenRow {
  Ways ways = Ways::own_or_rent;
  std::size_t point = 0;                         // the decode point among the summary's models
  std::int64_t prompt_batch = 0, prompt_tokens = 0;  // of the prefill point; 0 without a mix
  std::string first, second;                     // ids of the two records
  std::optional<double> list_usd_per_mtok;       // of an API: its price for the mix; never a cost
  BreakEven now;
  std::optional<Interval> interval;              // of now.tokens_per_day; absent where an end is never
  std::vector<BreakEvenChange> changes;          // the price is the second's
};
// An API's price of a measured model is held against that model alone, of any other against all of them.
// Of each model in each choice of types, routing and context: its cheapest decode point that fits, with its cheapest
// prompt where there is a mix. Empty where the file says nothing to hold the cost against.
std::vector<BreakEvenRow> break_evens(const ResultFile& file, const Summary& summary);

}  // namespace layercost

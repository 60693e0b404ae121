// What:    what a million tokens cost in money, from a price per hour and a rate. The only place with such a formula.
// Formula: usd_per_mtok = usd_per_hour * 1e6 / (3600 * U * tokens_per_s)
//          blended = input share * usd_per_mtok of input + output share * usd_per_mtok of output, for each of all
//          tokens, the cached ones with them; on output = blended / output share: all of the bill on the new tokens.
//          Hours add up: a share of input tokens over its rate, and of output tokens over theirs.
//          Cached input takes no step of its own, so it adds no time. What new tokens pay to attend to it is in theirs
//          where it was measured: in decode; not in prefill, which starts from an empty cache. A floor, too.
//          interval of a cost = interval of the time, times the price. A price is a scenario and has no interval.
// Units:   USD; tokens are rows processed, padding is none.
// Outside: network, storage, staff, software, idle hours. U = 1 is a floor: every hour paid for does this work at this
//          rate; less is a price's own `utilisation`. How an hour's price comes about (rented, owned) is
//          spec/price_spec.h's.
// Errors:  no price or no rate: std::nullopt. BadInput for a price, rate or share that is not positive or not finite.
// Source:  TRUST 7.2. Golden rates: deepseek-ai/open-infra-index, day 6.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "harness/result/record.h"
#include "harness/result/stats.h"

namespace layercost {

// Share of paid hours that do this work at this rate. 1 is the floor that every table shows.
inline constexpr double kUtilisationFloor = 1;

struct Blend {
  double usd_per_mtok = 0;                       // of all tokens
  std::optional<double> on_output_usd_per_mtok;  // absent without output
};
Blend blend(double input_usd_per_mtok, double output_usd_per_mtok, const MixRecord& mix);

double usd_per_mtok(double usd_per_hour, double tokens_per_s, double utilisation = kUtilisationFloor);

std::optional<double> usd_per_mtok(const std::optional<PriceRecord>& price, std::optional<double> tokens_per_s);
// tokens tokens in time_s. Its low end is never below 0.
std::optional<Interval> usd_per_mtok(const std::optional<PriceRecord>& price, std::optional<Interval> time_s,
                                     double tokens);

}  // namespace layercost

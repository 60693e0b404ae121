// What:    what a million tokens cost in money, from a price per hour and a rate. The only place with such a formula.
// Formula: usd_per_mtok = usd_per_h * 1e6 / (3600 * U * tokens_per_s)
//          input and output of one service: h_in = n_in / (3600 r_in), h_out = n_out / (3600 r_out) hours;
//          input = usd_per_h * h_in / (n_in / 1e6), output likewise; blended = usd_per_h * (h_in + h_out) / all tokens.
//          So input * n_in + output * n_out = blended * (n_in + n_out): hours are counted once, never once for each.
//          energy       = joules_per_token * overhead * pue * usd_per_kwh / 3.6
//          interval of a cost = interval of the time, times the price. A price is a scenario and has no interval.
// Units:   USD; tokens are rows processed, padding is none.
// Outside: network, storage, staff, software, idle hours. U = 1 is a floor: every hour paid for does this work at this
//          rate. How an hour's price comes about (rented, owned) is spec/price_spec.h's; electricity is never added to
//          a rental price.
// Errors:  no price or no rate: std::nullopt. BadInput for a price, rate or share that is not positive or not finite.
// Source:  TRUST 7.2. Golden identity: deepseek-ai/open-infra-index, day 6 (608e9 tokens in, 168e9 out in 5442 node-h).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "harness/result/record.h"
#include "harness/result/stats.h"

namespace layercost {

// Share of paid hours that do this work at this rate. 1 is the floor that every table shows.
inline constexpr double kUtilisationFloor = 1;

double usd_per_mtok(double usd_per_h, double tokens_per_s, double utilisation = kUtilisationFloor);

std::optional<double> usd_per_mtok(const std::optional<PriceRecord>& price, std::optional<double> tokens_per_s);
// tokens tokens in time_s. Its low end is never below 0.
std::optional<Interval> usd_per_mtok(const std::optional<PriceRecord>& price, std::optional<Interval> time_s,
                                     double tokens);

struct Service {
  double usd_per_h = 0;
  double input_tokens = 0, output_tokens = 0;
  double input_tokens_per_s = 0, output_tokens_per_s = 0;
  double utilisation = kUtilisationFloor;
};
struct ServiceCost {
  double hours = 0;
  double usd = 0;
  double input_usd_per_mtok = 0, output_usd_per_mtok = 0;
  double blended_usd_per_mtok = 0;        // of all tokens, input and output
  double all_on_output_usd_per_mtok = 0;  // the whole bill divided by output tokens alone
};
ServiceCost cost_of(const Service& service);

// Of measured energy; stands beside a rental price and is never added to it.
double energy_usd_per_mtok(double joules_per_token, double usd_per_kwh, double pue, double overhead = 1);

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/token_cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/core/error.h"

namespace layercost {
namespace {

constexpr double kSecondsPerHour = 3600, kTokensPerMtok = 1e6;
constexpr double kMegajoulesPerKwh = 3.6;  // J per token = MJ per Mtok

double positive(double value, const char* what) {
  if (!(std::isfinite(value) && value > 0))
    throw BadInput(fmt::format("{}: expected a number above 0, got {}", what, value));
  return value;
}
double not_negative(double value, const char* what) {
  if (!(std::isfinite(value) && value >= 0)) throw BadInput(fmt::format("{}: expected 0 or more, got {}", what, value));
  return value;
}
double share(double value, const char* what) {
  if (!(value > 0 && value <= 1)) throw BadInput(fmt::format("{}: expected a share in (0, 1], got {}", what, value));
  return value;
}

}  // namespace

double usd_per_mtok(double usd_per_h, double tokens_per_s, double utilisation) {
  return positive(usd_per_h, "price per hour") * kTokensPerMtok /
         (kSecondsPerHour * share(utilisation, "utilisation") * positive(tokens_per_s, "tokens per second"));
}

std::optional<double> usd_per_mtok(const std::optional<PriceRecord>& price, std::optional<double> tokens_per_s) {
  if (!price || !tokens_per_s) return std::nullopt;
  return usd_per_mtok(price->usd_per_h, *tokens_per_s);
}

std::optional<Interval> usd_per_mtok(const std::optional<PriceRecord>& price, std::optional<Interval> time_s,
                                     double tokens) {
  if (!price || !time_s) return std::nullopt;
  const double usd_per_s = positive(price->usd_per_h, "price per hour") / kSecondsPerHour;
  const double mtok = positive(tokens, "tokens") / kTokensPerMtok;
  return Interval{std::max(0.0, time_s->low) * usd_per_s / mtok, time_s->high * usd_per_s / mtok};
}

ServiceCost cost_of(const Service& service) {
  const double input = positive(service.input_tokens, "input tokens"),
               output = positive(service.output_tokens, "output tokens");
  const double utilisation = share(service.utilisation, "utilisation");
  const double usd_per_h = positive(service.usd_per_h, "price per hour");
  const auto hours = [&](double tokens, double rate) {
    return tokens / (kSecondsPerHour * utilisation * positive(rate, "tokens per second"));
  };
  const double hours_in = hours(input, service.input_tokens_per_s),
               hours_out = hours(output, service.output_tokens_per_s);
  ServiceCost cost;
  cost.hours = hours_in + hours_out;
  cost.usd = usd_per_h * cost.hours;
  cost.input_usd_per_mtok = usd_per_h * hours_in / (input / kTokensPerMtok);
  cost.output_usd_per_mtok = usd_per_h * hours_out / (output / kTokensPerMtok);
  cost.blended_usd_per_mtok = cost.usd / ((input + output) / kTokensPerMtok);
  cost.all_on_output_usd_per_mtok = cost.usd / (output / kTokensPerMtok);
  return cost;
}

double energy_usd_per_mtok(double joules_per_token, double usd_per_kwh, double pue, double overhead) {
  return not_negative(joules_per_token, "joules per token") * positive(overhead, "overhead") * positive(pue, "PUE") *
         not_negative(usd_per_kwh, "price per kWh") / kMegajoulesPerKwh;
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/token_cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/core/error.h"

namespace layercost {
namespace {

constexpr double kSecondsPerHour = 3600, kTokensPerMtok = 1e6;

double positive(double value, const char* what) {
  if (!(std::isfinite(value) && value > 0))
    throw BadInput(fmt::format("{}: expected a number above 0, got {}", what, value));
  return value;
}
double share(double value, const char* what) {
  if (!(value > 0 && value <= 1)) throw BadInput(fmt::format("{}: expected a share in (0, 1], got {}", what, value));
  return value;
}
double utilisation_of(const PriceRecord& price) { return price.utilisation.value_or(kUtilisationFloor); }

}  // namespace

double usd_per_mtok(double usd_per_hour, double tokens_per_s, double utilisation) {
  return positive(usd_per_hour, "price per hour") * kTokensPerMtok /
         (kSecondsPerHour * share(utilisation, "utilisation") * positive(tokens_per_s, "tokens per second"));
}

std::optional<double> usd_per_mtok(const std::optional<PriceRecord>& price, std::optional<double> tokens_per_s) {
  if (!price || !tokens_per_s) return std::nullopt;
  return usd_per_mtok(price->usd_per_hour, *tokens_per_s, utilisation_of(*price));
}

std::optional<Interval> usd_per_mtok(const std::optional<PriceRecord>& price, std::optional<Interval> time_s,
                                     double tokens) {
  if (!price || !time_s) return std::nullopt;
  const double usd_per_s =
      positive(price->usd_per_hour, "price per hour") / share(utilisation_of(*price), "utilisation") / kSecondsPerHour;
  const double mtok = positive(tokens, "tokens") / kTokensPerMtok;
  return Interval{std::max(0.0, time_s->low) * usd_per_s / mtok, time_s->high * usd_per_s / mtok};
}

Blend blend(double input_usd_per_mtok, double output_usd_per_mtok, const MixRecord& mix) {
  const double each = mix.input * positive(input_usd_per_mtok, "price of input") +
                      mix.output * positive(output_usd_per_mtok, "price of output");
  Blend b{each, {}};
  if (mix.output > 0) b.on_output_usd_per_mtok = each / mix.output;
  return b;
}

}  // namespace layercost

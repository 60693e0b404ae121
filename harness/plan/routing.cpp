// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/routing.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "kernels/core/error.h"
#include "kernels/core/random.h"

namespace layercost {

RoutingSpec RoutingSpec::parse(std::string_view text) {
  if (text == "router") return {Kind::router, 0};
  if (text == "balanced") return {Kind::balanced, 0};
  if (text == "uniform") return {Kind::uniform, 0};
  if (text.starts_with("zipf:")) {
    double s = 0;
    const std::string_view number = text.substr(5);
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), s);
    if (error == std::errc() && end == number.data() + number.size() && s >= 0 && s <= 8) return {Kind::zipf, s};
  }
  const std::string known[] = {"router", "balanced", "uniform", "zipf:1"};
  throw BadInput(
      fmt::format("--routing: '{}' is not a routing{}; expected router, balanced, uniform or zipf:S with S in 0..8",
                  printable(text), did_you_mean(text, known)));
}

std::string RoutingSpec::name() const {
  switch (kind) {
    case Kind::router:
      return "router";
    case Kind::balanced:
      return "balanced";
    case Kind::uniform:
      return "uniform";
    case Kind::zipf:
      return fmt::format("zipf:{}", s);
  }
  return "?";
}

RoutingGenerator::RoutingGenerator(RoutingSpec spec, std::uint64_t seed, std::int64_t experts, std::int64_t top_k)
    : spec_(spec), seed_(seed), experts_(experts), top_k_(top_k), permutation_(static_cast<std::size_t>(experts)) {
  if (top_k < 1 || top_k > experts) throw BadCase(fmt::format("top_k {} is not in 1..{}", top_k, experts));
  std::iota(permutation_.begin(), permutation_.end(), 0);
  const std::uint64_t key = seed_for(seed, "placement");
  for (std::size_t i = permutation_.size(); i > 1; --i)
    std::swap(permutation_[i - 1], permutation_[uniform_below(hash64(key, i), i)]);
  for (std::int64_t rank = 1; rank <= experts; ++rank) {
    const double w = spec.kind == RoutingSpec::Kind::zipf ? std::pow(static_cast<double>(rank), -spec.s) : 1.0;
    weights_.push_back(std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ldexp(w, 32))));
  }
}

void RoutingGenerator::draw(std::uint64_t draw, std::int64_t tokens, std::int32_t* ids) const {
  const std::uint64_t key = seed_for(seed_, "draw", draw);
  if (spec_.kind == RoutingSpec::Kind::balanced) {
    const std::uint64_t shift = uniform_below(hash64(key, 0), static_cast<std::uint64_t>(experts_));
    for (std::int64_t i = 0; i < tokens * top_k_; ++i)
      ids[i] = permutation_[(shift + static_cast<std::uint64_t>(i)) % static_cast<std::uint64_t>(experts_)];
    return;
  }
  const std::uint64_t all = std::accumulate(weights_.begin(), weights_.end(), std::uint64_t{0});
  std::vector<char> taken(static_cast<std::size_t>(experts_));
  for (std::int64_t t = 0; t < tokens; ++t) {
    std::fill(taken.begin(), taken.end(), 0);
    std::uint64_t left = all;
    for (std::int64_t j = 0; j < top_k_; ++j) {
      std::uint64_t at = uniform_below(hash64(key, static_cast<std::uint64_t>(t * top_k_ + j) + 1), left);
      std::size_t rank = 0;
      for (;; ++rank) {
        if (taken[rank]) continue;
        if (at < weights_[rank]) break;
        at -= weights_[rank];
      }
      taken[rank] = 1;
      left -= weights_[rank];
      ids[t * top_k_ + j] = permutation_[rank];
    }
  }
}

double expected_distinct_experts(const RoutingSpec& spec, std::int64_t experts, std::int64_t top_k,
                                 std::int64_t tokens) {
  const double e = static_cast<double>(experts), k = static_cast<double>(top_k), t = static_cast<double>(tokens);
  if (spec.kind == RoutingSpec::Kind::balanced) return std::min(e, t * k);
  if (tokens <= 1) return t * k;  // exactly
  if (spec.kind != RoutingSpec::Kind::zipf || top_k == experts) return e * (1 - std::pow(1 - k / e, t));
  // sum_e (1 - exp(-w_e tau)) = k, by bisection; then E[distinct] = sum_e 1 - (1 - pi_e)^T.
  std::vector<double> w;
  for (std::int64_t rank = 1; rank <= experts; ++rank) w.push_back(std::pow(static_cast<double>(rank), -spec.s));
  double low = 0, high = 1;
  const auto chosen = [&](double tau) {
    double sum = 0;
    for (double v : w) sum += 1 - std::exp(-v * tau);
    return sum;
  };
  while (chosen(high) < k && high < 1e30) high *= 2;
  for (int i = 0; i < 200; ++i) {
    const double mid = (low + high) / 2;
    (chosen(mid) < k ? low : high) = mid;
  }
  double distinct = 0;
  for (double v : w) distinct += 1 - std::pow(std::exp(-v * high), t);
  return distinct;
}

std::int64_t RoutingTally::add(const std::int32_t* ids, std::int64_t tokens) {
  std::vector<std::int64_t> load(histogram_.size());
  for (std::int64_t i = 0; i < tokens * top_k_; ++i) {
    ++load[static_cast<std::size_t>(ids[i])];
    hash_ = (hash_ ^ static_cast<std::uint32_t>(ids[i])) * 0x100000001b3u;
  }
  std::int64_t distinct = 0, most = 0;
  for (std::size_t e = 0; e < load.size(); ++e) {
    histogram_[e] += load[e];
    distinct += load[e] > 0;
    most = std::max(most, load[e]);
  }
  ++draws_;
  distinct_ += static_cast<double>(distinct);
  imbalance_ += static_cast<double>(most) * static_cast<double>(load.size()) / static_cast<double>(tokens * top_k_);
  return distinct;
}

std::string RoutingTally::hash() const { return fmt::format("{:016x}", hash_); }

}  // namespace layercost

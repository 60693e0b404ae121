// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/point_ratio.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "harness/cost/composition.h"
#include "harness/cost/peers.h"
#include "harness/result/roofline.h"

namespace layercost {
namespace {

struct Rates {
  std::vector<double> read_bytes_per_s, flops_per_s;
  std::map<std::string, std::vector<double>> product_flops_per_s;

  Roofs medians() const {
    Roofs roofs{median(read_bytes_per_s), median(flops_per_s)};
    for (const auto& [arithmetic, rates] : product_flops_per_s) roofs.product_flops_per_s[arithmetic] = median(rates);
    return roofs;
  }
};

// False if a probe is missing: then there is no bound.
bool collect(const PartRecord& part, Rates& rates) {
  for (const Round& round : part.rounds) {
    for (const Sample& sample : round.samples) {
      const auto roofs = roofs_of(sample);
      if (!roofs || !know_rates(*roofs, part.ops)) return false;
      rates.read_bytes_per_s.push_back(roofs->read_bytes_per_s);
      rates.flops_per_s.push_back(roofs->flops_per_s);
      for (const auto& [arithmetic, rate] : roofs->product_flops_per_s)
        rates.product_flops_per_s[arithmetic].push_back(rate);
    }
  }
  return true;
}

std::optional<double> bound_s(const PointRecord& point, const Roofs& roofs) {
  double sum_s = 0;
  for (const PartRecord& part : point.parts) {
    if (part.count == 0) continue;  // beside the model
    const auto distinct = distinct_experts_of(part);
    if (!distinct || part.ops.empty()) return std::nullopt;
    sum_s += static_cast<double>(part.count) * possible_s(part.ops, roofs, *distinct);
  }
  return sum_s;
}

std::optional<Ratio> paid_ratio(const PointRecord& base, const PointRecord& other,
                                const std::vector<DepthRecord>& depths) {
  const Composition d = compose(base, depths), m = compose(other, depths);
  if (!d.time_s || !m.time_s) return std::nullopt;
  // A step of both yields the same tokens: same phase and batch, and the same prompt length in prefill.
  std::vector<double> base_s, other_s;
  const std::vector<RoundMedian> other_rounds = composed_rounds(other);
  for (const RoundMedian& round : composed_rounds(base)) {
    const auto same = std::find_if(other_rounds.begin(), other_rounds.end(),
                                   [&](const RoundMedian& r) { return r.index == round.index; });
    if (same == other_rounds.end()) continue;
    base_s.push_back(round.time_s);
    other_s.push_back(same->time_s);
  }
  if (const auto ratio = paired_ratio(base_s, other_s)) return ratio;
  return Ratio{*d.time_s / *m.time_s, std::nullopt, 0};
}

Payoff payoff(const Ratio& paid) {
  if (!paid.interval) return Payoff::cannot_tell;
  // Time of the base / time of the other: "slower" is "the other is cheaper".
  switch (compare_times(*paid.interval)) {
    case Comparison::slower:
      return Payoff::cheaper;
    case Comparison::faster:
      return Payoff::dearer;
    case Comparison::same:
      return Payoff::same;
    case Comparison::inconclusive:
      return Payoff::cannot_tell;
  }
  throw std::invalid_argument("no such comparison");
}

std::string why_unpaid(const PointRecord& base, const PointRecord& other, const std::vector<DepthRecord>& depths) {
  for (const PointRecord* point : {&base, &other}) {
    if (const Composition c = compose(*point, depths); !c.time_s) return fmt::format("{}: {}", point->model, c.why);
  }
  return "";
}

}  // namespace

std::optional<double> possible_ratio(const PointRecord& base, const PointRecord& other) {
  Rates both;
  for (const PointRecord* point : {&base, &other}) {
    for (const PartRecord& part : point->parts) {
      if (!is_timed(part) || !collect(part, both)) return std::nullopt;
    }
  }
  if (both.read_bytes_per_s.empty()) return std::nullopt;
  const Roofs roofs = both.medians();
  const auto d = bound_s(base, roofs), m = bound_s(other, roofs);
  if (!d || !m || !(*d > 0 && *m > 0)) return std::nullopt;
  return *d / *m;
}

PaidBy paid_by(std::string implementation, const PointRecord& base, const PointRecord& other,
               const std::vector<DepthRecord>& depths, std::string why) {
  PaidBy result;
  result.implementation = std::move(implementation);
  result.why = std::move(why);
  if (!result.why.empty()) return result;
  result.paid = paid_ratio(base, other, depths);
  if (result.paid) {
    result.verdict = payoff(*result.paid);
  } else {
    result.why = why_unpaid(base, other, depths);
  }
  return result;
}

std::vector<PaidBy> paid_by_layers(const PointRecord& base, const PointRecord& other, const ResultFile& file,
                                   std::string why) {
  std::vector<PaidBy> all = {paid_by(kOurName, layers_of(base), layers_of(other), file.depths, std::move(why))};
  for (const Implementation& peer : peer_implementations(file)) {
    all.push_back(paid_by(peer.name, layers_by(peer.name, base, file), layers_by(peer.name, other, file), {}, ""));
    for (const PeerRecord& record : file.peers)
      if (implementation_of(record, file) == peer.name && (same_scenario(record, base) || same_scenario(record, other)))
        all.back().remarked |= !remark_of(record, file).empty();
  }
  return all;
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/composition.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "harness/result/labels.h"
#include "harness/result/roofline.h"

namespace layercost {
namespace {

// What a reader must hear first when parts of one model fared differently.
constexpr std::array kGravity = {Outcome::wrong,       Outcome::failed,  Outcome::out_of_memory,
                                 Outcome::unsupported, Outcome::skipped, Outcome::measured};

const PartRecord* gravest(const PointRecord& point) {
  for (const Outcome outcome : kGravity) {
    for (const PartRecord& part : point.parts) {
      if (part.count > 0 && part.outcome == outcome && !is_timed(part)) return &part;
    }
  }
  return nullptr;
}

// A time below what physics allows is no time: "" if no part has one.
std::string impossible_part(const PointRecord& point, const std::vector<std::optional<Bounds>>& bounds) {
  for (std::size_t p = 0; p < bounds.size(); ++p)
    if (point.parts[p].count > 0 && bounds[p] && bounds[p]->impossible)
      return fmt::format("withheld: {} is IMPOSSIBLE, {:.0f} % of what the machine's limits allow", point.parts[p].kind,
                         100 * bounds[p]->hard_fraction);
  return "";
}

// Why the layers of this point may not be added up; "" if nothing speaks against it.
std::string not_additive(const PointRecord& point, const std::vector<DepthRecord>& depths) {
  for (const DepthRecord& record : depths) {
    if (!same_scenario(record, point)) continue;
    const PartRecord* part = timed_part(point, record.kind);
    const auto fit = fit_depth(record, part);
    if (!fit || fit->additive()) continue;
    if (fit->is_straight())
      return fmt::format(
          "sum withheld: {} layers of {} take {:.3g} ms by stacks of growing depth and {:.3g} ms by the layer alone, "
          "the limit is {:.0f} %",
          part->count, record.kind, 1e3 * (fit->overhead_s + fit->layer_s * static_cast<double>(part->count)),
          1e3 * static_cast<double>(part->count) * summarise_times(part->rounds)->median, 100 * kDepthAgreement);
    return fmt::format(
        "sum withheld: stacks of {} layers are {:.1f} % off a straight line over depth, the limit is {:.0f} %",
        record.kind, 100 * *fit->residual, 100 * kAdditivityLimit);
  }
  return "";
}

}  // namespace

bool is_timed(const PartRecord& part) {
  if (part.outcome != Outcome::measured) return false;
  return std::any_of(part.rounds.begin(), part.rounds.end(), [](const Round& round) { return !round.samples.empty(); });
}

std::string reason_of(const PartRecord& part) {
  if (is_timed(part)) return "";
  if (part.outcome == Outcome::measured) return "holds no samples";
  if (!part.why.empty()) return part.why;
  if (part.outcome == Outcome::out_of_memory && part.need_bytes && part.have_bytes) {
    return fmt::format("needs {:.1f} GB, there are {:.1f} GB", static_cast<double>(*part.need_bytes) / 1e9,
                       static_cast<double>(*part.have_bytes) / 1e9);
  }
  return std::string(text_of(part.outcome).meaning);
}

double tokens_per_step(const PointRecord& point) {
  return static_cast<double>(point.phase == "decode" ? point.batch : point.tokens);
}

std::vector<RoundMedian> composed_rounds(const PointRecord& point) {
  std::vector<RoundMedian> sums;
  for (std::size_t p = 0; p < point.parts.size(); ++p) {
    const PartRecord& part = point.parts[p];
    if (part.count == 0) continue;  // beside the model
    if (!is_timed(part)) return {};
    const std::vector<RoundMedian> medians = round_medians(part.rounds);
    const double count = static_cast<double>(part.count);
    if (p == 0) {
      for (const RoundMedian& m : medians) sums.push_back({m.index, count * m.time_s});
      continue;
    }
    std::vector<RoundMedian> shared;
    for (const RoundMedian& sum : sums) {
      const auto same =
          std::find_if(medians.begin(), medians.end(), [&](const RoundMedian& m) { return m.index == sum.index; });
      if (same != medians.end()) shared.push_back({sum.index, sum.time_s + count * same->time_s});
    }
    sums = std::move(shared);
  }
  std::sort(sums.begin(), sums.end(), [](const RoundMedian& a, const RoundMedian& b) { return a.index < b.index; });
  return sums;
}

Composition compose(const PointRecord& point, const std::vector<DepthRecord>& depths) {
  Composition result;
  if (point.parts.empty()) {
    result.why = "nothing was planned";
    return result;
  }
  if (const PartRecord* part = gravest(point)) {
    result.outcome = part->outcome == Outcome::measured ? Outcome::failed : part->outcome;
    result.why = fmt::format("{}: {}", part->kind, reason_of(*part));
    return result;
  }
  std::vector<std::optional<Bounds>> bounds;
  for (const PartRecord& part : point.parts) bounds.push_back(bounds_of(part));
  result.why = impossible_part(point, bounds);
  if (result.why.empty()) result.why = not_additive(point, depths);
  if (!result.why.empty()) return result;
  result.outcome = Outcome::measured;
  double time_s = 0, possible = 0;
  bool has_possible = true;
  for (std::size_t p = 0; p < bounds.size(); ++p) {
    const PartRecord& part = point.parts[p];
    if (part.count == 0) continue;
    const double part_s = static_cast<double>(part.count) * summarise_times(part.rounds)->median;
    time_s += part_s;
    if (bounds[p]) possible += bounds[p]->possible_fraction * part_s;
    has_possible = has_possible && bounds[p].has_value();
  }
  result.time_s = time_s;
  std::vector<double> rounds;
  for (const RoundMedian& round : composed_rounds(point)) rounds.push_back(round.time_s);
  if (!rounds.empty()) result.time_interval = log_mean_interval(rounds);
  if (has_possible) {
    result.possible_s = possible;
    result.possible_fraction = possible / time_s;
  }
  result.tokens_per_s = tokens_per_step(point) / time_s;
  return result;
}

const PartRecord* timed_part(const PointRecord& point, const std::string& kind) {
  const auto found =
      std::find_if(point.parts.begin(), point.parts.end(), [&](const PartRecord& part) { return part.kind == kind; });
  return found == point.parts.end() || !is_timed(*found) ? nullptr : &*found;
}

std::optional<DepthFit> fit_depth(const DepthRecord& record, const PartRecord* part) {
  const std::size_t n = record.depths.size();
  if (n < 2 || record.time_s.size() != n) return std::nullopt;
  std::vector<double> depths;
  for (const std::int64_t depth : record.depths) depths.push_back(static_cast<double>(depth));
  const double mean_depth = moments(depths).mean, mean_s = moments(record.time_s).mean;
  double covariance = 0, variance = 0;
  for (std::size_t i = 0; i < n; ++i) {
    covariance += (depths[i] - mean_depth) * (record.time_s[i] - mean_s);
    variance += (depths[i] - mean_depth) * (depths[i] - mean_depth);
  }
  if (!(variance > 0)) return std::nullopt;
  DepthFit fit;
  fit.layer_s = covariance / variance;
  fit.overhead_s = mean_s - fit.layer_s * mean_depth;
  double residual = 0;
  double slowest = 0, fastest = record.time_s[0] / depths[0];
  for (std::size_t i = 0; i < n; ++i) {
    residual =
        std::max(residual, std::abs(record.time_s[i] - (fit.overhead_s + fit.layer_s * depths[i])) / record.time_s[i]);
    slowest = std::max(slowest, record.time_s[i] / depths[i]);
    fastest = std::min(fastest, record.time_s[i] / depths[i]);
  }
  std::sort(depths.begin(), depths.end());
  const auto different = std::unique(depths.begin(), depths.end()) - depths.begin();
  if (different >= 3) fit.residual = residual;
  if (different >= 3 && part != nullptr) {
    const auto count = static_cast<double>(part->count);
    fit.off_layer =
        std::abs((fit.overhead_s + fit.layer_s * count) / (count * summarise_times(part->rounds)->median) - 1);
  }
  fit.spread = slowest / fastest - 1;
  return fit;
}

}  // namespace layercost

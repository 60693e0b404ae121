// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/tradeoff.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <stdexcept>
#include <tuple>

#include "harness/cost/peers.h"

namespace layercost {
namespace {

const ModelRecord* find_model(const ResultFile& file, const std::string& name) {
  const auto found =
      std::find_if(file.models.begin(), file.models.end(), [&](const ModelRecord& m) { return m.name == name; });
  return found == file.models.end() ? nullptr : &*found;
}

// What a dense product on an NVIDIA GPU is held against, as runs record it: the library that stands in the environment
// where it could be opened, our variant that calls it, and those that stand behind that one in the order of `linear`.
constexpr const char* kVendorLibrary = "cuBLASLt";
constexpr std::string_view kVendorVariant = "cublaslt";
constexpr std::array<std::string_view, 2> kBehindVendor = {"cuda_tiles", "cuda_plain"};
constexpr std::string_view kDenseProduct = "linear ";  // how its case begins

// Dense products on a GPU without the vendor's library would flatter the mixture of experts. Where it was at hand and a
// variant before it in the order computes a product, that one is not slower: at few rows ours read weights faster.
// Those behind it have to have been faster in a trial. "" if not weak.
std::string weak_products(const PointRecord& dense, const ResultFile& file) {
  if (!dense.device.starts_with("cuda")) return {};
  const bool at_hand = file.environment.libraries.contains(kVendorLibrary);
  const auto weak = [&](const OpRecord& op) {
    if (!at_hand) return true;
    const bool behind = op.case_text.starts_with(kDenseProduct) &&
                        std::find(kBehindVendor.begin(), kBehindVendor.end(), op.variant) != kBehindVendor.end();
    return behind && std::none_of(op.tried.begin(), op.tried.end(),
                                  [](const TriedVariant& t) { return t.variant == kVendorVariant; });
  };
  for (const PartRecord& part : dense.parts)
    if (std::any_of(part.ops.begin(), part.ops.end(), weak))
      return fmt::format(
          "withheld: without {} the dense model's products are slower than they should be, and the ratio would flatter "
          "the mixture of experts",
          kVendorLibrary);
  return {};
}

// What both sides of a pair have in common (same_task): the model and its routing apart.
ScenarioRecord task_of(const ScenarioRecord& scenario) { return without(scenario, {Member::model, Member::routing}); }

// Rows that differ in their batch alone.
using Group = std::tuple<std::string, std::string, ScenarioRecord>;
Group group_of(const TradeoffRow& row) { return {row.dense, row.moe, without(row, {Member::batch})}; }

}  // namespace

std::string_view to_string(Payoff verdict) {
  switch (verdict) {
    case Payoff::cheaper:
      return "MoE cheaper";
    case Payoff::dearer:
      return "MoE dearer";
    case Payoff::same:
      return "same";
    case Payoff::cannot_tell:
      return "cannot tell";
  }
  throw std::invalid_argument("no such verdict");
}

std::vector<TradeoffRow> tradeoffs(const ResultFile& file) {
  std::vector<TradeoffRow> rows;
  for (const PairRecord& pair : file.pairs) {
    const ModelRecord* d = find_model(file, pair.dense);
    const ModelRecord* m = find_model(file, pair.moe);
    std::map<ScenarioRecord, std::vector<const PointRecord*>> by_task;
    for (const PointRecord& dense : file.points)
      if (dense.model == pair.dense) by_task[task_of(dense)].push_back(&dense);
    for (const PointRecord& moe : file.points) {
      const auto partners = by_task.find(task_of(moe));
      if (moe.model != pair.moe || partners == by_task.end()) continue;
      for (const PointRecord* partner : partners->second) {
        const PointRecord& dense = *partner;
        TradeoffRow row{moe, pair.dense, pair.moe, {}, {}, {}, {}, {}};
        if (d && m) row.like = likeness(*d, *m, dense, moe);
        row.promised = row.like.active;
        row.possible = possible_ratio(dense, moe);
        PaidBy whole = paid_by(kOurName, dense, moe, file.depths, weak_products(dense, file));
        row.paid = whole.paid;
        row.verdict = whole.verdict;
        row.why = std::move(whole.why);
        if (!file.peers.empty()) {
          row.possible_layers = possible_ratio(layers_of(dense), layers_of(moe));
          row.layers = paid_by_layers(dense, moe, file, weak_products(layers_of(dense), file));
        }
        rows.push_back(std::move(row));
      }
    }
  }
  return rows;
}

std::vector<TradeoffRow> of_layers_alone(const std::vector<TradeoffRow>& rows) {
  std::vector<TradeoffRow> result;
  for (TradeoffRow row : rows) {
    if (row.layers.empty()) continue;
    const PaidBy& ours = row.layers.front();
    row.possible = row.possible_layers;
    row.paid = ours.paid;
    row.verdict = ours.verdict;
    row.why = ours.why;
    result.push_back(std::move(row));
  }
  return result;
}

std::string_view to_string(CrossoverKind kind) {
  switch (kind) {
    case CrossoverKind::between:
      return "between";
    case CrossoverKind::from_smallest:
      return "from_smallest";
    case CrossoverKind::not_reached:
      return "not_reached";
  }
  throw std::logic_error("no such kind of crossover");
}

double crossing(double at, double paid, double next_at, double next_paid) {
  const double part = std::log(paid) / (std::log(paid) - std::log(next_paid));
  return std::exp(std::lerp(std::log(at), std::log(next_at), part));
}

std::vector<Crossover> crossovers(const std::vector<TradeoffRow>& rows) {
  std::vector<Crossover> result;
  std::map<Group, std::size_t> places;
  std::vector<std::pair<const TradeoffRow*, std::vector<const TradeoffRow*>>> groups;  // the first row, those with paid
  for (const TradeoffRow& row : rows) {
    const auto [at, is_new] = places.try_emplace(group_of(row), groups.size());
    if (is_new) groups.push_back({&row, {}});
    if (row.paid) groups[at->second].second.push_back(&row);
  }
  for (auto& [row, group] : groups) {
    std::sort(group.begin(), group.end(),
              [](const TradeoffRow* a, const TradeoffRow* b) { return a->batch < b->batch; });
    if (group.size() < 2 || group.front()->batch == group.back()->batch) continue;
    Crossover crossover{*row, row->dense,           row->moe,           CrossoverKind::not_reached,
                        {},   group.front()->batch, group.back()->batch};
    for (std::size_t k = 0; k < group.size(); ++k) {
      if (group[k]->paid->ratio > 1) continue;
      if (k == 0) {
        crossover.kind = CrossoverKind::from_smallest;
      } else {
        const TradeoffRow& before = *group[k - 1];
        const TradeoffRow& after = *group[k];
        crossover.kind = CrossoverKind::between;
        crossover.below = before.batch;
        crossover.above = after.batch;
        crossover.batch = crossing(static_cast<double>(before.batch), before.paid->ratio,
                                   static_cast<double>(after.batch), after.paid->ratio);
      }
      break;
    }
    result.push_back(std::move(crossover));
  }
  return result;
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/levers.h"

#include <map>
#include <utility>

#include "harness/cost/peers.h"
#include "harness/spec/part_name.h"

namespace layercost {
namespace {

using Changes = std::vector<std::string>;

// Points of one published model in one step, in the file's order.
using Ladders = std::map<std::pair<std::string, ScenarioRecord>, std::vector<std::size_t>>;

Ladders ladders_of(const ResultFile& file) {
  Ladders all;
  for (std::size_t i = 0; i < file.points.size(); ++i) {
    const PointRecord& point = file.points[i];
    all[{split_changes(point.model).published, without(point, {Member::model, Member::routing, Member::weight_type})}]
        .push_back(i);
  }
  return all;
}

bool is_plain(const PointRecord& point) { return point.weight_type == point.activation_type; }

std::optional<std::size_t> find_point(const ResultFile& file, const std::vector<std::size_t>& points,
                                      const Changes& changes) {
  for (const std::size_t i : points)
    if (is_plain(file.points[i]) && split_changes(file.points[i].model).changes == changes) return i;
  return std::nullopt;
}

std::vector<LeverStep> steps_to(std::size_t own, const ResultFile& file, const std::vector<std::size_t>& points) {
  const std::string dense(kDense), mha(kMha);
  const auto find = [&](const Changes& changes) { return find_point(file, points, changes); };
  const auto only_mlp = find({dense}), unshared = find({std::string(kUnshared)});
  std::vector<LeverStep> steps;
  // A start that differs in two things from what comes next would be no lever.
  if (const auto at = find(only_mlp ? Changes{dense, mha} : Changes{mha})) steps.push_back({"start", *at});
  if (only_mlp) steps.push_back({steps.empty() ? "start" : "attention", *only_mlp});
  if (steps.empty()) return steps;
  if (only_mlp && unshared) steps.push_back({"experts", *unshared});
  steps.push_back({only_mlp && unshared ? "shared experts" : only_mlp ? "experts" : "attention", own});
  return steps;
}

}  // namespace

std::vector<LadderRow> ladder_rows(const ResultFile& file) {
  std::vector<LadderRow> rows;
  const Ladders ladders = ladders_of(file);
  const auto held = [&](std::size_t base, std::size_t other) {
    return paid_by(kOurName, file.points[base], file.points[other], file.depths, "");
  };
  for (std::size_t own = 0; own < file.points.size(); ++own) {
    const PointRecord& model = file.points[own];
    if (!is_plain(model) || !split_changes(model.model).changes.empty()) continue;
    const std::vector<std::size_t>& points =
        ladders.at({model.model, without(model, {Member::model, Member::routing, Member::weight_type})});
    LadderRow row{model, steps_to(own, file, points)};
    if (row.steps.empty()) continue;
    for (std::size_t i = 1; i < row.steps.size(); ++i)
      row.steps[i].factor = held(row.steps[i - 1].point, row.steps[i].point);
    for (const std::size_t i : points)
      if (i != own && same_except(file.points[i], model, {Member::weight_type}))
        row.steps.push_back({file.points[i].weight_type, i, held(own, i)});
    for (std::size_t i = 1; i < row.steps.size(); ++i)
      row.steps[i].in_all = held(row.steps.front().point, row.steps[i].point);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/levers.h"

#include <algorithm>

#include "harness/cost/peers.h"
#include "harness/spec/part_name.h"

namespace layercost {
namespace {

using Changes = std::vector<std::string>;

// Of the same published model in the same step.
bool on_one_ladder(const PointRecord& a, const PointRecord& b) {
  return split_changes(a.model).published == split_changes(b.model).published &&
         same_except(a, b, {Member::model, Member::routing, Member::weight_type});
}

std::optional<std::size_t> find_point(const ResultFile& file, const PointRecord& of, const Changes& changes) {
  for (std::size_t i = 0; i < file.points.size(); ++i) {
    const PointRecord& point = file.points[i];
    if (point.weight_type == point.activation_type && split_changes(point.model).changes == changes &&
        on_one_ladder(point, of))
      return i;
  }
  return std::nullopt;
}

std::vector<LeverStep> steps_to(std::size_t own, const ResultFile& file) {
  const PointRecord& model = file.points[own];
  const std::string dense(kDense), mha(kMha);
  const auto only_mlp = find_point(file, model, {dense}), unshared = find_point(file, model, {std::string(kUnshared)});
  std::vector<LeverStep> steps;
  // A start that differs in two things from what comes next would be no lever.
  if (const auto at = find_point(file, model, only_mlp ? Changes{dense, mha} : Changes{mha}))
    steps.push_back({"start", *at});
  if (only_mlp) steps.push_back({steps.empty() ? "start" : "attention", *only_mlp});
  if (steps.empty()) return steps;
  if (only_mlp && unshared) steps.push_back({"experts", *unshared});
  steps.push_back({only_mlp && unshared ? "shared experts" : only_mlp ? "experts" : "attention", own});
  return steps;
}

}  // namespace

std::vector<LadderRow> ladder_rows(const ResultFile& file) {
  std::vector<LadderRow> rows;
  for (std::size_t own = 0; own < file.points.size(); ++own) {
    const PointRecord& model = file.points[own];
    if (model.weight_type != model.activation_type || !split_changes(model.model).changes.empty()) continue;
    LadderRow row{model, steps_to(own, file)};
    if (row.steps.empty()) continue;
    const auto held = [&](std::size_t base, std::size_t other) {
      return paid_by(kOurName, file.points[base], file.points[other], file.depths, "");
    };
    for (std::size_t i = 1; i < row.steps.size(); ++i)
      row.steps[i].factor = held(row.steps[i - 1].point, row.steps[i].point);
    for (std::size_t i = 0; i < file.points.size(); ++i)
      if (i != own && same_except(file.points[i], model, {Member::weight_type}))
        row.steps.push_back({file.points[i].weight_type, i, held(own, i)});
    for (std::size_t i = 1; i < row.steps.size(); ++i)
      row.steps[i].in_all = held(row.steps.front().point, row.steps[i].point);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/frontier.h"

#include <algorithm>
#include <map>

namespace layercost {
namespace {

bool counts(const ModelRow& row) { return row.time_s && row.fits.value_or(true); }

ScenarioRecord but_batch(const ScenarioRecord& row) { return without(row, {Member::batch}); }

bool dominates(const ModelRow& a, const ModelRow& b) {
  const bool as_good = *a.tokens_per_s_user >= *b.tokens_per_s_user && *a.tokens_per_s >= *b.tokens_per_s;
  return as_good && (*a.tokens_per_s_user > *b.tokens_per_s_user || *a.tokens_per_s > *b.tokens_per_s);
}

}  // namespace

void mark_frontier(std::vector<ModelRow>& models) {
  std::map<ScenarioRecord, std::vector<ModelRow*>> groups;
  for (ModelRow& row : models) {
    if (row.usd_per_mtok) row.tokens_per_usd = 1e6 / *row.usd_per_mtok;
    if (row.phase != "decode" || !row.time_s) continue;
    row.tokens_per_s_user = 1 / *row.time_s;
    if (row.time_interval && row.time_interval->low > 0)
      row.tokens_per_s_user_interval = Interval{1 / row.time_interval->high, 1 / row.time_interval->low};
    if (counts(row)) groups[but_batch(row)].push_back(&row);
  }
  for (const auto& [scenario, rows] : groups)
    for (ModelRow* row : rows)
      row->on_frontier =
          std::none_of(rows.begin(), rows.end(), [&](const ModelRow* other) { return dominates(*other, *row); });
}

std::vector<Frontier> frontiers(const Summary& summary) {
  std::vector<Frontier> all;
  for (const ModelRow& row : summary.models) {
    if (!row.tokens_per_s_user) continue;
    auto same = std::find_if(all.begin(), all.end(),
                             [&](const Frontier& f) { return same_except(*f.points.front(), row, {Member::batch}); });
    if (same == all.end()) same = all.insert(all.end(), Frontier{});
    same->points.push_back(&row);
  }
  for (Frontier& frontier : all) {
    std::stable_sort(frontier.points.begin(), frontier.points.end(), [](const ModelRow* a, const ModelRow* b) {
      return *a->tokens_per_s_user > *b->tokens_per_s_user;
    });
    for (const ModelRow& row : summary.models) {
      if (row.phase != "prefill" || !row.time_s ||
          !same_except(row, *frontier.points.front(),
                       {Member::phase, Member::batch, Member::context, Member::new_tokens}))
        continue;
      const ModelRow* best = frontier.first_token;
      if (best == nullptr || row.batch < best->batch || (row.batch == best->batch && row.context > best->context))
        frontier.first_token = &row;
    }
  }
  return all;
}

Keeps keeps(const ModelRow& point, double min_tokens_per_s_user) {
  if (!point.tokens_per_s_user) return Keeps::no;
  if (const auto& interval = point.tokens_per_s_user_interval) {
    if (interval->low >= min_tokens_per_s_user) return Keeps::yes;
    return interval->high < min_tokens_per_s_user ? Keeps::no : Keeps::cannot_tell;
  }
  return *point.tokens_per_s_user >= min_tokens_per_s_user ? Keeps::cannot_tell : Keeps::no;
}

Choice cheapest(const Frontier& frontier, double min_tokens_per_s_user) {
  Choice choice;
  const auto better = [](const ModelRow* a, const ModelRow* b) {
    return b == nullptr || *a->tokens_per_s > *b->tokens_per_s;
  };
  for (const ModelRow* row : frontier.points) {
    if (!counts(*row)) continue;
    const Keeps kept = keeps(*row, min_tokens_per_s_user);
    if (kept == Keeps::yes && better(row, choice.point)) choice.point = row;
    if (kept == Keeps::cannot_tell && better(row, choice.perhaps)) choice.perhaps = row;
  }
  if (choice.perhaps != nullptr && !better(choice.perhaps, choice.point)) choice.perhaps = nullptr;
  return choice;
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/twins.h"

#include <algorithm>
#include <map>

#include "harness/spec/part_name.h"

namespace layercost {
namespace {

struct Reading {
  double q, paid;
};

// Of readings by rising q.
Isoline isoline_of(const std::vector<Reading>& readings) {
  Isoline line{CrossoverKind::from_smallest, {}, {}, readings.front().q, readings.back().q};
  for (std::size_t k = readings.size(); k-- > 0;) {
    const Reading& lower = readings[k];
    if (lower.paid > 1) continue;
    line.kind = CrossoverKind::not_reached;
    if (k + 1 == readings.size()) break;
    const Reading& upper = readings[k + 1];
    line.kind = CrossoverKind::between;
    line.below = lower.q, line.above = upper.q;
    line.q = crossing(lower.q, lower.paid, upper.q, upper.paid);
    break;
  }
  return line;
}

std::optional<Isoline> isoline_of(const std::vector<TwinSize>& sizes) {
  std::vector<Reading> readings, low, high;
  bool sure = true;
  for (const TwinSize& size : sizes) {
    if (!size.q || !size.paid || !(size.paid->ratio > 0)) continue;
    readings.push_back({*size.q, size.paid->ratio});
    sure = sure && size.paid->interval && size.paid->interval->low > 0;
    if (!sure) continue;
    low.push_back({*size.q, size.paid->interval->low});
    high.push_back({*size.q, size.paid->interval->high});
  }
  if (readings.empty()) return std::nullopt;
  Isoline line = isoline_of(readings);
  if (!sure || !line.q) return line;
  const Isoline first = isoline_of(high), last = isoline_of(low);  // a dearer twin: the mixture wins earlier
  if (first.q && last.q) line.interval = Interval{*first.q, *last.q};
  return line;
}

}  // namespace

std::string twin_of(const std::string& dense, const std::string& moe) {
  const ChangedName name = split_changes(dense);
  const auto shared = split_part_name(moe, "@ep");
  const bool own = name.published == (shared ? shared->first : moe);
  return own && name.changes.size() == 1 && twin_size(name.changes[0]) ? name.changes[0] : "";
}

std::vector<TwinRow> twin_rows(const std::vector<TradeoffRow>& rows) {
  std::vector<TwinRow> all;
  std::map<ScenarioRecord, std::size_t> places;
  for (const TradeoffRow& row : rows) {
    std::string change = twin_of(row.dense, row.moe);
    if (change.empty()) continue;
    const auto [at, is_new] = places.try_emplace(row, all.size());
    if (is_new) all.push_back({row, {}, {}});
    all[at->second].sizes.push_back({std::move(change), row.promised, row.paid, row.verdict, row.why});
  }
  for (TwinRow& row : all) {
    std::stable_sort(row.sizes.begin(), row.sizes.end(), [](const TwinSize& a, const TwinSize& b) {
      return a.q.value_or(*twin_size(a.change)) < b.q.value_or(*twin_size(b.change));
    });
    row.isoline = isoline_of(row.sizes);
  }
  return all;
}

}  // namespace layercost

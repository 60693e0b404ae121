// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/twins.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include "harness/spec/part_name.h"

namespace layercost {
namespace {

// The change of a twin of the row's own mixture, whatever devices share that one's experts; "" of other pairs.
std::string change_of(const TradeoffRow& row) {
  const ChangedName dense = split_changes(row.dense);
  const auto shared = split_part_name(row.moe, "@ep");
  const bool own = dense.published == (shared ? shared->first : row.moe);
  return own && dense.changes.size() == 1 && twin_size(dense.changes[0]) ? dense.changes[0] : "";
}

struct Reading {
  double q, paid;
};

// Of readings by rising q.
Isoline isoline_of(const std::vector<Reading>& readings) {
  Isoline line{IsolineKind::from_smallest, {}, {}, readings.front().q, readings.back().q};
  for (std::size_t k = readings.size(); k-- > 0;) {
    const Reading& lower = readings[k];
    if (lower.paid > 1) continue;
    line.kind = IsolineKind::not_reached;
    if (k + 1 == readings.size()) break;
    const Reading& upper = readings[k + 1];
    // upper.paid > 1 >= lower.paid, so the rise is above 0.
    const double part = -std::log(lower.paid) / (std::log(upper.paid) - std::log(lower.paid));
    line.kind = IsolineKind::between;
    line.below = lower.q, line.above = upper.q;
    line.q = std::exp(std::lerp(std::log(lower.q), std::log(upper.q), part));
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

std::string_view to_string(IsolineKind kind) {
  switch (kind) {
    case IsolineKind::between:
      return "between";
    case IsolineKind::from_smallest:
      return "from_smallest";
    case IsolineKind::not_reached:
      return "not_reached";
  }
  throw std::invalid_argument("no such kind of isoline");
}

std::vector<TwinRow> twin_rows(const std::vector<TradeoffRow>& rows) {
  std::vector<TwinRow> all;
  std::map<ScenarioRecord, std::size_t> places;
  for (const TradeoffRow& row : rows) {
    std::string change = change_of(row);
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

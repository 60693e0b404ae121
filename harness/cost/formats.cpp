// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/formats.h"

#include <algorithm>

#include "harness/cost/composition.h"
#include "harness/cost/peers.h"
#include "kernels/core/weight_format.h"

namespace layercost {
namespace {

// Null for a name that this program does not know: a file may come from a later one.
const WeightFormat* known_format(const std::string& name) {
  for (const WeightFormat& f : weight_formats())
    if (f.name == name) return &f;
  return nullptr;
}

// Large enough that a scale for a row or a block of 128 x 128 has its usual share.
double bytes_of(const WeightFormat& f) {
  constexpr std::int64_t kSide = 4096;
  return f.bytes(kSide, kSide);
}

}  // namespace

std::vector<FormatRow> format_rows(const ResultFile& file) {
  std::vector<FormatRow> rows;
  for (const PointRecord& point : file.points) {
    const WeightFormat* format = known_format(point.weight_type);
    if (format == nullptr || format->is_plain()) continue;
    const auto base = std::find_if(file.points.begin(), file.points.end(), [&](const PointRecord& p) {
      return p.weight_type == point.activation_type && same_except(p, point, {Member::weight_type});
    });
    if (base == file.points.end()) continue;
    const WeightFormat* plain = known_format(base->weight_type);
    if (plain == nullptr) continue;
    FormatRow row{point, base->weight_type, bytes_of(*plain) / bytes_of(*format), {}, {}, {}, {}};
    row.possible = possible_ratio(*base, point);
    PaidBy whole = paid_by(kOurName, *base, point, file.depths, "");
    row.paid = whole.paid;
    row.verdict = whole.verdict;
    row.why = std::move(whole.why);
    if (!file.peers.empty()) {
      row.possible_layers = possible_ratio(layers_of(*base), layers_of(point));
      row.layers = paid_by_layers(*base, point, file, "");
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace layercost

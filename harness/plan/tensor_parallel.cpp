// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/tensor_parallel.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/plan/expert_parallel.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

// A block of codes that share a scale cannot lie on two ranks.
void expect_whole_blocks(const LayerPlan& plan) {
  for (const WeightSpec& w : plan.weights) {
    const WeightFormat& f = *w.format;
    const std::int64_t k = w.shape.back();
    for (const WeightSpec::Source& s : w.sources) {
      const bool rows =
          s.rows > 0 && f.block_rows > 1 && (s.rows % f.block_rows != 0 || s.first_row % f.block_rows != 0);
      const bool columns = s.columns > 0 && f.block_columns > 1 && f.block_columns != WeightFormat::kWholeRow &&
                           k % f.block_columns != 0;
      if (rows || columns)
        throw BadCase(fmt::format("{}: {} {} are no multiple of the {} that share a scale in {}", w.name,
                                  rows ? s.rows : k, rows ? "rows" : "columns", rows ? f.block_rows : f.block_columns,
                                  f.name));
    }
  }
}

}  // namespace

ModelSpec share_layers(const ModelSpec& m, std::int64_t ranks, std::int64_t rank, std::int64_t devices) {
  if (m.ranks > 1) throw BadInput(fmt::format("--tp: {} is one of several ranks already", m.name));
  if (m.devices > 1)
    throw BadInput(
        fmt::format("--tp: {} shares its experts already; expected the ranks in front, as in name@tp8@ep32", m.name));
  ModelSpec out = m;
  out.whole = std::make_shared<const ModelSpec>(m);
  out.ranks = ranks, out.rank = rank;
  out.name += fmt::format("@tp{}", ranks);
  if (devices > 1) out = share_experts(out, devices);
  StepShape shape;
  shape.weights = weights_by_config(m, DType::bf16);
  try {
    for (const LayerKind& kind : out.kinds) expect_whole_blocks(plan_layer(out, kind, shape));
    if (out.mtp_layers > 0) expect_whole_blocks(plan_layer(out, out.mtp, shape));
    plan_head(out, 1, shape);
  } catch (const BadCase& e) {
    throw BadInput(fmt::format("--tp: {}: {}", m.name, e.what()));
  }
  return out;
}

std::vector<Collective> collectives_of(const ModelSpec& m, const StepShape& shape) {
  if (m.ranks == 1) return {};
  const double others = static_cast<double>(m.ranks - 1) / static_cast<double>(m.ranks);
  Collective sums{"all_reduce"}, logits{"all_gather"};
  for (const LayerKind& kind : m.kinds) {
    const LayerPlan plan = plan_layer(m, kind, shape);
    sums.count += plan.count * plan.partial_sums;
  }
  const double stream = static_cast<double>(shape.tokens()) * static_cast<double>(m.hidden) *
                        static_cast<double>(size_of(shape.activation_type));
  sums.bytes = 2 * others * stream * static_cast<double>(sums.count);
  std::vector<Collective> out = {std::move(sums)};
  if (m.head.kind == HeadSpec::Kind::language) {
    logits.count = 1;
    logits.bytes = others * static_cast<double>(shape.batch) * static_cast<double>(m.head.rows) * 4;
    out.push_back(std::move(logits));
  }
  return out;
}

std::string collectives_text(const std::vector<Collective>& all) {
  std::string out;
  for (const Collective& c : all) {
    const bool sums = c.name == "all_reduce";
    out += fmt::format(
        "{}{:.3g} MB in {} {}", out.empty() ? "" : " and ", c.bytes / 1e6,
        c.count == 1 ? "an" : std::to_string(c.count),
        sums ? (c.count == 1 ? "all-reduce of a partial sum" : "all-reduces of partial sums") : "all-gather of logits");
  }
  return out;
}

}  // namespace layercost

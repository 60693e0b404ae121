// SPDX-License-Identifier: Apache-2.0
#include "kernels/moe_route/moe_route.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/core/error.h"
#include "kernels/core/random.h"
#include "moe_route_variants.h"

namespace layercost {

MoeRouteAxes moe_route_axes(const OpCase& c) {
  const MoeRouteAxes a{c.axis("tokens"), c.axis("experts"), c.axis("top_k"), c.flag("renormalise"), c.flag("forced")};
  if (a.top_k > a.experts) throw BadCase("'" + c.text() + "': expected top_k <= experts");
  return a;
}

namespace {

// The first top_k of a shuffle of all experts, row by row.
void fill_distinct(const Tensor& t, std::uint64_t seed, std::int64_t experts) {
  std::vector<std::int32_t> all(static_cast<std::size_t>(experts));
  std::iota(all.begin(), all.end(), 0);
  for (std::int64_t i = 0; i < t.elements(); ++i) {
    const auto j = static_cast<std::uint64_t>(i % t.dim(1));
    std::swap(all[j], all[j + uniform_below(hash64(seed, static_cast<std::uint64_t>(i)), all.size() - j)]);
    t.as<std::int32_t>()[i] = all[j];
  }
}

std::vector<TensorSpec> tensors(const OpCase& c) {
  const MoeRouteAxes a = moe_route_axes(c);
  const Shape chosen = {a.tokens, a.top_k};
  std::vector<TensorSpec> out = {
      {"logits", Role::input, c.type("x_type"), {a.tokens, a.experts}},
      {"ids", Role::output, DType::i32, chosen},
      {"weights", Role::output, DType::f32, chosen},
      {"counts", Role::output, DType::i32, {a.experts}},
  };
  if (a.forced)
    out.push_back({"forced_ids", Role::input, DType::i32, chosen, 1, 0,
                   [n = a.experts](const Tensor& t, std::uint64_t seed) { fill_distinct(t, seed, n); }});
  return out;
}

Work work(const OpCase& c, const WorkFacts&) {
  const MoeRouteAxes a = moe_route_axes(c);
  const auto tokens = static_cast<double>(a.tokens), experts = static_cast<double>(a.experts);
  Work w;
  w.flops = 4 * tokens * experts;
  w.activation_bytes = tokens * experts * static_cast<double>(size_of(c.type("x_type"))) + 4 * experts +
                       4 * tokens * static_cast<double>(a.top_k) * (a.forced ? 3 : 2);
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string&) { return usual_tolerance(DType::f32, c.axis("experts")); }

void reference(const OpCase& c, const OpTensors& t) {
  const MoeRouteAxes a = moe_route_axes(c);
  const Tensor &logits = t.tensor("logits"), &ids = t.tensor("ids"), &weights = t.tensor("weights");
  const Tensor& counts = t.tensor("counts");
  for (std::int64_t e = 0; e < a.experts; ++e) counts.store(e, 0);
  std::vector<std::int64_t> order(static_cast<std::size_t>(a.experts));
  for (std::int64_t token = 0; token < a.tokens; ++token) {
    const auto logit = [&](std::int64_t e) { return logits.load(token * a.experts + e); };
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](auto i, auto j) { return logit(i) > logit(j); });
    const double max = logit(order[0]);
    double all = 0, chosen = 0;
    for (std::int64_t e = 0; e < a.experts; ++e) all += std::exp(logit(e) - max);
    for (std::int64_t j = 0; j < a.top_k; ++j) {
      const std::int64_t at = token * a.top_k + j;
      const std::int64_t id = a.forced ? t.tensor("forced_ids").as<std::int32_t>()[at] : order[j];
      const double p = std::exp(logit(id) - max) / all;
      ids.store(at, static_cast<double>(id));
      weights.store(at, p);
      counts.store(id, counts.load(id) + 1);
      chosen += p;
    }
    if (!a.renormalise) continue;
    for (std::int64_t at = token * a.top_k; at < (token + 1) * a.top_k; ++at)
      weights.store(at, weights.load(at) / chosen);
  }
}

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  // Random logits take one of 256 values: ties occur in nearly every row of 128 experts.
  for (const char* text : {
           "moe_route tokens=1 experts=1 top_k=1 renormalise=1 x_type=f32",
           "moe_route tokens=1 experts=128 top_k=8 renormalise=1 x_type=f32",
           "moe_route tokens=37 experts=60 top_k=4 renormalise=0 x_type=f32",
           "moe_route tokens=5 experts=13 top_k=13 renormalise=1 x_type=bf16",
           "moe_route tokens=19 experts=128 top_k=8 renormalise=1 forced=1 x_type=bf16",
           "moe_route tokens=3 experts=7 top_k=2 renormalise=0 forced=1 x_type=f32",
           "moe_route tokens=130 experts=257 top_k=10 renormalise=0 x_type=bf16",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef moe_route_op{"moe_route", "choice of experts and their weights, softmax routing", tensors, work,
                         tolerance,   reference, test_cases, moe_route_variants};

}  // namespace layercost

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
  MoeRouteAxes a{};
  a.tokens = c.axis("tokens"), a.experts = c.axis("experts"), a.top_k = c.axis("top_k");
  a.renormalise = c.flag("renormalise"), a.forced = c.flag("forced"), a.bias = c.flag("bias");
  a.expert_scale = c.flag("expert_scale");
  a.sigmoid = c.word("score", "softmax") == "sigmoid";
  a.groups = c.has("groups") ? c.axis("groups") : 1;
  a.top_groups = c.has("top_groups") ? c.axis("top_groups") : 1;
  a.group_by_best = c.word("group_score", "top2") == "max";
  a.scaling = c.has("scaling") ? c.real("scaling") : 1.0;
  const auto expect = [&](bool ok, const char* what) {
    if (!ok) throw BadCase("'" + c.text() + "': expected " + what);
  };
  expect(a.top_k <= a.experts, "top_k <= experts");
  expect(a.experts % a.groups == 0, "groups to divide experts");
  expect(a.top_groups <= a.groups, "top_groups <= groups");
  expect(a.top_groups * a.group_size() >= a.top_k, "top_k experts in the chosen groups");
  return a;
}

namespace {

constexpr std::string_view kScores[] = {"softmax", "sigmoid"}, kGroupScores[] = {"top2", "max"};
constexpr KnownKey keys[] = {
    axis_key("tokens"),
    axis_key("experts"),
    axis_key("top_k"),
    required_flag_key("renormalise"),
    flag_key("forced"),
    word_key("score", kScores).or_else("softmax"),
    flag_key("bias"),
    axis_key("groups").or_else("1"),
    axis_key("top_groups").only_beside("groups"),
    word_key("group_score", kGroupScores).or_else("top2"),
    real_key("scaling").or_else("1"),
    flag_key("expert_scale"),
    type_key("x_type", kFloatTypes),
};

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

// 1/16 + first/4, ...: so few values that ties occur in nearly every row, and so chosen that the biases and sums of two
// bring no two of their sigmoids closer than 2e-4.
void fill_levels(const Tensor& t, std::uint64_t seed) {
  for (std::int64_t i = 0; i < t.elements(); ++i) {
    const auto level = static_cast<double>(uniform_below(hash64(seed, static_cast<std::uint64_t>(i)), 9));
    t.store(i, 0.0625 + (level - 4) / 4);
  }
}
void fill_bias_levels(const Tensor& t, std::uint64_t seed) {
  for (std::int64_t i = 0; i < t.elements(); ++i)
    t.store(i, static_cast<double>(uniform_below(hash64(seed, static_cast<std::uint64_t>(i)), 4)) / 8);
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
  if (a.bias || a.groups > 1) out[0].fill = fill_levels;
  if (a.bias) {
    out.push_back({"bias", Role::weight, DType::f32, {a.experts}, 0.1f});
    // Not with groups: two groups that hold the same scores and biases in other pairs would tie before rounding only.
    if (a.groups == 1) out.back().fill = fill_bias_levels;
  }
  if (a.expert_scale) out.push_back({"expert_scale", Role::weight, DType::f32, {a.experts}, 0.2f, 1.0f});
  if (a.forced)
    out.push_back({"forced_ids", Role::input, DType::i32, chosen, 1, 0,
                   [n = a.experts](const Tensor& t, std::uint64_t seed) { fill_distinct(t, seed, n); }});
  return out;
}

Work work(const OpCase& c, const WorkFacts&) {
  const MoeRouteAxes a = moe_route_axes(c);
  const auto tokens = static_cast<double>(a.tokens), experts = static_cast<double>(a.experts);
  Work w;
  w.flops = (a.bias ? 5 : 4) * tokens * experts;
  w.weight_bytes = ((a.bias ? 4 : 0) + (a.expert_scale ? 4 : 0)) * experts;
  w.activation_bytes = tokens * experts * static_cast<double>(size_of(c.type("x_type"))) + 4 * experts +
                       4 * tokens * static_cast<double>(a.top_k) * (a.forced ? 3 : 2);
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string&) { return usual_tolerance(DType::f32, c.axis("experts")); }

void reference(const OpCase& c, const OpTensors& t) {
  const MoeRouteAxes a = moe_route_axes(c);
  const Tensor &logits = t.tensor("logits"), &ids = t.tensor("ids"), &weights = t.tensor("weights");
  const Tensor& counts = t.tensor("counts");
  const OwnedTensor bias = a.bias ? t.weight("bias")->whole() : OwnedTensor();
  const OwnedTensor scales = a.expert_scale ? t.weight("expert_scale")->whole() : OwnedTensor();
  for (std::int64_t e = 0; e < a.experts; ++e) counts.store(e, 0);
  for (std::int64_t token = 0; token < a.tokens; ++token) {
    const auto logit = [&](std::int64_t e) { return logits.load(token * a.experts + e); };
    double max = logit(0), all = 0;
    for (std::int64_t e = 0; e < a.experts; ++e) max = std::max(max, logit(e));
    for (std::int64_t e = 0; e < a.experts; ++e) all += std::exp(logit(e) - max);
    const auto score = [&](std::int64_t e) {
      return a.sigmoid ? 1 / (1 + std::exp(-logit(e))) : std::exp(logit(e) - max) / all;
    };
    const auto biased = [&](std::int64_t e) { return score(e) + (a.bias ? bias.view().load(e) : 0.0); };
    const auto best_first = [](auto& list, const auto& value) {
      std::stable_sort(list.begin(), list.end(), [&](auto i, auto j) { return value(i) > value(j); });
    };

    std::vector<std::int64_t> groups(static_cast<std::size_t>(a.groups)), order;
    std::iota(groups.begin(), groups.end(), 0);
    if (a.groups > 1)
      best_first(groups, [&](std::int64_t g) {
        std::vector<double> in;
        for (std::int64_t e = g * a.group_size(); e < (g + 1) * a.group_size(); ++e) in.push_back(biased(e));
        std::sort(in.rbegin(), in.rend());
        return in.size() > 1 && !a.group_by_best ? in[0] + in[1] : in[0];
      });
    groups.resize(static_cast<std::size_t>(a.top_groups));
    std::sort(groups.begin(), groups.end());
    for (const std::int64_t g : groups)
      for (std::int64_t e = g * a.group_size(); e < (g + 1) * a.group_size(); ++e) order.push_back(e);
    if (a.bias) best_first(order, biased);
    else best_first(order, logit);

    double chosen = a.sigmoid ? 1e-20 : 0;
    for (std::int64_t j = 0; j < a.top_k; ++j) {
      const std::int64_t at = token * a.top_k + j;
      const std::int64_t id =
          a.forced ? t.tensor("forced_ids").as<std::int32_t>()[at] : order[static_cast<std::size_t>(j)];
      ids.store(at, static_cast<double>(id));
      weights.store(at, score(id));
      counts.store(id, counts.load(id) + 1);
      chosen += score(id);
    }
    for (std::int64_t at = token * a.top_k; at < (token + 1) * a.top_k; ++at)
      weights.store(at, weights.load(at) / (a.renormalise ? chosen : 1.0) * a.scaling *
                            (a.expert_scale ? scales.view().load(ids.as<std::int32_t>()[at]) : 1.0));
  }
}

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  // Random logits take one of 256 values: ties occur in nearly every row of 128 experts. With bias or groups they take
  // one of 9: groups tie as well.
  for (const char* text : {
           "moe_route tokens=1 experts=1 top_k=1 renormalise=1 x_type=f32",
           "moe_route tokens=1 experts=128 top_k=8 renormalise=1 x_type=f32",
           "moe_route tokens=37 experts=60 top_k=4 renormalise=0 x_type=f32",
           "moe_route tokens=5 experts=13 top_k=13 renormalise=1 x_type=bf16",
           "moe_route tokens=19 experts=128 top_k=8 renormalise=1 forced=1 x_type=bf16",
           "moe_route tokens=3 experts=7 top_k=2 renormalise=0 forced=1 x_type=f32",
           "moe_route tokens=130 experts=257 top_k=10 renormalise=0 x_type=bf16",
           "moe_route tokens=70 experts=128 top_k=8 renormalise=1 x_type=f32",
           "moe_route tokens=9 experts=60 top_k=6 renormalise=1 score=sigmoid scaling=2.5 x_type=f32",
           "moe_route tokens=7 experts=40 top_k=5 renormalise=0 bias=1 scaling=0.5 x_type=bf16",
           "moe_route tokens=20 experts=512 top_k=8 renormalise=1 score=sigmoid bias=1 x_type=f32",
           "moe_route tokens=12 experts=256 top_k=8 renormalise=1 score=sigmoid bias=1 groups=8 top_groups=4 "
           "scaling=2.5 x_type=f32",
           "moe_route tokens=70 experts=90 top_k=6 renormalise=0 score=sigmoid groups=9 top_groups=3 x_type=bf16",
           "moe_route tokens=6 experts=160 top_k=6 renormalise=0 bias=1 groups=8 top_groups=3 scaling=16 x_type=f32",
           "moe_route tokens=40 experts=160 top_k=6 renormalise=0 groups=8 top_groups=3 group_score=max scaling=16 "
           "x_type=bf16",
           "moe_route tokens=9 experts=60 top_k=7 renormalise=1 score=sigmoid bias=1 groups=5 top_groups=2 "
           "group_score=max x_type=f32",
           "moe_route tokens=5 experts=12 top_k=3 renormalise=1 score=sigmoid groups=12 top_groups=4 x_type=f32",
           "moe_route tokens=2 experts=777 top_k=32 renormalise=0 score=sigmoid bias=1 x_type=bf16",
           "moe_route tokens=11 experts=256 top_k=8 renormalise=1 forced=1 score=sigmoid bias=1 groups=8 top_groups=4 "
           "scaling=2.5 x_type=bf16",
           "moe_route tokens=9 experts=60 top_k=4 renormalise=1 expert_scale=1 x_type=f32",
           "moe_route tokens=7 experts=128 top_k=8 renormalise=1 forced=1 expert_scale=1 x_type=bf16",
           "moe_route tokens=3 experts=40 top_k=5 renormalise=0 score=sigmoid scaling=2.5 expert_scale=1 x_type=f32",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef moe_route_op{
    "moe_route",       "choice of experts and their weights", keys, tensors, work, tolerance, reference, test_cases,
    moe_route_variants};

}  // namespace layercost

// Per token one pass for the scores, and one that keeps the best top_k in a sorted list. Plain C++.
// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/moe_route/moe_route.h"
#include "moe_route_variants.h"

namespace layercost {
namespace {

// One thread's memory.
struct Scratch {
  float *scores, *choices, *groups;    // [experts], [experts], [groups]
  std::int32_t *best, *chosen_groups;  // [top_k], [top_groups]
};

// The k largest of values[0 .. n - 1] for which `can` is true, descending. An equal value does not pass one that is in
// the list, so the lower index stays first.
template <class Can>
void choose(const float* values, std::int64_t n, std::int64_t k, const Can& can, std::int32_t* list) {
  std::int64_t size = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    if (!can(i) || (size == k && !(values[i] > values[list[k - 1]]))) continue;
    std::int64_t at = size < k ? size++ : k - 1;
    for (; at > 0 && values[i] > values[list[at - 1]]; --at) list[at] = list[at - 1];
    list[at] = static_cast<std::int32_t>(i);
  }
}

// The sum of the two largest of n values, or the only one.
float best_two(const float* values, std::int64_t n) {
  float first = values[0], second = -std::numeric_limits<float>::infinity();
  for (std::int64_t i = 1; i < n; ++i) {
    second = std::max(second, std::min(first, values[i]));
    first = std::max(first, values[i]);
  }
  return n > 1 ? first + second : first;
}

template <class X>
void choose_experts(const MoeRouteAxes& a, const X* logits, const float* bias, const Scratch& s) {
  float max = load_f32(logits), all = 0;
  for (std::int64_t e = 1; e < a.experts; ++e) max = std::max(max, load_f32(logits + e));
  for (std::int64_t e = 0; e < a.experts; ++e) {
    const float v = load_f32(logits + e);
    s.scores[e] = a.sigmoid ? 1.0f / (1.0f + std::exp(-v)) : std::exp(v - max);
    all += s.scores[e];
  }
  for (std::int64_t e = 0; e < a.experts; ++e) {
    if (!a.sigmoid) s.scores[e] /= all;
    s.choices[e] = bias != nullptr ? s.scores[e] + bias[e] : s.scores[e];
  }
  const std::int64_t size = a.group_size();
  const std::int32_t *groups_begin = s.chosen_groups, *groups_end = groups_begin + a.top_groups;
  if (a.groups > 1) {
    for (std::int64_t g = 0; g < a.groups; ++g) {
      const float* of_group = s.choices + g * size;
      s.groups[g] = a.group_by_best ? *std::max_element(of_group, of_group + size) : best_two(of_group, size);
    }
    choose(
        s.groups, a.groups, a.top_groups, [](std::int64_t) { return true; }, s.chosen_groups);
  }
  if (bias == nullptr)  // rounding may make equal scores of different logits
    for (std::int64_t e = 0; e < a.experts; ++e) s.choices[e] = load_f32(logits + e);
  choose(
      s.choices, a.experts, a.top_k,
      [&](std::int64_t e) { return a.groups == 1 || std::find(groups_begin, groups_end, e / size) != groups_end; },
      s.best);
}

template <class X>
void route(const MoeRouteAxes& a, const X* logits, const float* bias, const float* expert_scale,
           const std::int32_t* forced, const std::vector<Scratch>& scratch, std::int32_t* ids, float* weights,
           std::int32_t* counts) {
  each_piece(a.tokens, [&](int thread, std::int64_t t, std::int64_t) {
    const Scratch& s = scratch[static_cast<std::size_t>(thread)];
    choose_experts(a, logits + t * a.experts, bias, s);
    const std::int64_t first = t * a.top_k;
    std::copy_n(forced != nullptr ? forced + first : s.best, a.top_k, ids + first);
    float sum = a.sigmoid ? 1e-20f : 0.0f;
    for (std::int64_t j = 0; j < a.top_k; ++j) sum += s.scores[ids[first + j]];
    const float factor = static_cast<float>(a.scaling) / (a.renormalise ? sum : 1.0f);
    for (std::int64_t j = 0; j < a.top_k; ++j) {
      const std::int32_t id = ids[first + j];
      weights[first + j] = s.scores[id] * factor * (expert_scale != nullptr ? expert_scale[id] : 1.0f);
    }
  });
  std::fill_n(counts, a.experts, 0);
  for (std::int64_t i = 0; i < a.tokens * a.top_k; ++i) ++counts[ids[i]];
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const MoeRouteAxes a = moe_route_axes(c);
  const int threads = team_threads();
  const Tensor logits = t.tensor("logits"), ids = t.tensor("ids"), weights = t.tensor("weights");
  const Tensor counts = t.tensor("counts"), forced = a.forced ? t.tensor("forced_ids") : Tensor{};
  const auto scales = a.expert_scale ? row_major(*t.weight("expert_scale")) : nullptr;
  const auto bias = a.bias ? row_major(*t.weight("bias")) : nullptr;
  const auto floats = std::make_shared<OwnedTensor>(DType::f32, Shape{threads, 2 * a.experts + a.groups});
  const auto integers = std::make_shared<OwnedTensor>(DType::i32, Shape{threads, a.top_k + a.top_groups});
  std::vector<Scratch> scratch;
  for (std::int64_t i = 0; i < threads; ++i) {
    float* f = floats->view().as<float>() + i * (2 * a.experts + a.groups);
    std::int32_t* n = integers->view().as<std::int32_t>() + i * (a.top_k + a.top_groups);
    scratch.push_back({f, f + a.experts, f + 2 * a.experts, n, n + a.top_k});
  }
  return dispatch_float(logits.dtype, [&]<class X>(X*) {
    return invocation([=, keep = std::pair(floats, integers)] {
      route(a, logits.as<X>(), bias ? bias->view().as<float>() : nullptr,
            scales ? scales->view().as<float>() : nullptr, forced.as<std::int32_t>(), scratch, ids.as<std::int32_t>(),
            weights.as<float>(), counts.as<std::int32_t>());
    });
  });
}

}  // namespace

const Variant moe_route_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows =
        "renormalise forced score=softmax|sigmoid bias groups top_groups group_score=top2|max scaling expert_scale "
        "x_type=f32|bf16",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost

// Per token one pass that keeps the best top_k in a sorted list, and one for the softmax. Plain C++.
// SPDX-License-Identifier: Apache-2.0
#include <omp.h>

#include <algorithm>
#include <cmath>

#include "kernels/contract/dispatch.h"
#include "kernels/moe_route/moe_route.h"
#include "moe_route_variants.h"

namespace layercost {
namespace {

// The k largest, descending. An equal logit does not pass one that is in the list, so the lower index stays first.
template <class X>
void choose(const X* logits, std::int64_t experts, std::int64_t k, std::int32_t* ids) {
  for (std::int64_t e = 0; e < experts; ++e) {
    const float v = load_f32(logits + e);
    if (e >= k && !(v > load_f32(logits + ids[k - 1]))) continue;
    std::int64_t at = e < k ? e : k - 1;
    for (; at > 0 && v > load_f32(logits + ids[at - 1]); --at) ids[at] = ids[at - 1];
    ids[at] = static_cast<std::int32_t>(e);
  }
}

template <class X>
void route(const MoeRouteAxes& a, int threads, const X* logits, const std::int32_t* forced, std::int32_t* scratch,
           std::int32_t* ids, float* weights, std::int32_t* counts) {
#pragma omp parallel for schedule(static) num_threads(threads) if (a.tokens > 1)
  for (std::int64_t t = 0; t < a.tokens; ++t) {
    const X* row = logits + t * a.experts;
    std::int32_t* chosen = scratch != nullptr ? scratch + omp_get_thread_num() * a.top_k : ids + t * a.top_k;
    choose(row, a.experts, a.top_k, chosen);
    const float max = load_f32(row + chosen[0]);
    float all = 0, sum = 0;
    for (std::int64_t e = 0; e < a.experts; ++e) all += std::exp(load_f32(row + e) - max);
    for (std::int64_t at = t * a.top_k; at < (t + 1) * a.top_k; ++at) {
      if (forced != nullptr) ids[at] = forced[at];
      weights[at] = std::exp(load_f32(row + ids[at]) - max) / all;
      sum += weights[at];
    }
    if (a.renormalise)
      for (std::int64_t at = t * a.top_k; at < (t + 1) * a.top_k; ++at) weights[at] /= sum;
  }
  std::fill_n(counts, a.experts, 0);
  for (std::int64_t i = 0; i < a.tokens * a.top_k; ++i) ++counts[ids[i]];
}

Support supports(const OpCase&, const DeviceInfo&) { return Support::yes(); }

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const MoeRouteAxes a = moe_route_axes(c);
  const int threads = omp_get_max_threads();
  const Tensor logits = t.tensor("logits"), ids = t.tensor("ids"), weights = t.tensor("weights");
  const Tensor counts = t.tensor("counts"), forced = a.forced ? t.tensor("forced_ids") : Tensor{};
  // The choice that forced_ids replace, one row per thread.
  const auto scratch = a.forced ? std::make_shared<OwnedTensor>(DType::i32, Shape{threads, a.top_k}) : nullptr;
  return dispatch_float(logits.dtype, [&]<class X>(X*) {
    return invocation([=] {
      route(a, threads, logits.as<X>(), forced.as<std::int32_t>(),
            scratch ? scratch->view().as<std::int32_t>() : nullptr, ids.as<std::int32_t>(), weights.as<float>(),
            counts.as<std::int32_t>());
    });
  });
}

}  // namespace

const Variant moe_route_plain_loops{"plain_loops", Target::cpu, "layercost", supports, prepare};

}  // namespace layercost

// One query after the other: all scores, a partial sort of positions. Plain C++.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>

#include "dsa_index_variants.h"
#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/dsa_index/dsa_index.h"

namespace layercost {
namespace {

template <class X, class KV>
float score(const DsaIndexAxes& a, const X* q, const float* weights, const KV* k) {
  float sum = 0;
  for (std::int64_t h = 0; h < a.heads; ++h) {
    float product = 0;
    for (std::int64_t d = 0; d < a.head_dim; ++d) product += load_f32(q + h * a.head_dim + d) * load_f32(k + d);
    sum += weights[h] * std::max(0.0f, product);
  }
  return sum;
}

template <class X, class KV>
void choose(const DsaIndexAxes& a, const X* q, const float* weights, const KV* cache, std::int64_t row, float* scores,
            std::int32_t* order, std::int32_t* selection) {
  const std::int64_t n = a.visible(row), k = std::min(n, a.top_k);
  std::iota(order, order + n, 0);
  if (k < n) {
    for (std::int64_t j = 0; j < n; ++j)
      scores[j] = score(a, q + row * a.heads * a.head_dim, weights + row * a.heads,
                        cache + (a.first_slot(row) + j) * a.head_dim);
    std::nth_element(order, order + k, order + n, [&](std::int32_t i, std::int32_t j) {
      return scores[i] > scores[j] || (scores[i] == scores[j] && i < j);
    });
    std::sort(order, order + k);
  }
  std::int32_t* to = selection + row * a.top_k;
  std::copy_n(order, k, to);
  std::fill(to + k, to + a.top_k, -1);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const DsaIndexAxes a = dsa_index_axes(c);
  const Tensor q = t.tensor("q"), weights = t.tensor("weights"), cache = t.tensor("index_cache");
  const Tensor selection = t.tensor("selection");
  const auto scores = std::make_shared<OwnedTensor>(DType::f32, Shape{team_threads(), a.kv_len});
  const auto order = std::make_shared<OwnedTensor>(DType::i32, Shape{team_threads(), a.kv_len});
  return dispatch_float(q.dtype, [&]<class X>(X*) {
    return dispatch_float(cache.dtype, [&]<class KV>(KV*) {
      return invocation([=] {
        each_piece(a.rows(), [&](int thread, std::int64_t row, std::int64_t) {
          choose(a, q.as<X>(), weights.as<float>(), cache.as<KV>(), row, scores->view().as<float>() + thread * a.kv_len,
                 order->view().as<std::int32_t>() + thread * a.kv_len, selection.as<std::int32_t>());
        });
      });
    });
  });
}

}  // namespace

const Variant dsa_index_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 kv_type=f32|bf16",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost

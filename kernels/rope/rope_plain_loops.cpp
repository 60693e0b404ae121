// One head after the other, tokens and heads shared out among the threads. Plain C++.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/rope/rope.h"
#include "rope_variants.h"

namespace layercost {
namespace {

// n values as in an RMSNorm before its weight.
template <class F>
float scale_of(std::int64_t n, double eps, F&& value) {
  float squares = 0;
  for (std::int64_t i = 0; i < n; ++i) squares += value(i) * value(i);
  return 1.0f / std::sqrt(squares / static_cast<float>(n) + static_cast<float>(eps));
}

// x, head h of the `heads` from `all` on.
template <class X, class Y>
void rotate(const RopeAxes& axes, const X* all, std::int64_t heads, std::int64_t h, const float* norm, const float* cos,
            const float* sin, float factor, Y* out) {
  const std::int64_t d = axes.head_dim, half = axes.rotary_dims / 2;
  const X* x = all + h * d;
  if (norm != nullptr) norm += h * axes.norm_stride();
  const auto before = [&](float scale, std::int64_t i) {
    const float v = load_f32(x + i);
    return norm != nullptr && !axes.norms_turned() ? v * (scale * norm[i]) : v;
  };
  float scale = 1.0f;
  if (axes.qk_norm == QkNorm::head) scale = scale_of(d, axes.eps, [&](std::int64_t i) { return load_f32(x + i); });
  if (axes.qk_norm == QkNorm::whole)
    scale = scale_of(heads * d, axes.eps, [&](std::int64_t i) { return load_f32(all + i); });
  const auto turned = [&](std::int64_t i) {
    if (i >= axes.rotary_dims) return before(scale, i);
    const std::int64_t pair = axes.interleaved ? i / 2 : i % half;
    const bool first = axes.interleaved ? i % 2 == 0 : i < half;
    const std::int64_t one = axes.interleaved ? 2 * pair : pair, other = axes.interleaved ? one + 1 : one + half;
    const float a = before(scale, one), b = before(scale, other);
    return first ? a * cos[pair] - b * sin[pair] : b * cos[pair] + a * sin[pair];
  };
  const float after = axes.norms_turned() ? scale_of(d, axes.eps, turned) * factor : factor;
  for (std::int64_t i = 0; i < d; ++i)
    store_f32(out + i, turned(i) * (axes.qk_norm == QkNorm::after ? after * norm[i] : after));
}

template <class X, class Y, class KV>
void tokens(const RopeAxes& a, const X* qkv, const float* cos, const float* sin, const float* q_scale,
            const float* q_norm, const float* k_norm, Y* q, KV* k_cache, KV* v_cache) {
  const std::int64_t d = a.head_dim, heads = a.heads + 2 * a.kv_heads;
  each_row_and_column(a.tokens(), heads, a.tokens() > 1, [&](std::int64_t t, std::int64_t h) {
    const std::int64_t kv_h = (h - a.heads) % a.kv_heads;
    const std::int64_t first = a.position(t) * (a.rotary_dims / 2);
    const float *co = cos + first, *si = sin + first;
    const X* row = qkv + t * a.row_heads() * d;
    if (h < a.heads) {
      rotate(a, row, a.heads, h, q_norm, co, si, q_scale != nullptr ? q_scale[a.position(t)] : 1.0f,
             q + (t * a.heads + h) * d);
    } else if (h < a.heads + a.kv_heads) {
      rotate(a, row + a.heads * d, a.kv_heads, kv_h, k_norm, co, si, 1.0f, k_cache + a.slot(t, kv_h));
    } else {
      const X* v = row + a.v_source(kv_h) * d;
      const float scale = a.v_norm ? scale_of(d, a.eps, [&](std::int64_t j) { return load_f32(v + j); }) : 1.0f;
      for (std::int64_t j = 0; j < d; ++j) store_f32(v_cache + a.slot(t, kv_h) + j, load_f32(v + j) * scale);
    }
  });
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const RopeAxes a = rope_axes(c);
  const Tensor qkv = t.tensor("qkv"), cos = t.tensor("cos"), sin = t.tensor("sin"), q = t.tensor("q");
  const Tensor k_cache = t.tensor("k_cache"), v_cache = t.tensor("v_cache");
  const auto q_norm = a.has_norm_weights() ? f32_values(*t.weight("q_norm")) : nullptr;
  const auto k_norm = a.has_norm_weights() ? f32_values(*t.weight("k_norm")) : nullptr;
  const float* q_scale = a.q_scale ? t.tensor("q_scale").as<float>() : nullptr;
  return dispatch_float(qkv.dtype, [&]<class X>(X*) {
    return dispatch_float(q.dtype, [&]<class Y>(Y*) {
      return dispatch_cache(k_cache.dtype, [&]<class KV>(KV*) {
        return invocation([=] {
          tokens(a, qkv.as<X>(), cos.as<float>(), sin.as<float>(), q_scale,
                 q_norm ? q_norm->view().as<float>() : nullptr, k_norm ? k_norm->view().as<float>() : nullptr,
                 q.as<Y>(), k_cache.as<KV>(), v_cache.as<KV>());
        });
      });
    });
  });
}

}  // namespace

const Variant rope_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows =
        "rotary_dims interleaved qk_norm=1|whole|after|bare eps v_norm v_from_k q_scale x_type=f32|bf16 "
        "y_type=f32|bf16 kv_type=f32|bf16|fp8_e4m3 "
        "w_type=f32|bf16",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost

// One query and head after the other: all scores, softmax, weighted sum. Any case. Every query reads its keys and
// values anew, so long prompts and large groups are slow here.
// SPDX-License-Identifier: Apache-2.0

#include <cmath>
#include <limits>

#include "attention_variants.h"
#include "kernels/attention/attention.h"
#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"

namespace layercost {
namespace {

// Sixteen partial sums: the compiler may vectorise them, and they keep the rounding error low.
template <class X, class KV>
float dot(const X* q, const KV* k, std::int64_t n) {
  constexpr int kLanes = 16;
  float sum[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) sum[j] += load_f32(q + i + j) * load_f32(k + i + j);
  for (; i < n; ++i) sum[i % kLanes] += load_f32(q + i) * load_f32(k + i);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int j = 0; j < half; ++j) sum[j] += sum[j + half];
  return sum[0];
}

template <class X, class KV, class Y>
void queries(const AttentionAxes& a, const X* q, const KV* k_cache, const KV* v_cache, const float* sinks,
             const std::int32_t* selection, float* scratch, Y* y) {
  const float scale = static_cast<float>(a.scale);
  each_piece(a.batch * a.heads * a.q_len, [&](int thread, std::int64_t query, std::int64_t) {
    const std::int64_t b = query / a.q_len / a.heads, h = query / a.q_len % a.heads, i = query % a.q_len;
    float* s = scratch + thread * (a.kv_len + a.v_dim);
    float* out = s + a.kv_len;
    const std::int64_t slots = (b * a.kv_heads + h / a.group()) * a.capacity;
    const std::int64_t row = (b * a.q_len + i) * a.heads + h;
    float max = sinks != nullptr ? sinks[h] : -std::numeric_limits<float>::infinity();
    // Number n of the keys that are seen.
    const std::int32_t* seen = selection != nullptr ? selection + (b * a.q_len + i) * a.selected : nullptr;
    const auto key = [&](std::int64_t n) { return slots + (seen != nullptr ? seen[n] : a.first_key(i) + n); };
    const std::int64_t keys = a.seen_keys(i);
    for (std::int64_t n = 0; n < keys; ++n) {
      s[n] = scale * dot(q + row * a.qk_dim, k_cache + key(n) * a.qk_dim, a.qk_dim);
      max = std::max(max, s[n]);
    }
    float sum = sinks != nullptr ? std::exp(sinks[h] - max) : 0.0f;
    std::fill_n(out, a.v_dim, 0.0f);
    for (std::int64_t n = 0; n < keys; ++n) {
      const float p = std::exp(s[n] - max);
      const KV* v = v_cache + key(n) * a.v_stride();
      sum += p;
      for (std::int64_t d = 0; d < a.v_dim; ++d) out[d] += p * load_f32(v + d);
    }
    for (std::int64_t d = 0; d < a.v_dim; ++d) store_f32(y + row * a.v_dim + d, out[d] / sum);
  });
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const AttentionAxes a = attention_axes(c);
  const int threads = team_threads();
  const Tensor q = t.tensor("q"), k = t.tensor("k_cache"), v = attention_values(a, t), y = t.tensor("y");
  const Tensor selection = a.selected > 0 ? t.tensor("selection") : Tensor{};
  const auto sinks = attention_sinks(a, t);
  const auto scratch = std::make_shared<OwnedTensor>(DType::f32, Shape{threads, a.kv_len + a.v_dim});
  return dispatch_float(q.dtype, [&]<class X>(X*) {
    return dispatch_cache(k.dtype, [&]<class KV>(KV*) {
      return dispatch_float(y.dtype, [&]<class Y>(Y*) {
        return invocation([=] {
          queries(a, q.as<X>(), k.as<KV>(), v.as<KV>(), sinks ? sinks->view().as<float>() : nullptr,
                  selection.as<std::int32_t>(), scratch->view().as<float>(), y.as<Y>());
        });
      });
    });
  });
}

}  // namespace

const Variant attention_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "window chunk uncached shared_kv sinks selected x_type=f32|bf16 kv_type=f32|bf16|fp8_e4m3 y_type=f32|bf16",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost

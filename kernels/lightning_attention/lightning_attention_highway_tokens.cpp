// Token after token, for steps of few: one pass over a head's state, which decays, takes up the key and its value and
// is read by the query row by row, so that it comes from memory once (64 KB at 128 x 128) and goes back once. The next
// state is written past the caches, where vectors are aligned: reading what is to be overwritten would be a third of
// the traffic.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/lightning_attention/lightning_attention_highway_tokens.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <hwy/cache_control.h>

#include <cmath>

#include "kernels/cpu/sigmoid-inl.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/lightning_attention/lightning_attention_highway.h"
#include "lightning_attention_variants.h"

#ifndef LAYERCOST_LIGHTNING_ATTENTION_TOKENS
#define LAYERCOST_LIGHTNING_ATTENTION_TOKENS
namespace layercost {
namespace {

constexpr std::int64_t kRows = 4;  // of the state in one go over the sums

// q, k, v and the sums.
std::int64_t scratch_of(const LightningAttentionAxes& a) { return 4 * padded_to_vectors(a.head_dim); }

}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

// out is padded.
template <class X>
void silu_row(const X* x, std::int64_t n, float* out) {
  for (std::int64_t i = 0; i < n; i += kLanes)
    store(silu(i + kLanes <= n ? load(x + i) : load_n(x + i, n - i)), out + i);
}

// kCount rows of the next state, and what they add to the sums. s == nullptr: there is no state before.
template <int kCount>
HWY_INLINE void update_rows(const float* s, float* next, std::int64_t n, float decay, const float* k, const float* q,
                            const float* v, float* sum, bool past_caches) {
  const F32 d;
  const V decays = hn::Set(d, decay);
  V ks[kCount], qs[kCount];
  for (int r = 0; r < kCount; ++r) ks[r] = hn::Set(d, k[r]), qs[r] = hn::Set(d, q[r]);
  for (std::int64_t j = 0; j < n; j += kLanes) {
    const V value = load(v + j);
    V all = load(sum + j);
    for (int r = 0; r < kCount; ++r) {
      const bool whole = j + kLanes <= n;
      V made = hn::Mul(ks[r], value);
      if (s != nullptr) {
        const float* from = s + r * n + j;
        made = hn::MulAdd(decays, whole ? load(from) : load_n(from, n - j), made);
      }
      all = hn::MulAdd(made, qs[r], all);
      float* to = next + r * n + j;
      if (!whole) store_n(made, to, n - j);
      else if (past_caches) hn::Stream(made, d, to);
      else store(made, to);
    }
    store(all, sum + j);
  }
}

template <class X, class Y>
void head(const LightningAttention& l, std::int64_t b, std::int64_t h, float* scratch) {
  const LightningAttentionAxes& a = l.a;
  const std::int64_t n = a.head_dim, at = (b * a.heads + h) * n * n, wide = padded_to_vectors(n);
  float *q = scratch, *k = q + wide, *v = k + wide, *sum = v + wide;
  float* next = l.next + at;
  const bool aligned = reinterpret_cast<std::uintptr_t>(next) % (4 * kLanes) == 0 && n % kLanes == 0;
  const float decay = std::exp(-l.slopes[h]);
  for (std::int64_t i = 0; i < a.q_len; ++i) {
    const std::int64_t token = b * a.q_len + i;
    const X* row = static_cast<const X*>(l.qkv) + token * a.width();
    const float* s = i > 0 ? next : l.state != nullptr ? l.state + at : nullptr;
    const bool past_caches = aligned && i + 1 == a.q_len;
    silu_row(row + a.q_at(h), n, q);
    silu_row(row + a.k_at(h), n, k);
    silu_row(row + a.v_at(h), n, v);
    for (std::int64_t j = 0; j < n; j += kLanes) store(hn::Zero(F32()), sum + j);
    const auto from = [&](std::int64_t r) { return s != nullptr ? s + r * n : nullptr; };
    std::int64_t r = 0;
    for (; r + kRows <= n; r += kRows)
      update_rows<kRows>(from(r), next + r * n, n, decay, k + r, q + r, v, sum, past_caches);
    for (; r < n; ++r) update_rows<1>(from(r), next + r * n, n, decay, k + r, q + r, v, sum, past_caches);
    Y* y = static_cast<Y*>(l.y) + (token * a.heads + h) * n;
    for (std::int64_t j = 0; j < n; j += kLanes) {
      if (j + kLanes <= n) store(load(sum + j), y + j);
      else store_n(load(sum + j), y + j, n - j);
    }
  }
  hwy::FlushStream();
}

LightningAttentionFunction head_function(DType x, DType y) {
  return dispatch_float(x, [&]<class X>(X*) {
    return dispatch_float(y, [&]<class Y>(Y*) { return LightningAttentionFunction(head<X, Y>); });
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace layercost
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace layercost {
namespace {

HWY_EXPORT(head_function);

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  return lightning_attention_by_heads(c, t, scratch_of(lightning_attention_axes(c)),
                                      HWY_DYNAMIC_DISPATCH(head_function)(c.type("x_type"), c.type("y_type")));
}

}  // namespace

const Variant lightning_attention_highway_tokens{
    .name = "highway_tokens",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 y_type=f32|bf16 continued",
    .make = prepare,
};

}  // namespace layercost
#endif

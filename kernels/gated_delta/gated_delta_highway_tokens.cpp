// Token after token, for steps of few. The state comes from memory once: in the order in which it lies, both of its
// products (with k and with q) are taken in the same pass, because
//   y = q^T S' = decay q^T S + (q . k) delta,   delta = beta (v - decay k^T S),   S' = decay S + k delta^T
// The second pass finds the head's state in the second-level cache (64 KB at 128 x 128) and writes the next one past
// the caches, where vectors are aligned: reading what is to be overwritten would be a third of the traffic.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/gated_delta/gated_delta_highway_tokens.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <hwy/cache_control.h>

#include "gated_delta_variants.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/gated_delta/gated_delta_highway.h"

#ifndef LAYERCOST_GATED_DELTA_TOKENS
#define LAYERCOST_GATED_DELTA_TOKENS
namespace layercost {
namespace {

constexpr std::int64_t kRows = 4;  // of the state in one go over both sums

std::int64_t padded(std::int64_t n) { return (n + 63) / 64 * 64; }
// q, k; k^T S, q^T S, which becomes y; delta.
std::int64_t scratch_of(const GatedDeltaAxes& a) { return 2 * padded(a.key_dim) + 3 * padded(a.value_dim); }

}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

// out = x / sqrt(|x|^2 + eps) * scale
template <class X>
void unit(const X* x, std::int64_t n, float scale, float* out) {
  V squares = hn::Zero(F32());
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const V v = load(x + i);
    squares = hn::MulAdd(v, v, squares);
    store(v, out + i);
  }
  if (i < n) {
    const V v = load_n(x + i, n - i);
    squares = hn::MulAdd(v, v, squares);
    store(v, out + i);  // out is padded
  }
  const V factor = hn::Set(F32(), scale / std::sqrt(sum_of_lanes(squares) + static_cast<float>(kGatedDeltaEps)));
  for (i = 0; i < n; i += kLanes) store(hn::Mul(load(out + i), factor), out + i);
}

// from == nullptr: zeros.
HWY_INLINE V state_at(const float* from, std::int64_t j, std::int64_t n) {
  return j + kLanes <= n ? load(from + j) : load_n(from + j, n - j);
}

// told += sum of `rows` rows of S times k, read += the same times q.
template <int kCount>
HWY_INLINE void rows_times(const float* s, std::int64_t dv, const float* k, const float* q, float* told, float* read) {
  V ks[kCount], qs[kCount];
  for (int r = 0; r < kCount; ++r) ks[r] = hn::Set(F32(), k[r]), qs[r] = hn::Set(F32(), q[r]);
  for (std::int64_t j = 0; j < dv; j += kLanes) {
    V a = load(told + j), b = load(read + j);
    for (int r = 0; r < kCount; ++r) {
      const V v = state_at(s + r * dv, j, dv);
      a = hn::MulAdd(v, ks[r], a);
      b = hn::MulAdd(v, qs[r], b);
    }
    store(a, told + j);
    store(b, read + j);
  }
}

template <class X, class Y>
void head(const GatedDelta& d, std::int64_t b, std::int64_t h, float* scratch) {
  const GatedDeltaAxes& a = d.a;
  const std::int64_t dk = a.key_dim, dv = a.value_dim, at = (b * a.heads + h) * dk * dv;
  float *q = scratch, *k = q + padded(dk), *told = k + padded(dk), *read = told + padded(dv),
        *delta = read + padded(dv);
  float* next = d.next + at;
  const bool past_caches = reinterpret_cast<std::uintptr_t>(next) % (4 * kLanes) == 0 && dv % kLanes == 0;
  for (std::int64_t i = 0; i < a.q_len; ++i) {
    const std::int64_t token = b * a.q_len + i;
    const X* row = static_cast<const X*>(d.qkv) + token * a.width();
    const float* s = i > 0 ? next : d.state != nullptr ? d.state + at : nullptr;
    unit(row + a.q_at(h), dk, 1.0f / std::sqrt(static_cast<float>(dk)), q);
    unit(row + a.k_at(h), dk, 1.0f, k);
    const float decay = std::exp(d.log_decay(token, h)), beta = d.beta(token, h);
    for (std::int64_t j = 0; j < dv; j += kLanes) store(hn::Zero(F32()), told + j), store(hn::Zero(F32()), read + j);
    std::int64_t r = 0;
    if (s != nullptr) {
      for (; r + kRows <= dk; r += kRows) rows_times<kRows>(s + r * dv, dv, k + r, q + r, told, read);
      for (; r < dk; ++r) rows_times<1>(s + r * dv, dv, k + r, q + r, told, read);
    }
    float qk = 0;
    for (r = 0; r < dk; ++r) qk += q[r] * k[r];
    const V decays = hn::Set(F32(), decay), betas = hn::Set(F32(), beta), qks = hn::Set(F32(), qk);
    const X* v = row + a.v_at(h);
    Y* y = static_cast<Y*>(d.y) + (token * a.heads + h) * dv;
    for (std::int64_t j = 0; j < dv; j += kLanes) {
      const bool whole = j + kLanes <= dv;
      const V value = whole ? load(v + j) : load_n(v + j, dv - j);
      const V change = hn::Mul(betas, hn::NegMulAdd(decays, load(told + j), value));
      const V out = hn::MulAdd(decays, load(read + j), hn::Mul(qks, change));
      store(change, delta + j);
      if (whole) store(out, y + j);
      else store_n(out, y + j, dv - j);
    }
    const bool last = i + 1 == a.q_len;
    for (r = 0; r < dk; ++r) {
      const V key = hn::Set(F32(), k[r]);
      for (std::int64_t j = 0; j < dv; j += kLanes) {
        const V change = hn::Mul(key, load(delta + j));
        const V made = s != nullptr ? hn::MulAdd(decays, state_at(s + r * dv, j, dv), change) : change;
        if (j + kLanes > dv) store_n(made, next + r * dv + j, dv - j);
        else if (last && past_caches) hn::Stream(made, F32(), next + r * dv + j);
        else store(made, next + r * dv + j);
      }
    }
  }
  hwy::FlushStream();
}

GatedDeltaFunction head_function(DType x, DType y) {
  return dispatch_float(
      x, [&]<class X>(X*) { return dispatch_float(y, [&]<class Y>(Y*) { return GatedDeltaFunction(head<X, Y>); }); });
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
  return gated_delta_by_heads(c, t, scratch_of(gated_delta_axes(c)),
                              HWY_DYNAMIC_DISPATCH(head_function)(c.type("x_type"), c.type("y_type")));
}

}  // namespace

const Variant gated_delta_highway_tokens{
    .name = "highway_tokens",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 y_type=f32|bf16 continued",
    .make = prepare,
};

}  // namespace layercost
#endif

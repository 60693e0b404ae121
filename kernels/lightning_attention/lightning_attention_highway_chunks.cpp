// Chunks of 64 tokens, as matrix products. With d the head's decay, S the state before the chunk of n tokens
//   y_t = d^(t + 1) q_t^T S + sum_(s <= t) d^(t - s) (q_t . k_s) v_s
//   S'  = d^n S + sum_s d^(n - 1 - s) k_s v_s^T
// No exponent is above zero. Of q k^T only the blocks of the lower triangle are made. A head's chunk at 128 x 128 holds
// 220 KB. Source: Qin et al., "Lightning Attention-2", 2024.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/lightning_attention/lightning_attention_highway_chunks.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <algorithm>
#include <cmath>

#include "kernels/cpu/f32_products-inl.h"
#include "kernels/cpu/sigmoid-inl.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/lightning_attention/lightning_attention_highway.h"
#include "lightning_attention_variants.h"

#ifndef LAYERCOST_LIGHTNING_ATTENTION_CHUNKS
#define LAYERCOST_LIGHTNING_ATTENTION_CHUNKS
namespace layercost {
namespace {

constexpr std::int64_t kChunk = 64;

struct Scratch {
  float *q, *k, *v, *y;  // [kChunk, wide]
  float* k_columns;      // [wide, kChunk]
  float* s;              // [head_dim, wide]
  float* attend;         // [kChunk, kChunk]
  float* powers;         // [kChunk + 1]: of the decay
  Scratch(const LightningAttentionAxes& a, float* p) {
    const std::int64_t wide = padded_to_vectors(a.head_dim);
    for (float** part : {&q, &k, &v, &y, &k_columns}) *part = p, p += kChunk * wide;
    s = p, attend = s + wide * wide, powers = attend + kChunk * kChunk;
  }
};
std::int64_t scratch_of(const LightningAttentionAxes& a) {
  const std::int64_t wide = padded_to_vectors(a.head_dim);
  return 5 * kChunk * wide + wide * wide + kChunk * kChunk + padded_to_vectors(kChunk + 1);
}

}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

// Rows of q, k and v behind silu; what lies behind head_dim in a row is 0.
template <class X>
void read_chunk(const LightningAttention& l, const Scratch& m, std::int64_t first, std::int64_t count, std::int64_t h) {
  const LightningAttentionAxes& a = l.a;
  const std::int64_t n = a.head_dim, wide = padded_to_vectors(n);
  for (std::int64_t t = 0; t < count; ++t) {
    const X* row = static_cast<const X*>(l.qkv) + (first + t) * a.width();
    const auto read = [&](std::int64_t at, float* out) {
      for (std::int64_t i = 0; i < wide; i += kLanes)
        store(i + kLanes <= n ? silu(load(row + at + i))
              : i < n         ? silu(load_n(row + at + i, n - i))
                              : hn::Zero(F32()),
              out + t * wide + i);
    };
    read(a.q_at(h), m.q);
    read(a.k_at(h), m.k);
    read(a.v_at(h), m.v);
  }
  // Rows of four tokens to columns, so that lines are written in runs.
  for (std::int64_t t = 0; t < count; t += 4)
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t u = t; u < std::min(t + 4, count); ++u) m.k_columns[i * kChunk + u] = m.k[u * wide + i];
}

void scale_row(float* row, std::int64_t n, float factor) {
  for (std::int64_t i = 0; i < n; i += kLanes) store(hn::Mul(load(row + i), hn::Set(F32(), factor)), row + i);
}

template <class X, class Y>
void head(const LightningAttention& l, std::int64_t b, std::int64_t h, float* memory) {
  const LightningAttentionAxes& a = l.a;
  const Scratch m(a, memory);
  const std::int64_t n = a.head_dim, wide = padded_to_vectors(n), at = (b * a.heads + h) * n * n;
  for (std::int64_t i = 0; i < n; ++i) {
    std::fill_n(m.s + i * wide, wide, 0.0f);
    if (l.state != nullptr) std::copy_n(l.state + at + i * n, n, m.s + i * wide);
  }
  // In double: what 64 factors round is more than what the sums do.
  for (std::int64_t t = 0; t <= kChunk; ++t)
    m.powers[t] = static_cast<float>(std::exp(-static_cast<double>(l.slopes[h]) * static_cast<double>(t)));
  for (std::int64_t begin = 0; begin < a.q_len; begin += kChunk) {
    const std::int64_t count = std::min(kChunk, a.q_len - begin), first = b * a.q_len + begin;
    read_chunk<X>(l, m, first, count, h);
    product(count, count, n, {m.q, wide, 1}, m.k_columns, kChunk, 0.0f, m.attend, kChunk, true);
    for (std::int64_t t = 0; t < count; ++t) {
      float* const row = m.attend + t * kChunk;
      for (std::int64_t s = 0; s <= t; ++s) row[s] *= m.powers[t - s];
      std::fill(row + t + 1, row + kChunk, 0.0f);
      scale_row(m.q + t * wide, wide, m.powers[t + 1]);
    }
    product(count, wide, n, {m.q, wide, 1}, m.s, wide, 0.0f, m.y, wide);
    product_below(count, wide, m.attend, kChunk, m.v, wide, m.y, wide);
    for (std::int64_t t = 0; t < count; ++t) {
      Y* y = static_cast<Y*>(l.y) + ((first + t) * a.heads + h) * n;
      for (std::int64_t j = 0; j < n; j += kLanes) {
        const V v = load(m.y + t * wide + j);
        if (j + kLanes <= n) store(v, y + j);
        else store_n(v, y + j, n - j);
      }
      scale_row(m.k + t * wide, wide, m.powers[count - 1 - t]);
    }
    product(n, wide, count, {m.k, 1, wide}, m.v, wide, m.powers[count], m.s, wide);
  }
  for (std::int64_t i = 0; i < n; ++i) std::copy_n(m.s + i * wide, n, l.next + at + i * n);
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

// A chunk of one token makes products of one row.
bool prefers(const OpCase& c, const DeviceInfo&) { return c.axis("q_len") >= 8; }

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  return lightning_attention_by_heads(c, t, scratch_of(lightning_attention_axes(c)),
                                      HWY_DYNAMIC_DISPATCH(head_function)(c.type("x_type"), c.type("y_type")));
}

}  // namespace

const Variant lightning_attention_highway_chunks{
    .name = "highway_chunks",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 y_type=f32|bf16 continued",
    .prefers = prefers,
    .make = prepare,
};

}  // namespace layercost
#endif

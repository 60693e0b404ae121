// Chunks of 64 tokens, as matrix products. With g_t the sum of the log decays from the chunk's first token to t, S the
// state before the chunk, and the delta of token t
//   u_t = beta_t (v_t - e^g_t k_t^T S) - sum_(s < t) beta_t e^(g_t - g_s) (k_t . k_s) u_s       (solved row by row)
//   y_t = e^g_t q_t^T S + sum_(s <= t) e^(g_t - g_s) (q_t . k_s) u_s
//   S'  = e^g_last S + sum_s e^(g_last - g_s) k_s u_s^T
// No exponent is above zero. Of the products only the blocks of the lower triangle are made. A head's chunk at 128 x
// 128 holds 270 KB. Source: Yang et al., "Parallelizing Linear Transformers with the Delta Rule over Sequence Length",
// 2024.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/gated_delta/gated_delta_highway_chunks.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <hwy/contrib/math/math-inl.h>

#include <algorithm>

#include "gated_delta_variants.h"
#include "kernels/cpu/f32_products-inl.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/gated_delta/gated_delta_highway.h"

#ifndef LAYERCOST_GATED_DELTA_CHUNKS
#define LAYERCOST_GATED_DELTA_CHUNKS
namespace layercost {
namespace {

constexpr std::int64_t kChunk = 64;

struct Scratch {
  float *q, *k, *k_columns;  // [kChunk, padded_to_vectors(key_dim)] twice, [padded_to_vectors(key_dim), kChunk]
  float *u, *y, *s;          // [kChunk, padded_to_vectors(value_dim)] twice, [key_dim, padded_to_vectors(value_dim)]
  float *solve, *attend;     // [kChunk, kChunk]: what deltas, what outputs are made of
  float *sum, *rest;         // [kChunk]: log decays up to a token, as two floats: strong ones would cost their weak
                             // neighbours' digits
  float *decay, *beta;       // [kChunk]: e^sum, betas
  Scratch(const GatedDeltaAxes& a, float* p) {
    const std::int64_t dk = padded_to_vectors(a.key_dim), dv = padded_to_vectors(a.value_dim);
    const auto take = [&p](std::int64_t n) {
      float* const at = p;
      p += n;
      return at;
    };
    q = take(kChunk * dk), k = take(kChunk * dk), k_columns = take(kChunk * dk);
    u = take(kChunk * dv), y = take(kChunk * dv), s = take(dk * dv);
    solve = take(kChunk * kChunk), attend = take(kChunk * kChunk);
    sum = take(kChunk), rest = take(kChunk), decay = take(kChunk), beta = take(kChunk);
  }
};
std::int64_t scratch_of(const GatedDeltaAxes& a) {
  const std::int64_t dk = padded_to_vectors(a.key_dim), dv = padded_to_vectors(a.value_dim);
  return kChunk * (3 * dk + 2 * dv + 2 * kChunk + 4) + dk * dv;
}

}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

// out = x / sqrt(|x|^2 + eps) * scale, zeros behind it up to whole vectors.
template <class X>
void unit(const X* x, std::int64_t n, float scale, float* out) {
  V squares = hn::Zero(F32());
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const V v = i + kLanes <= n ? load(x + i) : load_n(x + i, n - i);
    squares = hn::MulAdd(v, v, squares);
    store(v, out + i);
  }
  const V factor = hn::Set(F32(), scale / std::sqrt(sum_of_lanes(squares) + static_cast<float>(kGatedDeltaEps)));
  for (std::int64_t i = 0; i < n; i += kLanes) store(hn::Mul(load(out + i), factor), out + i);
}

void scale_row(float* row, std::int64_t n, float factor) {
  for (std::int64_t i = 0; i < n; i += kLanes) store(hn::Mul(load(row + i), hn::Set(F32(), factor)), row + i);
}

// row[s] *= factor * e^(sum[t] - sum[s]) for s < end, 0 behind, up to a whole row.
void decay_row(const Scratch& m, std::int64_t t, std::int64_t end, float factor, float* row) {
  const F32 d;
  const V own = hn::Set(d, m.sum[t]), own_rest = hn::Set(d, m.rest[t]), factors = hn::Set(d, factor);
  for (std::int64_t s = 0; s < kChunk; s += kLanes) {
    if (s >= end) {
      store(hn::Zero(d), row + s);
      continue;
    }
    const V since = hn::Add(hn::Sub(own, load(m.sum + s)), hn::Sub(own_rest, load(m.rest + s)));
    const V e = hn::Exp(d, hn::Min(since, hn::Zero(d)));
    const V value = hn::Mul(hn::Mul(load(row + s), factors), e);
    const auto in = hn::Lt(hn::Iota(d, static_cast<float>(s)), hn::Set(d, static_cast<float>(end)));
    store(hn::IfThenElseZero(in, value), row + s);
  }
}

template <class X>
void read_chunk(const GatedDelta& d, const Scratch& m, std::int64_t first, std::int64_t n, std::int64_t h) {
  const GatedDeltaAxes& a = d.a;
  const std::int64_t dk = padded_to_vectors(a.key_dim);
  double sum = 0;
  for (std::int64_t t = 0; t < n; ++t) {
    const X* row = static_cast<const X*>(d.qkv) + (first + t) * a.width();
    unit(row + a.q_at(h), a.key_dim, 1.0f / std::sqrt(static_cast<float>(a.key_dim)), m.q + t * dk);
    unit(row + a.k_at(h), a.key_dim, 1.0f, m.k + t * dk);
    sum += static_cast<double>(d.log_decay(first + t, h));
    m.sum[t] = static_cast<float>(sum);
    m.rest[t] = static_cast<float>(sum - static_cast<double>(m.sum[t]));
    m.decay[t] = std::exp(m.sum[t]), m.beta[t] = d.beta(first + t, h);
  }
  // Rows of four tokens to columns, so that lines are written in runs.
  for (std::int64_t t = 0; t < n; t += 4)
    for (std::int64_t i = 0; i < a.key_dim; ++i)
      for (std::int64_t u = t; u < std::min(t + 4, n); ++u) m.k_columns[i * kChunk + u] = m.k[u * dk + i];
}

template <class X, class Y>
void head(const GatedDelta& d, std::int64_t b, std::int64_t h, float* memory) {
  const GatedDeltaAxes& a = d.a;
  const Scratch m(a, memory);
  const std::int64_t dk = padded_to_vectors(a.key_dim), dv = padded_to_vectors(a.value_dim),
                     at = (b * a.heads + h) * a.key_dim * a.value_dim;
  for (std::int64_t i = 0; i < a.key_dim; ++i) {
    std::fill_n(m.s + i * dv, dv, 0.0f);
    if (d.state != nullptr) std::copy_n(d.state + at + i * a.value_dim, a.value_dim, m.s + i * dv);
  }
  for (std::int64_t begin = 0; begin < a.q_len; begin += kChunk) {
    const std::int64_t n = std::min(kChunk, a.q_len - begin), first = b * a.q_len + begin;
    read_chunk<X>(d, m, first, n, h);
    product(n, n, a.key_dim, {m.k, dk, 1}, m.k_columns, kChunk, 0.0f, m.solve, kChunk, true);
    product(n, n, a.key_dim, {m.q, dk, 1}, m.k_columns, kChunk, 0.0f, m.attend, kChunk, true);
    for (std::int64_t t = 0; t < n; ++t) {
      decay_row(m, t, t, -m.beta[t], m.solve + t * kChunk);
      decay_row(m, t, t + 1, 1.0f, m.attend + t * kChunk);
      scale_row(m.q + t * dk, dk, m.decay[t]);
    }
    product(n, dv, a.key_dim, {m.k, dk, 1}, m.s, dv, 0.0f, m.u, dv);
    product(n, dv, a.key_dim, {m.q, dk, 1}, m.s, dv, 0.0f, m.y, dv);
    for (std::int64_t t = 0; t < n; ++t) {
      const X* v = static_cast<const X*>(d.qkv) + (first + t) * a.width() + a.v_at(h);
      const V decays = hn::Set(F32(), m.decay[t]), betas = hn::Set(F32(), m.beta[t]);
      for (std::int64_t j = 0; j < a.value_dim; j += kLanes) {
        const V value = j + kLanes <= a.value_dim ? load(v + j) : load_n(v + j, a.value_dim - j);
        float* const u = m.u + t * dv + j;
        store(hn::Mul(betas, hn::NegMulAdd(decays, load(u), value)), u);
      }
    }
    for (std::int64_t r = 0; r < n; r += kTileRows) {
      const std::int64_t count = std::min(kTileRows, n - r);
      if (r > 0) few_rows(count, dv, r, {m.solve + r * kChunk, kChunk, 1}, m.u, dv, 1.0f, m.u + r * dv, dv);
      for (std::int64_t t = r + 1; t < r + count; ++t)
        rows_of_tiles<1>(dv, t - r, {m.solve + t * kChunk + r, kChunk, 1}, m.u + r * dv, dv, 1.0f, m.u + t * dv, dv);
    }
    product_below(n, dv, m.attend, kChunk, m.u, dv, m.y, dv);
    for (std::int64_t t = 0; t < n; ++t) {
      Y* y = static_cast<Y*>(d.y) + ((first + t) * a.heads + h) * a.value_dim;
      for (std::int64_t j = 0; j < a.value_dim; j += kLanes) {
        const V v = load(m.y + t * dv + j);
        if (j + kLanes <= a.value_dim) store(v, y + j);
        else store_n(v, y + j, a.value_dim - j);
      }
      scale_row(m.k + t * dk, dk, std::exp(m.sum[n - 1] - m.sum[t] + (m.rest[n - 1] - m.rest[t])));
    }
    product(a.key_dim, dv, n, {m.k, 1, dk}, m.u, dv, m.decay[n - 1], m.s, dv);
  }
  for (std::int64_t i = 0; i < a.key_dim; ++i) std::copy_n(m.s + i * dv, a.value_dim, d.next + at + i * a.value_dim);
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

// A chunk of one token does what highway_tokens does in half the work.
bool prefers(const OpCase& c, const DeviceInfo&) { return c.axis("q_len") >= 8; }

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  return gated_delta_by_heads(c, t, scratch_of(gated_delta_axes(c)),
                              HWY_DYNAMIC_DISPATCH(head_function)(c.type("x_type"), c.type("y_type")));
}

}  // namespace

const Variant gated_delta_highway_chunks{
    .name = "highway_chunks",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 y_type=f32|bf16 continued",
    .prefers = prefers,
    .make = prepare,
};

}  // namespace layercost
#endif

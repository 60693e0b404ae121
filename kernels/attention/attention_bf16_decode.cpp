// Many heads on one key: the products of latent attention, 16 heads of 576 and 512 dims or more on every key, are some
// 30 flops for each byte of the cache, and want the processor's bf16 products (AVX-512-BF16).
//
// A task is one chunk of keys of one kv head for all rows (query and head) of its group, in blocks of 64 keys and tiles
// of 16 rows. Scores: a vector holds one pair of dims of the 16 rows, packed once; a pair of a key's dims is broadcast
// from where it lies: no key is rearranged, and a vector of scores is one key's for 16 rows, so that the softmax goes
// over vectors and never along one. Values: the elements of two keys are interleaved into pairs, a pair of weights is
// broadcast. Interleaving leaves the columns of 32 in another order, in which sums stay until the end.
// Weights are rounded to bf16, as values are.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "attention_variants.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/attention_highway.h"
#include "kernels/contract/dispatch.h"
#include "kernels/cpu/bf16_tiles.h"

#if defined(__x86_64__)
// GCC 12 sees values without a beginning in its own header: those of lanes that no mask leaves.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#define LAYERCOST_AVX512_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#endif

namespace layercost {
namespace {

constexpr std::int64_t kTile = 16;     // rows to a vector
constexpr std::int64_t kColumns = 32;  // of values at a time
constexpr std::int64_t kGroup = 16;    // keys whose scores are summed at once
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Decode {
  AttentionAxes a;
  const bf16 *q, *k_cache, *v_cache;
  const float* sinks = nullptr;             // null: none
  std::int64_t chunks = 0, chunk_keys = 0;  // per kv head; whole blocks

  std::int64_t rows() const { return a.q_len * a.group(); }
  std::int64_t tiles() const { return ceil_div(rows(), kTile); }
  std::int64_t kv_heads() const { return a.batch * a.kv_heads; }
  // Packed queries of a tile: [qk_dim / 2][16][2].
  std::int64_t tile_elements() const { return kTile * a.qk_dim; }
  // A task's result, of tiles() x 16 rows: sums [rows, v_dim], maxima, sums of weights.
  std::int64_t partial_floats() const { return tiles() * kTile * (a.v_dim + 2); }
  // Flat index of a row in q and y, which are [batch, q_len, heads].
  std::int64_t row_of(std::int64_t kv_head, std::int64_t row) const {
    const std::int64_t b = kv_head / a.kv_heads, g = kv_head % a.kv_heads;
    return (b * a.q_len + row / a.group()) * a.heads + g * a.group() + row % a.group();
  }
};

// A thread's own.
struct Scratch {
  float* scores;           // [64][16]
  std::uint32_t* weights;  // [32][16] pairs of bf16
  float* factors;          // [16]
  bf16* keys;              // [16][qk_dim]: a last group with fewer keys, the rest zeros
};

void pack_queries(const Decode& d, std::int64_t kv_head, std::int64_t tile, bf16* out) {
  for (std::int64_t r = 0; r < kTile; ++r) {
    const std::int64_t row = tile * kTile + r;
    const bf16* from = row < d.rows() ? d.q + d.row_of(kv_head, row) * d.a.qk_dim : nullptr;
    for (std::int64_t i = 0; i < d.a.qk_dim / 2; ++i) {
      if (from != nullptr) std::memcpy(out + (i * kTile + r) * 2, from + 2 * i, 2 * sizeof(bf16));
      else std::fill_n(out + (i * kTile + r) * 2, 2, bf16{});
    }
  }
}

#if defined(__x86_64__)

LAYERCOST_AVX512_BF16 inline __attribute__((always_inline)) __m512bh broadcast(const char* p) {
  std::int32_t pair;
  std::memcpy(&pair, p, sizeof pair);
  return reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
}

// out[key][row] = q . k of 16 keys that lie `stride` bytes apart, asking for as many keys from `ahead` on.
LAYERCOST_AVX512_BF16 void multiply(const bf16* q, std::int64_t pairs, const char* k, std::int64_t stride,
                                    const char* ahead, float* out) {
  __m512 sum[kGroup];
  for (auto& s : sum) s = _mm512_setzero_ps();
  constexpr std::int64_t kLine = 16;  // pairs to a cache line
  for (std::int64_t first = 0; first < pairs; first += kLine) {
    const std::int64_t end = std::min(pairs, first + kLine);
    for (std::int64_t key = 0; key < kGroup; ++key) _mm_prefetch(ahead + key * stride + 4 * first, _MM_HINT_T0);
    for (std::int64_t i = first; i < end; ++i) {
      const auto v = reinterpret_cast<__m512bh>(_mm512_loadu_si512(q + i * 2 * kTile));
      // Four bases of four keys each: what the address of an instruction can say.
#pragma GCC unroll 4
      for (int four = 0; four < 4; ++four) {
        const char* p = k + 4 * four * stride + 4 * i;
        sum[4 * four] = _mm512_dpbf16_ps(sum[4 * four], v, broadcast(p));
        sum[4 * four + 1] = _mm512_dpbf16_ps(sum[4 * four + 1], v, broadcast(p + stride));
        sum[4 * four + 2] = _mm512_dpbf16_ps(sum[4 * four + 2], v, broadcast(p + 2 * stride));
        sum[4 * four + 3] = _mm512_dpbf16_ps(sum[4 * four + 3], v, broadcast(p + 3 * stride));
      }
    }
  }
  for (int key = 0; key < kGroup; ++key) _mm512_store_ps(out + key * kTile, sum[key]);
}

// 2^x for x <= 0, relative error 2e-7; 0 from -150 down.
LAYERCOST_AVX512_BF16 inline __attribute__((always_inline)) __m512 exp2_of(__m512 x) {
  x = _mm512_max_ps(x, _mm512_set1_ps(-200.0f));
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_sub_ps(x, whole);
  // ln(2)^n / n!
  __m512 p = _mm512_set1_ps(1.5403530e-4f);
  for (const float c : {1.3333558e-3f, 9.6181291e-3f, 5.5504109e-2f, 2.4022651e-1f, 6.9314718e-1f, 1.0f})
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(c));
  return _mm512_scalef_ps(p, whole);
}

// Nearest bf16 of two vectors as pairs: a in the lower half of each word, b in the upper.
LAYERCOST_AVX512_BF16 inline __attribute__((always_inline)) __m512i pairs_of(__m512 a, __m512 b) {
  const __m512i low = _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(a)));
  const __m512i high = _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(b)));
  return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

// The scores of a block of keys of one tile to weights. first, end: which keys of the block each row sees.
LAYERCOST_AVX512_BF16 void soften(const Scratch& s, std::int64_t keys, bool masked, __m512i first, __m512i end,
                                  float scale, float* max, float* sum) {
  const __m512 factor = _mm512_set1_ps(scale);
  __m512 m = _mm512_loadu_ps(max);
  const __m512 before = m;
  const std::int64_t even = (keys + 1) / 2 * 2;
  for (std::int64_t j = 0; j < even; ++j) {
    __m512 v = _mm512_mul_ps(_mm512_load_ps(s.scores + j * kTile), factor);
    if (masked) {
      const __m512i at = _mm512_set1_epi32(static_cast<int>(j));
      const __mmask16 sees =
          static_cast<__mmask16>(_mm512_cmple_epi32_mask(first, at) & _mm512_cmplt_epi32_mask(at, end));
      v = _mm512_mask_blend_ps(sees, _mm512_set1_ps(-kInfinity), v);
    }
    m = _mm512_max_ps(m, v);
    _mm512_store_ps(s.scores + j * kTile, v);
  }
  // While a row has seen no key its maximum is -inf, and -inf - -inf would be NaN.
  const __mmask16 none = _mm512_cmp_ps_mask(m, _mm512_set1_ps(-kInfinity), _CMP_EQ_OQ);
  const __m512 shift = _mm512_mask_blend_ps(none, m, _mm512_setzero_ps());
  const __m512 keep = exp2_of(_mm512_sub_ps(before, shift));
  __m512 total = _mm512_mul_ps(_mm512_loadu_ps(sum), keep);
  for (std::int64_t j = 0; j < even; j += 2) {
    const __m512 a = exp2_of(_mm512_sub_ps(_mm512_load_ps(s.scores + j * kTile), shift));
    const __m512 b = exp2_of(_mm512_sub_ps(_mm512_load_ps(s.scores + (j + 1) * kTile), shift));
    total = _mm512_add_ps(total, _mm512_add_ps(a, b));
    _mm512_store_si512(s.weights + j / 2 * kTile, pairs_of(a, b));
  }
  _mm512_storeu_ps(s.factors, keep);
  _mm512_storeu_ps(max, m);
  _mm512_storeu_ps(sum, total);
}

// sums[r] of kRows rows and 32 columns: times factors[r], plus weights times values.
template <int kRows>
LAYERCOST_AVX512_BF16 void weigh(const std::uint32_t* weights, const float* factors, std::int64_t keys, const bf16* v,
                                 std::int64_t v_stride, float* sums, std::int64_t sums_stride) {
  __m512 low[kRows], high[kRows];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const __m512 f = _mm512_set1_ps(factors[r]);
    low[r] = _mm512_mul_ps(f, _mm512_loadu_ps(sums + r * sums_stride));
    high[r] = _mm512_mul_ps(f, _mm512_loadu_ps(sums + r * sums_stride + 16));
  }
  for (std::int64_t j = 0; j < keys; j += 2) {
    const __m512i a = _mm512_loadu_si512(v + j * v_stride);
    // Behind the last key the last key again, with a weight of 0.
    const __m512i b = _mm512_loadu_si512(v + std::min(j + 1, keys - 1) * v_stride);
    const auto v_low = reinterpret_cast<__m512bh>(_mm512_unpacklo_epi16(a, b));
    const auto v_high = reinterpret_cast<__m512bh>(_mm512_unpackhi_epi16(a, b));
    const char* w = reinterpret_cast<const char*>(weights + j / 2 * kTile);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m512bh both = broadcast(w + 4 * r);
      low[r] = _mm512_dpbf16_ps(low[r], v_low, both);
      high[r] = _mm512_dpbf16_ps(high[r], v_high, both);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    _mm512_storeu_ps(sums + r * sums_stride, low[r]);
    _mm512_storeu_ps(sums + r * sums_stride + 16, high[r]);
  }
}

LAYERCOST_AVX512_BF16 void chunk(const Decode& d, const bf16* packed, std::int64_t kv_head, std::int64_t index,
                                 const Scratch& s, float* partial) {
  const AttentionAxes& a = d.a;
  const std::int64_t padded = d.tiles() * kTile, pairs = a.qk_dim / 2;
  float *sums = partial, *max = sums + padded * a.v_dim, *sum = max + padded;
  std::fill(sums, max, 0.0f);
  std::fill_n(max, padded, -kInfinity);
  std::fill_n(sum, padded, 0.0f);
  const bf16* k = d.k_cache + kv_head * a.capacity * a.qk_dim;
  const bf16* v = d.v_cache + kv_head * a.capacity * a.v_stride();
  const auto scale = static_cast<float>(a.scale * 1.4426950408889634);  // weights are powers of 2
  const std::int64_t begin = a.first_key(0) + index * d.chunk_keys, end = std::min(a.kv_len, begin + d.chunk_keys);
  const auto stride = static_cast<std::int64_t>(sizeof(bf16)) * a.qk_dim;

  for (std::int64_t block = begin; block < end; block += kKeysPerBlock) {
    const std::int64_t keys = std::min(kKeysPerBlock, end - block);
    // Every query sees all of it, if the first and the last one do.
    const bool masked = keys < kKeysPerBlock || a.end_key(0) < block + keys || a.first_key(a.q_len - 1) > block;
    for (std::int64_t tile = 0; tile < d.tiles(); ++tile) {
      const bf16* q = packed + tile * d.tile_elements();
      for (std::int64_t j = 0; j < keys; j += kGroup) {
        const std::int64_t here = std::min(kGroup, keys - j);
        const bf16* from = k + (block + j) * a.qk_dim;
        const auto* next = reinterpret_cast<const char*>(from) + (tile == 0 ? kGroup : 0) * stride;
        if (here < kGroup) {
          std::copy_n(from, here * a.qk_dim, s.keys);
          std::fill(s.keys + here * a.qk_dim, s.keys + kGroup * a.qk_dim, bf16{});
          from = s.keys;
        }
        multiply(q, pairs, reinterpret_cast<const char*>(from), stride, next, s.scores + j * kTile);
      }
      alignas(64) std::int32_t first_of[kTile], end_of[kTile];
      for (std::int64_t r = 0; masked && r < kTile; ++r) {
        const std::int64_t query = std::min(a.q_len - 1, (tile * kTile + r) / a.group());
        first_of[r] = static_cast<std::int32_t>(std::max<std::int64_t>(0, a.first_key(query) - block));
        end_of[r] = static_cast<std::int32_t>(std::clamp<std::int64_t>(a.end_key(query) - block, 0, keys));
      }
      soften(s, keys, masked, masked ? _mm512_load_si512(first_of) : _mm512_setzero_si512(),
             masked ? _mm512_load_si512(end_of) : _mm512_setzero_si512(), scale, max + tile * kTile,
             sum + tile * kTile);
      const std::int64_t rows = std::min(kTile, d.rows() - tile * kTile);
      for (std::int64_t column = 0; column < a.v_dim; column += kColumns) {
        float* to = sums + tile * kTile * a.v_dim + column;
        const bf16* values = v + block * a.v_stride() + column;
        for (std::int64_t r = 0; r < rows; r += 8) {
          if (rows - r > 4)
            weigh<8>(s.weights + r, s.factors + r, keys, values, a.v_stride(), to + r * a.v_dim, a.v_dim);
          else weigh<4>(s.weights + r, s.factors + r, keys, values, a.v_stride(), to + r * a.v_dim, a.v_dim);
        }
      }
    }
  }
}

#else

void chunk(const Decode&, const bf16*, std::int64_t, std::int64_t, const Scratch&, float*) {}  // supports() has refused

#endif

// Where element e of 32 lies after interleaving in parts of 128 bits: the first vector has elements 0 - 3, 8 - 11 ...
constexpr std::int64_t place_of(std::int64_t e) { return e / 8 * 4 + e % 4 + (e % 8 < 4 ? 0 : 16); }

// y of one row from the chunks of its kv head. sums: v_dim floats.
template <class Y>
void finish(const Decode& d, const float* partials, std::int64_t kv_head, std::int64_t row, float* sums, Y* y) {
  const std::int64_t dim = d.a.v_dim, padded = d.tiles() * kTile;
  const auto of = [&](std::int64_t i) { return partials + (kv_head * d.chunks + i) * d.partial_floats(); };
  float max = -kInfinity, total = 0;
  for (std::int64_t i = 0; i < d.chunks; ++i) max = std::max(max, of(i)[padded * dim + row]);
  if (d.sinks != nullptr) {
    const float sink = d.sinks[d.row_of(kv_head, row) % d.a.heads] * 1.44269504f;  // weights are powers of 2
    max = std::max(max, sink);
    total = std::exp2(sink - max);
  }
  std::fill_n(sums, dim, 0.0f);
  for (std::int64_t i = 0; i < d.chunks; ++i) {
    const float *partial = of(i), factor = std::exp2(partial[padded * dim + row] - max);
    total += factor * partial[padded * (dim + 1) + row];
    for (std::int64_t e = 0; e < dim; ++e) sums[e] += factor * partial[row * dim + e];
  }
  y += d.row_of(kv_head, row) * dim;
  for (std::int64_t e = 0; e < dim; ++e)
    store_f32(y + e, sums[e / kColumns * kColumns + place_of(e % kColumns)] / total);
}

Support supports(const OpCase& c, const DeviceInfo& device) {
  const AttentionAxes a = attention_axes(c);
  if (!has_tile_product(device)) return Support::no("needs AVX-512-BF16");
  if (a.qk_dim % 2 != 0 || a.v_dim % kColumns != 0)
    return Support::no(
        fmt::format("an even qk_dim and a v_dim of whole {}, this case has {} and {}", kColumns, a.qk_dim, a.v_dim));
  return Support::yes();
}

// Up to 64 rows as highway_decode; with values in the keys there is no other variant for more.
bool prefers(const OpCase& c, const DeviceInfo&) {
  constexpr std::int64_t kLeastRows = 5;
  const AttentionAxes a = attention_axes(c);
  return a.shared_kv && a.q_len * a.group() >= kLeastRows;
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const Tensor& y = t.tensor("y");
  const int threads = omp_get_max_threads();
  Decode d{attention_axes(c), t.tensor("q").as<bf16>(), t.tensor("k_cache").as<bf16>(), nullptr};
  d.v_cache = attention_values(d.a, t).as<bf16>();
  const auto sinks = attention_sinks(d.a, t);
  if (sinks) d.sinks = sinks->view().as<float>();
  // Four tasks per thread even out unequal threads; below two blocks a chunk is hardly more than its overhead.
  const std::int64_t blocks = ceil_div(d.a.kv_len - d.a.first_key(0), kKeysPerBlock);
  const std::int64_t wanted = std::clamp<std::int64_t>(ceil_div(4 * threads, d.kv_heads()), 1, ceil_div(blocks, 2));
  d.chunk_keys = ceil_div(blocks, wanted) * kKeysPerBlock;
  d.chunks = ceil_div(blocks * kKeysPerBlock, d.chunk_keys);
  // In floats, whole cache lines.
  const std::int64_t scores = kKeysPerBlock * kTile, weights = kKeysPerBlock / 2 * kTile,
                     keys = ceil_div(kGroup * d.a.qk_dim, 32) * 16, sums = ceil_div(d.a.v_dim, 16) * 16;
  const std::int64_t own = scores + weights + kTile + keys + sums;
  const auto scratch = std::make_shared<OwnedTensor>(DType::f32, Shape{threads, own});
  const auto packed = std::make_shared<OwnedTensor>(DType::bf16, Shape{d.kv_heads(), d.tiles(), d.tile_elements()});
  const auto partials = std::make_shared<OwnedTensor>(DType::f32, Shape{d.kv_heads(), d.chunks, d.partial_floats()});
  return dispatch_float(y.dtype, [&]<class Y>(Y*) {
    return invocation(
        [=, to = y.as<Y>(), kept = sinks] {
          bf16* queries = packed->view().as<bf16>();
          float* results = partials->view().as<float>();
#pragma omp parallel num_threads(threads)
          {
            float* mine = scratch->view().as<float>() + omp_get_thread_num() * own;
            const Scratch s{mine, reinterpret_cast<std::uint32_t*>(mine + scores), mine + scores + weights,
                            reinterpret_cast<bf16*>(mine + scores + weights + kTile)};
            float* sums_of_row = mine + scores + weights + kTile + keys;
#pragma omp for collapse(2) schedule(static)
            for (std::int64_t head = 0; head < d.kv_heads(); ++head)
              for (std::int64_t tile = 0; tile < d.tiles(); ++tile)
                pack_queries(d, head, tile, queries + (head * d.tiles() + tile) * d.tile_elements());
#pragma omp for collapse(2) schedule(dynamic)
            for (std::int64_t head = 0; head < d.kv_heads(); ++head)
              for (std::int64_t i = 0; i < d.chunks; ++i)
                chunk(d, queries + head * d.tiles() * d.tile_elements(), head, i, s,
                      results + (head * d.chunks + i) * d.partial_floats());
#pragma omp for collapse(2) schedule(static) nowait
            for (std::int64_t head = 0; head < d.kv_heads(); ++head)
              for (std::int64_t row = 0; row < d.rows(); ++row) finish(d, results, head, row, sums_of_row, to);
          }
        },
        fmt::format("AVX-512-BF16, {} chunks of {} keys", d.chunks, d.chunk_keys));
  });
}

}  // namespace

const Variant attention_bf16_decode{
    .name = "bf16_decode",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "window uncached shared_kv sinks x_type=bf16 kv_type=bf16 y_type=bf16",
    .supports = supports,
    .prefers = prefers,
    .make = prepare,
};

}  // namespace layercost

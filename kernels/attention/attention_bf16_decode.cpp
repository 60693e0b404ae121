// Few queries, many keys, by the processor's bf16 products (AVX-512-BF16): of grouped heads, where widening every key
// and value to f32 would take longer than reading them, and of latent attention, some 30 flops for each byte of the
// cache.
//
// A task is one chunk of keys of one kv head for all rows (query and head) of its group, in blocks of 64 keys. A vector
// holds R rows, 16 or as few as there are (1, 2, 4, 8), times S = 16 / R pairs of dims; queries are packed so once.
// Scores: S pairs of a key's dims are broadcast from where they lie, and what the lanes of a row have summed is added
// up for S keys at once, whose scores then are that row's lanes: no key is rearranged, and the softmax goes over
// vectors.
// Values: the elements of two keys are interleaved into pairs, a pair of weights is broadcast. Interleaving leaves the
// columns of 32 in another order, in which sums stay until the end. Weights are rounded to bf16, as values are.
//
// fp8_e4m3: a table of 128 has the two bytes of every code's bf16 (AVX-512-VBMI); 16 keys, then the block's values are
// made so, and stay in the first-level cache.
//
// What is read is asked for twice, 64 keys ahead for the second-level cache and a few keys ahead for the first: with
// one request each, for the first, bf16 at 1, 4 and 8 heads came at 16, 15 and 10 GB/s.
//
// 32768 keys of 128 dims, 8 kv heads, 2 threads of an EPYC that read 36 GB/s; 1, 4, 8 and 16 heads to a kv head: bf16
// 26, 31, 30 and 18 GB/s; fp8_e4m3 32, 18, 12 and 9 GB/s of half as many bytes.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "attention_variants.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/attention_highway.h"
#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/bf16_tiles.h"

#if defined(__x86_64__)
// GCC 12 sees values without a beginning in its own header: those of lanes that no mask leaves.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#define LAYERCOST_AVX512_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#endif

namespace layercost {
namespace {

constexpr std::int64_t kLanes = 16;
constexpr std::int64_t kColumns = 32;  // of values at a time
constexpr std::int64_t kGroup = 16;    // keys whose scores are summed at once
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Decode {
  AttentionAxes a;
  const bf16* q;
  const void *k_cache, *v_cache;
  const float* sinks = nullptr;             // null: none
  std::int64_t chunks = 0, chunk_keys = 0;  // per kv head; whole blocks
  std::int64_t split = 1;                   // S

  std::int64_t tile() const { return kLanes / split; }  // R
  std::int64_t rows() const { return a.q_len * a.group(); }
  std::int64_t tiles() const { return ceil_div(rows(), tile()); }
  std::int64_t kv_heads() const { return a.batch * a.kv_heads; }
  // Packed queries of a tile: [qk_dim / 2 / S][16][2].
  std::int64_t tile_elements() const { return tile() * a.qk_dim; }
  // A task's result: sums [tiles() R][v_dim], then of each tile's lanes maxima and sums of weights, [tiles()][16] each.
  std::int64_t sum_floats() const { return tiles() * tile() * a.v_dim; }
  std::int64_t partial_floats() const { return sum_floats() + 2 * tiles() * kLanes; }
  // Flat index of a row in q and y, which are [batch, q_len, heads].
  std::int64_t row_of(std::int64_t kv_head, std::int64_t row) const {
    const std::int64_t b = kv_head / a.kv_heads, g = kv_head % a.kv_heads;
    return (b * a.q_len + row / a.group()) * a.heads + g * a.group() + row % a.group();
  }
};

// Which row of its tile a lane of scores belongs to, and which of S keys.
constexpr std::int64_t row_of_lane(std::int64_t split, std::int64_t lane) {
  return split == 16 ? 0 : split == 8 ? lane / 4 % 2 : lane / split;
}
constexpr std::int64_t key_of_lane(std::int64_t split, std::int64_t lane) {
  return split == 8 ? lane / 8 * 4 + lane % 4 : lane % split;
}
constexpr std::int64_t first_lane_of(std::int64_t split, std::int64_t row) {
  return split == 16 ? 0 : split == 8 ? 4 * row : split * row;
}

// A thread's own.
struct Scratch {
  float* scores;           // [64 / S][16]
  std::uint32_t* weights;  // pairs of bf16: S = 1 [32][16], else [64 / S][8], in the order of lanes
  float* factors;          // [16]
  bf16* keys;              // [16][qk_dim]: of codes; and a last group with fewer keys, the rest zeros
  bf16* values;            // [64][v_dim], of codes
};

void pack_queries(const Decode& d, std::int64_t kv_head, std::int64_t tile, bf16* out) {
  for (std::int64_t r = 0; r < d.tile(); ++r) {
    const std::int64_t row = tile * d.tile() + r;
    const bf16* from = row < d.rows() ? d.q + d.row_of(kv_head, row) * d.a.qk_dim : nullptr;
    for (std::int64_t i = 0; i < d.a.qk_dim / 2; ++i) {
      bf16* to = out + ((i / d.split * kLanes) + r * d.split + i % d.split) * 2;
      if (from != nullptr) std::memcpy(to, from + 2 * i, 2 * sizeof(bf16));
      else std::fill_n(to, 2, bf16{});
    }
  }
}

#if defined(__x86_64__)

LAYERCOST_AVX512_BF16 inline __attribute__((always_inline)) __m512bh broadcast(const char* p) {
  std::int32_t pair;
  std::memcpy(&pair, p, sizeof pair);
  return reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
}

// S pairs, in all lanes R times.
template <int kSplit>
LAYERCOST_AVX512_BF16 inline __attribute__((always_inline)) __m512bh broadcast_pairs(const char* p) {
  if constexpr (kSplit == 1) {
    return broadcast(p);
  } else if constexpr (kSplit == 2) {
    std::int64_t two;
    std::memcpy(&two, p, sizeof two);
    return reinterpret_cast<__m512bh>(_mm512_set1_epi64(two));
  } else if constexpr (kSplit == 4) {
    return reinterpret_cast<__m512bh>(_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  } else if constexpr (kSplit == 8) {
    return reinterpret_cast<__m512bh>(_mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
  } else {
    return reinterpret_cast<__m512bh>(_mm512_loadu_si512(p));
  }
}

// Of each 128 bits, the sums of a, b, c and d.
LAYERCOST_AVX512_BF16 inline __attribute__((always_inline)) __m512 sums_of_four(const __m512* v) {
  const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1]));
  const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3]));
  const __m512d low = _mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
  const __m512d high = _mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
  return _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
}
// The sums of the neighbouring quarters of a, then those of b.
LAYERCOST_AVX512_BF16 inline __attribute__((always_inline)) __m512 sums_of_quarters(__m512 a, __m512 b) {
  return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}

// From a vector per key, lanes [R][S], to a vector per S keys: row_of_lane, key_of_lane.
template <int kSplit>
LAYERCOST_AVX512_BF16 inline __attribute__((always_inline)) void store_scores(const __m512 (&sum)[kGroup], float* out) {
  if constexpr (kSplit == 1) {
    for (int key = 0; key < kGroup; ++key) _mm512_store_ps(out + key * kLanes, sum[key]);
  } else if constexpr (kSplit == 2) {
    for (int i = 0; i < kGroup / 2; ++i) {
      const __m512d low = _mm512_castps_pd(_mm512_unpacklo_ps(sum[2 * i], sum[2 * i + 1]));
      const __m512d high = _mm512_castps_pd(_mm512_unpackhi_ps(sum[2 * i], sum[2 * i + 1]));
      _mm512_store_ps(out + i * kLanes, _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(low, high)),
                                                      _mm512_castpd_ps(_mm512_unpackhi_pd(low, high))));
    }
  } else {
    __m512 four[4];
    for (int i = 0; i < 4; ++i) four[i] = sums_of_four(sum + 4 * i);
    if constexpr (kSplit == 4) {
      for (int i = 0; i < 4; ++i) _mm512_store_ps(out + i * kLanes, four[i]);
    } else if constexpr (kSplit == 8) {
      for (int i = 0; i < 2; ++i) _mm512_store_ps(out + i * kLanes, sums_of_quarters(four[2 * i], four[2 * i + 1]));
    } else {
      _mm512_store_ps(out, sums_of_quarters(sums_of_quarters(four[0], four[1]), sums_of_quarters(four[2], four[3])));
    }
  }
}

// The scores of 16 keys that lie `stride` bytes apart, asking for as many keys from `ahead` on. vectors: of q.
template <int kSplit>
LAYERCOST_AVX512_BF16 void multiply(const bf16* q, std::int64_t vectors, const char* k, std::int64_t stride,
                                    const char* ahead, std::int64_t ahead_stride, float* out) {
  __m512 sum[kGroup];
  for (auto& s : sum) s = _mm512_setzero_ps();
  constexpr std::int64_t kLine = 16 / kSplit;  // vectors to a cache line of a key
  for (std::int64_t first = 0; first < vectors; first += kLine) {
    const std::int64_t end = std::min(vectors, first + kLine);
    if (ahead_stride > 0)
      for (std::int64_t key = 0; key < kGroup; ++key)
        _mm_prefetch(ahead + key * ahead_stride + 4 * kSplit * first, _MM_HINT_T0),
            _mm_prefetch(ahead + (key + 48) * ahead_stride + 4 * kSplit * first, _MM_HINT_T1);
    for (std::int64_t i = first; i < end; ++i) {
      const auto v = reinterpret_cast<__m512bh>(_mm512_loadu_si512(q + i * 2 * kLanes));
      // Four bases of four keys each: what the address of an instruction can say.
#pragma GCC unroll 4
      for (int four = 0; four < 4; ++four) {
        const char* p = k + 4 * four * stride + 4 * kSplit * i;
        sum[4 * four] = _mm512_dpbf16_ps(sum[4 * four], v, broadcast_pairs<kSplit>(p));
        sum[4 * four + 1] = _mm512_dpbf16_ps(sum[4 * four + 1], v, broadcast_pairs<kSplit>(p + stride));
        sum[4 * four + 2] = _mm512_dpbf16_ps(sum[4 * four + 2], v, broadcast_pairs<kSplit>(p + 2 * stride));
        sum[4 * four + 3] = _mm512_dpbf16_ps(sum[4 * four + 3], v, broadcast_pairs<kSplit>(p + 3 * stride));
      }
    }
  }
  store_scores<kSplit>(sum, out);
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

// The largest of a row's lanes, in all of them.
template <int kSplit>
LAYERCOST_AVX512_BF16 inline __attribute__((always_inline)) __m512 most_of_rows(__m512 m) {
  if constexpr (kSplit >= 2) m = _mm512_max_ps(m, _mm512_permute_ps(m, 0xb1));
  if constexpr (kSplit >= 4) m = _mm512_max_ps(m, _mm512_permute_ps(m, 0x4e));
  if constexpr (kSplit >= 8) m = _mm512_max_ps(m, _mm512_shuffle_f32x4(m, m, 0x4e));
  if constexpr (kSplit == 16) m = _mm512_max_ps(m, _mm512_shuffle_f32x4(m, m, 0xb1));
  return m;
}

// The scores of a block of keys of one tile to weights. first, end: which keys of the block a lane's row sees.
template <int kSplit>
LAYERCOST_AVX512_BF16 void soften(const Scratch& s, std::int64_t keys, bool masked, __m512i first, __m512i end,
                                  float scale, float* max, float* sum) {
  const __m512 factor = _mm512_set1_ps(scale);
  const __m512 before = _mm512_loadu_ps(max);
  __m512 m = before;
  constexpr std::int64_t kStep = std::max(2, kSplit);
  const std::int64_t vectors = (keys + kStep - 1) / kStep * kStep / kSplit;
  alignas(64) std::int32_t key_of[kLanes];
  for (std::int64_t l = 0; l < kLanes; ++l) key_of[l] = static_cast<std::int32_t>(key_of_lane(kSplit, l));
  const __m512i lane_key = _mm512_load_si512(key_of);
  for (std::int64_t j = 0; j < vectors; ++j) {
    __m512 v = _mm512_mul_ps(_mm512_load_ps(s.scores + j * kLanes), factor);
    if (masked) {
      const __m512i at = _mm512_add_epi32(lane_key, _mm512_set1_epi32(static_cast<int>(j * kSplit)));
      const __mmask16 sees =
          static_cast<__mmask16>(_mm512_cmple_epi32_mask(first, at) & _mm512_cmplt_epi32_mask(at, end));
      v = _mm512_mask_blend_ps(sees, _mm512_set1_ps(-kInfinity), v);
    }
    m = _mm512_max_ps(m, v);
    _mm512_store_ps(s.scores + j * kLanes, v);
  }
  m = most_of_rows<kSplit>(m);
  // While a row has seen no key its maximum is -inf, and -inf - -inf would be NaN.
  const __mmask16 none = _mm512_cmp_ps_mask(m, _mm512_set1_ps(-kInfinity), _CMP_EQ_OQ);
  const __m512 shift = _mm512_mask_blend_ps(none, m, _mm512_setzero_ps());
  const __m512 keep = exp2_of(_mm512_sub_ps(before, shift));
  __m512 total = _mm512_mul_ps(_mm512_loadu_ps(sum), keep);
  if constexpr (kSplit == 1) {
    for (std::int64_t j = 0; j < vectors; j += 2) {
      const __m512 a = exp2_of(_mm512_sub_ps(_mm512_load_ps(s.scores + j * kLanes), shift));
      const __m512 b = exp2_of(_mm512_sub_ps(_mm512_load_ps(s.scores + (j + 1) * kLanes), shift));
      total = _mm512_add_ps(total, _mm512_add_ps(a, b));
      _mm512_store_si512(s.weights + j / 2 * kLanes, pairs_of(a, b));
    }
  } else {
    for (std::int64_t j = 0; j < vectors; ++j) {
      const __m512 w = exp2_of(_mm512_sub_ps(_mm512_load_ps(s.scores + j * kLanes), shift));
      total = _mm512_add_ps(total, w);
      _mm256_store_si256(reinterpret_cast<__m256i*>(s.weights + j * kLanes / 2),
                         reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(w)));
    }
  }
  alignas(64) float of_lanes[kLanes];
  _mm512_store_ps(of_lanes, keep);
  for (std::int64_t r = 0; r < kLanes / kSplit; ++r) s.factors[r] = of_lanes[first_lane_of(kSplit, r)];
  _mm512_storeu_ps(max, m);
  _mm512_storeu_ps(sum, total);
}

// Where the weights of keys 2 q and 2 q + 1 lie, of the tile's first row; and from one row to the next.
template <int kSplit>
constexpr std::int64_t pair_at(std::int64_t q) {
  if (kSplit == 1) return q * kLanes;
  if (kSplit == 2) return q * kLanes / 2;
  if (kSplit == 16) return q;
  return q / 2 * (kLanes / kSplit * 2) + q % 2;
}
template <int kSplit>
constexpr std::int64_t kNextRow = kSplit <= 2 ? 1 : 2;

// sums[r] of kRows rows and kParts times 32 columns: times factors[r], plus weights times values.
template <int kSplit, int kRows, int kParts>
LAYERCOST_AVX512_BF16 void weigh(const std::uint32_t* weights, const float* factors, std::int64_t keys, const bf16* v,
                                 std::int64_t v_stride, std::int64_t ahead, float* sums, std::int64_t sums_stride) {
  __m512 low[kRows][kParts], high[kRows][kParts];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const __m512 f = _mm512_set1_ps(factors[r]);
#pragma GCC unroll 4
    for (int c = 0; c < kParts; ++c) {
      low[r][c] = _mm512_mul_ps(f, _mm512_loadu_ps(sums + r * sums_stride + c * kColumns));
      high[r][c] = _mm512_mul_ps(f, _mm512_loadu_ps(sums + r * sums_stride + c * kColumns + 16));
    }
  }
  for (std::int64_t j = 0; j < keys; j += 2) {
    const bf16 *one = v + j * v_stride, *other = v + std::min(j + 1, keys - 1) * v_stride;
    const auto* w = reinterpret_cast<const char*>(weights + pair_at<kSplit>(j / 2));
#pragma GCC unroll 4
    for (int c = 0; c < kParts; ++c) {
      if (ahead > 0) {
        _mm_prefetch(one + ahead + c * kColumns, _MM_HINT_T1);
        _mm_prefetch(other + ahead + c * kColumns, _MM_HINT_T1);
        _mm_prefetch(one + 8 * v_stride + c * kColumns, _MM_HINT_T0);
        _mm_prefetch(other + 8 * v_stride + c * kColumns, _MM_HINT_T0);
      }
      // Behind the last key the last key again, with a weight of 0.
      const __m512i a = _mm512_loadu_si512(one + c * kColumns), b = _mm512_loadu_si512(other + c * kColumns);
      const auto v_low = reinterpret_cast<__m512bh>(_mm512_unpacklo_epi16(a, b));
      const auto v_high = reinterpret_cast<__m512bh>(_mm512_unpackhi_epi16(a, b));
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const __m512bh both = broadcast(w + 4 * kNextRow<kSplit> * r);
        low[r][c] = _mm512_dpbf16_ps(low[r][c], v_low, both);
        high[r][c] = _mm512_dpbf16_ps(high[r][c], v_high, both);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int c = 0; c < kParts; ++c) {
      _mm512_storeu_ps(sums + r * sums_stride + c * kColumns, low[r][c]);
      _mm512_storeu_ps(sums + r * sums_stride + c * kColumns + 16, high[r][c]);
    }
}

// All columns of kRows rows.
template <int kSplit, int kRows>
LAYERCOST_AVX512_BF16 void weigh_rows(const Scratch& s, std::int64_t row, std::int64_t keys, const bf16* v,
                                      std::int64_t v_stride, std::int64_t ahead, float* sums, std::int64_t dim) {
  constexpr int kParts = kRows <= 2 ? 4 : kRows == 4 ? 2 : 1;  // sums enough that none waits for the one before it
  const std::uint32_t* weights = s.weights + row * kNextRow<kSplit>;
  std::int64_t c = 0;
  for (; c + kParts * kColumns <= dim; c += kParts * kColumns)
    weigh<kSplit, kRows, kParts>(weights, s.factors + row, keys, v + c, v_stride, ahead, sums + row * dim + c, dim);
  for (; c < dim; c += kColumns)
    weigh<kSplit, kRows, 1>(weights, s.factors + row, keys, v + c, v_stride, ahead, sums + row * dim + c, dim);
}

#define LAYERCOST_AVX512_CODES __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vbmi")))

// The two bytes of the bf16 of each code without its sign.
struct CodeBytes {
  alignas(64) std::uint8_t low[128], high[128];
};
const CodeBytes& code_bytes() {
  static const CodeBytes bytes = [] {
    CodeBytes out;
    for (unsigned code = 0; code < 128; ++code) {
      const unsigned bits = to_bf16(from_e4m3(static_cast<std::uint8_t>(code))).bits;
      out.low[code] = static_cast<std::uint8_t>(bits & 255u);
      out.high[code] = static_cast<std::uint8_t>(bits >> 8);
    }
    return out;
  }();
  return bytes;
}

// rows x dim elements, rows `dim` apart; dim a multiple of 32, behind whose last 32 the load of 64 is masked.
LAYERCOST_AVX512_CODES void decode(const fp8_e4m3* from, std::int64_t count, const char* ahead, bf16* to) {
  const CodeBytes& bytes = code_bytes();
  const __m512i low0 = _mm512_load_si512(bytes.low), low1 = _mm512_load_si512(bytes.low + 64);
  const __m512i high0 = _mm512_load_si512(bytes.high), high1 = _mm512_load_si512(bytes.high + 64);
  const __m512i sign = _mm512_set1_epi8(static_cast<char>(0x80));
  const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);  // so that interleaving leaves memory's
  for (std::int64_t i = 0; i < count; i += 64) {
    const bool half = count - i < 64;
    _mm_prefetch(reinterpret_cast<const char*>(from + i) + 1024, _MM_HINT_T0);
    _mm_prefetch(ahead + i, _MM_HINT_T1);
    const __m512i loaded = half ? _mm512_maskz_loadu_epi8(0xffffffffull, from + i) : _mm512_loadu_si512(from + i);
    const __m512i codes = _mm512_permutexvar_epi64(order, loaded);
    const __m512i low = _mm512_permutex2var_epi8(low0, codes, low1);
    // high | (codes & sign)
    const __m512i high = _mm512_ternarylogic_epi64(_mm512_permutex2var_epi8(high0, codes, high1), codes, sign, 0xf8);
    _mm512_storeu_si512(to + i, _mm512_unpacklo_epi8(low, high));
    if (!half) _mm512_storeu_si512(to + i + 32, _mm512_unpackhi_epi8(low, high));
  }
}

template <int kSplit, class KV>
LAYERCOST_AVX512_BF16 void chunk(const Decode& d, const bf16* packed, std::int64_t kv_head, std::int64_t index,
                                 const Scratch& s, float* partial) {
  constexpr std::int64_t kTile = kLanes / kSplit;
  constexpr bool kCodes = std::is_same_v<KV, fp8_e4m3>;
  const AttentionAxes& a = d.a;
  const std::int64_t vectors = a.qk_dim / 2 / kSplit;
  float *sums = partial, *max = sums + d.sum_floats(), *sum = max + d.tiles() * kLanes;
  std::fill(sums, max, 0.0f);
  std::fill(max, sum, -kInfinity);
  std::fill_n(sum, d.tiles() * kLanes, 0.0f);
  const KV* k = static_cast<const KV*>(d.k_cache) + kv_head * a.capacity * a.qk_dim;
  const KV* v = static_cast<const KV*>(d.v_cache) + kv_head * a.capacity * a.v_stride();
  const auto scale = static_cast<float>(a.scale * 1.4426950408889634);  // weights are powers of 2
  const std::int64_t begin = a.first_key(0) + index * d.chunk_keys, end = std::min(a.kv_len, begin + d.chunk_keys);
  const auto stride = static_cast<std::int64_t>(sizeof(bf16)) * a.qk_dim;

  for (std::int64_t block = begin; block < end; block += kKeysPerBlock) {
    const std::int64_t keys = std::min(kKeysPerBlock, end - block);
    // Every query sees all of it, if the first and the last one do.
    const bool masked = keys < kKeysPerBlock || a.end_key(0) < block + keys || a.first_key(a.q_len - 1) > block;
    const bf16* values;
    std::int64_t v_stride;
    if constexpr (kCodes) {
      const KV* from = v + block * a.v_dim;
      decode(from, keys * a.v_dim, reinterpret_cast<const char*>(from + kKeysPerBlock * a.v_dim), s.values);
      values = s.values, v_stride = a.v_dim;
    } else {
      values = v + block * a.v_stride(), v_stride = a.v_stride();
    }
    for (std::int64_t tile = 0; tile < d.tiles(); ++tile) {
      const bf16* q = packed + tile * d.tile_elements();
      for (std::int64_t j = 0; j < keys; j += kGroup) {
        const std::int64_t here = std::min(kGroup, keys - j);
        const KV* of_cache = k + (block + j) * a.qk_dim;
        const auto* next = reinterpret_cast<const char*>(of_cache + kGroup * a.qk_dim);
        const bf16* from;
        if constexpr (kCodes) {
          decode(of_cache, here * a.qk_dim, next + 3 * kGroup * a.qk_dim, s.keys);
          from = s.keys;
        } else {
          from = of_cache;
          if (here < kGroup) from = std::copy_n(of_cache, here * a.qk_dim, s.keys) - here * a.qk_dim;
        }
        if (here < kGroup) std::fill(s.keys + here * a.qk_dim, s.keys + kGroup * a.qk_dim, bf16{});
        multiply<kSplit>(q, vectors, reinterpret_cast<const char*>(from), stride, next, kCodes || tile > 0 ? 0 : stride,
                         s.scores + j * kTile);
      }
      alignas(64) std::int32_t first_of[kLanes], end_of[kLanes];
      for (std::int64_t l = 0; masked && l < kLanes; ++l) {
        const std::int64_t query = std::min(a.q_len - 1, (tile * kTile + row_of_lane(kSplit, l)) / a.group());
        first_of[l] = static_cast<std::int32_t>(std::max<std::int64_t>(0, a.first_key(query) - block));
        end_of[l] = static_cast<std::int32_t>(std::clamp<std::int64_t>(a.end_key(query) - block, 0, keys));
      }
      soften<kSplit>(s, keys, masked, masked ? _mm512_load_si512(first_of) : _mm512_setzero_si512(),
                     masked ? _mm512_load_si512(end_of) : _mm512_setzero_si512(), scale, max + tile * kLanes,
                     sum + tile * kLanes);
      const std::int64_t rows = std::min(kTile, d.rows() - tile * kTile);
      const std::int64_t ahead = kCodes || tile > 0 ? 0 : kKeysPerBlock * v_stride;
      float* to = sums + tile * kTile * a.v_dim;
      if constexpr (kTile <= 4) {
        weigh_rows<kSplit, kTile>(s, 0, keys, values, v_stride, ahead, to, a.v_dim);
      } else {
        for (std::int64_t r = 0; r < rows; r += 8) {
          if (rows - r > 4) weigh_rows<kSplit, 8>(s, r, keys, values, v_stride, r > 0 ? 0 : ahead, to, a.v_dim);
          else weigh_rows<kSplit, 4>(s, r, keys, values, v_stride, r > 0 ? 0 : ahead, to, a.v_dim);
        }
      }
    }
  }
}

using ChunkFunction = void (*)(const Decode&, const bf16*, std::int64_t, std::int64_t, const Scratch&, float*);
ChunkFunction chunk_function(std::int64_t split, DType kv) {
  const bool codes = kv == DType::fp8_e4m3;
  switch (split) {
    case 1:
      return codes ? chunk<1, fp8_e4m3> : chunk<1, bf16>;
    case 2:
      return codes ? chunk<2, fp8_e4m3> : chunk<2, bf16>;
    case 4:
      return codes ? chunk<4, fp8_e4m3> : chunk<4, bf16>;
    case 8:
      return codes ? chunk<8, fp8_e4m3> : chunk<8, bf16>;
    default:
      return codes ? chunk<16, fp8_e4m3> : chunk<16, bf16>;
  }
}

bool has_code_instructions() { return __builtin_cpu_supports("avx512vbmi"); }

#else

using ChunkFunction = void (*)(const Decode&, const bf16*, std::int64_t, std::int64_t, const Scratch&, float*);
ChunkFunction chunk_function(std::int64_t, DType) { return nullptr; }  // supports() has refused
bool has_code_instructions() { return false; }

#endif

// Where element e of 32 lies after interleaving in parts of 128 bits: the first vector has elements 0 - 3, 8 - 11 ...
constexpr std::int64_t place_of(std::int64_t e) { return e / 8 * 4 + e % 4 + (e % 8 < 4 ? 0 : 16); }

// y of one row from the chunks of its kv head. sums: v_dim floats.
template <class Y>
void finish(const Decode& d, const float* partials, std::int64_t kv_head, std::int64_t row, float* sums, Y* y) {
  const std::int64_t dim = d.a.v_dim, in_tile = row % d.tile();
  const auto of = [&](std::int64_t i) { return partials + (kv_head * d.chunks + i) * d.partial_floats(); };
  // The lanes of the row's tile.
  const auto max_of = [&](std::int64_t i) { return of(i) + d.sum_floats() + row / d.tile() * kLanes; };
  const std::int64_t lane = first_lane_of(d.split, in_tile);
  float max = -kInfinity, total = 0;
  for (std::int64_t i = 0; i < d.chunks; ++i) max = std::max(max, max_of(i)[lane]);
  if (d.sinks != nullptr) {
    const float sink = d.sinks[d.row_of(kv_head, row) % d.a.heads] * 1.44269504f;  // weights are powers of 2
    max = std::max(max, sink);
    total = std::exp2(sink - max);
  }
  std::fill_n(sums, dim, 0.0f);
  for (std::int64_t i = 0; i < d.chunks; ++i) {
    const float *partial = of(i), *weight_sums = max_of(i) + d.tiles() * kLanes;
    const float factor = std::exp2(max_of(i)[lane] - max);
    for (std::int64_t l = 0; l < kLanes; ++l)
      if (row_of_lane(d.split, l) == in_tile) total += factor * weight_sums[l];
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
  if (c.type("kv_type") == DType::fp8_e4m3 && !has_code_instructions()) return Support::no("needs AVX-512-VBMI");
  if (c.type("kv_type") == DType::fp8_e4m3 && a.qk_dim % kColumns != 0)
    return Support::no(fmt::format("codes of a qk_dim of whole {}, this case has {}", kColumns, a.qk_dim));
  if (c.type("kv_type") == DType::fp8_e4m3 && a.shared_kv) return Support::no("values that are keys in fp8");
  return Support::yes();
}

// As many rows to a vector as there are; S pairs of dims have to fill it.
std::int64_t split_of(const AttentionAxes& a) {
  std::int64_t split = kLanes;
  while (split > 1 && (kLanes / split < a.q_len * a.group() || a.qk_dim % (2 * split) != 0)) split /= 2;
  return split;
}

// Up to 64 rows as highway_decode; with values in the keys there is no other variant for more.
bool prefers(const OpCase& c, const DeviceInfo&) {
  constexpr std::int64_t kLeastRows = 5, kMostRows = 64;
  const AttentionAxes a = attention_axes(c);
  const std::int64_t rows = a.q_len * a.group();
  return a.shared_kv ? rows >= kLeastRows : rows <= kMostRows;
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const Tensor& y = t.tensor("y");
  const int threads = team_threads();
  Decode d{attention_axes(c), t.tensor("q").as<bf16>(), t.tensor("k_cache").data, nullptr};
  d.v_cache = attention_values(d.a, t).data;
  d.split = split_of(d.a);
  const DType kv = c.type("kv_type");
  const ChunkFunction chunk = chunk_function(d.split, kv);
  const auto sinks = attention_sinks(d.a, t);
  if (sinks) d.sinks = sinks->view().as<float>();
  // Four tasks per thread even out unequal threads; below two blocks a chunk is hardly more than its overhead.
  const std::int64_t blocks = ceil_div(d.a.kv_len - d.a.first_key(0), kKeysPerBlock);
  const std::int64_t wanted = std::clamp<std::int64_t>(ceil_div(4 * threads, d.kv_heads()), 1, ceil_div(blocks, 2));
  d.chunk_keys = ceil_div(blocks, wanted) * kKeysPerBlock;
  d.chunks = ceil_div(blocks * kKeysPerBlock, d.chunk_keys);
  // In floats, whole cache lines.
  const std::int64_t scores = kKeysPerBlock * d.tile(), weights = kKeysPerBlock / 2 * d.tile(),
                     keys = ceil_div(kGroup * d.a.qk_dim, 32) * 16, sums = ceil_div(d.a.v_dim, 16) * 16,
                     values = kv == DType::fp8_e4m3 ? kKeysPerBlock * d.a.v_dim / 2 : 0;
  const std::int64_t own = scores + weights + kLanes + keys + sums + values;
  const auto scratch = std::make_shared<OwnedTensor>(DType::f32, Shape{threads, own});
  const auto packed = std::make_shared<OwnedTensor>(DType::bf16, Shape{d.kv_heads(), d.tiles(), d.tile_elements()});
  const auto partials = std::make_shared<OwnedTensor>(DType::f32, Shape{d.kv_heads(), d.chunks, d.partial_floats()});
  return dispatch_float(y.dtype, [&]<class Y>(Y*) {
    return invocation(
        [=, to = y.as<Y>(), kept = sinks] {
          bf16* queries = packed->view().as<bf16>();
          float* results = partials->view().as<float>();
          const std::int64_t tiles = d.kv_heads() * d.tiles();
          each_row(tiles, tiles * d.tile_elements() >= kParallelElements, [&](std::int64_t i) {
            pack_queries(d, i / d.tiles(), i % d.tiles(), queries + i * d.tile_elements());
          });
          each_piece(d.kv_heads() * d.chunks, [&](int thread, std::int64_t i, std::int64_t) {
            float* mine = scratch->view().as<float>() + thread * own;
            float* at = mine + scores + weights + kLanes;
            const Scratch s{mine, reinterpret_cast<std::uint32_t*>(mine + scores), mine + scores + weights,
                            reinterpret_cast<bf16*>(at), reinterpret_cast<bf16*>(at + keys + sums)};
            const std::int64_t head = i / d.chunks;
            chunk(d, queries + head * d.tiles() * d.tile_elements(), head, i % d.chunks, s,
                  results + i * d.partial_floats());
          });
          each_piece(d.kv_heads() * d.rows(), [&](int thread, std::int64_t i, std::int64_t) {
            float* sums_of_row = scratch->view().as<float>() + thread * own + scores + weights + kLanes + keys;
            finish(d, results, i / d.rows(), i % d.rows(), sums_of_row, to);
          });
        },
        fmt::format("AVX-512-BF16, {} rows to a vector, {} chunks of {} keys", d.tile(), d.chunks, d.chunk_keys));
  });
}

}  // namespace

const Variant attention_bf16_decode{
    .name = "bf16_decode",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "window chunk uncached shared_kv sinks x_type=bf16 kv_type=bf16|fp8_e4m3 y_type=bf16",
    .supports = supports,
    .prefers = prefers,
    .make = prepare,
};

}  // namespace layercost

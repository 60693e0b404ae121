// Few queries, many keys, on AMX: the time is that of reading the cache once. A task is one chunk of keys of one kv
// head for all rows of its group (row: a query and head), in blocks of 64 keys.
//
// Scores are keys x rows: 16 keys are a tile as they lie in the cache, the rows' queries are the other operand, in
// pairs of dims, made once per kv head. So a vector holds one key's scores of 16 rows (of 8 rows two keys', of 4 rows
// four keys'), and maximum, exponential and sum need no step across lanes. The weights, rounded to bf16, are transposed
// to rows x keys; values become pairs of keys by interleaving two of their rows, which permutes the columns of each 32:
// the sums stay in that order until the end. A task leaves its maximum, sum and weighted values per row; who ends a kv
// head's last task puts them together, in the order of the keys.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <limits>
#include <vector>

#include "attention_variants.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/attention_amx.h"
#include "kernels/core/team.h"
#include "kernels/cpu/amx.h"

namespace layercost {
namespace {

constexpr std::int64_t kBlockKeys = 64, kStepKeys = 32, kStepDims = 32, kTileRows = 16;
constexpr std::int64_t kWordsPerTile = 256;        // 16 rows x 16 words of 32 bits
constexpr std::int64_t kSlab = 8 * kWordsPerTile;  // values of 64 keys x 32 dims

struct Decode {
  AttentionAxes a;
  const bf16 *q, *k_cache, *v_cache;
  bf16* y;
  std::int64_t width = 0;                   // rows per tile: 4, 8 or 16
  std::int64_t chunks = 0, chunk_keys = 0;  // per kv head; whole blocks
  std::byte* scratch = nullptr;
  float* partials = nullptr;
  std::atomic<std::int64_t>*next = nullptr, *done = nullptr;  // next task; finished chunks of each kv head

  std::int64_t rows() const { return a.q_len * a.group(); }  // per kv head, query by query
  std::int64_t row_tiles() const { return (rows() + width - 1) / width; }
  std::int64_t kv_heads() const { return a.batch * a.kv_heads; }
  std::int64_t tasks() const { return kv_heads() * chunks; }
  // A task's result per row tile: sums [width, v_dim], then 16 maxima (times scale and log2 e), then 16 sums of
  // weights.
  std::int64_t tile_floats() const { return width * a.v_dim + 32; }
  float* partial(std::int64_t kv_head, std::int64_t chunk) const {
    return partials + (kv_head * chunks + chunk) * row_tiles() * tile_floats();
  }
  // Flat index of a row in q and y, which are [batch, q_len, heads].
  std::int64_t row_of(std::int64_t kv_head, std::int64_t row) const {
    const std::int64_t b = kv_head / a.kv_heads, g = kv_head % a.kv_heads;
    return (b * a.q_len + row / a.group()) * a.heads + g * a.group() + row % a.group();
  }
};

#if defined(__x86_64__)

// A thread's own.
struct Scratch {
  bf16* queries;          // [row tile][32 dims][16 pairs][width][2]
  float* scores;          // [64 keys][width]
  bf16* weights;          // [row tile][32 keys][width][32 keys]
  bf16* values;           // [32 dims][32 keys][2 x 16 dims][16 pairs][16 dims][2]
  bf16 *tail_k, *tail_v;  // [64, dim]: the last keys, padded with zeros
  std::int32_t* seen;     // [row tile][2][16]: first key and end of each lane's row

  static std::int64_t bytes(const Decode& c) { return Scratch(c, nullptr).bytes_; }
  Scratch(const Decode& c, std::byte* at) : begin_(at) {
    const std::int64_t tiles = c.row_tiles();
    queries = take<bf16>(tiles * c.width * c.a.qk_dim);
    scores = take<float>(kBlockKeys * c.width);
    weights = take<bf16>(tiles * kBlockKeys * c.width);
    values = take<bf16>(c.a.v_dim / kStepDims * kSlab);
    tail_k = take<bf16>(kBlockKeys * c.a.qk_dim);
    tail_v = take<bf16>(kBlockKeys * c.a.v_dim);
    seen = take<std::int32_t>(tiles * 2 * 16);
  }

 private:
  template <class T>
  T* take(std::int64_t n) {
    T* p = reinterpret_cast<T*>(begin_ + bytes_);
    bytes_ += (n * static_cast<std::int64_t>(sizeof(T)) + 63) / 64 * 64;
    return p;
  }
  std::byte* begin_;
  std::int64_t bytes_ = 0;
};

// Memory is asked for one block of 64 keys ahead of need, keys and values in turn, into the second-level cache, a few
// lines at a time between all other work: all at once would stall, and while nothing is on its way, during the softmax
// say, the memory idles. Lines per piece of work at qk_dim = v_dim = 128, 512 in all: 160 with the 16 tiles of keys, 96
// with the scores, 160 with the 32 x 4 pairs of rows of values, 96 with the 4 products.
constexpr int kLinesPerKeyTile = 10, kLinesOfScores = 96, kLinesPer4Pairs = 5, kLinesPerProduct = 12;

// A range of keys and one of values, to be asked for.
class Ahead {
 public:
  Ahead(const bf16* k, std::int64_t k_bytes, const bf16* v, std::int64_t v_bytes)
      : k_(reinterpret_cast<const char*>(k)),
        v_(reinterpret_cast<const char*>(v)),
        k_end_(k_ + k_bytes),
        v_end_(v_ + v_bytes) {}
  template <int kLines>
  LAYERCOST_AMX_AVX512 inline void lines() {
    if (k_ < k_end_)
      for (int i = 0; i < (kLines + 1) / 2; ++i, k_ += 64) _mm_prefetch(k_, _MM_HINT_T1);
    if (v_ < v_end_)
      for (int i = 0; i < (kLines + 1) / 2; ++i, v_ += 64) _mm_prefetch(v_, _MM_HINT_T1);
  }

 private:
  const char *k_, *v_, *k_end_, *v_end_;
};

// Word j of a tile row is dims 2i and 2i + 1 of row j; rows that only fill the tile are zero.
void load_queries(const Decode& c, std::int64_t kv_head, bf16* out) {
  const std::int64_t tile = c.width * c.a.qk_dim;
  if (c.rows() % c.width != 0) std::fill(out, out + c.row_tiles() * tile, bf16{});
  for (std::int64_t row = 0; row < c.rows(); ++row) {
    const bf16* q = c.q + c.row_of(kv_head, row) * c.a.qk_dim;
    bf16* column = out + row / c.width * tile + row % c.width * 2;
    for (std::int64_t i = 0; i < c.a.qk_dim; i += 2, column += 2 * c.width)
      std::memcpy(column, q + i, 2 * sizeof(bf16));
  }
}

// Tiles 0 and 1, in turn: scores of 16 keys; 2: queries; 3: keys.
template <int kWidth, bool kAsk>
LAYERCOST_AMX_AVX512 void score_step(const bf16* queries, const bf16* k, std::int64_t qk_dim, float* scores,
                                     Ahead& ahead) {
  const std::int64_t stride = qk_dim * static_cast<std::int64_t>(sizeof(bf16));
  _tile_zero(0);
  for (std::int64_t i = 0; i < qk_dim; i += kStepDims) {
    _tile_loadd(2, queries + i * kWidth, 4 * kWidth);
    _tile_loadd(3, k + i, stride);
    _tile_dpbf16ps(0, 3, 2);
    if constexpr (kAsk) ahead.lines<kLinesPerKeyTile>();
  }
  _tile_stored(0, scores, 4 * kWidth);
  k += 16 * qk_dim;
  _tile_zero(1);
  for (std::int64_t i = 0; i < qk_dim; i += kStepDims) {
    _tile_loadd(2, queries + i * kWidth, 4 * kWidth);
    _tile_loadd(3, k + i, stride);
    _tile_dpbf16ps(1, 3, 2);
    if constexpr (kAsk) ahead.lines<kLinesPerKeyTile>();
  }
  _tile_stored(1, scores + 16 * kWidth, 4 * kWidth);
}

// The maximum (or sum) over the keys that share a vector, in every lane.
template <int kWidth>
LAYERCOST_AMX_AVX512 inline __m512 max_over_keys(__m512 v) {
  if constexpr (kWidth <= 8) v = _mm512_max_ps(v, _mm512_shuffle_f32x4(v, v, 0x4e));
  if constexpr (kWidth <= 4) v = _mm512_max_ps(v, _mm512_shuffle_f32x4(v, v, 0xb1));
  return v;
}
template <int kWidth>
LAYERCOST_AMX_AVX512 inline __m512 sum_over_keys(__m512 v) {
  if constexpr (kWidth <= 8) v = _mm512_add_ps(v, _mm512_shuffle_f32x4(v, v, 0x4e));
  if constexpr (kWidth <= 4) v = _mm512_add_ps(v, _mm512_shuffle_f32x4(v, v, 0xb1));
  return v;
}

// Scores of keys that a row does not see become -inf. `block`: the first key.
template <int kWidth>
LAYERCOST_AMX_AVX512 void mask_scores(const std::int32_t* seen, std::int64_t block, std::int64_t keys, float* scores) {
  constexpr int kLogWidth = kWidth == 16 ? 4 : kWidth == 8 ? 3 : 2;
  const __m512i first = _mm512_load_si512(seen), end = _mm512_load_si512(seen + 16);
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i in_vector = _mm512_maskz_srli_epi32(0xffff, lane, kLogWidth);
  for (std::int64_t j = 0; j < keys; j += 16 / kWidth) {
    const __m512i key = _mm512_add_epi32(_mm512_set1_epi32(static_cast<std::int32_t>(block + j)), in_vector);
    const __mmask16 hidden = _mm512_cmplt_epi32_mask(key, first) | _mm512_cmpge_epi32_mask(key, end);
    _mm512_mask_store_ps(scores + j * kWidth, hidden, _mm512_set1_ps(-std::numeric_limits<float>::infinity()));
  }
}

// Two vectors of weights, as bf16, are 32 / width keys x width rows: from there to words of two keys of a row.
template <int kWidth>
constexpr std::array<std::uint16_t, 32> pair_order() {
  std::array<std::uint16_t, 32> order{};
  for (int i = 0; i < 32; ++i)
    order[i] = static_cast<std::uint16_t>((i / 2 / kWidth * 2 + i % 2) * kWidth + i / 2 % kWidth);
  return order;
}

// Scores to weights [32 keys][width][32 keys]; moves the maxima and the sums of the weights, 16 lanes each.
// factors[lane] is what the row's earlier weighted values must be multiplied with. Returns whether any differs from 1.
template <int kWidth>
LAYERCOST_AMX_AVX512 bool soften(const float* scores, std::int64_t steps, float scale, float* max_and_sum,
                                 float* factors, bf16* weights, Ahead& ahead) {
  constexpr int kVectors = 2 * kWidth;  // per 32 keys
  const __m512 c = _mm512_set1_ps(scale);
  __m512 m0 = _mm512_load_ps(scores), m1 = _mm512_load_ps(scores + 16);
  for (std::int64_t i = 2; i < steps * kVectors; i += 2) {
    m0 = _mm512_max_ps(m0, _mm512_load_ps(scores + 16 * i));
    m1 = _mm512_max_ps(m1, _mm512_load_ps(scores + 16 * i + 16));
  }
  const __m512 old_max = _mm512_load_ps(max_and_sum);
  const __m512 max = _mm512_max_ps(old_max, _mm512_mul_ps(c, max_over_keys<kWidth>(_mm512_max_ps(m0, m1))));
  const __m512 factor = exp2_of(_mm512_sub_ps(old_max, max));
  _mm512_store_ps(factors, factor);
  _mm512_store_ps(max_and_sum, max);
  __m512 sum0 = _mm512_mul_ps(factor, _mm512_load_ps(max_and_sum + 16)), sum1 = _mm512_setzero_ps();

  alignas(64) static constexpr auto kOrder = pair_order<kWidth>();
  const __m512i to_words = _mm512_load_si512(kOrder.data());
  for (std::int64_t s = 0; s < steps; ++s) {
    __m512i words[kWidth];
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) {
      const float* at = scores + 16 * (s * kVectors + 2 * i);
      const __m512 p0 = exp2_of(_mm512_fmsub_ps(_mm512_load_ps(at), c, max));
      const __m512 p1 = exp2_of(_mm512_fmsub_ps(_mm512_load_ps(at + 16), c, max));
      ahead.lines<kLinesOfScores / (2 * kWidth)>();
      sum0 = _mm512_add_ps(sum0, p0);
      sum1 = _mm512_add_ps(sum1, p1);
      words[i] =
          _mm512_maskz_permutexvar_epi16(0xffffffff, to_words, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(p1, p0)));
    }
    transpose_words<kWidth>(words);
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) _mm512_store_si512(weights + (s * kWidth + i) * kStepKeys, words[i]);
  }
  _mm512_store_ps(max_and_sum + 16, _mm512_add_ps(sum0, sum1));
  return _mm512_cmplt_ps_mask(factor, _mm512_set1_ps(1.0f)) != 0;
}

template <int kWidth>
LAYERCOST_AMX_AVX512 void scale_sums(const float* factors, std::int64_t v_dim, float* sums) {
  for (int r = 0; r < kWidth; ++r, sums += v_dim) {
    const __m512 f = _mm512_set1_ps(factors[r]);
    for (std::int64_t i = 0; i < v_dim; i += 16) _mm512_store_ps(sums + i, _mm512_mul_ps(f, _mm512_load_ps(sums + i)));
  }
}

// Values of `steps` x 32 keys in pairs: [32 dims][32 keys][2 x 16 dims][16 pairs][16 dims][2]. Row by row, as they lie
// in the cache: by columns of 32 dims, the first column alone would touch every line of the block's 16 KB ahead of what
// was asked for.
LAYERCOST_AMX_AVX512 void pair_values(const bf16* v, std::int64_t steps, std::int64_t v_dim, bf16* out, Ahead& ahead) {
  int quarter = 0;
  for (std::int64_t p = 0; p < steps * 16; ++p, v += 2 * v_dim) {
    bf16* to = out + p / 16 * 4 * kWordsPerTile + p % 16 * 32;
    for (std::int64_t i = 0; i < v_dim; i += kStepDims, to += kSlab) {
      to_pairs(v + i, v + v_dim + i, to, to + 2 * kWordsPerTile);
      if (++quarter % 4 == 0) ahead.lines<kLinesPer4Pairs>();
    }
  }
}

// sums[width, 32 dims] += weights[width, keys] values[keys, 32 dims]. Tiles 6 and 7: weights of 32 keys each; 4 and 5:
// sums of 16 dims each; 3: values.
LAYERCOST_AMX_AVX512 void weigh(const bf16* values, std::int64_t steps, bool is_first, std::int64_t v_dim, float* sums,
                                Ahead& ahead) {
  const std::int64_t stride = v_dim * static_cast<std::int64_t>(sizeof(float));
  if (is_first) {
    _tile_zero(4);
    _tile_zero(5);
  } else {
    _tile_loadd(4, sums, stride);
    _tile_loadd(5, sums + 16, stride);
  }
  _tile_loadd(3, values, 64);
  _tile_dpbf16ps(4, 6, 3);
  ahead.lines<kLinesPerProduct>();
  _tile_loadd(3, values + 2 * kWordsPerTile, 64);
  _tile_dpbf16ps(5, 6, 3);
  if (steps > 1) {
    _tile_loadd(3, values + 4 * kWordsPerTile, 64);
    _tile_dpbf16ps(4, 7, 3);
    ahead.lines<kLinesPerProduct>();
    _tile_loadd(3, values + 6 * kWordsPerTile, 64);
    _tile_dpbf16ps(5, 7, 3);
  }
  _tile_stored(4, sums, stride);
  _tile_stored(5, sums + 16, stride);
}

struct Task {
  const bf16 *k, *v;  // of its first key
  std::int64_t kv_head, chunk, begin, end;

  Task(const Decode& c, std::int64_t index) : kv_head(index / c.chunks), chunk(index % c.chunks) {
    begin = c.a.first_key(0) + chunk * c.chunk_keys;
    end = std::min(c.a.kv_len, begin + c.chunk_keys);
    k = c.k_cache + (kv_head * c.a.capacity + begin) * c.a.qk_dim;
    v = c.v_cache + (kv_head * c.a.capacity + begin) * c.a.v_dim;
  }
};

template <int kWidth>
LAYERCOST_AMX_AVX512 void chunk(const Decode& c, const Task& task, const Task& next, const Scratch& s) {
  const std::int64_t qk_dim = c.a.qk_dim, v_dim = c.a.v_dim, tiles = c.row_tiles();
  const float scale = static_cast<float>(c.a.scale) * kLog2E;
  float* partial = c.partial(task.kv_head, task.chunk);
  float* statistics = partial + kWidth * v_dim;  // of the first row tile
  for (std::int64_t t = 0; t < tiles; ++t) {
    std::fill_n(statistics + t * c.tile_floats(), 16, kNoMaximum);
    std::fill_n(statistics + t * c.tile_floats() + 16, 16, 0.0f);
  }
  for (std::int64_t block = task.begin; block < task.end; block += kBlockKeys) {
    const std::int64_t keys = std::min(kBlockKeys, task.end - block);
    const std::int64_t steps = (keys + kStepKeys - 1) / kStepKeys;
    const bool is_first = block == task.begin;
    const bf16 *k = task.k + (block - task.begin) * qk_dim, *v = task.v + (block - task.begin) * v_dim;
    const bool is_last = block + kBlockKeys >= task.end;
    const std::int64_t keys_ahead =
        std::min(kBlockKeys, is_last ? next.end - next.begin : task.end - block - kBlockKeys);
    Ahead ahead(is_last ? next.k : k + kBlockKeys * qk_dim, keys_ahead * qk_dim * 2,
                is_last ? next.v : v + kBlockKeys * v_dim, keys_ahead * v_dim * 2);
    if (keys % kStepKeys != 0) {  // behind the last key lies anything
      std::memcpy(s.tail_k, k, static_cast<std::size_t>(keys * qk_dim) * sizeof(bf16));
      std::fill(s.tail_k + keys * qk_dim, s.tail_k + steps * kStepKeys * qk_dim, bf16{});
      std::memcpy(s.tail_v, v, static_cast<std::size_t>(keys * v_dim) * sizeof(bf16));
      std::fill(s.tail_v + keys * v_dim, s.tail_v + steps * kStepKeys * v_dim, bf16{});
      k = s.tail_k;
      v = s.tail_v;
    }
    const bool all_seen =
        keys % kStepKeys == 0 && block >= c.a.first_key(c.a.q_len - 1) && block + keys <= c.a.end_key(0);
    for (std::int64_t t = 0; t < tiles; ++t) {
      TileScope::stored();
      for (std::int64_t i = 0; i < steps; ++i) {
        const bf16 *q = s.queries + t * kWidth * qk_dim, *keys_here = k + i * kStepKeys * qk_dim;
        float* scores = s.scores + i * kStepKeys * kWidth;
        if (t == 0) score_step<kWidth, true>(q, keys_here, qk_dim, scores, ahead);
        else score_step<kWidth, false>(q, keys_here, qk_dim, scores, ahead);
      }
      if (!all_seen) mask_scores<kWidth>(s.seen + t * 32, block, steps * kStepKeys, s.scores);
      alignas(64) float factors[16];
      float* sums = partial + t * c.tile_floats();
      const bool moved = soften<kWidth>(s.scores, steps, scale, sums + kWidth * v_dim, factors,
                                        s.weights + t * kBlockKeys * kWidth, ahead);
      if (moved && !is_first) scale_sums<kWidth>(factors, v_dim, sums);
    }
    pair_values(v, steps, v_dim, s.values, ahead);
    for (std::int64_t i = 0; i < v_dim; i += kStepDims) {
      const bf16* values = s.values + i / kStepDims * kSlab;
      TileScope::stored();
      for (std::int64_t t = 0; t < tiles; ++t) {
        if (i == 0 || tiles > 1) {
          const bf16* w = s.weights + t * kBlockKeys * kWidth;
          _tile_loadd(6, w, 64);
          if (steps > 1) _tile_loadd(7, w + kWidth * kStepKeys, 64);
        }
        weigh(values, steps, is_first, v_dim, partial + t * c.tile_floats() + i, ahead);
      }
    }
  }
  for (std::int64_t t = 0; t < tiles; ++t) {
    float* sums = statistics + t * c.tile_floats() + 16;
    _mm512_store_ps(sums, sum_over_keys<kWidth>(_mm512_load_ps(sums)));
  }
}

// y of a kv head's rows from its chunks. A chunk's maxima make room for its shares.
LAYERCOST_AMX_AVX512 void finish(const Decode& c, std::int64_t kv_head) {
  const std::int64_t v_dim = c.a.v_dim, stride = c.row_tiles() * c.tile_floats();
  for (std::int64_t t = 0; t < c.row_tiles(); ++t) {
    float* tile = c.partial(kv_head, 0) + t * c.tile_floats();
    float* statistics = tile + c.width * v_dim;
    __m512 max = _mm512_load_ps(statistics), total = _mm512_setzero_ps();
    for (std::int64_t i = 1; i < c.chunks; ++i) max = _mm512_max_ps(max, _mm512_load_ps(statistics + i * stride));
    for (std::int64_t i = 0; i < c.chunks; ++i) {
      const __m512 share = exp2_of(_mm512_sub_ps(_mm512_load_ps(statistics + i * stride), max));
      total = _mm512_fmadd_ps(share, _mm512_load_ps(statistics + i * stride + 16), total);
      _mm512_store_ps(statistics + i * stride, share);
    }
    for (std::int64_t i = 0; i < c.chunks; ++i)
      _mm512_store_ps(statistics + i * stride, _mm512_div_ps(_mm512_load_ps(statistics + i * stride), total));
    for (std::int64_t r = 0; r < std::min(c.width, c.rows() - t * c.width); ++r) {
      bf16* y = c.y + c.row_of(kv_head, t * c.width + r) * v_dim;
      for (std::int64_t d = 0; d < v_dim; d += 32) {
        __m512 sum0 = _mm512_setzero_ps(), sum1 = sum0;
        for (std::int64_t i = 0; i < c.chunks; ++i) {
          const __m512 share = _mm512_set1_ps(statistics[i * stride + r]);
          const float* sums = tile + i * stride + r * v_dim + d;
          sum0 = _mm512_fmadd_ps(share, _mm512_load_ps(sums), sum0);
          sum1 = _mm512_fmadd_ps(share, _mm512_load_ps(sums + 16), sum1);
        }
        from_pairs(sum0, sum1, y + d);
      }
    }
  }
}

template <int kWidth>
void work(const Decode& c, std::byte* scratch) {
  TileShapes shapes;
  for (int tile : {0, 1, 2}) shapes.set(tile, 16, 4 * kWidth);
  for (int tile : {4, 5, 6, 7}) shapes.set(tile, kWidth, 64);
  const TileScope tiles(shapes);
  const Scratch s(c, scratch);
  for (std::int64_t t = 0; t < c.row_tiles(); ++t)
    for (std::int64_t lane = 0; lane < 16; ++lane) {
      const std::int64_t query = std::min(t * kWidth + lane % kWidth, c.rows() - 1) / c.a.group();
      s.seen[t * 32 + lane] = static_cast<std::int32_t>(c.a.first_key(query));
      s.seen[t * 32 + 16 + lane] = static_cast<std::int32_t>(c.a.end_key(query));
    }
  std::int64_t loaded = -1;
  // One task ahead, so that its first keys and values are on their way when it starts.
  std::int64_t index = c.next->fetch_add(1);
  while (index < c.tasks()) {
    const std::int64_t following = c.next->fetch_add(1);
    const Task task(c, index);
    if (task.kv_head != loaded) load_queries(c, task.kv_head, s.queries);
    loaded = task.kv_head;
    chunk<kWidth>(c, task, following < c.tasks() ? Task(c, following) : task, s);
    if (c.done[task.kv_head].fetch_add(1) + 1 == c.chunks) {
      finish(c, task.kv_head);
      c.done[task.kv_head] = 0;  // for the next run
    }
    index = following;
  }
}

void work_of_width(const Decode& c, std::byte* scratch) {
  if (c.width == 4) work<4>(c, scratch);
  else if (c.width == 8) work<8>(c, scratch);
  else work<16>(c, scratch);
}

#else

struct Scratch {
  static std::int64_t bytes(const Decode&) { return 0; }
};
void work_of_width(const Decode&, std::byte*) {}

#endif

Support supports(const OpCase& c, const DeviceInfo& device) { return amx_attention_support(attention_axes(c), device); }

// More than 64 rows of several queries, or a prompt, of which every query sees another part, are for amx_blocks.
bool prefers(const OpCase& c, const DeviceInfo&) {
  constexpr std::int64_t kMaxRows = 64;
  const AttentionAxes a = attention_axes(c);
  return a.q_len == 1 || (a.q_len * a.group() <= kMaxRows && 2 * a.q_len <= a.kv_len);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  constexpr std::int64_t kTasksPerThread = 16, kLeastBlocks = 2, kMostBlocks = 16;
  const int threads = team_threads();
  Decode d{.a = attention_axes(c),
           .q = t.tensor("q").as<bf16>(),
           .k_cache = t.tensor("k_cache").as<bf16>(),
           .v_cache = t.tensor("v_cache").as<bf16>(),
           .y = t.tensor("y").as<bf16>()};
  d.width = d.rows() <= 4 ? 4 : d.rows() <= 8 ? 8 : 16;
  const auto ceil_div = [](std::int64_t a, std::int64_t b) { return (a + b - 1) / b; };
  const std::int64_t blocks = ceil_div(d.a.kv_len - d.a.first_key(0), kBlockKeys);
  const std::int64_t wanted = ceil_div(kTasksPerThread * threads, d.kv_heads());
  const std::int64_t chunk_blocks = std::min(blocks, std::clamp(ceil_div(blocks, wanted), kLeastBlocks, kMostBlocks));
  d.chunks = ceil_div(blocks, chunk_blocks);
  d.chunk_keys = ceil_div(blocks, d.chunks) * kBlockKeys;
  const std::int64_t scratch_bytes = Scratch::bytes(d);
  const auto scratch = std::make_shared<Buffer>(static_cast<std::size_t>(threads * scratch_bytes));
  const auto partials =
      std::make_shared<Buffer>(static_cast<std::size_t>(d.tasks() * d.row_tiles() * d.tile_floats()) * sizeof(float));
  const auto counters = std::make_shared<std::vector<std::atomic<std::int64_t>>>(1 + d.kv_heads());
  d.scratch = scratch->data();
  d.partials = partials->as<float>();
  d.next = counters->data();
  d.done = counters->data() + 1;
  return invocation(
      [d, scratch, partials, counters, scratch_bytes, threads] {
        *d.next = 0;
        each_piece(threads, [&](int thread, std::int64_t, std::int64_t) {  // they share the tasks out themselves
          work_of_width(d, d.scratch + thread * scratch_bytes);
        });
      },
      fmt::format("AMX, {} rows per tile, {} chunks of {} keys", d.width, d.chunks, d.chunk_keys));
}

}  // namespace

const Variant attention_amx_decode{
    .name = "amx_decode",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "window uncached x_type=bf16 kv_type=bf16 y_type=bf16",
    .supports = supports,
    .prefers = prefers,
    .make = prepare,
};

}  // namespace layercost

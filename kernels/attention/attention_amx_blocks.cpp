// Many queries on AMX: blocks of rows (a row: a query and head) against blocks of keys with a running softmax, as
// FlashAttention does it, but transposed. Scores are keys x rows and sums are dims x rows, so a vector holds 16 rows:
// maximum, exponential and sum need no step across lanes, and the weights become the second operand of their product by
// interleaving two keys. Keys are an operand as they lie in the cache; values are transposed, once per call: a first
// pass puts both into tiles for all heads of the group and all queries, with zeros behind the last key.
//
// A task is a range of rows of one kv head; per block of 128 keys it takes 32 rows at a time, 2 x 2 registers of 16 x
// 16 sums with 4 tile loads per 4 products. Weights refer to a maximum that follows the true one only when that is more
// than 2^8 ahead, so that the sums are hardly ever scaled: f32 and bf16 are as exact at 2^8 as at 1.
//
// Limit: the keys of one row are not shared out among threads; few rows of few kv heads leave threads idle.
// Source: Dao et al., "FlashAttention", 2022, algorithm 1.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <limits>

#include "attention_variants.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/attention_amx.h"
#include "kernels/core/team.h"
#include "kernels/cpu/amx.h"

namespace layercost {
namespace {

constexpr std::int64_t kBlockKeys = 128, kStepKeys = 32, kRowsAtOnce = 32, kTile = 512;  // bf16 elements of a tile

struct Blocks {
  AttentionAxes a;
  const bf16 *q, *k_cache, *v_cache;
  bf16* y;
  std::int64_t task_rows = 0;                 // multiple of kRowsAtOnce
  std::int64_t first_key = 0, key_steps = 0;  // what is packed: key_steps x 32 keys from first_key on
  bf16 *k_tiles = nullptr, *v_tiles = nullptr;
  std::byte* scratch = nullptr;
  std::int64_t scratch_bytes = 0;  // per thread

  std::int64_t rows() const { return a.q_len * a.group(); }  // per kv head, query by query
  std::int64_t kv_heads() const { return a.batch * a.kv_heads; }
  std::int64_t tasks_per_head() const { return (rows() + task_rows - 1) / task_rows; }
  std::int64_t query_of(std::int64_t row) const { return std::min(row, rows() - 1) / a.group(); }
  // [16 keys][32 dims] after the other for each 16 keys; [16 dims][32 keys] after the other for each 32 keys.
  bf16* k_step(std::int64_t kv_head, std::int64_t step) const {
    return k_tiles + (kv_head * key_steps + step) * kStepKeys * a.qk_dim;
  }
  bf16* v_step(std::int64_t kv_head, std::int64_t step) const {
    return v_tiles + (kv_head * key_steps + step) * kStepKeys * a.v_dim;
  }
};

#if defined(__x86_64__)

// A thread's own. Row tiles are 16 rows; two of them are worked on together.
struct Scratch {
  bf16* queries;       // [row tile][32 dims][16 pairs][16 rows][2]
  float* sums;         // [row tile][16 dims][16 dims][16 rows]; the order of dims is that of to_pairs
  float* scores;       // [32 keys][row tile of 2][32 keys][16 rows]; weights take their place, each 32 keys' in front
  float* statistics;   // [row tile][2][16]: maximum (times scale and log2 e), sum of weights
  std::int32_t* seen;  // [row tile][2][16]: first key and end of each row
  std::int64_t* flat;  // [row]: index in q and y, which are [batch, q_len, heads]; -1 for rows that only fill a tile

  static std::int64_t bytes(const Blocks& b) { return Scratch(b, nullptr).bytes_; }
  Scratch(const Blocks& b, std::byte* at) : begin_(at) {
    queries = take<bf16>(b.task_rows * b.a.qk_dim);
    sums = take<float>(b.task_rows * b.a.v_dim);
    scores = take<float>(kBlockKeys * kRowsAtOnce);
    statistics = take<float>(2 * b.task_rows);
    seen = take<std::int32_t>(2 * b.task_rows);
    flat = take<std::int64_t>(b.task_rows);
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

// Keys and values of one step into tiles.
LAYERCOST_AMX_AVX512 void pack(const Blocks& b, std::int64_t kv_head, std::int64_t step) {
  const std::int64_t qk_dim = b.a.qk_dim, v_dim = b.a.v_dim, key = b.first_key + step * kStepKeys;
  const std::int64_t keys = std::min(kStepKeys, b.a.kv_len - key);
  const bf16* k = b.k_cache + (kv_head * b.a.capacity + key) * qk_dim;
  const bf16* v = b.v_cache + (kv_head * b.a.capacity + key) * v_dim;
  bf16 *k_out = b.k_step(kv_head, step), *v_out = b.v_step(kv_head, step);
  const auto zero = _mm512_setzero_si512();
  for (std::int64_t j = 0; j < kStepKeys; ++j)
    for (std::int64_t i = 0; i < qk_dim; i += 32)
      _mm512_store_si512(k_out + j / 16 * 16 * qk_dim + i * 16 + j % 16 * 32,
                         j < keys ? _mm512_loadu_si512(k + j * qk_dim + i) : zero);
  for (std::int64_t i = 0; i < v_dim; i += 32) {
    __m512i lower[16], upper[16];
#pragma GCC unroll 16
    for (std::int64_t p = 0; p < 16; ++p) {
      const __m512i even = 2 * p < keys ? _mm512_loadu_si512(v + 2 * p * v_dim + i) : zero;
      const __m512i odd = 2 * p + 1 < keys ? _mm512_loadu_si512(v + (2 * p + 1) * v_dim + i) : zero;
      lower[p] = _mm512_unpacklo_epi16(even, odd);
      upper[p] = _mm512_unpackhi_epi16(even, odd);
    }
    transpose_words<16>(lower);
    transpose_words<16>(upper);
#pragma GCC unroll 16
    for (int d = 0; d < 16; ++d) {
      _mm512_store_si512(v_out + i * 32 + d * 32, lower[d]);
      _mm512_store_si512(v_out + i * 32 + kTile + d * 32, upper[d]);
    }
  }
}

// 16 rows in pairs.
LAYERCOST_AMX_AVX512 void load_queries(const Blocks& b, const std::int64_t* flat, bf16* out) {
  for (std::int64_t i = 0; i < b.a.qk_dim; i += 32) {
    __m512i words[16];
    for (int r = 0; r < 16; ++r)
      words[r] = flat[r] >= 0 ? _mm512_loadu_si512(b.q + flat[r] * b.a.qk_dim + i) : _mm512_setzero_si512();
    transpose_words<16>(words);
    for (int p = 0; p < 16; ++p) _mm512_store_si512(out + i * 16 + p * 32, words[p]);
  }
}

// Scores of 32 keys x 32 rows. Registers 0 to 3: scores; 4 and 5: keys; 6 and 7: queries.
LAYERCOST_AMX_AVX512 void score_step(const bf16* k, const bf16* queries, std::int64_t qk_dim, float* scores) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (std::int64_t i = 0; i < 16 * qk_dim; i += kTile) {
    _tile_loadd(4, k + i, 64);
    _tile_loadd(6, queries + i, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(5, k + 16 * qk_dim + i, 64);
    _tile_dpbf16ps(1, 5, 6);
    _tile_loadd(7, queries + 16 * qk_dim + i, 64);
    _tile_dpbf16ps(2, 4, 7);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, scores, 64);
  _tile_stored(1, scores + 256, 64);
  _tile_stored(2, scores + 512, 64);
  _tile_stored(3, scores + 768, 64);
}

// 32 keys' scores of 16 rows: those of keys that a row does not see become -inf. `key`: the first one.
LAYERCOST_AMX_AVX512 void mask_scores(const std::int32_t* seen, std::int64_t key, float* scores) {
  const __m512i first = _mm512_load_si512(seen), end = _mm512_load_si512(seen + 16);
  for (std::int64_t j = 0; j < kStepKeys; ++j) {
    const __m512i here = _mm512_set1_epi32(static_cast<std::int32_t>(key + j));
    const __mmask16 hidden = _mm512_cmplt_epi32_mask(here, first) | _mm512_cmpge_epi32_mask(here, end);
    _mm512_mask_store_ps(scores + j * 16, hidden, _mm512_set1_ps(-std::numeric_limits<float>::infinity()));
  }
}

LAYERCOST_AMX_AVX512 void scale_sums(__m512 factor, std::int64_t v_dim, float* sums) {
  for (std::int64_t i = 0; i < v_dim; ++i)
    _mm512_store_ps(sums + i * 16, _mm512_mul_ps(factor, _mm512_load_ps(sums + i * 16)));
}

// Moves the maximum of 16 rows for `steps` x 32 more keys where it must, and with it sums and sum of weights.
LAYERCOST_AMX_AVX512 void move_maximum(const float* scores, std::int64_t steps, float scale, bool is_first,
                                       std::int64_t v_dim, float* statistics, float* sums) {
  __m512 m[4];
  for (int i = 0; i < 4; ++i) m[i] = _mm512_load_ps(scores + 16 * i);
  for (std::int64_t s = 0; s < steps; ++s)
#pragma GCC unroll 8
    for (std::int64_t j = 0; j < kStepKeys; j += 4)
      for (int i = 0; i < 4; ++i) m[i] = _mm512_max_ps(m[i], _mm512_load_ps(scores + s * 1024 + 16 * (j + i)));
  const __m512 seen_max =
      _mm512_mul_ps(_mm512_set1_ps(scale), _mm512_max_ps(_mm512_max_ps(m[0], m[1]), _mm512_max_ps(m[2], m[3])));
  const __m512 old_max = _mm512_load_ps(statistics);
  const __mmask16 moves = _mm512_cmp_ps_mask(seen_max, _mm512_add_ps(old_max, _mm512_set1_ps(8.0f)), _CMP_GT_OQ);
  if (moves == 0) return;
  const __m512 max = _mm512_mask_mov_ps(old_max, moves, seen_max);
  const __m512 factor = exp2_of(_mm512_sub_ps(old_max, max));
  _mm512_store_ps(statistics, max);
  _mm512_store_ps(statistics + 16, _mm512_mul_ps(factor, _mm512_load_ps(statistics + 16)));
  if (!is_first) scale_sums(factor, v_dim, sums);
}

// 32 keys' scores of 16 rows to weights in pairs of keys, [16 pairs][16 rows][2].
LAYERCOST_AMX_AVX512 void soften(const float* scores, float scale, float* statistics, bf16* weights) {
  const __m512 c = _mm512_set1_ps(scale), max = _mm512_load_ps(statistics);
  __m512 sum0 = _mm512_load_ps(statistics + 16), sum1 = _mm512_setzero_ps();
  alignas(64) static constexpr std::uint16_t kOrder[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                           21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                           11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i order = _mm512_load_si512(kOrder);
#pragma GCC unroll 4
  for (int j = 0; j < 16; ++j) {
    const __m512 p0 = exp2_of(_mm512_fmsub_ps(_mm512_load_ps(scores + 32 * j), c, max));
    const __m512 p1 = exp2_of(_mm512_fmsub_ps(_mm512_load_ps(scores + 32 * j + 16), c, max));
    sum0 = _mm512_add_ps(sum0, p0);
    sum1 = _mm512_add_ps(sum1, p1);
    const auto both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(p1, p0));
    _mm512_store_si512(weights + 32 * j, _mm512_maskz_permutexvar_epi16(0xffffffff, order, both));
  }
  _mm512_store_ps(statistics + 16, _mm512_add_ps(sum0, sum1));
}

// sums[32 dims, 32 rows] += values[32 dims, keys] weights[keys, 32 rows]. Registers 0 to 3: sums; 4 and 5: values; 6
// and 7: weights.
LAYERCOST_AMX_AVX512 void weigh(const bf16* values, std::int64_t v_dim, const bf16* weights, std::int64_t steps,
                                bool is_first, float* sums0, float* sums1) {
  if (is_first) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, sums0, 64);
    _tile_loadd(1, sums0 + 256, 64);
    _tile_loadd(2, sums1, 64);
    _tile_loadd(3, sums1 + 256, 64);
  }
  for (std::int64_t s = 0; s < steps; ++s) {
    const bf16 *v = values + s * kStepKeys * v_dim, *w = weights + s * 2048;
    _tile_loadd(4, v, 64);
    _tile_loadd(6, w, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(5, v + kTile, 64);
    _tile_dpbf16ps(1, 5, 6);
    _tile_loadd(7, w + kTile, 64);
    _tile_dpbf16ps(2, 4, 7);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, sums0, 64);
  _tile_stored(1, sums0 + 256, 64);
  _tile_stored(2, sums1, 64);
  _tile_stored(3, sums1 + 256, 64);
}

// y of 16 rows.
LAYERCOST_AMX_AVX512 void finish(const Blocks& b, const std::int64_t* flat, const float* statistics,
                                 const float* sums) {
  const __m512 factor = _mm512_div_ps(_mm512_set1_ps(1.0f), _mm512_load_ps(statistics + 16));
  for (std::int64_t i = 0; i < b.a.v_dim; i += 32, sums += 512) {
    __m512i lower[16], upper[16];
    for (int d = 0; d < 16; ++d) {
      lower[d] = _mm512_castps_si512(_mm512_mul_ps(factor, _mm512_load_ps(sums + 16 * d)));
      upper[d] = _mm512_castps_si512(_mm512_mul_ps(factor, _mm512_load_ps(sums + 256 + 16 * d)));
    }
    transpose_words<16>(lower);
    transpose_words<16>(upper);
    for (int r = 0; r < 16; ++r)
      if (flat[r] >= 0)
        from_pairs(_mm512_castsi512_ps(lower[r]), _mm512_castsi512_ps(upper[r]), b.y + flat[r] * b.a.v_dim + i);
  }
}

LAYERCOST_AMX_AVX512 void task(const Blocks& b, std::int64_t kv_head, std::int64_t first_row, const Scratch& s) {
  const std::int64_t qk_dim = b.a.qk_dim, v_dim = b.a.v_dim;
  const float scale = static_cast<float>(b.a.scale) * kLog2E;
  const std::int64_t rows = std::min(b.task_rows, (b.rows() - first_row + 31) / 32 * 32);
  const std::int64_t group = b.a.group(), first_head = kv_head % b.a.kv_heads * group;
  std::int64_t query = first_row / group, head = first_row % group;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t lane = r / 16 * 32 + r % 16;
    const bool is_row = first_row + r < b.rows();
    s.flat[r] = is_row ? (kv_head / b.a.kv_heads * b.a.q_len + query) * b.a.heads + first_head + head : -1;
    s.seen[lane] = static_cast<std::int32_t>(b.a.first_key(query));
    s.seen[lane + 16] = static_cast<std::int32_t>(b.a.end_key(query));
    s.statistics[lane] = kNoMaximum;
    s.statistics[lane + 16] = 0;
    if (++head == group && first_row + r + 1 < b.rows()) head = 0, ++query;
  }
  for (std::int64_t r = 0; r < rows; r += 16) load_queries(b, s.flat + r, s.queries + r * qk_dim);

  // Block boundaries are those of the packed steps.
  const std::int64_t end = b.a.end_key(b.query_of(first_row + rows - 1));
  const std::int64_t first_step = (b.a.first_key(b.query_of(first_row)) - b.first_key) / kStepKeys;
  for (std::int64_t step = first_step; b.first_key + step * kStepKeys < end; step += kBlockKeys / kStepKeys) {
    const std::int64_t block = b.first_key + step * kStepKeys;
    for (std::int64_t r = 0; r < rows; r += kRowsAtOnce) {
      const std::int64_t first_query = b.query_of(first_row + r),
                         last_query = b.query_of(first_row + r + kRowsAtOnce - 1);
      const std::int64_t keys = std::min(kBlockKeys, b.a.end_key(last_query) - block);
      if (keys <= 0 || block + kBlockKeys <= b.a.first_key(first_query)) continue;
      const std::int64_t steps = (keys + kStepKeys - 1) / kStepKeys;
      const bool is_first = block <= b.a.first_key(first_query);
      const auto all_seen = [&](std::int64_t key) {
        return key >= b.a.first_key(last_query) && key + kStepKeys <= b.a.end_key(first_query);
      };
      for (std::int64_t i = 0; i < steps; ++i)
        score_step(b.k_step(kv_head, step + i), s.queries + r * qk_dim, qk_dim, s.scores + i * 1024);
      for (int t = 0; t < 2; ++t) {
        float *statistics = s.statistics + (r + 16 * t) * 2, *scores = s.scores + t * 512;
        for (std::int64_t i = 0; i < steps; ++i)
          if (const std::int64_t key = block + i * kStepKeys; !all_seen(key))
            mask_scores(s.seen + (r + 16 * t) * 2, key, scores + i * 1024);
        move_maximum(scores, steps, scale, is_first, v_dim, statistics, s.sums + (r + 16 * t) * v_dim);
        for (std::int64_t i = 0; i < steps; ++i)
          soften(scores + i * 1024, scale, statistics, reinterpret_cast<bf16*>(s.scores + i * 1024) + t * kTile);
      }
      TileScope::stored();
      for (std::int64_t i = 0; i < v_dim; i += 32)
        weigh(b.v_step(kv_head, step) + i * 32, v_dim, reinterpret_cast<const bf16*>(s.scores), steps, is_first,
              s.sums + r * v_dim + i * 16, s.sums + (r + 16) * v_dim + i * 16);
    }
  }
  for (std::int64_t r = 0; r < rows; r += 16) finish(b, s.flat + r, s.statistics + r * 2, s.sums + r * v_dim);
}

void work(const Blocks& b) {
  each_row_and_column(b.kv_heads(), b.key_steps, true,
                      [&](std::int64_t head, std::int64_t step) { pack(b, head, step); });
  const std::int64_t tasks = b.tasks_per_head() * b.kv_heads();
  std::atomic<std::int64_t> left = tasks;
  each_piece(tasks, [&](int thread, std::int64_t, std::int64_t) {
    const TileScope tiles{TileShapes()};
    const std::int64_t i = --left;  // whoever it is: the last rows see most keys and come first
    task(b, i % b.kv_heads(), i / b.kv_heads() * b.task_rows, Scratch(b, b.scratch + thread * b.scratch_bytes));
  });
}

#else

struct Scratch {
  static std::int64_t bytes(const Blocks&) { return 0; }
};
void work(const Blocks&) {}

#endif

Support supports(const OpCase& c, const DeviceInfo& device) { return amx_attention_support(attention_axes(c), device); }

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  constexpr std::int64_t kMaxRows = 256;  // 128 dims: 64 KB of queries and 128 KB of sums, in the second-level cache
  const int threads = team_threads();
  Blocks b{.a = attention_axes(c),
           .q = t.tensor("q").as<bf16>(),
           .k_cache = t.tensor("k_cache").as<bf16>(),
           .v_cache = t.tensor("v_cache").as<bf16>(),
           .y = t.tensor("y").as<bf16>()};
  const auto round_up = [](std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; };
  // Tasks differ by a factor of two and more (the causal triangle): eight per thread even that out.
  b.task_rows = std::clamp(round_up(b.rows() * b.kv_heads() / (8 * threads), kRowsAtOnce), kRowsAtOnce, kMaxRows);
  b.first_key = b.a.first_key(0);
  b.key_steps = round_up(b.a.kv_len - b.first_key, kStepKeys) / kStepKeys;
  b.scratch_bytes = Scratch::bytes(b);
  const auto buffer = [](std::int64_t bytes) { return std::make_shared<Buffer>(static_cast<std::size_t>(bytes)); };
  const auto k_tiles = buffer(b.kv_heads() * b.key_steps * kStepKeys * b.a.qk_dim * 2);
  const auto v_tiles = buffer(b.kv_heads() * b.key_steps * kStepKeys * b.a.v_dim * 2);
  const auto scratch = buffer(threads * b.scratch_bytes);
  b.k_tiles = k_tiles->as<bf16>();
  b.v_tiles = v_tiles->as<bf16>();
  b.scratch = scratch->data();
  return invocation(
      [b, k_tiles, v_tiles, scratch] { work(b); },
      fmt::format("AMX, tasks of {} rows", b.task_rows));
}

}  // namespace

const Variant attention_amx_blocks{
    .name = "amx_blocks",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "window uncached x_type=bf16 kv_type=bf16 y_type=bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost

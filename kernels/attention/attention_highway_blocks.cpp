// Many queries: blocks of queries against blocks of keys with a running softmax, as FlashAttention does it. A task is a
// range of queries of one kv head, for all heads of its group. Per block of 64 keys it transposes the keys and widens
// the values once (32 KB each at 128 dims, which stay in the first-level cache in turn) and runs two small matrix
// products over tiles of 6 rows, the scores and the weighted values. Tiles that see nothing of a block are skipped.
// 64 heads, 8 kv heads, 128 dims, bf16, on one core with AVX-512: 132 GFLOP/s at 256 tokens, 164 at 2048.
//
// Limit: the keys of one query are not shared out among threads; few queries of few kv heads leave threads idle.
// Source: Dao et al., "FlashAttention", 2022, algorithm 1.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/attention/attention_highway_blocks.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "attention_variants.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/attention_highway-inl.h"
#include "kernels/attention/attention_highway.h"
#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/simd-inl.h"

#ifndef LAYERCOST_ATTENTION_BLOCKS
#define LAYERCOST_ATTENTION_BLOCKS
namespace layercost {
namespace {

// 6 rows x 4 vectors of sums, 4 loads and a broadcast are 29 of 32 registers; 6 rows x 2 vectors 15 of 16.
constexpr std::int64_t kTileRows = 6;

struct Blocks {
  AttentionAxes a;
  const void *q, *k_cache, *v_cache;
  const float* sinks;  // null: none
  void* y;
  std::int64_t task_queries = 0;  // per task
  std::int64_t v_stride = 0;      // v_dim padded to whole vectors
  float* scratch = nullptr;

  std::int64_t kv_heads() const { return a.batch * a.kv_heads; }
  std::int64_t query_blocks() const { return ceil_div(a.q_len, task_queries); }
  std::int64_t max_rows() const { return ceil_div(task_queries * a.group(), kTileRows) * kTileRows; }
  // A thread's own: see Scratch.
  std::int64_t scratch_floats() const {
    return max_rows() * (a.qk_dim + kKeysPerBlock + v_stride + 3) + kKeysPerBlock * (a.qk_dim + v_stride);
  }
};

// Rows are query by query, the heads of the group within.
struct Scratch {
  float *keys, *values;              // [qk_dim, kKeysPerBlock] transposed, [kKeysPerBlock, v_stride]
  float *queries, *scores, *sums;    // [rows, qk_dim] scaled, [rows, kKeysPerBlock], [rows, v_stride]
  float *max, *weight_sum, *factor;  // [rows]
  Scratch(const Blocks& b, std::int64_t thread) {
    const std::int64_t rows = b.max_rows();
    keys = b.scratch + thread * b.scratch_floats();
    values = keys + kKeysPerBlock * b.a.qk_dim;
    queries = values + kKeysPerBlock * b.v_stride;
    scores = queries + rows * b.a.qk_dim;
    sums = scores + rows * kKeysPerBlock;
    max = sums + rows * b.v_stride;
    weight_sum = max + rows;
    factor = weight_sum + rows;
  }
};

using TaskFunction = void (*)(const Blocks&, std::int64_t kv_head, std::int64_t first_query, const Scratch&);

}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR

TaskFunction task_function(DType, DType, DType) { return nullptr; }  // supports() has refused

#else

constexpr int kTileVectors = kManyRegisters ? 4 : 2;

// Four vectors of four 32-bit words, as a matrix.
template <class D, class VD>
HWY_INLINE void transpose(D d, VD (&v)[4]) {
  const hn::RepartitionToWide<D> wide;
  const auto zip = [&](auto a, auto b) HWY_ATTR { return hn::BitCast(wide, hn::InterleaveLower(d, a, b)); };
  const auto zip_upper = [&](auto a, auto b) HWY_ATTR { return hn::BitCast(wide, hn::InterleaveUpper(d, a, b)); };
  const auto low01 = zip(v[0], v[1]), low23 = zip(v[2], v[3]);
  const auto high01 = zip_upper(v[0], v[1]), high23 = zip_upper(v[2], v[3]);
  v[0] = hn::BitCast(d, hn::InterleaveLower(wide, low01, low23));
  v[1] = hn::BitCast(d, hn::InterleaveUpper(wide, low01, low23));
  v[2] = hn::BitCast(d, hn::InterleaveLower(wide, high01, high23));
  v[3] = hn::BitCast(d, hn::InterleaveUpper(wide, high01, high23));
}
// Elements i .. of four rows as columns: out[e * kKeysPerBlock + j] = rows[j][i + e]; e < 4 for f32. bf16 has two in a
// word, the even one in the lower half: e < 8; fp8_e4m3: e < 16.
HWY_INLINE void store_columns(const float* const* rows, std::int64_t i, float* out) {
  const hn::Full128<std::uint32_t> d;
  const hn::Full128<float> f;
  hn::Vec<decltype(d)> v[4];
  for (int j = 0; j < 4; ++j) v[j] = hn::BitCast(d, hn::LoadU(f, rows[j] + i));
  transpose(d, v);
  for (int j = 0; j < 4; ++j) hn::StoreU(hn::BitCast(f, v[j]), f, out + j * kKeysPerBlock);
}
HWY_INLINE void store_columns(const bf16* const* rows, std::int64_t i, float* out) {
  const hn::Full128<std::uint32_t> d;
  const hn::Full128<float> f;
  hn::Vec<decltype(d)> v[4];
  for (int j = 0; j < 4; ++j)
    v[j] = hn::BitCast(d, hn::LoadU(hn::Full128<std::uint16_t>(), reinterpret_cast<const std::uint16_t*>(rows[j] + i)));
  transpose(d, v);
  for (int j = 0; j < 4; ++j) {
    hn::StoreU(hn::BitCast(f, hn::ShiftLeft<16>(v[j])), f, out + 2 * j * kKeysPerBlock);
    hn::StoreU(hn::BitCast(f, hn::And(v[j], hn::Set(d, 0xffff0000u))), f, out + (2 * j + 1) * kKeysPerBlock);
  }
}

HWY_INLINE void store_columns(const fp8_e4m3* const* rows, std::int64_t i, float* out) {
  HWY_ALIGN float wide[4][16];
  const float* p[4] = {wide[0], wide[1], wide[2], wide[3]};
  for (int j = 0; j < 4; ++j)
    for (std::int64_t e = 0; e < 16; e += kLanes) store(load(rows[j] + i + e), wide[j] + e);
  for (std::int64_t e = 0; e < 16; e += 4) store_columns(p, e, out + e * kKeysPerBlock);
}

// Behind the last key the last key again, so that every score is finite; soften() sets those aside.
template <class KV>
void transpose_keys(const KV* k, std::int64_t keys, std::int64_t dim, float* out) {
  constexpr std::int64_t kStep = 16 / sizeof(KV);
  for (std::int64_t j = 0; j < kKeysPerBlock; j += 4) {
    const KV* rows[4];
    for (std::int64_t r = 0; r < 4; ++r) rows[r] = k + std::min(j + r, keys - 1) * dim;
    std::int64_t i = 0;
    for (; i + kStep <= dim; i += kStep) store_columns(rows, i, out + i * kKeysPerBlock + j);
    for (; i < dim; ++i)
      for (std::int64_t r = 0; r < 4; ++r) out[i * kKeysPerBlock + j + r] = load_f32(rows[r] + i);
  }
}

// out = factor * in, padded with zeros to whole vectors if the stride has room for it.
template <class T>
void widen_rows(const T* in, std::int64_t rows, std::int64_t dim, float factor, float* out, std::int64_t stride) {
  const V f = hn::Set(F32(), factor);
  for (std::int64_t r = 0; r < rows; ++r, in += dim, out += stride) {
    std::int64_t i = 0;
    for (; i + kLanes <= dim; i += kLanes) store(hn::Mul(f, load(in + i)), out + i);
    if (i < dim) store_n(hn::Mul(f, load_n(in + i, dim - i)), out + i, std::min(kLanes, stride - i));
  }
}

// c[6 rows, kVectors vectors] = factor[row] * c + a b; a [6, n], b [n, vectors]. Without factor: c = a b.
template <int kVectors>
void tile_product(const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride, std::int64_t n,
                  const float* factor, float* c, std::int64_t c_stride) {
  const F32 d;
  V sum[kTileRows][kVectors];
  for (int r = 0; r < kTileRows; ++r)
    for (int v = 0; v < kVectors; ++v)
      sum[r][v] = factor == nullptr ? hn::Zero(d) : hn::Mul(load(c + r * c_stride + v * kLanes), hn::Set(d, factor[r]));
  for (std::int64_t i = 0; i < n; ++i) {
    V x[kVectors];
    for (int v = 0; v < kVectors; ++v) x[v] = load(b + i * b_stride + v * kLanes);
    for (int r = 0; r < kTileRows; ++r) {
      const V w = hn::Set(d, a[r * a_stride + i]);
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(w, x[v], sum[r][v]);
    }
  }
  for (int r = 0; r < kTileRows; ++r)
    for (int v = 0; v < kVectors; ++v) store(sum[r][v], c + r * c_stride + v * kLanes);
}

// The same for any number of columns; b and c are padded to whole vectors.
void product(const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride, std::int64_t n,
             std::int64_t columns, const float* factor, float* c, std::int64_t c_stride) {
  for (std::int64_t i = 0; i < columns; i += kTileVectors * kLanes)
    with_size<kTileVectors>((columns - i + kLanes - 1) / kLanes, [&]<int kVectors>() {
      tile_product<kVectors>(a, a_stride, b + i, b_stride, n, factor, c + i, c_stride);
    });
}

template <class X, class KV, class Y>
void task(const Blocks& t, std::int64_t kv_head, std::int64_t first_query, const Scratch& s) {
  const AttentionAxes& a = t.a;
  const std::int64_t group = a.group(), queries = std::min(t.task_queries, a.q_len - first_query);
  const std::int64_t rows = queries * group, tile_rows = ceil_div(rows, kTileRows) * kTileRows;
  const std::int64_t batch = kv_head / a.kv_heads;
  const auto query_of = [&](std::int64_t row) { return first_query + std::min(row, rows - 1) / group; };
  const std::int64_t first_row = (batch * a.q_len + first_query) * a.heads + kv_head % a.kv_heads * group;
  // Flat row of the first head of a query in q and y, which are [batch, q_len, heads].
  const auto row_of = [&](std::int64_t query) { return first_row + query * a.heads; };

  for (std::int64_t i = 0; i < queries; ++i)
    widen_rows(static_cast<const X*>(t.q) + row_of(i) * a.qk_dim, group, a.qk_dim, static_cast<float>(a.scale),
               s.queries + i * group * a.qk_dim, a.qk_dim);
  std::fill(s.queries + rows * a.qk_dim, s.queries + tile_rows * a.qk_dim, 0.0f);
  std::fill_n(s.sums, tile_rows * t.v_stride, 0.0f);
  std::fill_n(s.max, tile_rows, -kInfinity);
  std::fill_n(s.weight_sum, tile_rows, 0.0f);
  if (t.sinks != nullptr) {  // as a key that was seen before all others
    const float* sinks = t.sinks + kv_head % a.kv_heads * group;
    for (std::int64_t r = 0; r < rows; ++r) s.max[r] = sinks[r % group];
    std::fill_n(s.weight_sum, rows, 1.0f);
  }

  const KV* k_head = static_cast<const KV*>(t.k_cache) + kv_head * a.capacity * a.qk_dim;
  const KV* v_head = static_cast<const KV*>(t.v_cache) + kv_head * a.capacity * a.v_dim;
  const std::int64_t end = a.end_key(query_of(rows - 1));
  for (std::int64_t block = a.first_key(first_query); block < end; block += kKeysPerBlock) {
    const std::int64_t keys = std::min(kKeysPerBlock, end - block);
    // Keys of the block that some row of the tile sees; <= 0: none.
    const auto tile_keys = [&](std::int64_t r) {
      if (a.first_key(query_of(r)) >= block + keys) return std::int64_t{0};
      return std::min(keys, a.end_key(query_of(r + kTileRows - 1)) - block);
    };
    transpose_keys(k_head + block * a.qk_dim, keys, a.qk_dim, s.keys);
    for (std::int64_t r = 0; r < tile_rows; r += kTileRows)
      if (const std::int64_t n = tile_keys(r); n > 0)
        product(s.queries + r * a.qk_dim, a.qk_dim, s.keys, kKeysPerBlock, a.qk_dim, n, nullptr,
                s.scores + r * kKeysPerBlock, kKeysPerBlock);
    widen_rows(v_head + block * a.v_dim, keys, a.v_dim, 1.0f, s.values, t.v_stride);
    for (std::int64_t r = 0; r < tile_rows; r += kTileRows) {
      const std::int64_t n = tile_keys(r);
      if (n <= 0) continue;
      for (std::int64_t i = r; i < r + kTileRows; ++i)
        soften(s.scores + i * kKeysPerBlock, a.first_key(query_of(i)) - block, a.end_key(query_of(i)) - block, s.max[i],
               s.weight_sum[i], s.factor[i]);
      product(s.scores + r * kKeysPerBlock, kKeysPerBlock, s.values, t.v_stride, n, a.v_dim, s.factor + r,
              s.sums + r * t.v_stride, t.v_stride);
    }
  }

  for (std::int64_t r = 0; r < rows; ++r) {
    Y* y = static_cast<Y*>(t.y) + (row_of(r / group) + r % group) * a.v_dim;
    const float* sums = s.sums + r * t.v_stride;
    const V scale = hn::Set(F32(), 1.0f / s.weight_sum[r]);
    std::int64_t i = 0;
    for (; i + kLanes <= a.v_dim; i += kLanes) store(hn::Mul(load(sums + i), scale), y + i);
    if (i < a.v_dim) store_n(hn::Mul(load(sums + i), scale), y + i, a.v_dim - i);
  }
}

TaskFunction task_function(DType x, DType kv, DType y) {
  return dispatch_float(x, [&]<class X>(X*) {
    return dispatch_cache(kv, [&]<class KV>(KV*) {
      return dispatch_float(y, [&]<class Y>(Y*) { return TaskFunction(task<X, KV, Y>); });
    });
  });
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace layercost
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace layercost {
namespace {

HWY_EXPORT(task_function);

Support supports(const OpCase& c, const DeviceInfo&) {
  attention_axes(c);
  return has_simd() ? Support::yes() : Support::no("needs SSE4.2 or NEON");
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  constexpr std::int64_t kMaxRows = 192;  // 128 dims: 270 KB of queries, scores and sums, within a second-level cache
  constexpr std::int64_t kMinRows = 48;   // fewer do not pay for preparing keys and values
  const Tensor &q = t.tensor("q"), &k = t.tensor("k_cache"), &y = t.tensor("y");
  const int threads = team_threads();
  Blocks b{.a = attention_axes(c),
           .q = q.data,
           .k_cache = k.data,
           .v_cache = t.tensor("v_cache").data,
           .sinks = nullptr,
           .y = y.data};
  const auto sinks = attention_sinks(b.a, t);
  if (sinks) b.sinks = sinks->view().as<float>();
  // Tasks differ by a factor of two and more (the causal triangle): four per thread even that out.
  const std::int64_t wanted = ceil_div(4 * threads, b.kv_heads()), group = b.a.group();
  b.task_queries = std::clamp(ceil_div(b.a.q_len, wanted), ceil_div(kMinRows, group),
                              std::max(ceil_div(kMinRows, group), kMaxRows / group));
  b.task_queries = std::min(b.task_queries, b.a.q_len);
  b.v_stride = ceil_div(b.a.v_dim, 16) * 16;
  const auto scratch = std::make_shared<OwnedTensor>(DType::f32, Shape{threads, b.scratch_floats()});
  b.scratch = scratch->view().as<float>();
  const TaskFunction task = HWY_DYNAMIC_DISPATCH(task_function)(q.dtype, k.dtype, y.dtype);
  return invocation(
      [b, task, scratch, sinks] {
        const std::int64_t tasks = b.query_blocks() * b.kv_heads();
        std::atomic<std::int64_t> left = tasks;
        each_piece(tasks, [&](int thread, std::int64_t, std::int64_t) {
          const std::int64_t i = --left;  // whoever it is: the last queries see most keys and come first
          task(b, i % b.kv_heads(), i / b.kv_heads() * b.task_queries, Scratch(b, thread));
        });
      },
      fmt::format("{}, tasks of {} queries x {} heads", simd_target(), b.task_queries, group));
}

}  // namespace

const Variant attention_highway_blocks{
    .name = "highway_blocks",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "window chunk uncached sinks x_type=f32|bf16 kv_type=f32|bf16|fp8_e4m3 y_type=f32|bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
#endif

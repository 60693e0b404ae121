// Few queries, many keys: the time is that of reading the cache once. A task is one chunk of keys of one kv head, for
// all queries of its group, so that batch 1 with one kv head still occupies all threads; a block of 64 keys comes from
// memory once and then stays in the first-level cache. Each chunk leaves its maximum, its sum and its weighted values;
// a second step puts the chunks of a head together in their order, whichever thread made them.
//
// bf16 keys and values are widened without shuffles: in 32-bit words, a shift leaves the even elements and a mask the
// odd ones. Queries and sums are kept in the same split order and put right at the end.
//
// 32768 keys of 128 dims, 8 kv heads, 2 threads of an EPYC that read 36 GB/s; 1, 4 and 8 heads to a kv head: bf16 36,
// 33 and 18 GB/s (150 GFLOP/s). fp8_e4m3 is widened in eight steps a vector: 11, 8 and 5 GB/s of half as many bytes.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/attention/attention_highway_decode.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <fmt/format.h>
#include <hwy/cache_control.h>

#include <algorithm>
#include <cmath>

#include "attention_variants.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/attention_highway-inl.h"
#include "kernels/attention/attention_highway.h"
#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/simd-inl.h"

#ifndef LAYERCOST_ATTENTION_DECODE
#define LAYERCOST_ATTENTION_DECODE
namespace layercost {
namespace {

struct Decode {
  AttentionAxes a;
  const void *q, *k_cache, *v_cache;
  const float* sinks;  // null: none
  void* y;
  std::int64_t chunks = 0, chunk_keys = 0;  // per kv head; whole blocks
  std::int64_t q_stride = 0, v_stride = 0;  // floats between rows of queries and of sums, padded to whole vector pairs
  float *scratch = nullptr, *partials = nullptr;

  std::int64_t rows() const { return a.q_len * a.group(); }  // per kv head, query by query
  std::int64_t kv_heads() const { return a.batch * a.kv_heads; }
  // A thread's own: queries [rows, q_stride], scores [rows, kKeysPerBlock], factors [rows].
  std::int64_t scratch_floats() const { return rows() * (q_stride + kKeysPerBlock + 1); }
  // A task's result: sums [rows, v_stride], then maxima [rows], then the sums' weights [rows].
  std::int64_t partial_floats() const { return rows() * (v_stride + 2); }
  float* partial(std::int64_t kv_head, std::int64_t chunk) const {
    return partials + (kv_head * chunks + chunk) * partial_floats();
  }
  // Flat index of a row in q and y, which are [batch, q_len, heads].
  std::int64_t row_of(std::int64_t kv_head, std::int64_t row) const {
    const std::int64_t b = kv_head / a.kv_heads, g = kv_head % a.kv_heads;
    return (b * a.q_len + row / a.group()) * a.heads + g * a.group() + row % a.group();
  }
};

struct DecodeFunctions {
  void (*load_queries)(const Decode&, std::int64_t kv_head, float* q);
  void (*chunk)(const Decode&, std::int64_t kv_head, std::int64_t chunk, float* scratch);
  void (*finish)(const Decode&, std::int64_t kv_head, std::int64_t row);
};

}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR

DecodeFunctions decode_functions(DType, DType, DType) { return {}; }  // supports() has refused

#else

constexpr std::int64_t kPair = 2 * kLanes;
// How many rows share one load of a key or value: 4 sums per row for 4 keys, or 2 sums per row and vector pair, must
// fit in the registers.
constexpr int kScoreRows = kManyRegisters ? 6 : 2;
constexpr int kSumRows = kManyRegisters ? 8 : 4, kPairSums = kManyRegisters ? 12 : 4;

// f<n>(first row) for tiles of nearly equal size n <= kMax that make up `rows`.
template <int kMax, class F>
HWY_INLINE void for_row_tiles(std::int64_t rows, const F& f) {
  const std::int64_t tiles = (rows + kMax - 1) / kMax;
  for (std::int64_t t = 0; t < tiles; ++t) {
    const std::int64_t first = rows * t / tiles, size = rows * (t + 1) / tiles - first;
    with_size<kMax>(size, [&]<int kRows>() { f.template operator()<kRows>(first); });
  }
}

// The two vectors of kPair elements, in split order: even and odd elements of bf16, halves of the others.
template <int kPart>
HWY_INLINE V load_part(const float* p) {
  return load(p + kPart * kLanes);
}
template <int kPart>
HWY_INLINE V load_part(const fp8_e4m3* p) {
  return load(p + kPart * kLanes);
}
template <int kPart>
HWY_INLINE V load_part(const bf16* p) {
  const hn::Repartition<std::uint16_t, F32> d;
  const auto words = hn::BitCast(U32(), hn::LoadU(d, reinterpret_cast<const std::uint16_t*>(p)));
  return hn::BitCast(F32(), kPart == 0 ? hn::ShiftLeft<16>(words) : hn::And(words, hn::Set(U32(), 0xffff0000u)));
}

// The same piece of the next block for the second-level cache, of eight rows on for the first: the processor's own
// prefetcher loses its way between keys and values. Both from the next block for the first-level cache, whose misses
// in flight are few: 26, 17 and 15 GB/s of the 36, 33 and 18 above. Behind the end of the chunk it fetches what nobody
// reads.
template <class KV>
HWY_INLINE void prefetch_pair(const KV* p, std::int64_t stride) {
  for (std::int64_t i = 0; i < kPair; i += 64 / static_cast<std::int64_t>(sizeof(KV))) {
    __builtin_prefetch(p + kKeysPerBlock * stride + i, 0, 2);
    hwy::Prefetch(p + 8 * stride + i);
  }
}

// f32 in memory order to split order and back.
template <class KV>
HWY_INLINE void split(const float* p, const KV*, V& part0, V& part1) {
  part0 = load(p);
  part1 = load(p + kLanes);
}
HWY_INLINE void split(const float* p, const bf16*, V& part0, V& part1) { hn::LoadInterleaved2(F32(), p, part0, part1); }
template <class KV>
HWY_INLINE void unsplit(V part0, V part1, const KV*, float* p) {
  store(part0, p);
  store(part1, p + kLanes);
}
HWY_INLINE void unsplit(V part0, V part1, const bf16*, float* p) { hn::StoreInterleaved2(part0, part1, F32(), p); }

// The first n < kPair elements, zeros behind them.
template <class KV>
struct PaddedPair {
  HWY_INLINE PaddedPair(const KV* p, std::int64_t n) { std::copy_n(p, n, data); }
  HWY_ALIGN KV data[kPair] = {};
};

template <class X, class KV>
void load_queries(const Decode& c, std::int64_t kv_head, float* q) {
  const V scale = hn::Set(F32(), static_cast<float>(c.a.scale));
  for (std::int64_t r = 0; r < c.rows(); ++r) {
    const X* x = static_cast<const X*>(c.q) + c.row_of(kv_head, r) * c.a.qk_dim;
    for (std::int64_t i = 0; i < c.a.qk_dim; i += kPair) {
      HWY_ALIGN float straight[kPair];
      for (std::int64_t j = 0; j < kPair; j += kLanes) {
        const std::int64_t n = std::clamp<std::int64_t>(c.a.qk_dim - i - j, 0, kLanes);
        store(n == kLanes ? load(x + i + j) : load_n(x + i + j, n), straight + j);
      }
      V part0, part1;
      split(straight, static_cast<const KV*>(nullptr), part0, part1);
      store(hn::Mul(part0, scale), q + r * c.q_stride + i);
      store(hn::Mul(part1, scale), q + r * c.q_stride + i + kLanes);
    }
  }
}

// The sums of the lanes of four vectors, as four lanes.
template <class D>
HWY_INLINE hn::Vec<hn::Full128<float>> fold_to_128(D, hn::Vec<D> v) {
  if constexpr (hn::MaxLanes(D()) == 4) {
    return v;
  } else {
    const hn::Half<D> half;
    return fold_to_128(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
}
HWY_INLINE hn::Vec<hn::Full128<float>> sums_of_lanes(V a, V b, V c, V d) {
  const F32 f;
  const hn::Repartition<std::uint64_t, F32> wide;
  const auto ab = hn::BitCast(wide, hn::Add(hn::InterleaveLower(f, a, b), hn::InterleaveUpper(f, a, b)));
  const auto cd = hn::BitCast(wide, hn::Add(hn::InterleaveLower(f, c, d), hn::InterleaveUpper(f, c, d)));
  return fold_to_128(
      f, hn::Add(hn::BitCast(f, hn::InterleaveLower(wide, ab, cd)), hn::BitCast(f, hn::InterleaveUpper(wide, ab, cd))));
}

template <int kRows, int kPart, class KV>
HWY_INLINE void multiply_part(const float* q, std::int64_t q_stride, const KV* const* k, std::int64_t i,
                              V (&sum)[kRows][4]) {
  const V k0 = load_part<kPart>(k[0] + i), k1 = load_part<kPart>(k[1] + i);
  const V k2 = load_part<kPart>(k[2] + i), k3 = load_part<kPart>(k[3] + i);
  for (int r = 0; r < kRows; ++r) {
    const V x = load(q + r * q_stride + kPart * kLanes);
    sum[r][0] = hn::MulAdd(x, k0, sum[r][0]);
    sum[r][1] = hn::MulAdd(x, k1, sum[r][1]);
    sum[r][2] = hn::MulAdd(x, k2, sum[r][2]);
    sum[r][3] = hn::MulAdd(x, k3, sum[r][3]);
  }
}

// scores[r, 0 .. 3] = q[r, :] . k[0 .. 3]
template <int kRows, class KV>
void multiply(const float* q, std::int64_t q_stride, const KV* const* k, std::int64_t dim, float* scores) {
  V sum[kRows][4];
  for (auto& row : sum) row[0] = row[1] = row[2] = row[3] = hn::Zero(F32());
  std::int64_t i = 0;
  for (; i + kPair <= dim; i += kPair) {
    for (int j = 0; j < 4; ++j) prefetch_pair(k[j] + i, dim);
    multiply_part<kRows, 0>(q + i, q_stride, k, i, sum);
    multiply_part<kRows, 1>(q + i, q_stride, k, i, sum);
  }
  if (i < dim) {
    const PaddedPair<KV> rest[4] = {{k[0] + i, dim - i}, {k[1] + i, dim - i}, {k[2] + i, dim - i}, {k[3] + i, dim - i}};
    const KV* p[4] = {rest[0].data, rest[1].data, rest[2].data, rest[3].data};
    multiply_part<kRows, 0>(q + i, q_stride, p, 0, sum);
    multiply_part<kRows, 1>(q + i, q_stride, p, 0, sum);
  }
  for (int r = 0; r < kRows; ++r) {
    const auto four = sums_of_lanes(sum[r][0], sum[r][1], sum[r][2], sum[r][3]);
    hn::StoreU(four, hn::Full128<float>(), scores + r * kKeysPerBlock);
  }
}

template <class KV>
void multiply_rows(const Decode& c, const float* q, const KV* const* k, float* scores) {
  for_row_tiles<kScoreRows>(c.rows(), [&]<int kRows>(std::int64_t r) {
    multiply<kRows>(q + r * c.q_stride, c.q_stride, k, c.a.qk_dim, scores + r * kKeysPerBlock);
  });
}

// sums[r, columns of kPairs pairs] = factor[r] * sums + sum_j weights[r, j] * v[j, :]; n: elements of the last pair, if
// fewer than kPair.
template <int kRows, int kPairs, class KV>
void weigh(const float* weights, std::int64_t keys, const float* factor, const KV* v, std::int64_t v_stride,
           std::int64_t n, float* sums, std::int64_t stride) {
  const F32 d;
  V sum[kRows][2 * kPairs];
  for (int r = 0; r < kRows; ++r)
    for (int i = 0; i < 2 * kPairs; ++i)
      sum[r][i] = hn::Mul(load(sums + r * stride + i * kLanes), hn::Set(d, factor[r]));
  if (n == kPair) {
    for (std::int64_t j = 0; j < keys; ++j)
      for (int pair = 0; pair < kPairs; ++pair) {
        const KV* p = v + j * v_stride + pair * kPair;
        prefetch_pair(p, v_stride);
        const V v0 = load_part<0>(p), v1 = load_part<1>(p);
        for (int r = 0; r < kRows; ++r) {
          const V w = hn::Set(d, weights[r * kKeysPerBlock + j]);
          sum[r][2 * pair] = hn::MulAdd(w, v0, sum[r][2 * pair]);
          sum[r][2 * pair + 1] = hn::MulAdd(w, v1, sum[r][2 * pair + 1]);
        }
      }
  } else {
    for (std::int64_t j = 0; j < keys; ++j) {
      const PaddedPair<KV> rest(v + j * v_stride, n);
      for (int r = 0; r < kRows; ++r) {
        const V w = hn::Set(d, weights[r * kKeysPerBlock + j]);
        sum[r][0] = hn::MulAdd(w, load_part<0>(rest.data), sum[r][0]);
        sum[r][1] = hn::MulAdd(w, load_part<1>(rest.data), sum[r][1]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int i = 0; i < 2 * kPairs; ++i) store(sum[r][i], sums + r * stride + i * kLanes);
}

template <class KV>
void weigh_rows(const Decode& c, const float* weights, std::int64_t keys, const float* factor, const KV* v,
                float* sums) {
  for_row_tiles<kSumRows>(c.rows(), [&]<int kRows>(std::int64_t r) {
    constexpr int kPairs = 4 * kRows <= kPairSums ? 4 : 2 * kRows <= kPairSums ? 2 : 1;
    const std::int64_t dim = c.a.v_dim, stride = c.a.v_stride();
    const float *w = weights + r * kKeysPerBlock, *f = factor + r;
    std::int64_t i = 0;
    for (; i + kPairs * kPair <= dim; i += kPairs * kPair)
      weigh<kRows, kPairs>(w, keys, f, v + i, stride, kPair, sums + r * c.v_stride + i, c.v_stride);
    for (; i < dim; i += kPair)
      weigh<kRows, 1>(w, keys, f, v + i, stride, std::min(kPair, dim - i), sums + r * c.v_stride + i, c.v_stride);
  });
}

template <class KV>
void chunk(const Decode& c, std::int64_t kv_head, std::int64_t index, float* scratch) {
  const AttentionAxes& a = c.a;
  const std::int64_t rows = c.rows();
  const float* q = scratch;
  float *scores = scratch + rows * c.q_stride, *factors = scores + rows * kKeysPerBlock;
  float *sums = c.partial(kv_head, index), *max = sums + rows * c.v_stride, *sum = max + rows;
  std::fill(sums, max, 0.0f);
  std::fill_n(max, rows, -kInfinity);
  std::fill_n(sum, rows, 0.0f);

  const KV* k_head = static_cast<const KV*>(c.k_cache) + kv_head * a.capacity * a.qk_dim;
  const KV* v_head = static_cast<const KV*>(c.v_cache) + kv_head * a.capacity * a.v_stride();
  const std::int64_t begin = a.first_key(0) + index * c.chunk_keys, end = std::min(a.kv_len, begin + c.chunk_keys);
  for (std::int64_t block = begin; block < end; block += kKeysPerBlock) {
    const std::int64_t keys = std::min(kKeysPerBlock, end - block);
    for (std::int64_t j = 0; j < keys; j += 4) {
      const KV* k[4];  // behind the last key the last key again; soften() sets those scores aside
      for (std::int64_t i = 0; i < 4; ++i) k[i] = k_head + (block + std::min(j + i, keys - 1)) * a.qk_dim;
      multiply_rows(c, q, k, scores + j);
    }
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t query = r / a.group();
      soften(scores + r * kKeysPerBlock, a.first_key(query) - block, a.end_key(query) - block, max[r], sum[r],
             factors[r]);
    }
    weigh_rows(c, scores, keys, factors, v_head + block * a.v_stride(), sums);
  }
}

// y of one row from the chunks of its kv head.
template <class KV, class Y>
void finish(const Decode& c, std::int64_t kv_head, std::int64_t row) {
  const std::int64_t rows = c.rows(), dim = c.a.v_dim;
  const auto max_of = [&](std::int64_t i) { return c.partial(kv_head, i)[rows * c.v_stride + row]; };
  float max = -kInfinity, total = 0;
  for (std::int64_t i = 0; i < c.chunks; ++i) max = std::max(max, max_of(i));
  if (c.sinks != nullptr) {
    const float sink = c.sinks[c.row_of(kv_head, row) % c.a.heads];
    max = std::max(max, sink);
    total = std::exp(sink - max);
  }
  for (std::int64_t i = 0; i < c.chunks; ++i)
    total += std::exp(max_of(i) - max) * c.partial(kv_head, i)[rows * c.v_stride + rows + row];
  Y* y = static_cast<Y*>(c.y) + c.row_of(kv_head, row) * dim;
  for (std::int64_t d = 0; d < dim; d += kPair) {
    V part0 = hn::Zero(F32()), part1 = part0;
    for (std::int64_t i = 0; i < c.chunks; ++i) {
      const V w = hn::Set(F32(), std::exp(max_of(i) - max) / total);
      const float* sums = c.partial(kv_head, i) + row * c.v_stride + d;
      part0 = hn::MulAdd(w, load(sums), part0);
      part1 = hn::MulAdd(w, load(sums + kLanes), part1);
    }
    HWY_ALIGN float straight[kPair];
    unsplit(part0, part1, static_cast<const KV*>(nullptr), straight);
    for (std::int64_t j = 0; j < std::min(kPair, dim - d); j += kLanes) {
      const std::int64_t n = std::min(kLanes, dim - d - j);
      if (n == kLanes) store(load(straight + j), y + d + j);
      else store_n(load(straight + j), y + d + j, n);
    }
  }
}

DecodeFunctions decode_functions(DType x, DType kv, DType y) {
  return dispatch_cache(kv, [&]<class KV>(KV*) {
    return DecodeFunctions{dispatch_float(x, []<class X>(X*) { return load_queries<X, KV>; }), chunk<KV>,
                           dispatch_float(y, []<class Y>(Y*) { return finish<KV, Y>; })};
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

HWY_EXPORT(decode_functions);

Support supports(const OpCase&, const DeviceInfo&) {
  return has_simd() ? Support::yes() : Support::no("needs SSE4.2 or NEON");
}

// More than 64 rows, or a prompt, of which every query sees another part: highway_blocks is faster (64 queries of 32
// heads of 128 dims on their own keys: 0.46 against 0.80 ms on one core with AVX-512).
bool prefers(const OpCase& c, const DeviceInfo&) {
  constexpr std::int64_t kMaxRows = 64;
  const AttentionAxes a = attention_axes(c);
  return a.q_len == 1 || (a.q_len * a.group() <= kMaxRows && 2 * a.q_len <= a.kv_len);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const Tensor &q = t.tensor("q"), &k = t.tensor("k_cache"), &y = t.tensor("y");
  const int threads = team_threads();
  Decode d{.a = attention_axes(c), .q = q.data, .k_cache = k.data, .v_cache = nullptr, .sinks = nullptr, .y = y.data};
  d.v_cache = attention_values(d.a, t).data;
  const auto sinks = attention_sinks(d.a, t);
  if (sinks) d.sinks = sinks->view().as<float>();
  // Four tasks per thread even out unequal threads; below two blocks a chunk is hardly more than its overhead.
  const std::int64_t blocks = ceil_div(d.a.kv_len - d.a.first_key(0), kKeysPerBlock);
  const std::int64_t wanted = std::clamp<std::int64_t>(ceil_div(4 * threads, d.kv_heads()), 1, ceil_div(blocks, 2));
  d.chunk_keys = ceil_div(blocks, wanted) * kKeysPerBlock;
  d.chunks = ceil_div(blocks * kKeysPerBlock, d.chunk_keys);
  d.q_stride = ceil_div(d.a.qk_dim, 32) * 32;
  d.v_stride = ceil_div(d.a.v_dim, 32) * 32;
  const auto scratch = std::make_shared<OwnedTensor>(DType::f32, Shape{threads, d.scratch_floats()});
  const auto partials = std::make_shared<OwnedTensor>(DType::f32, Shape{d.kv_heads(), d.chunks, d.partial_floats()});
  d.scratch = scratch->view().as<float>();
  d.partials = partials->view().as<float>();
  const DecodeFunctions f = HWY_DYNAMIC_DISPATCH(decode_functions)(q.dtype, k.dtype, y.dtype);
  return invocation(
      [d, f, scratch, partials, sinks] {
        each_piece(d.kv_heads() * d.chunks, [&](int thread, std::int64_t i, std::int64_t) {
          float* mine = d.scratch + thread * d.scratch_floats();
          f.load_queries(d, i / d.chunks, mine);
          f.chunk(d, i / d.chunks, i % d.chunks, mine);
        });
        each_row_and_column(d.kv_heads(), d.rows(), d.kv_heads() * d.rows() * d.partial_floats() >= kParallelElements,
                            [&](std::int64_t head, std::int64_t row) { f.finish(d, head, row); });
      },
      fmt::format("{}, {} chunks of {} keys", simd_target(), d.chunks, d.chunk_keys));
}

}  // namespace

const Variant attention_highway_decode{
    .name = "highway_decode",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "window chunk uncached shared_kv sinks x_type=f32|bf16 kv_type=f32|bf16|fp8_e4m3 y_type=f32|bf16",
    .supports = supports,
    .prefers = prefers,
    .make = prepare,
};

}  // namespace layercost
#endif

// All heads of all tokens, q, k and v, are numbered through; each is a copy, a norm and a rotation of head_dim values.
//
// `vectors`: head_dim / 16 lanes per head (8 for 128, so that a warp makes four heads). Lane l holds elements 8l to
// 8l + 7 of both halves: the partners i and i + d/2 of the rotation meet in one lane, and every access has 16 bytes.
// Only the sum of squares needs the other lanes.
// `any_dim`: a warp per head, one element of each half per lane and step.
// `under_one_norm`: a block for all q heads of a token, another for its k and v heads, which sums squares first.
// Where not the halves of whole heads are turned (kWhole false), lanes hold other elements, and still whole pairs: see
// place_of. These are kernels of their own, so that whole heads pay nothing for it.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/rope/rope_cuda_heads_launch.h"

#include "kernels/simt/elements.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kThreads = 128, kThreadsUnderOneNorm = 256;

struct Shared {
  Array<float, kThreadsUnderOneNorm / 32> partial;
};

// Where head number `item` comes from and goes to.
struct Head {
  enum Kind { q, k, v } kind;
  std::int64_t position, from, to;  // first elements, in qkv, and in q or in a cache
  std::int64_t norm_at;             // first of its weights in the norm of its kind
};

// 32-bit divisions: a 64-bit one is a function of some hundred instructions. `supports` knows the limit.
SIMT_INLINE Head head_of(const RopeCudaHeads& p, std::uint32_t item) {
  const auto all = static_cast<std::uint32_t>(p.heads + 2 * p.kv_heads), q_len = static_cast<std::uint32_t>(p.q_len);
  const std::int64_t token = item / all, h = item % all, sequence = item / all / q_len;
  const std::int64_t row_heads = p.heads + (p.v_from_k ? 1 : 2) * p.kv_heads;
  Head out;
  out.position = p.first_position + item / all % q_len;
  out.kind = h < p.heads ? Head::q : h < p.heads + p.kv_heads ? Head::k : Head::v;
  out.from = (token * row_heads + h - (out.kind == Head::v && p.v_from_k ? p.kv_heads : 0)) * p.head_dim;
  if (out.kind == Head::q) {
    out.to = (token * p.heads + h) * p.head_dim;
    out.norm_at = p.norm_whole ? h * p.head_dim : 0;
  } else {
    const std::int64_t kv_head = h - p.heads - (out.kind == Head::v ? p.kv_heads : 0);
    out.to = ((sequence * p.kv_heads + kv_head) * p.capacity + out.position) * p.head_dim;
    out.norm_at = p.norm_whole ? kv_head * p.head_dim : 0;
  }
  return out;
}

// Where a lane's elements lie in the head: N from `low` and N from `high` on, which hold the pairs i to i + N - 1.
struct Place {
  std::int64_t low, high;
  std::int64_t pairs;  // of the head
  bool turned;         // else none of these elements is rotated
};
// Neighbours, and what is not rotated, lie in one run: 16 elements for each lane of `vectors`, and as 16 divides
// rotary_dims there, either all or none of a lane's elements are rotated.
template <bool kWhole, int N>
SIMT_INLINE Place place_of(const RopeCudaHeads& p, std::int64_t i) {
  if (kWhole) return {i, i + p.head_dim / 2, p.head_dim / 2, true};
  const std::int64_t pairs = p.rotary_dims / 2;
  if (i < pairs && !p.interleaved) return {i, i + pairs, pairs, true};
  return {2 * i, 2 * i + N, pairs, i < pairs};
}

// Neighbours a0 a1 .. b6 b7 become a0 a2 .. b6 and a1 a3 .. b7, and back. One pair is as it should be.
SIMT_INLINE void part_neighbours(float (&)[1], float (&)[1]) {}
SIMT_INLINE void part_neighbours(float (&a)[8], float (&b)[8]) {
  float even[8], odd[8];
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    even[j] = j < 4 ? a[2 * j] : b[2 * j - 8];
    odd[j] = j < 4 ? a[2 * j + 1] : b[2 * j - 7];
  }
#pragma unroll
  for (int j = 0; j < 8; ++j) a[j] = even[j], b[j] = odd[j];
}
SIMT_INLINE void join_neighbours(float (&)[1], float (&)[1]) {}
SIMT_INLINE void join_neighbours(float (&even)[8], float (&odd)[8]) {
  float a[8], b[8];
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    a[j] = j % 2 == 0 ? even[j / 2] : odd[j / 2];
    b[j] = j % 2 == 0 ? even[4 + j / 2] : odd[4 + j / 2];
  }
#pragma unroll
  for (int j = 0; j < 8; ++j) even[j] = a[j], odd[j] = b[j];
}

// What the N elements at `low` and the N at `high` are multiplied with.
template <int N>
struct Turn {
  float cos[N], sin[N], low[N], high[N];  // low, high: norm weights
  float factor;                           // of queries, at last
};

// In two parts: the weights are constant, the tables may come from an earlier kernel.
template <int N>
SIMT_INLINE void load_norm(const RopeCudaHeads& p, const Head& head, const Place& at, Turn<N>& t) {
  if (head.kind == Head::v || p.q_norm == nullptr) {
#pragma unroll
    for (int j = 0; j < N; ++j) t.low[j] = t.high[j] = 1.0f;
    return;
  }
  const void* norm = head.kind == Head::q ? p.q_norm : p.k_norm;
  load_typed(p.w_type, norm, head.norm_at + at.low, t.low);
  load_typed(p.w_type, norm, head.norm_at + at.high, t.high);
}
template <int N>
SIMT_INLINE void load_table(const RopeCudaHeads& p, const Head& head, const Place& at, std::int64_t i, Turn<N>& t) {
  t.factor = head.kind == Head::q && p.q_scale != nullptr ? p.q_scale[head.position] : 1.0f;
  if (head.kind == Head::v || !at.turned) return;
  to_floats(load_elements<N>(p.cos + head.position * at.pairs + i), t.cos);
  to_floats(load_elements<N>(p.sin + head.position * at.pairs + i), t.sin);
}

template <int N>
SIMT_INLINE void store_head(const RopeCudaHeads& p, const Head& head, std::int64_t i, const float (&v)[N]) {
  if (head.kind == Head::q) store_typed(p.y_type, p.q, head.to + i, v);
  else store_cached(p.kv_type, head.kind == Head::k ? p.k_cache : p.v_cache, head.to + i, v);
}

// a and b are the elements from `low` and from `high` on in the functions below, and neighbours are parted between
// `part` and `put`. Those of v are neither parted nor turned.
template <bool kWhole>
SIMT_INLINE bool has_neighbours(const RopeCudaHeads& p, const Head& head, const Place& at) {
  return !kWhole && p.interleaved && at.turned && head.kind != Head::v;
}
template <bool kWhole, int N>
SIMT_INLINE void part(const RopeCudaHeads& p, const Head& head, const Place& at, Turn<N>& t, float (&a)[N],
                      float (&b)[N]) {
  if (!has_neighbours<kWhole>(p, head, at)) return;
  part_neighbours(a, b);
  part_neighbours(t.low, t.high);
}
template <int N>
SIMT_INLINE void normalise(const RopeCudaHeads& p, const Head& head, float scale, const Turn<N>& t, float (&a)[N],
                           float (&b)[N]) {
  if (head.kind == Head::v ? !p.v_norm : !p.normed) return;
#pragma unroll
  for (int j = 0; j < N; ++j) a[j] = a[j] * (scale * t.low[j]), b[j] = b[j] * (scale * t.high[j]);
}
template <int N>
SIMT_INLINE void rotate(const Head& head, const Place& at, const Turn<N>& t, float (&a)[N], float (&b)[N]) {
  if (head.kind == Head::v || !at.turned) return;
#pragma unroll
  for (int j = 0; j < N; ++j) {
    const float x = a[j], y = b[j];
    a[j] = x * t.cos[j] - y * t.sin[j];
    b[j] = y * t.cos[j] + x * t.sin[j];
  }
}
template <bool kWhole, int N>
SIMT_INLINE void put(const RopeCudaHeads& p, const Head& head, const Place& at, const Turn<N>& t, float (&a)[N],
                     float (&b)[N]) {
  if (p.q_scale != nullptr) {
#pragma unroll
    for (int j = 0; j < N; ++j) a[j] *= t.factor, b[j] *= t.factor;
  }
  if (has_neighbours<kWhole>(p, head, at)) join_neighbours(a, b);
  store_head(p, head, at.low, a);
  store_head(p, head, at.high, b);
}

template <int N>
SIMT_INLINE float squares_of(const float (&a)[N], const float (&b)[N]) {
  float squares = 0;
#pragma unroll
  for (int j = 0; j < N; ++j) squares += a[j] * a[j] + b[j] * b[j];
  return squares;
}

// kAfter: the norm comes after the rotation.
template <bool kWhole, bool kAfter, class X>
__global__ void __launch_bounds__(kThreads) vectors(RopeCudaHeads p) {
  grid_launch_dependents();
  const std::int64_t items = p.tokens * (p.heads + 2 * p.kv_heads);
  const std::uint32_t thread = blockIdx.x * kThreads + threadIdx.x, lanes = static_cast<std::uint32_t>(p.lanes);
  const std::uint32_t item = thread / lanes;
  const std::int64_t i = thread % lanes * 8;
  const Place at = place_of<kWhole, 8>(p, i);
  const bool valid = item < items;  // the others only take part in the sums of their warp
  float a[8] = {}, b[8] = {};
  Head head = {};
  Turn<8> turn = {};
  if (valid) {
    head = head_of(p, item);
    load_norm(p, head, at, turn);
  }
  grid_wait();
  if (valid) {
    const X* x = static_cast<const X*>(p.qkv) + head.from;
    const auto low = load_elements<8>(x + at.low), high = load_elements<8>(x + at.high);
    load_table(p, head, at, i, turn);
    to_floats(low, a);
    to_floats(high, b);
  }
  if (valid) part<kWhole>(p, head, at, turn, a, b);
  if (kAfter && valid) rotate(head, at, turn, a, b);
  if (p.normed) {
    float squares = squares_of(a, b);
    for (int mask = p.lanes / 2; mask > 0; mask /= 2) squares += shuffle_xor(squares, mask);
    if (valid) normalise(p, head, reciprocal_sqrt(squares / static_cast<float>(p.head_dim) + p.eps), turn, a, b);
  }
  if (!kAfter && valid) rotate(head, at, turn, a, b);
  if (valid) put<kWhole>(p, head, at, turn, a, b);
}

// Pair i of the head, or i to i + N - 1, between reading and storing.
template <bool kWhole, int N, class X>
struct Pairs {
  Place at;
  Turn<N> turn = {};
  float a[N], b[N];

  SIMT_INLINE Pairs(const RopeCudaHeads& p, const Head& head, const X* x, std::int64_t i)
      : at(place_of<kWhole, N>(p, i)) {
    to_floats(load_elements<N>(x + at.low), a);
    to_floats(load_elements<N>(x + at.high), b);
    load_norm(p, head, at, turn);
    load_table(p, head, at, i, turn);
    part<kWhole>(p, head, at, turn, a, b);
  }
};

template <bool kWhole, bool kAfter, class X>
__global__ void __launch_bounds__(kThreads) any_dim(RopeCudaHeads p) {
  grid_launch_dependents();
  const std::int64_t items = p.tokens * (p.heads + 2 * p.kv_heads), half = p.head_dim / 2;
  const std::uint32_t item = blockIdx.x * (kThreads / 32) + static_cast<unsigned>(warp());
  grid_wait();
  if (item >= items) return;  // whole warps
  const Head head = head_of(p, item);
  const X* x = static_cast<const X*>(p.qkv) + head.from;
  float scale = 1.0f;
  if (p.normed) {
    float squares = 0;
    for (std::int64_t i = lane(); i < half; i += 32) {
      Pairs<kWhole, 1, X> of(p, head, x, i);
      if (kAfter) rotate(head, of.at, of.turn, of.a, of.b);
      squares += squares_of(of.a, of.b);
    }
    scale = reciprocal_sqrt(warp_sum(squares) / static_cast<float>(p.head_dim) + p.eps);
  }
  for (std::int64_t i = lane(); i < half; i += 32) {
    Pairs<kWhole, 1, X> of(p, head, x, i);
    if (kAfter) rotate(head, of.at, of.turn, of.a, of.b);
    normalise(p, head, scale, of.turn, of.a, of.b);
    if (!kAfter) rotate(head, of.at, of.turn, of.a, of.b);
    put<kWhole>(p, head, of.at, of.turn, of.a, of.b);
  }
}

template <bool kWhole, int N, class X>
__global__ void __launch_bounds__(kThreadsUnderOneNorm) under_one_norm(RopeCudaHeads p) {
  grid_launch_dependents();
  const bool keys = blockIdx.x % 2 == 1;
  const std::int64_t token = blockIdx.x / 2, normed = keys ? p.kv_heads : p.heads;
  const std::int64_t first = token * (p.heads + 2 * p.kv_heads) + (keys ? p.heads : 0);
  const X* x = static_cast<const X*>(p.qkv) + first * p.head_dim;
  grid_wait();
  float squares = 0;
  for (std::int64_t i = threadIdx.x * N; i < normed * p.head_dim; i += kThreadsUnderOneNorm * N) {
    float v[N];
    to_floats(load_elements<N>(x + i), v);
#pragma unroll
    for (int j = 0; j < N; ++j) squares += v[j] * v[j];
  }
  squares = warp_sum(squares);
  Shared& s = shared<Shared>();
  if (lane() == 0) s.partial[warp()] = squares;
  sync_block();
  squares = 0;
  for (int i = 0; i < kThreadsUnderOneNorm / 32; ++i) squares += s.partial[i];
  const float scale = reciprocal_sqrt(squares / static_cast<float>(normed * p.head_dim) + p.eps);
  const auto per_head = static_cast<std::uint32_t>(p.head_dim / (2 * N));
  const auto all = static_cast<std::uint32_t>(keys ? 2 * p.kv_heads : p.heads) * per_head;
  for (std::uint32_t u = threadIdx.x; u < all; u += kThreadsUnderOneNorm) {
    const std::uint32_t h = u / per_head;
    const Head head = head_of(p, static_cast<std::uint32_t>(first) + h);
    Pairs<kWhole, N, X> of(p, head, x + h * p.head_dim, u % per_head * N);
    normalise(p, head, scale, of.turn, of.a, of.b);
    rotate(head, of.at, of.turn, of.a, of.b);
    put<kWhole>(p, head, of.at, of.turn, of.a, of.b);
  }
}

template <bool kWhole, class X>
int launch_rope(const RopeCudaHeads& p, Stream stream) {
  if (p.norm_whole) {
    const Launch l{dim3(static_cast<unsigned>(2 * p.tokens)), dim3(kThreadsUnderOneNorm), sizeof(Shared), stream,
                   kOverlap};
    return launch("rope_cuda_heads", l, p.lanes != 0 ? under_one_norm<kWhole, 8, X> : under_one_norm<kWhole, 1, X>, p);
  }
  const std::int64_t threads = p.tokens * (p.heads + 2 * p.kv_heads) * (p.lanes != 0 ? p.lanes : 32);
  const Launch l{dim3(static_cast<unsigned>((threads + kThreads - 1) / kThreads)), dim3(kThreads), 0, stream, kOverlap};
  if (p.lanes != 0)
    return launch("rope_cuda_heads", l, p.norm_after ? vectors<kWhole, true, X> : vectors<kWhole, false, X>, p);
  return launch("rope_cuda_heads", l, p.norm_after ? any_dim<kWhole, true, X> : any_dim<kWhole, false, X>, p);
}

}  // namespace

int launch_rope_cuda_heads(const RopeCudaHeads& p, Stream stream) {
  return with_type(p.x_type, [&](auto* x) {
    using X = std::remove_pointer_t<decltype(x)>;
    const bool whole = p.rotary_dims == p.head_dim && !p.interleaved;
    return whole ? launch_rope<true, X>(p, stream) : launch_rope<false, X>(p, stream);
  });
}

}  // namespace layercost

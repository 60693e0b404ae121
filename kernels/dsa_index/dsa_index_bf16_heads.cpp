// By the processor's bf16 products (AVX-512-BF16). Lanes are sixteen heads, a pair of dims in each; a query is laid out
// so once. A key's pairs are broadcast from where they lie in the cache: nothing of it is widened or rearranged. Eight
// keys and 32 heads at a time are sixteen sums, for ten loads a step.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "dsa_index_variants.h"
#include "kernels/core/team.h"
#include "kernels/cpu/bf16_tiles.h"
#include "kernels/dsa_index/dsa_index_rows.h"

#if defined(__x86_64__)
// GCC 12 sees values without a beginning in its own header: those of lanes that no mask leaves.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#define LAYERCOST_AVX512_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#endif

namespace layercost {
namespace {

constexpr std::int64_t kLanes = 16, kHeads = 2 * kLanes, kKeys = 8;

struct Heads {
  DsaIndexAxes a;
  const bf16* q;
  const float* weights;
  const bf16* cache;

  std::int64_t padded_heads() const { return (a.heads + kHeads - 1) / kHeads * kHeads; }
  // Of a laid out query and its weights, in words of 4 bytes.
  std::int64_t scratch_words() const { return padded_heads() * (a.head_dim / 2 + 1); }
};

// q[block of 32 heads][pair of dims][head], a pair in each word; behind the last head zeros.
void lay_out(const Heads& s, std::int64_t row, std::uint32_t* q, float* weights) {
  const std::int64_t pairs = s.a.head_dim / 2;
  for (std::int64_t h = 0; h < s.padded_heads(); ++h) {
    std::uint32_t* to = q + h / kHeads * kHeads * pairs + h % kHeads;
    const bf16* from = s.q + (row * s.a.heads + h) * s.a.head_dim;
    for (std::int64_t i = 0; i < pairs; ++i) {
      std::uint32_t pair = 0;
      if (h < s.a.heads) std::memcpy(&pair, from + 2 * i, sizeof pair);
      to[i * kHeads] = pair;
    }
    weights[h] = h < s.a.heads ? s.weights[row * s.a.heads + h] : 0.0f;
  }
}

#if defined(__x86_64__)

LAYERCOST_AVX512_BF16 inline __attribute__((always_inline)) __m512bh as_pairs(__m512i v) {
  return reinterpret_cast<__m512bh>(v);
}

LAYERCOST_AVX512_BF16 inline __attribute__((always_inline)) __m512i broadcast(const bf16* pair) {
  std::int32_t word = 0;
  std::memcpy(&word, pair, sizeof word);
  return _mm512_set1_epi32(word);
}

// The scores of kKeys keys; behind the last one the last again.
LAYERCOST_AVX512_BF16 void score(const Heads& s, const std::uint32_t* q, const float* weights, const bf16* const* keys,
                                 float* out) {
  const std::int64_t pairs = s.a.head_dim / 2;
  __m512 totals[kKeys];
  for (auto& total : totals) total = _mm512_setzero_ps();
  for (std::int64_t h = 0; h < s.padded_heads(); h += kHeads) {
    const std::uint32_t* block = q + h * pairs;
    __m512 one[kKeys], other[kKeys];
    for (std::int64_t j = 0; j < kKeys; ++j) one[j] = other[j] = _mm512_setzero_ps();
    for (std::int64_t i = 0; i < pairs; ++i) {
      const __m512bh q0 = as_pairs(_mm512_loadu_si512(block + i * kHeads));
      const __m512bh q1 = as_pairs(_mm512_loadu_si512(block + i * kHeads + kLanes));
#pragma GCC unroll 8
      for (std::int64_t j = 0; j < kKeys; ++j) {
        const __m512bh k = as_pairs(broadcast(keys[j] + 2 * i));
        one[j] = _mm512_dpbf16_ps(one[j], q0, k);
        other[j] = _mm512_dpbf16_ps(other[j], q1, k);
      }
    }
    const __m512 none = _mm512_setzero_ps();
    const __m512 w0 = _mm512_loadu_ps(weights + h), w1 = _mm512_loadu_ps(weights + h + kLanes);
#pragma GCC unroll 8
    for (std::int64_t j = 0; j < kKeys; ++j) {
      totals[j] = _mm512_fmadd_ps(w0, _mm512_max_ps(one[j], none), totals[j]);
      totals[j] = _mm512_fmadd_ps(w1, _mm512_max_ps(other[j], none), totals[j]);
    }
  }
  for (std::int64_t j = 0; j < kKeys; ++j) out[j] = _mm512_reduce_add_ps(totals[j]);
}

#else

void score(const Heads&, const std::uint32_t*, const float*, const bf16* const*, float*) {}  // supports() has refused

#endif

void scores(const Heads& s, std::int64_t row, std::int64_t first, std::int64_t count, std::uint32_t* scratch,
            float* out) {
  std::uint32_t* q = scratch;
  float* weights = reinterpret_cast<float*>(scratch + s.padded_heads() * (s.a.head_dim / 2));
  lay_out(s, row, q, weights);
  const bf16* cache = s.cache + (s.a.first_slot(row) + first) * s.a.head_dim;
  for (std::int64_t begin = 0; begin < count; begin += kKeys) {
    const bf16* keys[kKeys];
    for (std::int64_t j = 0; j < kKeys; ++j) keys[j] = cache + std::min(begin + j, count - 1) * s.a.head_dim;
    float of_keys[kKeys];
    score(s, q, weights, keys, of_keys);
    std::copy_n(of_keys, std::min(kKeys, count - begin), out + begin);
  }
}

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (!has_tile_product(device)) return Support::no("needs AVX-512-BF16");
  if (c.axis("head_dim") % 2 != 0) return Support::no("needs an even head_dim");
  return Support::yes();
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const DsaIndexAxes a = dsa_index_axes(c);
  const Heads s{a, t.tensor("q").as<bf16>(), t.tensor("weights").as<float>(), t.tensor("index_cache").as<bf16>()};
  const auto scratch = std::make_shared<OwnedTensor>(DType::f32, Shape{team_threads(), s.scratch_words()});
  return index_invocation(
      a, t,
      [=](int thread, std::int64_t row, std::int64_t first, std::int64_t count, float* out) {
        scores(s, row, first, count, static_cast<std::uint32_t*>(scratch->view().data) + thread * s.scratch_words(),
               out);
      },
      "AVX-512-BF16");
}

}  // namespace

const Variant dsa_index_bf16_heads{
    .name = "bf16_heads",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=bf16 kv_type=bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost

// What:    what amx_decode and amx_blocks share: the exponential, pairs of bf16 for tiles, and the way back from them.
// Layout:  the product of two tiles takes its second operand in pairs: word c of row p holds elements 2p and 2p + 1 of
//          column c. Values in pairs of keys are made by interleaving two rows of 32 dims, within each 16 bytes: a
//          tile has dims 0-3, 8-11, 16-19, 24-27, the next one 4-7, 12-15, 20-23, 28-31. from_pairs puts them right.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/attention/attention.h"
#include "kernels/cpu/amx.h"

namespace layercost {

inline Support amx_attention_support(const AttentionAxes& a, const DeviceInfo& device) {
  if (!has_amx_avx512(device)) return Support::no("needs AMX and AVX-512-BF16");
  if (a.qk_dim % 32 != 0 || a.v_dim % 32 != 0) return Support::no("takes whole tiles of 32 dims");
  if (!(a.scale > 0)) return Support::no("needs a positive scale");
  return Support::yes();
}

#if defined(__x86_64__)

inline constexpr float kLog2E = 1.44269504f;
// The maximum of a row that has seen no key. Not -inf: the difference of two of them is 0 and not NaN.
inline constexpr float kNoMaximum = -3e38f;

// 2^t for t <= 0, also -inf; relative error at most 2.9e-6, exact for t = 0: a polynomial of degree 4 (minimax on
// [0, 1), constant term held at 1) on what is left above the next lower whole number.
LAYERCOST_AMX_AVX512 inline __m512 exp2_of(__m512 t) {
  const __m512 r = _mm512_maskz_reduce_ps(0xffff, t, 0x09);
  __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(0.013426684f), r, _mm512_set1_ps(0.052242473f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.2412802f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.69304484f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  return _mm512_maskz_scalef_ps(0xffff, p, t);
}

// Two rows of 32 elements -> two tile rows of pairs.
LAYERCOST_AMX_AVX512 inline void to_pairs(const bf16* even, const bf16* odd, bf16* tile0, bf16* tile1) {
  const __m512i a = _mm512_loadu_si512(even), b = _mm512_loadu_si512(odd);
  _mm512_store_si512(tile0, _mm512_unpacklo_epi16(a, b));
  _mm512_store_si512(tile1, _mm512_unpackhi_epi16(a, b));
}

// 16 sums of each of the two tiles -> 32 elements in their order.
LAYERCOST_AMX_AVX512 inline void from_pairs(__m512 tile0, __m512 tile1, bf16* out) {
  const auto both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(tile1, tile0));
  const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
  _mm512_storeu_si512(out, _mm512_maskz_permutexvar_epi64(0xff, order, both));
}

// Four vectors as a 4 x 4 matrix of words within each 16 bytes: word i of v[j] to word j of v[i].
LAYERCOST_AMX_AVX512 inline void transpose4(__m512i* v) {
  const __m512i low01 = _mm512_unpacklo_epi32(v[0], v[1]), high01 = _mm512_unpackhi_epi32(v[0], v[1]);
  const __m512i low23 = _mm512_unpacklo_epi32(v[2], v[3]), high23 = _mm512_unpackhi_epi32(v[2], v[3]);
  v[0] = _mm512_unpacklo_epi64(low01, low23);
  v[1] = _mm512_unpackhi_epi64(low01, low23);
  v[2] = _mm512_unpacklo_epi64(high01, high23);
  v[3] = _mm512_unpackhi_epi64(high01, high23);
}

// kRows vectors that hold the words of [16][kRows] one after the other -> vector r has the 16 words of column r.
template <int kRows>
LAYERCOST_AMX_AVX512 inline void transpose_words(__m512i* v) {
  static_assert(kRows == 4 || kRows == 8 || kRows == 16);
  for (int i = 0; i < kRows; i += 4) transpose4(v + i);
  if constexpr (kRows == 4) {
    // 16 bytes l of v[r]: words l, 4 + l, 8 + l, 12 + l of column r
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    for (int r = 0; r < 4; ++r) v[r] = _mm512_maskz_permutexvar_epi32(0xffff, order, v[r]);
  } else if constexpr (kRows == 8) {
    // 16 bytes l of v[4 g + r]: words 8 g + l / 2 + (0, 2, 4, 6) of column 4 (l % 2) + r
    const __m512i lower = _mm512_setr_epi32(0, 8, 1, 9, 2, 10, 3, 11, 16, 24, 17, 25, 18, 26, 19, 27);
    const __m512i upper = _mm512_add_epi32(lower, _mm512_set1_epi32(4));
    for (int r = 0; r < 4; ++r) {
      const __m512i a = v[r], b = v[4 + r];
      v[r] = _mm512_permutex2var_epi32(a, lower, b);
      v[4 + r] = _mm512_permutex2var_epi32(a, upper, b);
    }
  } else {
    // 16 bytes l of v[4 g + r]: words 4 g .. 4 g + 3 of column 4 l + r
    for (int r = 0; r < 4; ++r) {
      const __m512i a = v[r], b = v[4 + r], c = v[8 + r], d = v[12 + r];
      const __m512i ab02 = _mm512_shuffle_i32x4(a, b, 0x88), ab13 = _mm512_shuffle_i32x4(a, b, 0xdd);
      const __m512i cd02 = _mm512_shuffle_i32x4(c, d, 0x88), cd13 = _mm512_shuffle_i32x4(c, d, 0xdd);
      v[r] = _mm512_shuffle_i32x4(ab02, cd02, 0x88);
      v[4 + r] = _mm512_shuffle_i32x4(ab13, cd13, 0x88);
      v[8 + r] = _mm512_shuffle_i32x4(ab02, cd02, 0xdd);
      v[12 + r] = _mm512_shuffle_i32x4(ab13, cd13, 0xdd);
    }
  }
}

#endif

}  // namespace layercost

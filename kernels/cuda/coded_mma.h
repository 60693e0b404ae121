// What:    the product of up to 8 x kTokenTiles rows of x with a tile of 16 rows of a coded matrix (coded_rows.h), by a
//          warp and on the tensor cores: y^T = w x^T, as in linear's cuda_skinny. Codes become bf16 in registers,
//          exactly; the sums of a group are scaled once.
// Decode:  two codes at a time, in bits of a 32-bit word that are those of two bf16, then one multiply-add of two bf16:
//            int4   128 + code, minus 136 (and the zero point)
//            e2m1   exponent and mantissa in place, times 2^126 (bf16 counts exponents from -127, e2m1 from -1)
//            e4m3   likewise, times 2^120
//            int8   128 + low seven bits, minus 128, or 256 where the sign bit is set
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cuda/coded_rows.h"
#include "kernels/simt/simt.h"

namespace layercost {
namespace simt {

// `bits`: a code in the low bits of each half of the word. `addend`: of int4.
template <DeviceCodes kKind>
SIMT_INLINE std::uint32_t decode_pair(std::uint32_t bits, std::uint32_t addend) {
  if constexpr (kKind == DeviceCodes::int4) {
    return multiply_add_bf16(bits | 0x43004300u, 0x3f803f80u, addend);
  } else if constexpr (kKind == DeviceCodes::e2m1) {
    return multiply_add_bf16((bits & 0x00070007u) << 6 | (bits & 0x00080008u) << 12, 0x7e807e80u, 0x80008000u);
  } else if constexpr (kKind == DeviceCodes::e4m3) {
    return multiply_add_bf16((bits & 0x007f007fu) << 4 | (bits & 0x00800080u) << 8, 0x7b807b80u, 0x80008000u);
  } else {
    return multiply_add_bf16((bits & 0x00800080u) | 0x43004300u, 0xbf80bf80u, (bits & 0x007f007fu) | 0x43004300u);
  }
}

SIMT_INLINE float scale_at(DeviceScales kind, const void* scales, std::int64_t i) {
  switch (kind) {
    case DeviceScales::f32:
      return static_cast<const float*>(scales)[i];
    case DeviceScales::f16: {
      // Exponents count from -15 instead of -127; subnormal ones come out right, too.
      const std::uint32_t h = static_cast<const std::uint16_t*>(scales)[i];
      return as_float((h & 0x7fffu) << 13 | (h & 0x8000u) << 16) * as_float((127u + 112u) << 23);
    }
    case DeviceScales::bf16:
      return as_float(static_cast<std::uint32_t>(static_cast<const std::uint16_t*>(scales)[i]) << 16);
    case DeviceScales::e8m0: {
      const std::uint32_t code = static_cast<const std::uint8_t*>(scales)[i];
      return as_float(code == 0 ? 0x00400000u : code << 23);
    }
    case DeviceScales::e4m3: {
      const std::uint32_t code = static_cast<const std::uint8_t*>(scales)[i];
      return as_float((code & 0x7fu) << 20 | (code & 0x80u) << 24) * as_float((127u + 120u) << 23);
    }
  }
  return 0;
}

struct alignas(8) Vec8 {
  std::uint32_t word[2];
};

// sums[t][e] += row lane / 4 + 8 (e / 2) of the tile times row 8 t + 2 (lane % 4) + e % 2 of x, over the chunks first,
// first + stride ... Rows of x from `tokens` on count as zero.
template <DeviceCodes kKind, int kTokenTiles>
SIMT_INLINE void coded_product(const CodedRowsView& w, std::int64_t tile, float factor, const bf16* x, int tokens,
                               int first, int stride, float (&sums)[kTokenTiles][4]) {
  constexpr bool kFour = kKind == DeviceCodes::int4 || kKind == DeviceCodes::e2m1;
  constexpr int kParts = kFour ? 1 : 2, kStepsOfPart = kFour ? 8 : 4;  // of 16 columns
  const int g = lane() / 4, q = lane() % 4, groups = kCodedChunk / w.group;
  const Vec16* codes = static_cast<const Vec16*>(w.codes) + tile * w.chunks * kParts * 64 + lane();
  const auto load = [&](int chunk, Vec16(&into)[kParts][2]) {
    if (chunk >= w.chunks) return;
#pragma unroll
    for (int part = 0; part < kParts; ++part)
#pragma unroll
      for (int half = 0; half < 2; ++half)
        into[part][half] = load_streaming(codes + ((static_cast<std::int64_t>(chunk) * kParts + part) * 2 + half) * 32);
  };

  float sum[kTokenTiles][4] = {};
  Vec16 now[kParts][2] = {}, next[kParts][2] = {};
  load(first, now);
  for (int chunk = first; chunk < w.chunks; chunk += stride) {
    load(chunk + stride, next);
    const std::int64_t scales = (tile * w.chunks + chunk) * kCodedRows * groups;
    std::uint32_t addend[2] = {0xc308c308u, 0xc308c308u};  // -136
#pragma unroll
    for (int part = 0; part < kParts; ++part)
#pragma unroll
      for (int step = 0; step < kStepsOfPart; ++step) {
        const int column = 64 * part + 16 * step, at = chunk * kCodedChunk + column;
        if (at >= w.columns) break;
        if constexpr (kKind == DeviceCodes::int4) {
          if (w.zeros != nullptr && column % w.group == 0)
#pragma unroll
            for (int half = 0; half < 2; ++half) {
              const std::int64_t i = scales + (g + 8 * half) * groups + column / w.group;
              const float minus = -(128.0f + static_cast<float>(static_cast<const std::uint8_t*>(w.zeros)[i]));
              addend[half] = pack(minus, minus);
            }
        }
        std::uint32_t a[4];
#pragma unroll
        for (int half = 0; half < 2; ++half)
#pragma unroll
          for (int pair = 0; pair < 2; ++pair) {
            const std::uint32_t word = now[part][half].word[kFour ? step / 2 : step];
            const std::uint32_t bits =
                kFour ? (word >> (8 * (step % 2) + 4 * pair)) & 0x000f000fu : (word >> (8 * pair)) & 0x00ff00ffu;
            a[half + 2 * pair] = decode_pair<kKind>(bits, addend[half]);
          }
#pragma unroll
        for (int t = 0; t < kTokenTiles; ++t) {
          const int token = 8 * t + g;
          Vec8 v = {{0, 0}};
          if (token < tokens)
            v = *reinterpret_cast<const Vec8*>(x + static_cast<std::int64_t>(token) * w.columns + at + 4 * q);
          mma_bf16(sum[t], a, v.word);
        }
        if ((column + 16) % w.group == 0 || at + 16 >= w.columns) {
          const float upper = factor * scale_at(w.scale_kind, w.scales, scales + g * groups + column / w.group);
          const float lower = factor * scale_at(w.scale_kind, w.scales, scales + (g + 8) * groups + column / w.group);
#pragma unroll
          for (int t = 0; t < kTokenTiles; ++t)
#pragma unroll
            for (int e = 0; e < 4; ++e) {
              sums[t][e] += (e < 2 ? upper : lower) * sum[t][e];
              sum[t][e] = 0;
            }
        }
      }
#pragma unroll
    for (int part = 0; part < kParts; ++part)
#pragma unroll
      for (int half = 0; half < 2; ++half) now[part][half] = next[part][half];
  }
}

constexpr int kCodedWarps = 4;  // of a block

template <int kTokenTiles>
struct CodedSums {
  Array<Array<Array<float, kCodedRows + 4>, 8 * kTokenTiles>, kCodedWarps> of;
};

// The tile's products of all `split` warps that share it, added in the order of the warps; write(row of the matrix, row
// of x, sum) for each.
template <DeviceCodes kKind, int kTokenTiles, class F>
SIMT_INLINE void coded_block(const CodedRowsView& w, int matrix, int first_tile, int split, const bf16* x, int tokens,
                             const F& write) {
  auto& all = shared<CodedSums<kTokenTiles>>().of;
  const int tile = first_tile + warp() / split;
  float sums[kTokenTiles][4] = {};
  if (tile < w.tiles)
    coded_product<kKind>(w, static_cast<std::int64_t>(matrix) * w.tiles + tile,
                         w.factors != nullptr ? w.factors[matrix] : 1.0f, x, tokens, warp() % split, split, sums);
#pragma unroll
  for (int t = 0; t < kTokenTiles; ++t)
#pragma unroll
    for (int e = 0; e < 4; ++e) all[warp()][8 * t + 2 * (lane() % 4) + e % 2][lane() / 4 + 8 * (e / 2)] = sums[t][e];
  sync_block();
  const int tiles = kCodedWarps / split;
  for (int i = static_cast<int>(threadIdx.x); i < tiles * kCodedRows * tokens; i += 32 * kCodedWarps) {
    const int row = i % kCodedRows, token = i / kCodedRows % tokens, of = i / (kCodedRows * tokens);
    const int n = (first_tile + of) * kCodedRows + row;
    if (n >= w.rows) continue;
    float sum = 0;
    for (int part = 0; part < split; ++part) sum += all[of * split + part][token][row];
    write(n, token, sum);
  }
  sync_block();  // before the next tokens' sums
}

// f(the kind as a template argument's value)
template <class F>
int with_codes(DeviceCodes kind, const F& f) {
  return with_index<4>(static_cast<int>(kind), f);
}

}  // namespace simt
}  // namespace layercost

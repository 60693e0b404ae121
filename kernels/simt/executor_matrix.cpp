// What:    ldmatrix and mma of the executor, element by element as the PTX manual lays the fragments out.
// Source:  NVIDIA, "Parallel Thread Execution ISA" 9.0: "Matrix Fragments for mma.m16n8k16 with floating point type",
//          "... for mma.m16n8k32", "Warp-level matrix load instruction: ldmatrix".
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "kernels/simt/executor.h"

// A product is 32 lanes x 32 gathers and 2048 multiply-adds on local arrays of fixed size; checking each access would
// take longer than everything else the tests do.
#define UNCHECKED __attribute__((no_sanitize("address", "undefined")))

namespace layercost {
namespace simt {
namespace executor {
namespace {

UNCHECKED float from_bits(std::uint32_t bits) {  // as_float would be called, checks and all
  float v;
  std::memcpy(&v, &bits, 4);
  return v;
}

// The low and the high half of a register; of e4m3, its four bytes.
UNCHECKED void widen_bf16(std::uint32_t word, float* to) {
  to[0] = from_bits(word << 16);
  to[1] = from_bits(word & 0xffff0000u);
}

UNCHECKED float f16_to_float(std::uint32_t h) {
  // The exponent moved to where float has it and rebased by a product, which is exact for subnormals too.
  const float magnitude = from_bits((h & 0x7fffu) << 13) * 0x1p112f;
  const std::uint32_t sign = (h & 0x8000u) << 16;
  if ((h & 0x7c00u) == 0x7c00u) return from_bits(sign | 0x7f800000u | (h & 0x3ffu) << 13);
  return sign != 0 ? -magnitude : magnitude;
}

UNCHECKED void widen_f16(std::uint32_t word, float* to) {
  to[0] = f16_to_float(word & 0xffffu);
  to[1] = f16_to_float(word >> 16);
}

struct E4m3Values {
  float of[256];
  E4m3Values() {
    for (int b = 0; b < 256; ++b) {
      const int exponent = (b >> 3) & 15, mantissa = b & 7;
      float v;
      if (exponent == 15 && mantissa == 7) v = NAN;  // no infinity
      else if (exponent == 0) v = std::ldexp(static_cast<float>(mantissa), -9);
      else v = std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
      of[b] = (b & 0x80) != 0 ? -v : v;
    }
  }
};
const E4m3Values e4m3_values;

UNCHECKED void widen_e4m3(std::uint32_t word, float* to) {
  for (int i = 0; i < 4; ++i) to[i] = e4m3_values.of[(word >> (8 * i)) & 0xffu];
}

struct Product {
  float* d;
  const std::uint32_t *a, *b;
};

using Columns = float __attribute__((vector_size(32)));  // the 8 columns of one row

// Lane t: row g = t / 4 and g + 8, column pair c = t % 4. With e elements in a register (2 of 16 bits, 4 of 8 bits):
//   a[0] row g, a[1] row g + 8, k = e c ..;  a[2], a[3] the same, k + 4 e;  b[0], b[1]: column g, k = e c .., k + 4 e
//   d[0], d[1] row g, columns 2 c, 2 c + 1;  d[2], d[3] row g + 8
template <int e, void (*widen)(std::uint32_t, float*)>
UNCHECKED void product(void* const (&all)[32]) {
  constexpr int depth = 8 * e;
  float left[16][depth], column[depth];
  Columns right[depth];
  for (int g = 0; g < 8; ++g) {
    for (int c = 0; c < 4; ++c) {
      const auto* p = static_cast<const Product*>(all[4 * g + c]);
      widen(p->a[0], &left[g][e * c]);
      widen(p->a[1], &left[g + 8][e * c]);
      widen(p->a[2], &left[g][e * c + 4 * e]);
      widen(p->a[3], &left[g + 8][e * c + 4 * e]);
      widen(p->b[0], &column[e * c]);
      widen(p->b[1], &column[e * c + 4 * e]);
    }
    for (int k = 0; k < depth; ++k) right[k][g] = column[k];
  }
  for (int row = 0; row < 16; ++row) {
    Columns sum = {};
    for (int k = 0; k < depth; ++k) sum += left[row][k] * right[k];
    for (int c = 0; c < 4; ++c) {
      float* d = static_cast<const Product*>(all[4 * (row % 8) + c])->d + row / 8 * 2;
      d[0] += sum[2 * c];
      d[1] += sum[2 * c + 1];
    }
  }
}

struct Load {
  std::uint32_t* r;
  const std::byte* row;
};

// Matrix i: rows at the addresses of lanes 8i .. 8i + 7. Lane t gets elements 2(t % 4), 2(t % 4) + 1 of row t / 4; or,
// transposed, of column t / 4.
template <int kCount, bool kTransposed>
UNCHECKED void load(void* const (&all)[32]) {
  for (int m = 0; m < kCount; ++m) {
    std::uint16_t v[8][8];
    for (int i = 0; i < 8; ++i) std::memcpy(v[i], static_cast<const Load*>(all[8 * m + i])->row, 16);
    for (int t = 0; t < 32; ++t) {
      const int i = t / 4, j = 2 * (t % 4);
      const std::uint32_t lo = kTransposed ? v[j][i] : v[i][j], hi = kTransposed ? v[j + 1][i] : v[i][j + 1];
      static_cast<const Load*>(all[t])->r[m] = lo | hi << 16;
    }
  }
}

}  // namespace

void load_matrices(std::uint32_t* r, int count, bool transposed, const void* row, Caller caller) {
  if (lane() < 8 * count) read_row(row);
  whole_warp("ldmatrix");
  Load mine{r, static_cast<const std::byte*>(row)};
  if (count == 4 && transposed) return together("ldmatrix_x4_trans", caller, &mine, load<4, true>);
  if (count == 4) return together("ldmatrix_x4", caller, &mine, load<4, false>);
  if (transposed) return together("ldmatrix_x2_trans", caller, &mine, load<2, true>);
  together("ldmatrix_x2", caller, &mine, load<2, false>);
}

void multiply(Mma kind, float* d, const std::uint32_t* a, const std::uint32_t* b, Caller caller) {
  whole_warp("mma");
  Product mine{d, a, b};
  switch (kind) {
    case Mma::bf16: return together("mma_bf16", caller, &mine, product<2, widen_bf16>);
    case Mma::f16: return together("mma_f16", caller, &mine, product<2, widen_f16>);
    case Mma::e4m3: return together("mma_e4m3", caller, &mine, product<4, widen_e4m3>);
  }
}

}  // namespace executor
}  // namespace simt
}  // namespace layercost

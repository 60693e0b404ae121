// Few rows: codes become f32 in registers and are multiplied there; a group's sum is scaled once. Many rows: a piece of
// 64 columns and up to 64 k is decoded, scales applied, to where the first-level cache keeps it (16 KB), and
// multiplied by tiles of rows as SimdProduct does. x is prepared once for all blocks: f32, in pieces of 128 k, a
// piece's rows one after the other, so that reading it is one run however long k is.
//
// Codes of 4 bits and x in bf16, a few rows: in integers. f32 takes a shift, a look-up and a multiply-add for every
// code of 16 (AVX-512); here two instructions give 64 codes as bytes. x is a fixed-point number of 23 bits per group of
// k, in three signed bytes: bf16 keeps all of its bits down to 2^-14 of the group's largest, below that the error is
// 2^-22 of the largest, as in an f32 sum; a group below 2^-100 counts as zero. Sums are exact.
// Two bytes spare a third of the products; 2^-14 of the largest is within the limits for y in bf16 only. Without VNNI,
// where products and not memory are the limit, that is 1.2 to 1.7 times as fast.
//
// Integer codes of rows of bf16 with results in bf16, in 16-bit integers: two are multiplied and summed in the place of
// one f32. With VNNI for many rows. On AVX2, where that takes two instructions, for up to 24: f32 is as fast beyond.
//
// 2 threads of an EPYC that read 36 GB/s, 25600 x 5120, x bf16. One row: AVX-512 with VNNI 32 (q4_0), 38 (mxfp4) and 35
// GB/s (q8_0). AVX2 (of another EPYC, as fast), before and after two bytes, 16-bit integers and E4m3 below: int4_g128
// 20 and 34, q4_k 17 and 23, q4_0 17 and 21, q8_0 22 and 32, q6_k 11 and 16, q5_k 11 and 21, fp8_block128 12 and 21; 8
// rows 1.3 to 1.7 times as fast. 24 rows: 85 GFLOP/s a thread with either. 256 rows of 5120 x 5120, the best of four
// turns: in 16-bit integers 390 GFLOP/s (int4_g128) and 320 (q8_0, q4_0: groups of 32 are scaled four times as often),
// through f32 150 and 160; bf16 (highway_columns) 190.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/simd_coded_product.h"

#define LAYERCOST_SIMD_FILE "kernels/cpu/simd_coded_product.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <fmt/format.h>
#include <hwy/cache_control.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/simd-inl.h"

#ifndef LAYERCOST_SIMD_CODED_PRODUCT
#define LAYERCOST_SIMD_CODED_PRODUCT
namespace layercost {
namespace {

constexpr std::int64_t kColumns = CodedTiles::kColumns;
constexpr std::int64_t kUnitBytes = 4 * kColumns;  // of codes: 8 k of 4 bits or 4 k of 8 bits
constexpr std::int64_t kPieceK = 128;              // a multiple of every group of k
constexpr std::int64_t kDecodedK = 64;             // divides it; 16 KB in f32
constexpr std::int64_t kFewRows = 6;               // up to as many a group, f32 or bytes are faster than 16-bit numbers
constexpr std::int64_t kSegmentRows = 256;         // sums of 64 KB
// A prepared row of a piece, in floats: x; the sum of x of each group of k; and where the integers are wanted, the
// value of their last bit for each group, the sums of each group's three bytes (i32, times Codes::least), and for every
// 8 k the upper, the middle and the lower bytes of 8. An odd number of cache lines: rows of a tile do not meet in the
// same sets.
constexpr int kBytes = 3;
constexpr std::int64_t kMostGroups = kPieceK / 16;
constexpr std::int64_t kRowSums = kPieceK, kXScales = kRowSums + kMostGroups, kByteSums = kXScales + kMostGroups,
                       kXBytes = kByteSums + kBytes * kMostGroups;
constexpr std::int64_t kFloatStride = kPieceK + 16, kIntegerStride = kXBytes + kBytes * kPieceK / 4 + 8;
static_assert(kFloatStride / 16 % 2 == 1 && kIntegerStride / 16 % 2 == 1 && kIntegerStride % 16 == 0);
// Of a row as 16-bit numbers: two in a float, then the value of their last bit and the sum of x, of each group of k.
constexpr std::int64_t kWordScales = kPieceK / 2, kWordSums = kWordScales + kMostGroups,
                       kWordStride = kWordSums + kMostGroups;
static_assert(kWordStride / 16 % 2 == 1 && kWordStride % 16 == 0);
constexpr std::int64_t kAheadBytes = 2048;

// What codes stand for, over `unit`: small integers but for e4m3.
struct Codes {
  enum class Kind { four, five, six, int8, e4m3 } kind = Kind::four;
  float unit = 1;
  alignas(64) std::array<float, 16> values{};          // of 4 bits
  alignas(64) std::array<std::int8_t, 16> integers{};  // the same
  int least = 0;                                       // of them
  alignas(64) std::array<std::uint8_t, 16> above{};    // integers - least
  bool is_code = false;                                // which are the codes themselves
  explicit Codes(const WeightFormat& f) {
    if (f.code_bits == 8) {
      kind = f.table[128] == -128 ? Kind::int8 : Kind::e4m3;
      return;
    }
    if (f.code_bits > 4) {
      kind = f.code_bits == 5 ? Kind::five : Kind::six;
      if (f.table[0] != (f.code_bits == 5 ? 0 : -32)) throw std::logic_error("SimdCodedProduct: table");
      return;
    }
    if (std::any_of(f.table, f.table + 16, [](float v) { return v != std::nearbyint(v); })) unit = 0.5f;  // e2m1
    for (std::size_t i = 0; i < 16; ++i) {
      values[i] = f.table[i] / unit;
      integers[i] = static_cast<std::int8_t>(values[i]);
      if (static_cast<float>(integers[i]) != values[i]) throw std::logic_error("SimdCodedProduct: table");
    }
    least = *std::min_element(integers.begin(), integers.end());
    is_code = true;
    for (std::size_t i = 0; i < 16; ++i) {
      above[i] = static_cast<std::uint8_t>(integers[i] - least);
      is_code = is_code && above[i] == i;
    }
  }
};

// Up to kSegmentRows rows times one block.
struct CodedRows {
  const CodedTiles* w;
  const Codes* codes;
  const std::byte* block;
  const float* beside;
  float factor;
  const float* x;                             // prepared, the first row of the first piece
  std::int64_t rows, x_stride, piece_floats;  // floats from one row and from one piece of x to the next
  float *sums, *decoded;                      // [rows][kColumns], [kDecodedK][kColumns]
};

struct CodedFinish {
  const float* sums;
  std::int64_t rows, columns, stride;
  const float* bias;     // at the first column
  const void* residual;  // at the first row and column
  void* y;
};

struct CodedFunctions {
  // `count` <= kPieceK elements of a row to a prepared row.
  void (*prepare)(const void* x, std::int64_t count, std::int64_t group_k, float* out);
  // The same as 16-bit numbers. Null where they are not faster.
  void (*prepare_words)(const void* x, std::int64_t count, std::int64_t group_k, float* out);
  void (*multiply_words)(const CodedRows&);
  std::int64_t least_word_rows, most_word_rows;  // of a group: from how many to how many rows these are faster
  // To a prepared row, its integers. Null where there are none.
  void (*prepare_integers)(std::int64_t group_k, int least, float* row);
  std::int64_t integer_rows;  // up to how many rows they are faster
  void (*multiply)(const CodedRows&);
  void (*multiply_integers)(const CodedRows&);
  void (*finish)(const CodedFinish&);
};

}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR
CodedFunctions coded_functions(DType, DType, const Codes&, bool) { return {}; }  // simd_coded_support says no
#else

using U8 = hn::Repartition<std::uint8_t, F32>;
using I8 = hn::Repartition<std::int8_t, F32>;
using Words16 = hn::Repartition<std::uint16_t, F32>;

constexpr int kBlockVectors = kColumns / kLanes;
// Sums that fit into the registers beside weights and x, as in simd_product.cpp.
constexpr int kSums = kLanes == 16 || HWY_ARCH_ARM_A64 ? 24 : kLanes == 8 ? 12 : 8;
constexpr int kMostRows = kLanes == 16 || HWY_ARCH_ARM_A64 ? 6 : kLanes == 8 ? 4 : 2;

// Vectors of columns per pass.
constexpr int vectors_for(int rows) {
  int v = kBlockVectors;
  while (v * rows > kSums) v /= 2;
  return v;
}

// f<n>(), 1 <= n <= kMax
template <int kMax, class F>
HWY_INLINE void with_size(std::int64_t n, const F& f) {
  if constexpr (kMax > 1)
    if (n < kMax) return with_size<kMax - 1>(n, f);
  f.template operator()<kMax>();
}

HWY_INLINE hn::Vec<U8> load_bytes(const std::byte* p) {
  return hn::LoadU(U8(), reinterpret_cast<const std::uint8_t*>(p));
}
HWY_INLINE hn::Vec<U32> bytes_to_u32(const std::byte* p) {
  const hn::Rebind<std::uint8_t, F32> bytes;
  return hn::PromoteTo(U32(), hn::LoadU(bytes, reinterpret_cast<const std::uint8_t*>(p)));
}
HWY_INLINE V u32_to_f32(hn::Vec<U32> v) { return hn::ConvertTo(F32(), hn::BitCast(I32(), v)); }
HWY_INLINE V f16_to_f32(const std::byte* p) {
  const hn::Rebind<hwy::float16_t, F32> halves;
  return hn::PromoteTo(F32(), hn::LoadU(halves, reinterpret_cast<const hwy::float16_t*>(p)));
}
// The values of both codes in words as Five and Six give them.
template <class Decoder, class F>
HWY_INLINE void both_of(int t, hn::Vec<U32> w, const F& f) {
  const auto value = [](hn::Vec<U32> code) HWY_ATTR {
    const auto v = hn::BitCast(I32(), hn::And(code, hn::Set(U32(), Decoder::kMask)));
    return hn::ConvertTo(F32(), Decoder::kZero == 0 ? v : hn::Sub(v, hn::Set(I32(), Decoder::kZero)));
  };
  f(2 * t, value(w)), f(2 * t + 1, value(hn::ShiftRight<16>(w)));
}
// Decoders: each(p, f) calls f(k, values of kLanes columns) for the kK k of a step whose codes begin at p.
struct Four {
  static constexpr int kK = 8;
  static constexpr std::int64_t kStepBytes = kUnitBytes;
  explicit Four(const CodedRows& p)
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
      : table(hn::LoadU(F32(), p.codes->values.data())) {
  }
  V table;
  // Nibble s of a word is k 2 s, of its upper half 2 (s - 4) + 1. An index is the low four bits, the rest is ignored.
  template <int kNibble>
  HWY_INLINE V value(hn::Vec<U32> words) const {
    return V{_mm512_permutexvar_ps(hn::ShiftRight<4 * kNibble>(words).raw, table.raw)};
  }
  template <class F>
  HWY_INLINE void each(const std::byte* p, const F& f) {
    const auto words = hn::BitCast(U32(), load_bytes(p));
    f(0, value<0>(words)), f(1, value<4>(words)), f(2, value<1>(words)), f(3, value<5>(words));
    f(4, value<2>(words)), f(5, value<6>(words)), f(6, value<3>(words)), f(7, value<7>(words));
  }
#else
      : table(hn::LoadDup128(I8(), p.codes->integers.data())) {
  }
  hn::Vec<I8> table;
  template <int kByte>
  static HWY_INLINE V value(hn::Vec<I8> bytes) {
    const auto words = hn::BitCast(I32(), bytes);
    return hn::ConvertTo(F32(), hn::ShiftRight<24>(hn::ShiftLeft<24 - 8 * kByte>(words)));
  }
  template <class F>
  HWY_INLINE void each(const std::byte* p, const F& f) {
    const auto codes = load_bytes(p);
    const auto nibble = hn::Set(U8(), 15);
    const auto upper = hn::BitCast(U8(), hn::ShiftRight<4>(hn::BitCast(Words16(), codes)));
    const auto even = hn::TableLookupBytes(table, hn::BitCast(I8(), hn::And(codes, nibble)));
    const auto odd = hn::TableLookupBytes(table, hn::BitCast(I8(), hn::And(upper, nibble)));
    // Nibble s of a word is k 2 s, of its upper half 2 (s - 4) + 1.
    f(0, value<0>(even)), f(1, value<2>(even)), f(2, value<0>(odd)), f(3, value<2>(odd));
    f(4, value<1>(even)), f(5, value<3>(even)), f(6, value<1>(odd)), f(7, value<3>(odd));
  }
#endif
};

// f(t, words whose lowest bits are the code of k = 2 t, those from bit 16 on that of 2 t + 1; above both is more)
struct Five {
  static constexpr int kK = 32;
  static constexpr std::int64_t kStepBytes = 5 * kUnitBytes;
  static constexpr std::uint32_t kMask = 31;
  static constexpr std::int32_t kZero = 0;  // the code of 0
  explicit Five(const CodedRows&) {}
  template <class F>
  static HWY_INLINE void words(const std::byte* p, const F& f) {
    auto last = hn::Zero(U32());
#pragma GCC unroll 5
    for (int i = 0; i < 5; ++i) {
      const auto w = hn::BitCast(U32(), load_bytes(p + 64 * i));
      f(3 * i, w), f(3 * i + 1, hn::ShiftRight<5>(w)), f(3 * i + 2, hn::ShiftRight<10>(w));
      const auto top = hn::And(w, hn::Set(U32(), 0x80008000u));
      last = hn::Or(hn::ShiftRight<1>(last), top);
    }
    f(15, hn::ShiftRight<11>(last));
  }
  template <class F>
  HWY_INLINE void each(const std::byte* p, const F& f) const {
    words(p, [&](int t, hn::Vec<U32> w) HWY_ATTR { both_of<Five>(t, w, f); });
  }
};
struct Six {
  static constexpr int kK = 16;
  static constexpr std::int64_t kStepBytes = 3 * kUnitBytes;
  static constexpr std::uint32_t kMask = 63;
  static constexpr std::int32_t kZero = 32;
  explicit Six(const CodedRows&) {}
  template <class F>
  static HWY_INLINE void words(const std::byte* p, const F& f) {
    const U32 d;
    const auto unit = [&](int i) HWY_ATTR {
      const auto w = hn::BitCast(d, load_bytes(p + 64 * i));
      f(2 * i, w), f(2 * i + 1, hn::ShiftRight<6>(w));
      return w;
    };
    const auto first = unit(0), middle = unit(1), last = unit(2);
    const auto four = hn::Set(d, 0x000f000fu), upper = hn::Set(d, 0x00300030u);
    f(6, hn::Or(hn::And(hn::ShiftRight<12>(first), four), hn::And(hn::ShiftRight<8>(middle), upper)));
    f(7, hn::Or(hn::And(hn::ShiftRight<12>(last), four), hn::And(hn::ShiftRight<10>(middle), upper)));
  }
  template <class F>
  HWY_INLINE void each(const std::byte* p, const F& f) const {
    words(p, [&](int t, hn::Vec<U32> w) HWY_ATTR { both_of<Six>(t, w, f); });
  }
};

// Of 16 bytes, the lower eight are k 0 and 1 of four columns, the upper k 2 and 3. f(k, words whose upper 8 bits are
// the code, bits below)
template <class F>
HWY_INLINE void eight_bits(hn::Vec<U8> bytes, const F& f) {
  const Words16 d;
  const auto pairs = hn::BitCast(d, bytes), zero = hn::Zero(d);
  const auto low = hn::BitCast(U32(), hn::InterleaveLower(d, zero, pairs)),
             high = hn::BitCast(U32(), hn::InterleaveUpper(d, zero, pairs));
  f(0, hn::ShiftLeft<8>(low)), f(1, low), f(2, hn::ShiftLeft<8>(high)), f(3, high);
}

struct Int8 {
  static constexpr int kK = 4;
  static constexpr std::int64_t kStepBytes = kUnitBytes;
  explicit Int8(const CodedRows& p) : has_minus_128(p.w->has_minus_128()) {}
  bool has_minus_128;
  HWY_INLINE hn::Vec<I8> values(const std::byte* p) const {
    const auto codes = hn::BitCast(I8(), load_bytes(p));
    // Sign and magnitude to two's complement.
    const auto sign = hn::BroadcastSignBit(codes);
    auto v = hn::Sub(hn::Xor(hn::And(codes, hn::Set(I8(), 127)), sign), sign);
    const auto minus_128 = hn::Set(I8(), -128);
    if (has_minus_128) v = hn::IfThenElse(hn::Eq(codes, minus_128), minus_128, v);
    return v;
  }
  template <class F>
  HWY_INLINE void each(const std::byte* p, const F& f) {
    eight_bits(hn::BitCast(U8(), values(p)), [&](int k, hn::Vec<U32> words) HWY_ATTR {
      f(k, hn::ConvertTo(F32(), hn::ShiftRight<24>(hn::BitCast(I32(), words))));
    });
  }
};

struct E4m3 {
  static constexpr int kK = 4;
  static constexpr std::int64_t kStepBytes = kUnitBytes;
  explicit E4m3(const CodedRows&) {}
  // Zeros and subnormals, few in weights that fill a block's range.
  static HWY_INLINE auto without_exponent(hn::Vec<U8> codes) {
    return hn::Eq(hn::And(codes, hn::Set(U8(), 0x78)), hn::Zero(U8()));
  }
  // With exponents. In the upper 16 bits of an f32 exponent and mantissa stand four bits up from where a code in the
  // upper byte has them, and its exponent is 120 more: three instructions for two vectors of values. One row, AVX2: 12
  // GB/s by e4m3_to_f32, nine instructions a vector, 17 by F16C, 21 so.
  template <class F>
  static HWY_INLINE void normal(hn::Vec<U8> codes, const F& f) {
    const hn::Repartition<std::int16_t, F32> d;
    const auto upper_half = [&](hn::Vec<decltype(d)> code_above) HWY_ATTR {
      const auto kept = hn::And(hn::ShiftRight<4>(code_above), hn::Set(d, static_cast<std::int16_t>(0x87f0)));
      return hn::BitCast(Words16(), hn::Add(kept, hn::Set(d, 120 << 7)));
    };
    // As eight_bits has them.
    const auto pairs = hn::BitCast(d, codes);
    const auto even = upper_half(hn::ShiftLeft<8>(pairs)), odd = upper_half(pairs);
    const auto value = [](hn::Vec<Words16> half_below) HWY_ATTR { return hn::BitCast(F32(), half_below); };
    const Words16 words;
    const auto zero = hn::Zero(words);
    f(0, value(hn::InterleaveLower(words, zero, even))), f(1, value(hn::InterleaveLower(words, zero, odd)));
    f(2, value(hn::InterleaveUpper(words, zero, even))), f(3, value(hn::InterleaveUpper(words, zero, odd)));
  }
  template <class F>
  static HWY_INLINE void any(hn::Vec<U8> codes, const F& f) {
    eight_bits(codes, [&](int k, hn::Vec<U32> words) HWY_ATTR { f(k, e4m3_to_f32(words)); });
  }
  template <class F>
  HWY_INLINE void each(const std::byte* p, const F& f) {
    const auto codes = load_bytes(p);
    if (HWY_UNLIKELY(!hn::AllFalse(U8(), without_exponent(codes)))) return any(codes, f);
    normal(codes, f);
  }
};

// Where a step's codes of the columns from `column` on begin.
template <class Decoder>
HWY_INLINE const std::byte* at_column(const std::byte* codes, std::int64_t column) {
  return codes + column / 16 * (Decoder::kStepBytes / 4) + column % 16 * 4;
}

// f(v, k, values) for kVectors vectors of columns from `column` on, of a step.
template <int kVectors, class Decoder, class F>
HWY_INLINE void each_vector(Decoder& decoder, const std::byte* codes, std::int64_t column, const F& f) {
  const auto at = [&](int v) HWY_ATTR { return at_column<Decoder>(codes, column + v * kLanes); };
  if constexpr (std::is_same_v<Decoder, E4m3>) {
    // One look, and one branch, for all of them.
    auto rare = E4m3::without_exponent(load_bytes(at(0)));
    for (int v = 1; v < kVectors; ++v) rare = hn::Or(rare, E4m3::without_exponent(load_bytes(at(v))));
    if (HWY_UNLIKELY(!hn::AllFalse(U8(), rare))) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) E4m3::any(load_bytes(at(v)), [&](int k, V w) HWY_ATTR { f(v, k, w); });
      return;
    }
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) E4m3::normal(load_bytes(at(v)), [&](int k, V w) HWY_ATTR { f(v, k, w); });
  } else {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) decoder.each(at(v), [&](int k, V w) HWY_ATTR { f(v, k, w); });
  }
}

struct Affines {
  alignas(64) float scale[kColumns];
  alignas(64) float minus[kColumns];
};

// Groups of k of a block in their order: next() makes the members those of the next one; false behind the last.
class Groups {
 public:
  explicit Groups(const CodedRows& p)
      : piece(p.x),
        p_(p),
        at_(p.block),
        piece_groups_(kPieceK / p.w->group_k()),
        left_(p.w->groups()),
        group_(p.w->chunk_groups()) {}
  const std::byte* codes = nullptr;
  Affines affines;
  const float* piece;          // x that the group is of, the first row
  std::int64_t in_piece = -1;  // which group of it

  bool next() {
    if (left_-- == 0) return false;
    const CodedTiles& w = *p_.w;
    if (++in_piece == piece_groups_) in_piece = 0, piece += p_.piece_floats;
    if (group_ == w.chunk_groups()) {
      group_ = 0, ++chunk_;
      scales_ = at_;
      at_ += w.chunk_scale_bytes();
      for (std::int64_t b = 0; b < w.chunk_scale_bytes(); b += 64) hwy::Prefetch(scales_ + b + kAheadBytes);
      if (w.scales() == CodedTiles::Scales::q4_k)
        for (std::int64_t c = 0; c < kColumns; c += kLanes) {
          store(f16_to_f32(scales_ + 2 * c), common_.scale + c);
          store(f16_to_f32(scales_ + 2 * (kColumns + c)), common_.minus + c);
        }
    }
    codes = at_;
    at_ += w.group_code_bytes();
    set_scales();
    if (w.has_zeros())
      for (std::int64_t c = 0; c < kColumns; c += kLanes) {
        const auto both = bytes_to_u32(scales_ + (w.scales() == CodedTiles::Scales::f32 ? 4 : 2) * kColumns + c % 32);
        const auto code = c < 32 ? hn::And(both, hn::Set(U32(), 15)) : hn::ShiftRight<4>(both);
        const V above = hn::Sub(u32_to_f32(code), hn::Set(F32(), 8));
        store(hn::Mul(load(affines.scale + c), above), affines.minus + c);
      }
    ++group_;
    return true;
  }

 private:
  // scale(c) of each vector of columns. The kind of scales is asked for once a group: asked for every vector, nvfp4 (in
  // groups of 16) went at 14 instead of 20 GB/s, mxfp4 (of 32) at 22 instead of 25 (AVX2, in the last-level cache).
  template <class F>
  HWY_INLINE void each_scale(const F& scale) {
    const V unit = hn::Set(F32(), p_.codes->unit);
    for (std::int64_t c = 0; c < kColumns; c += kLanes) store(hn::Mul(scale(c), unit), affines.scale + c);
  }
  // Whether all of the group's scales of a byte lie in these, signed.
  HWY_INLINE bool bytes_within(std::int8_t least, std::int8_t most) const {
    const I8 d;
    for (std::int64_t c = 0; c < kColumns; c += 4 * kLanes) {
      const auto code = hn::BitCast(d, load_bytes(scales_ + c));
      if (!hn::AllFalse(d, hn::Or(hn::Gt(hn::Set(d, least), code), hn::Gt(code, hn::Set(d, most))))) return false;
    }
    return true;
  }
  HWY_INLINE void set_scales() {
    using Scales = CodedTiles::Scales;
    switch (p_.w->scales()) {
      case Scales::block:
        return each_scale([&](std::int64_t) HWY_ATTR { return hn::Set(F32(), p_.beside[chunk_]); });
      case Scales::row:
        return each_scale([&](std::int64_t c) HWY_ATTR { return load(p_.beside + c); });
      case Scales::f16:
        return each_scale([&](std::int64_t c) HWY_ATTR { return f16_to_f32(scales_ + 2 * c); });
      case Scales::bf16:
        return each_scale([&](std::int64_t c)
                              HWY_ATTR { return load(reinterpret_cast<const bf16*>(scales_ + 2 * c)); });
      case Scales::f32:
        return each_scale([&](std::int64_t c)
                              HWY_ATTR { return load(reinterpret_cast<const float*>(scales_ + 4 * c)); });
      case Scales::e8m0:
        // 2^(code - 127) has the code as its exponent; 2^-127, below the normal ones, is code 0, and 255 is NaN.
        return each_scale([&](std::int64_t c) HWY_ATTR {
          const auto code = hn::BitCast(I32(), bytes_to_u32(scales_ + c));
          const auto bits =
              hn::IfThenElse(hn::Eq(code, hn::Zero(I32())), hn::Set(I32(), 0x00400000), hn::ShiftLeft<23>(code));
          const auto nan = hn::Eq(code, hn::Set(I32(), 255));
          return hn::BitCast(F32(), hn::IfThenElse(nan, hn::Set(I32(), 0x7fc00000), bits));
        });
      case Scales::e4m3: {
        const V factor = hn::Set(F32(), p_.factor);
        // Positive, with an exponent, no NaN: as all scales of a group are but for groups of zeros.
        if (HWY_LIKELY(bytes_within(8, 126)))
          return each_scale([&](std::int64_t c) HWY_ATTR {
            const auto bits = hn::Add(hn::ShiftLeft<20>(bytes_to_u32(scales_ + c)), hn::Set(U32(), 120u << 23));
            return hn::Mul(hn::BitCast(F32(), bits), factor);
          });
        return each_scale([&](std::int64_t c) HWY_ATTR {
          const auto code = bytes_to_u32(scales_ + c);
          const V v = hn::Mul(e4m3_to_f32(hn::ShiftLeft<24>(code)), factor);
          const auto nan = hn::Eq(hn::And(code, hn::Set(U32(), 127)), hn::Set(U32(), 127));
          return hn::IfThenElse(hn::RebindMask(F32(), nan), hn::Set(F32(), std::numeric_limits<float>::quiet_NaN()), v);
        });
      }
      case Scales::q6_k:
        return each_scale([&](std::int64_t c) HWY_ATTR {
          const hn::Rebind<std::int8_t, F32> bytes;
          const std::byte* scales = scales_ + (2 + group_) * kColumns + c;
          const auto six = hn::PromoteTo(I32(), hn::LoadU(bytes, reinterpret_cast<const std::int8_t*>(scales)));
          return hn::Mul(f16_to_f32(scales_ + 2 * c), hn::ConvertTo(F32(), six));
        });
      case Scales::q4_k:
        return each_scale([&](std::int64_t c) HWY_ATTR {
          // The scale or the minimum of group j: CodedTiles::Scales.
          const std::byte* planes = scales_ + 4 * kColumns + c;
          const auto low = bytes_to_u32(planes + group_ * kColumns);
          const auto high = bytes_to_u32(planes + (8 + group_ / 2) * kColumns);
          const auto four = group_ % 2 == 0 ? hn::And(high, hn::Set(U32(), 15)) : hn::ShiftRight<4>(high);
          const auto minimum = hn::Or(hn::ShiftLeft<2>(four), hn::ShiftRight<6>(low));
          store(hn::Mul(load(common_.minus + c), u32_to_f32(minimum)), affines.minus + c);
          return hn::Mul(load(common_.scale + c), u32_to_f32(hn::And(low, hn::Set(U32(), 63))));
        });
    }
  }

  const CodedRows& p_;
  const std::byte *at_, *scales_ = nullptr;
  const std::int64_t piece_groups_;
  std::int64_t left_, chunk_ = -1, group_;  // groups to come; of the next one, within its chunk
  Affines common_;                          // Scales::q4_k: scale of scales and of minima
};

// sums += scale * sum(x * code) - minus * sum(x), for kRows rows.
template <class Decoder, bool kMinus, int kRows>
void few_rows(const CodedRows& p, Decoder& decoder) {
  // x of a step stays in registers where that leaves enough of them. GCC otherwise makes its vectors from scalars again
  // for every vector of weights: fp8_block128 at 25 instead of 30 GB/s (AVX2, weights in the last-level cache).
  constexpr bool kHolds = kRows * Decoder::kK <= 4;
  constexpr int kVectors = kHolds && kLanes == 8 ? 4 : vectors_for(kRows);
  // One row: two sums each, or the chain of additions holds up the reading.
  constexpr int kSets = kRows == 1 && (kLanes == 16 || kHolds) ? 2 : 1;
  const std::int64_t group_k = p.w->group_k(), steps = group_k / Decoder::kK;
  for (Groups groups(p); groups.next();) {
    for (int first = 0; first < kBlockVectors; first += kVectors) {
      V sum[kSets][kRows][kVectors];
      for (auto& set : sum)
        for (auto& row : set)
          for (V& v : row) v = hn::Zero(F32());
      const float* x = groups.piece + groups.in_piece * group_k;
      const std::byte* codes = groups.codes;
      for (std::int64_t s = 0; s < steps; ++s, codes += Decoder::kStepBytes, x += Decoder::kK) {
        constexpr std::int64_t kBytes = Decoder::kStepBytes / kBlockVectors * kVectors;
        for (std::int64_t b = 0; b < kBytes; b += 64)
          hwy::Prefetch(at_column<Decoder>(codes, first * kLanes) + b + kAheadBytes);
        V held[kHolds ? kRows * Decoder::kK : 1];
        if constexpr (kHolds)
          for (int r = 0; r < kRows; ++r)
            for (int k = 0; k < Decoder::kK; ++k) held[r * Decoder::kK + k] = hn::Set(F32(), x[r * p.x_stride + k]);
        each_vector<kVectors>(decoder, codes, first * kLanes, [&](int v, int k, V w) HWY_ATTR {
          for (int r = 0; r < kRows; ++r) {
            const V factor = kHolds ? held[kHolds ? r * Decoder::kK + k : 0] : hn::Set(F32(), x[r * p.x_stride + k]);
            sum[k % kSets][r][v] = hn::MulAdd(factor, w, sum[k % kSets][r][v]);
          }
        });
      }
      for (int v = 0; v < kVectors; ++v) {
        const std::int64_t column = (first + v) * kLanes;
        const V scale = load(groups.affines.scale + column);
        for (int r = 0; r < kRows; ++r) {
          if constexpr (kSets == 2) sum[0][r][v] = hn::Add(sum[0][r][v], sum[1][r][v]);
          float* out = p.sums + r * kColumns + column;
          V all = hn::MulAdd(scale, sum[0][r][v], load(out));
          if constexpr (kMinus)
            all = hn::NegMulAdd(load(groups.affines.minus + column),
                                hn::Set(F32(), groups.piece[r * p.x_stride + kRowSums + groups.in_piece]), all);
          store(all, out);
        }
      }
    }
  }
}

// Products of bytes, four neighbouring ones summed into each 32 bits: codes 0 .. 24 with -128 .. 127.
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86

bool has_integers() { return __builtin_cpu_supports("avx512vnni"); }
constexpr int kIntegerRows = 12, kIntegerSums = 24;
// Two steps of codes (even and odd nibbles of each) with x of both, `stride` bytes apart.
HWY_INLINE hn::Vec<I32> add_dots(hn::Vec<I32> sum, const hn::Vec<U8> (&codes)[4], const std::byte* x, int stride) {
  // By name: Highway's AVX3 does not ask for VNNI, and its compiler then refuses the intrinsic.
  for (int i = 0; i < 4; ++i) {
    const auto& four = *reinterpret_cast<const std::int32_t*>(x + i / 2 * stride + i % 2 * 4);
    asm("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum.raw) : "v"(codes[i].raw), "m"(four));
  }
  return sum;
}

#elif HWY_ARCH_X86 && HWY_TARGET <= HWY_SSE4

constexpr bool has_integers() { return true; }
constexpr int kIntegerRows = 3, kIntegerSums = 8;
#if HWY_TARGET == HWY_AVX2
HWY_INLINE __m256i multiply_bytes(__m256i codes, __m256i x) { return _mm256_maddubs_epi16(codes, x); }
HWY_INLINE __m256i add_pairs(__m256i v) { return _mm256_madd_epi16(v, _mm256_set1_epi16(1)); }
#else
HWY_INLINE __m128i multiply_bytes(__m128i codes, __m128i x) { return _mm_maddubs_epi16(codes, x); }
HWY_INLINE __m128i add_pairs(__m128i v) { return _mm_madd_epi16(v, _mm_set1_epi16(1)); }
#endif
HWY_INLINE hn::Vec<I32> add_dots(hn::Vec<I32> sum, const hn::Vec<U8> (&codes)[4], const std::byte* x, int stride) {
  const hn::Repartition<std::int16_t, F32> d;
  auto words = hn::Zero(d);  // at most 4 * 2 * 24 * 128 = 24576
  for (int i = 0; i < 4; ++i) {
    std::int32_t four;
    std::memcpy(&four, x + i / 2 * stride + i % 2 * 4, sizeof four);
    words = hn::Add(words, hn::Vec<decltype(d)>{multiply_bytes(codes[i].raw, hn::Set(I32(), four).raw)});
  }
  return hn::Add(sum, hn::Vec<I32>{add_pairs(words.raw)});
}

#else

constexpr bool has_integers() { return false; }
constexpr int kIntegerRows = 1, kIntegerSums = 3;
HWY_INLINE hn::Vec<I32> add_dots(hn::Vec<I32> sum, const hn::Vec<U8> (&)[4], const std::byte*, int) { return sum; }

#endif

// The fixed-point numbers that a group of k is written in, of `bits` bits and a sign for the largest. NaN and infinity
// make the scale NaN and the numbers zero; a group below 2^-100 counts as zero.
struct FixedPoint {
  float scale;  // of a number's last bit
  V inverse;
  bool is_finite;
  FixedPoint(const float* x, std::int64_t group_k, std::int32_t bits) {
    const I32 d;
    auto most = hn::Zero(d);  // magnitudes compare as integers, NaN above infinity above the rest
    for (std::int64_t k = 0; k < group_k; k += kLanes)
      most = hn::Max(most, hn::And(hn::BitCast(d, load(x + k)), hn::Set(d, 0x7fffffff)));
    const std::int32_t exponent = hn::GetLane(hn::MaxOfLanes(d, most)) >> 23;
    is_finite = exponent < 255;
    const bool is_zero = exponent < 27;
    const std::int32_t last = exponent - 127 - (bits - 1);
    const auto power = [](std::int32_t e) { return std::bit_cast<float>((e + 127) << 23); };
    scale = !is_finite ? std::numeric_limits<float>::quiet_NaN() : is_zero ? 0 : power(last);
    inverse = hn::Set(F32(), !is_finite || is_zero ? 0 : power(-last));
  }
  hn::Vec<I32> numbers(const float* x) const {
    return is_finite ? hn::NearestInt(hn::Mul(load(x), inverse)) : hn::Zero(I32());
  }
};

// The integers of a prepared row, of kDigits bytes each.
template <int kDigits>
void prepare_integers(std::int64_t group_k, int least, float* row) {
  const I32 d;
  HWY_ALIGN std::int32_t digits[kDigits][kPieceK];
  auto* byte_sums = reinterpret_cast<std::int32_t*>(row + kByteSums);
  for (std::int64_t g = 0; g < kPieceK / group_k; ++g) {
    const float* x = row + g * group_k;
    const FixedPoint fixed(x, group_k, 8 * kDigits - 2);
    row[kXScales + g] = fixed.scale;
    hn::Vec<I32> sums[kDigits];
    for (auto& sum : sums) sum = hn::Zero(d);
    for (std::int64_t k = 0; k < group_k; k += kLanes) {
      auto v = fixed.numbers(x + k);
      for (int b = kDigits - 1; b >= 0; --b) {
        const auto low = b == 0 ? v : hn::ShiftRight<24>(hn::ShiftLeft<24>(v));
        sums[b] = hn::Add(sums[b], low);
        hn::StoreU(low, d, digits[b] + g * group_k + k);
        v = hn::ShiftRight<8>(hn::Sub(v, low));
      }
    }
    for (int b = 0; b < kDigits; ++b) byte_sums[g * kBytes + b] = least * hn::GetLane(hn::SumOfLanes(d, sums[b]));
  }
  // In the order in which nibbles give them (Four), even ones first.
  constexpr std::array<std::int64_t, 8> kOrder = {0, 4, 1, 5, 2, 6, 3, 7};
  auto* out = reinterpret_cast<std::int8_t*>(row + kXBytes);
  for (std::int64_t k = 0; k < kPieceK; k += 8)
    for (const auto& digit : digits)
      for (const std::int64_t i : kOrder) *out++ = static_cast<std::int8_t>(digit[k + i]);
}

// sums += scale * x scale * (the integers' product) - minus * sum(x), for kRows rows from `first_row` on of one group
// of k.
template <int kDigits, bool kIsCode, bool kMinus, int kRows>
HWY_INLINE void integer_group(const CodedRows& p, const Groups& group, std::int64_t first_row, bool fetch,
                              hn::Vec<U8> table) {
  constexpr int kVectors = std::max(1, std::min(kBlockVectors, kIntegerSums / kDigits / kRows / 2 * 2));
  constexpr int kStep = 8 * kDigits;  // bytes of x
  const std::int64_t group_k = p.w->group_k(), steps = group_k / 8, in_piece = group.in_piece;
  const float* piece = group.piece + first_row * p.x_stride;
  float* sums = p.sums + first_row * kColumns;
  const auto nibble = hn::Set(U8(), 15);
  for (int first = 0; first < kBlockVectors; first += kVectors) {
    hn::Vec<I32> sum[kRows][kVectors][kDigits];
    for (int r = 0; r < kRows; ++r)
      for (int b = 0; b < kDigits; ++b) {
        std::int32_t start;
        std::memcpy(&start, piece + r * p.x_stride + kByteSums + in_piece * kBytes + b, sizeof start);
        for (int v = 0; v < kVectors; ++v) sum[r][v][b] = hn::Set(I32(), start);
      }
    const std::byte* codes = group.codes + first * kLanes * 4;
    const auto* x = reinterpret_cast<const std::byte*>(piece + kXBytes) + in_piece * (group_k / 8) * kStep;
    for (std::int64_t s = 0; s < steps; s += 2, codes += 2 * kUnitBytes, x += 2 * kStep) {
      if (fetch)
        for (std::int64_t b = 0; b < 4 * kLanes * kVectors; b += 64) {
          hwy::Prefetch(codes + b + kAheadBytes);
          hwy::Prefetch(codes + b + kAheadBytes + kUnitBytes);
        }
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        hn::Vec<U8> bytes[4];
        for (int i = 0; i < 2; ++i) {
          const auto both = load_bytes(codes + i * kUnitBytes + v * kLanes * 4);
          bytes[2 * i] = hn::And(both, nibble);
          bytes[2 * i + 1] = hn::And(hn::BitCast(U8(), hn::ShiftRight<4>(hn::BitCast(Words16(), both))), nibble);
        }
        if constexpr (!kIsCode)
          for (auto& b : bytes) b = hn::TableLookupBytes(table, b);
        for (int r = 0; r < kRows; ++r)
          for (int b = 0; b < kDigits; ++b)
            sum[r][v][b] = add_dots(sum[r][v][b], bytes, x + r * p.x_stride * 4 + 8 * b, kStep);
      }
    }
    for (int r = 0; r < kRows; ++r) {
      const float* row = piece + r * p.x_stride;
      const V x_scale = hn::Set(F32(), row[kXScales + in_piece]), x_sum = hn::Set(F32(), row[kRowSums + in_piece]);
      for (int v = 0; v < kVectors; ++v) {
        const std::int64_t column = (first + v) * kLanes;
        // Two digits of a group fit into 32 bits together: 128 * 24 * 2^15.
        const auto lower = hn::Add(hn::ShiftLeft<8>(sum[r][v][kDigits - 2]), sum[r][v][kDigits - 1]);
        V all = hn::ConvertTo(F32(), lower);
        if constexpr (kDigits == 3) all = hn::MulAdd(hn::ConvertTo(F32(), sum[r][v][0]), hn::Set(F32(), 65536), all);
        float* out = sums + r * kColumns + column;
        V y = hn::MulAdd(load(group.affines.scale + column), hn::Mul(x_scale, all), load(out));
        if constexpr (kMinus) y = hn::NegMulAdd(load(group.affines.minus + column), x_sum, y);
        store(y, out);
      }
    }
  }
}

constexpr int kIntegerTile = std::min(4, kIntegerRows);
template <int kDigits, bool kIsCode, bool kMinus>
void multiply_integers(const CodedRows& p) {
  std::fill_n(p.sums, p.rows * kColumns, 0.0f);
  const std::int64_t tiles = (p.rows + kIntegerTile - 1) / kIntegerTile;
  const auto table = hn::LoadDup128(U8(), p.codes->above.data());
  for (Groups groups(p); groups.next();) {
    for (std::int64_t t = 0; t < tiles; ++t) {
      const std::int64_t row = p.rows * t / tiles, rows = p.rows * (t + 1) / tiles - row;
      with_size<kIntegerTile>(rows, [&]<int kRows>() HWY_ATTR {
        integer_group<kDigits, kIsCode, kMinus, kRows>(p, groups, row, t == 0, table);
      });
    }
  }
}

// sums += x w for kRows rows and kVectors vectors of columns of decoded weights. kAhead: every k asks for as many bytes
// from `ahead` on. (Asked for while decoding, what is decoded next time took a third of that time.)
template <int kRows, int kVectors, std::int64_t kAhead>
void decoded_tile(const float* x, std::int64_t x_stride, const float* w, std::int64_t k, const std::byte* ahead,
                  float* sums) {
  V sum[kRows][kVectors];
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; ++v) sum[r][v] = load(sums + r * kColumns + v * kLanes);
  for (std::int64_t i = 0; i < k; ++i, ++x, w += kColumns) {
    if constexpr (kAhead > 0) {
      __builtin_prefetch(ahead, 0, 2);
      ahead += kAhead;
    }
    V weights[kVectors];
    for (int v = 0; v < kVectors; ++v) weights[v] = load(w + v * kLanes);
    for (int r = 0; r < kRows; ++r) {
      const V factor = hn::Set(F32(), x[r * x_stride]);
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(factor, weights[v], sum[r][v]);
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; ++v) store(sum[r][v], sums + r * kColumns + v * kLanes);
}

// Rows per tile of decoded weights: what vectors of columns leave of the sums.
constexpr int kTileRows = kLanes == 4 && kSums == 8 ? 4 : 6;

template <class Decoder, bool kMinus>
void many_rows(const CodedRows& p, Decoder& decoder) {
  constexpr std::int64_t kSteps = kDecodedK / Decoder::kK;
  const std::int64_t steps_of_group = p.w->group_k() / Decoder::kK, all_steps = p.w->groups() * steps_of_group;
  const std::int64_t tiles = (p.rows + kTileRows - 1) / kTileRows;
  Groups groups(p);
  for (std::int64_t first = 0; first < all_steps; first += kSteps) {
    const std::int64_t end = std::min(first + kSteps, all_steps);
    float* out = p.decoded;
    const std::byte* next = nullptr;
    for (std::int64_t step = first; step < end;) {
      if (step % steps_of_group == 0) groups.next();
      const std::byte* codes = groups.codes + step % steps_of_group * Decoder::kStepBytes;
      const std::int64_t stop = std::min(end, (step / steps_of_group + 1) * steps_of_group);
      for (; step < stop; ++step, codes += Decoder::kStepBytes, out += Decoder::kK * kColumns) {
        for (std::int64_t c = 0; c < kColumns; c += kLanes) {
          const V scale = load(groups.affines.scale + c);
          decoder.each(at_column<Decoder>(codes, c), [&](int k, V w) HWY_ATTR {
            V value = hn::Mul(scale, w);
            if constexpr (kMinus) value = hn::Sub(value, load(groups.affines.minus + c));
            store(value, out + k * kColumns + c);
          });
        }
      }
      next = codes;
    }
    const std::int64_t k = first * Decoder::kK;
    const float* x = p.x + k / kPieceK * p.piece_floats + k % kPieceK;
    for (std::int64_t t = 0; t < tiles; ++t) {
      const std::int64_t row = p.rows * t / tiles, rows = p.rows * (t + 1) / tiles - row;
      with_size<kTileRows>(rows, [&]<int kRows>() HWY_ATTR {
        constexpr int kVectors = vectors_for(kRows);
        const std::int64_t count = (end - first) * Decoder::kK;
        for (std::int64_t c = 0; c < kColumns; c += kVectors * kLanes) {
          const bool fetch = t == 0 && c == 0;
          (fetch ? decoded_tile<kRows, kVectors, Decoder::kStepBytes / Decoder::kK>
                 : decoded_tile<kRows, kVectors, 0>)(x + row * p.x_stride, p.x_stride, p.decoded + c, count, next,
                                                     p.sums + row * kColumns + c);
        }
      });
    }
  }
}

// A NaN among a column's codes, which decoders take for 480, makes all of its products NaN. Looked for when weights are
// packed, once and not in every product.
void set_nan(const CodedRows& p) {
  const CodedTiles& w = *p.w;
  const std::byte* at = p.block;
  for (std::int64_t chunk = 0; chunk < w.chunks(); ++chunk) {
    at += w.chunk_scale_bytes();
    for (std::int64_t i = 0; i < w.chunk_groups() * w.group_code_bytes(); ++i, ++at) {
      if ((static_cast<unsigned>(*at) & 127u) != 127u) continue;
      const std::int64_t column = i % kUnitBytes / 16 * 4 + i % 8 / 2;
      for (std::int64_t r = 0; r < p.rows; ++r) p.sums[r * kColumns + column] = std::numeric_limits<float>::quiet_NaN();
    }
  }
}

template <class Decoder, bool kMinus>
void multiply(const CodedRows& p) {
  Decoder decoder(p);
  std::fill_n(p.sums, p.rows * kColumns, 0.0f);
  if (p.rows > kMostRows) many_rows<Decoder, kMinus>(p, decoder);
  else with_size<kMostRows>(p.rows, [&]<int kRows>() HWY_ATTR { few_rows<Decoder, kMinus, kRows>(p, decoder); });
  if (p.w->has_nan()) set_nan(p);
}

#if HWY_TARGET <= HWY_AVX2 && HWY_ARCH_X86

using I16 = hn::Repartition<std::int16_t, F32>;

// k and k + 1 of kLanes columns in a vector, so that one instruction multiplies and sums both: each(p, f) calls
// f(i, words) for k = 2 i and 2 i + 1 of a step.
struct FourWords {
  static constexpr int kK = 8;
  static constexpr std::int64_t kStepBytes = kUnitBytes;
#if HWY_TARGET <= HWY_AVX3
  explicit FourWords(const CodedRows& p) {
    HWY_ALIGN std::int16_t values[2 * kLanes] = {};
    std::copy(p.codes->integers.begin(), p.codes->integers.end(), values);
    table = hn::Load(I16(), values);
  }
  hn::Vec<I16> table;
  HWY_INLINE hn::Vec<I16> values(hn::Vec<U32> nibbles) const {
    return hn::Vec<I16>{_mm512_permutexvar_epi16(nibbles.raw, table.raw)};
  }
#else
  explicit FourWords(const CodedRows& p) : table(hn::LoadDup128(I8(), p.codes->integers.data())) {}
  hn::Vec<I8> table;
  HWY_INLINE hn::Vec<I16> values(hn::Vec<U32> nibbles) const {
    const auto bytes = hn::TableLookupBytes(table, hn::BitCast(I8(), nibbles));
    return hn::ShiftRight<8>(hn::ShiftLeft<8>(hn::BitCast(I16(), bytes)));
  }
#endif
  template <int kPair, class F>
  HWY_INLINE void pair(hn::Vec<U32> words, const F& f) const {
    f(kPair, values(hn::And(hn::ShiftRight<4 * kPair>(words), hn::Set(U32(), 0x000f000f))));
  }
  template <class F>
  HWY_INLINE void each(const std::byte* codes, const F& f) const {
    const auto words = hn::BitCast(U32(), load_bytes(codes));
    pair<0>(words, f), pair<1>(words, f), pair<2>(words, f), pair<3>(words, f);
  }
};
template <class Decoder>  // Five or Six
struct MaskedWords {
  static constexpr int kK = Decoder::kK;
  static constexpr std::int64_t kStepBytes = Decoder::kStepBytes;
  explicit MaskedWords(const CodedRows&) {}
  template <class F>
  HWY_INLINE void each(const std::byte* codes, const F& f) const {
    Decoder::words(codes, [&](int t, hn::Vec<U32> w) HWY_ATTR {
      const auto both = hn::BitCast(I16(), hn::And(w, hn::Set(U32(), Decoder::kMask * 0x10001u)));
      f(t, Decoder::kZero == 0 ? both : hn::Sub(both, hn::Set(I16(), Decoder::kZero)));
    });
  }
};
struct Int8Words {
  static constexpr int kK = 4;
  static constexpr std::int64_t kStepBytes = kUnitBytes;
  explicit Int8Words(const CodedRows& p) : int8(p) {}
  Int8 int8;
  template <class F>
  HWY_INLINE void each(const std::byte* codes, const F& f) const {
    const auto v = int8.values(codes), zero = hn::Zero(I8());
    f(0, hn::ShiftRight<8>(hn::BitCast(I16(), hn::InterleaveLower(I8(), zero, v))));
    f(1, hn::ShiftRight<8>(hn::BitCast(I16(), hn::InterleaveUpper(I8(), zero, v))));
  }
};

HWY_INLINE hn::Vec<I32> add_pairs_of_words(hn::Vec<I32> sum, hn::Vec<I32> weights, hn::Vec<I32> x) {
#if HWY_TARGET <= HWY_AVX3
  asm("vpdpwssd %2, %1, %0" : "+v"(sum.raw) : "v"(weights.raw), "v"(x.raw));  // by name, as vpdpbusd above
  return sum;
#else
  return hn::Add(sum, hn::Vec<I32>{_mm256_madd_epi16(weights.raw, x.raw)});
#endif
}

// sums += scale * x scale * (the integers' product) - minus * sum(x) of one group, for kRows rows and kVectors vectors
// of columns.
template <bool kMinus, int kRows, int kVectors>
HWY_INLINE void finish_words(const hn::Vec<I32> (&sum)[kRows][kVectors], const Groups& group, std::int64_t x_stride,
                             std::int64_t first_row, std::int64_t column, float* sums) {
  const float* x = group.piece + first_row * x_stride + group.in_piece;
  // Unrolled, or the sums lie in memory.
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const V x_scale = hn::Set(F32(), x[r * x_stride + kWordScales]);
    for (int v = 0; v < kVectors; ++v) {
      const std::int64_t c = column + v * kLanes;
      float* out = sums + (first_row + r) * kColumns + c;
      V y = hn::MulAdd(hn::Mul(x_scale, load(group.affines.scale + c)), hn::ConvertTo(F32(), sum[r][v]), load(out));
      if constexpr (kMinus)
        y = hn::NegMulAdd(load(group.affines.minus + c), hn::Set(F32(), x[r * x_stride + kWordSums]), y);
      store(y, out);
    }
  }
}

// kAhead: every pair of k asks for as many bytes from `ahead` on.
template <bool kMinus, int kRows, int kVectors, std::int64_t kAhead>
void word_tile(const CodedRows& p, const Groups& group, std::int64_t first_row, const std::uint32_t* w,
               std::int64_t column, const std::byte* ahead) {
  const std::int64_t x_stride = p.x_stride, group_k = p.w->group_k();
  hn::Vec<I32> sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(I32());
  const auto* pairs =
      reinterpret_cast<const std::int32_t*>(group.piece + first_row * x_stride) + group.in_piece * group_k / 2;
  w += column;
  for (std::int64_t i = 0; i < group_k / 2; ++i, ++pairs, w += kColumns) {
    if constexpr (kAhead > 0) {
      for (std::int64_t b = 0; b < kAhead; b += 64) __builtin_prefetch(ahead + b, 0, 2);
      ahead += kAhead;
    }
    hn::Vec<I32> weights[kVectors];
    for (int v = 0; v < kVectors; ++v) weights[v] = hn::BitCast(I32(), hn::Load(U32(), w + v * kLanes));
    for (int r = 0; r < kRows; ++r) {
      const auto both = hn::Set(I32(), pairs[r * x_stride]);
      for (int v = 0; v < kVectors; ++v) sum[r][v] = add_pairs_of_words(sum[r][v], weights[v], both);
    }
  }
  finish_words<kMinus, kRows, kVectors>(sum, group, x_stride, first_row, column, p.sums);
}

// Few rows: words are multiplied where they are decoded.
template <class Decoder, bool kMinus, int kRows>
void few_words(const CodedRows& p, const Decoder& decoder) {
  constexpr int kVectors = vectors_for(kRows);
  const std::int64_t group_k = p.w->group_k(), steps = group_k / Decoder::kK;
  for (Groups groups(p); groups.next();) {
    for (int first = 0; first < kBlockVectors; first += kVectors) {
      hn::Vec<I32> sum[kRows][kVectors];
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r)
        for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(I32());
      const auto* pairs = reinterpret_cast<const std::int32_t*>(groups.piece) + groups.in_piece * group_k / 2;
      const std::byte* codes = groups.codes;
      for (std::int64_t s = 0; s < steps; ++s, codes += Decoder::kStepBytes, pairs += Decoder::kK / 2) {
        constexpr std::int64_t kBytes = Decoder::kStepBytes / kBlockVectors * kVectors;
        for (std::int64_t b = 0; b < kBytes; b += 64)
          hwy::Prefetch(at_column<Decoder>(codes, first * kLanes) + b + kAheadBytes);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v)
          decoder.each(at_column<Decoder>(codes, (first + v) * kLanes), [&](int i, hn::Vec<I16> words) HWY_ATTR {
            for (int r = 0; r < kRows; ++r)
              sum[r][v] =
                  add_pairs_of_words(sum[r][v], hn::BitCast(I32(), words), hn::Set(I32(), pairs[r * p.x_stride + i]));
          });
      }
      finish_words<kMinus, kRows, kVectors>(sum, groups, p.x_stride, 0, first * kLanes, p.sums);
    }
  }
}

// In 16-bit numbers. Many rows: a group of k of 64 columns is written as words, pair of k after pair, to where the
// first-level cache keeps it, at most 16 KB. x is a fixed-point number per group of k: bf16 keeps all of its bits down
// to 2^-7 of the group's largest, below that the error is 2^-15 of the largest; a sum of products of a group is exact.
template <class Decoder, bool kMinus>
void multiply_words(const CodedRows& p) {
  constexpr int kTile = 6;
  std::fill_n(p.sums, p.rows * kColumns, 0.0f);
  const Decoder decoder(p);
  if (HWY_TARGET == HWY_AVX2 && p.rows <= kMostRows)
    return with_size<kMostRows>(p.rows, [&]<int kRows>() HWY_ATTR { few_words<Decoder, kMinus, kRows>(p, decoder); });
  const std::int64_t steps = p.w->group_k() / Decoder::kK;
  const std::int64_t tiles = (p.rows + kTile - 1) / kTile;
  auto* words = reinterpret_cast<std::uint32_t*>(p.decoded);
  for (Groups groups(p); groups.next();) {
    const std::byte* codes = groups.codes;
    for (std::int64_t s = 0; s < steps; ++s, codes += Decoder::kStepBytes)
      for (std::int64_t c = 0; c < kColumns; c += kLanes) {
        std::uint32_t* out = words + s * Decoder::kK / 2 * kColumns + c;
        decoder.each(at_column<Decoder>(codes, c), [&](int i, hn::Vec<I16> both) HWY_ATTR {
          hn::Store(hn::BitCast(U32(), both), U32(), out + i * kColumns);
        });
      }
    for (std::int64_t t = 0; t < tiles; ++t) {
      const std::int64_t row = p.rows * t / tiles, rows = p.rows * (t + 1) / tiles - row;
      with_size<kTile>(rows, [&]<int kRows>() HWY_ATTR {
        constexpr int kVectors = vectors_for(kRows);
        for (std::int64_t c = 0; c < kColumns; c += kVectors * kLanes)
          (t == 0 && c == 0 ? word_tile<kMinus, kRows, kVectors, 2 * Decoder::kStepBytes / Decoder::kK>
                            : word_tile<kMinus, kRows, kVectors, 0>)(p, groups, row, words, c, codes);
      });
    }
  }
}

void prepare_words(const void* from, std::int64_t count, std::int64_t group_k, float* out) {
  const auto* x = static_cast<const bf16*>(from);
  HWY_ALIGN float wide[kPieceK];
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(load(x + i), wide + i);
  for (; i < count; ++i) wide[i] = load_f32(x + i);
  std::fill(wide + count, wide + kPieceK, 0.0f);
  auto* words = reinterpret_cast<std::int16_t*>(out);
  for (std::int64_t g = 0; g < kPieceK / group_k; ++g) {
    const float* at = wide + g * group_k;
    V sum = hn::Zero(F32());
    for (std::int64_t k = 0; k < group_k; k += kLanes) sum = hn::Add(sum, load(at + k));
    const FixedPoint fixed(at, group_k, 15);  // bf16 is then at most 32640
    out[kWordScales + g] = fixed.scale;
    out[kWordSums + g] = sum_of_lanes(sum);
    const hn::Rebind<std::int16_t, F32> narrow;
    for (std::int64_t k = 0; k < group_k; k += kLanes)
      hn::StoreU(hn::DemoteTo(narrow, fixed.numbers(at + k)), narrow, words + g * group_k + k);
  }
}

#endif

template <class X>
void prepare(const void* from, std::int64_t count, std::int64_t group_k, float* out) {
  const auto* x = static_cast<const X*>(from);
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(load(x + i), out + i);
  for (; i < count; ++i) out[i] = load_f32(x + i);
  std::fill(out + count, out + kPieceK, 0.0f);
  for (std::int64_t g = 0; g < kPieceK / group_k; ++g) {
    V sum = hn::Zero(F32());
    for (std::int64_t k = 0; k < group_k; k += kLanes) sum = hn::Add(sum, load(out + g * group_k + k));
    out[kRowSums + g] = sum_of_lanes(sum);
  }
}

template <class Y>
void finish(const CodedFinish& f) {
  for (std::int64_t r = 0; r < f.rows; ++r) {
    const auto* residual = f.residual == nullptr ? nullptr : static_cast<const Y*>(f.residual) + r * f.stride;
    Y* y = static_cast<Y*>(f.y) + r * f.stride;
    for (std::int64_t c = 0; c < f.columns; c += kLanes) {
      const std::int64_t n = std::min<std::int64_t>(kLanes, f.columns - c);
      V v = load(f.sums + r * kColumns + c);
      if (n == kLanes) {
        if (f.bias != nullptr) v = hn::Add(v, load(f.bias + c));
        if (residual != nullptr) v = hn::Add(v, load(residual + c));
        store(v, y + c);
      } else {
        if (f.bias != nullptr) v = hn::Add(v, load_n(f.bias + c, n));
        if (residual != nullptr) v = hn::Add(v, load_n(residual + c, n));
        store_n(v, y + c, n);
      }
    }
  }
}

CodedFunctions coded_functions(DType x, DType y, const Codes& codes, bool minus) {
  CodedFunctions f{};
  f.prepare = dispatch_float(x, []<class X>(X*) { return prepare<X>; });
  f.finish = dispatch_float(y, []<class Y>(Y*) { return finish<Y>; });
  if (codes.kind == Codes::Kind::four && x == DType::bf16 && has_integers() && (codes.is_code || !minus)) {
    f.integer_rows = kIntegerRows;
    const auto of_digits = [&]<int kDigits>() {
      f.prepare_integers = prepare_integers<kDigits>;
      f.multiply_integers = !codes.is_code ? multiply_integers<kDigits, false, false>
                            : minus        ? multiply_integers<kDigits, true, true>
                                           : multiply_integers<kDigits, true, false>;
    };
    if (y == DType::bf16 && HWY_TARGET > HWY_AVX3) of_digits.template operator()<2>();
    else of_digits.template operator()<3>();
  }
#if HWY_TARGET <= HWY_AVX2 && HWY_ARCH_X86
  if (x == DType::bf16 && y == DType::bf16 && codes.kind != Codes::Kind::e4m3 && has_integers()) {
    f.prepare_words = prepare_words;
    f.least_word_rows = HWY_TARGET == HWY_AVX2 ? 0 : kFewRows + 1;
    f.most_word_rows = HWY_TARGET == HWY_AVX2 ? 24 : std::numeric_limits<std::int64_t>::max();
    f.multiply_words = codes.kind == Codes::Kind::int8   ? multiply_words<Int8Words, false>
                       : codes.kind == Codes::Kind::five ? multiply_words<MaskedWords<Five>, true>
                       : codes.kind == Codes::Kind::six  ? multiply_words<MaskedWords<Six>, false>
                       : minus                           ? multiply_words<FourWords, true>
                                                         : multiply_words<FourWords, false>;
  }
#endif
  switch (codes.kind) {
    case Codes::Kind::four:
      f.multiply = minus ? multiply<Four, true> : multiply<Four, false>;
      break;
    case Codes::Kind::five:
      f.multiply = multiply<Five, true>;
      break;
    case Codes::Kind::six:
      f.multiply = multiply<Six, false>;
      break;
    case Codes::Kind::int8:
      f.multiply = multiply<Int8, false>;
      break;
    case Codes::Kind::e4m3:
      f.multiply = multiply<E4m3, false>;
      break;
  }
  return f;
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace layercost
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace layercost {
namespace {

HWY_EXPORT(coded_functions);

class Product final : public SimdCodedProduct {
 public:
  Product(const Weight& w, DType x, DType y, std::int64_t rows, std::int64_t groups)
      : tiles_(CodedTiles::of(w)),
        codes_(tiles_->format()),
        functions_(HWY_DYNAMIC_DISPATCH(coded_functions)(x, y, codes_, tiles_->has_minus())),
        threads_(team_threads()),
        x_bytes_(static_cast<std::int64_t>(size_of(x))),
        y_bytes_(static_cast<std::int64_t>(size_of(y))),
        rows_(rows),
        most_rows_(std::min(rows, kSegmentRows)),
        pieces_of_k_((tiles_->k() + kPieceK - 1) / kPieceK),
        // Of x one form, or two side by side: what most groups want.
        x_stride_(rows <= functions_.integer_rows * groups ? kIntegerStride
                  : functions_.prepare_words != nullptr && rows >= functions_.least_word_rows * groups &&
                          rows / groups <= functions_.most_word_rows
                      ? kWordStride
                      : kFloatStride),
        chosen_(fmt::format("{}{}, {}", simd_target(),
                            x_stride_ == kIntegerStride ? " in integers"
                            : x_stride_ == kWordStride  ? " in 16-bit integers"
                                                        : "",
                            tiles_->layout())) {
    if (tiles_->has_minus() && codes_.kind != Codes::Kind::four && codes_.kind != Codes::Kind::five)
      throw std::logic_error("SimdCodedProduct: zero points");
    segments_.reserve(static_cast<std::size_t>(groups + rows / kSegmentRows + 1));
    const auto floats = [](std::int64_t count) { return Buffer(static_cast<std::size_t>(count) * sizeof(float)); };
    prepared_ = floats(pieces_of_k_ * rows_ * x_stride_);
    sums_ = floats(threads_ * most_rows_ * kColumns);
    decoded_ = floats(threads_ * kDecodedK * kColumns);
  }

  void run(std::span<const CodedGroup> groups, const Arguments& a) override {
    segments_.clear();
    for (const CodedGroup& g : groups)
      for (std::int64_t i = 0, count = (g.rows + kSegmentRows - 1) / kSegmentRows; i < count; ++i)
        segments_.push_back({g.first + g.rows * i / count, g.rows * (i + 1) / count - g.rows * i / count, g.matrix});
    if (segments_.empty()) return;
    const std::int64_t first = segments_.front().first, end = segments_.back().first + segments_.back().rows;
    const std::int64_t blocks = tiles_->blocks(), k = tiles_->k();
    each_row(pieces_of_k_ * (end - first), (end - first) * k >= kParallelElements, [&](std::int64_t row) {
      const std::int64_t i = row / (end - first), r = first + row % (end - first);
      (x_stride_ == kWordStride ? functions_.prepare_words : functions_.prepare)(
          static_cast<const std::byte*>(a.x) + (r * k + i * kPieceK) * x_bytes_, std::min(kPieceK, k - i * kPieceK),
          tiles_->group_k(), prepared(i, r));
      if (x_stride_ == kIntegerStride) functions_.prepare_integers(tiles_->group_k(), codes_.least, prepared(i, r));
    });
    each_piece(static_cast<std::int64_t>(segments_.size()) * blocks, [&](int thread, std::int64_t i, std::int64_t) {
      multiply(segments_[static_cast<std::size_t>(i / blocks)], i % blocks, thread, a);
    });
  }

  std::string chosen() const override { return chosen_; }

 private:
  float* prepared(std::int64_t piece, std::int64_t row) const {
    return prepared_.as<float>() + (piece * rows_ + row) * x_stride_;
  }

  void multiply(const CodedGroup& g, std::int64_t b, std::int64_t thread, const Arguments& a) const {
    float* sums = sums_.as<float>() + thread * most_rows_ * kColumns;
    const bool integers = x_stride_ == kIntegerStride && g.rows <= functions_.integer_rows;
    (integers ? functions_.multiply_integers
     : x_stride_ == kWordStride
         ? functions_.multiply_words
         : functions_.multiply)({.w = tiles_.get(),
                                 .codes = &codes_,
                                 .block = tiles_->block(g.matrix, b),
                                 .beside = tiles_->beside(g.matrix, b),
                                 .factor = tiles_->factor(g.matrix),
                                 .x = prepared(0, g.first),
                                 .rows = g.rows,
                                 .x_stride = x_stride_,
                                 .piece_floats = rows_ * x_stride_,
                                 .sums = sums,
                                 .decoded = decoded_.as<float>() + thread * kDecodedK * kColumns});
    const std::int64_t n = tiles_->n(), stride = a.y_stride > 0 ? a.y_stride : n, column = b * kColumns,
                       at = (g.first * stride + column) * y_bytes_;
    functions_.finish({.sums = sums,
                       .rows = g.rows,
                       .columns = std::min(kColumns, n - column),
                       .stride = stride,
                       .bias = a.bias == nullptr ? nullptr : a.bias + g.matrix * a.bias_stride + column,
                       .residual = a.residual == nullptr ? nullptr : static_cast<const std::byte*>(a.residual) + at,
                       .y = static_cast<std::byte*>(a.y) + at});
  }

  std::shared_ptr<const CodedTiles> tiles_;
  Codes codes_;
  CodedFunctions functions_;
  int threads_;
  std::int64_t x_bytes_, y_bytes_, rows_, most_rows_, pieces_of_k_;
  std::int64_t x_stride_;
  std::vector<CodedGroup> segments_;  // groups cut into up to kSegmentRows rows
  Buffer prepared_;                   // x: [pieces of k][rows][x_stride_]
  Buffer sums_, decoded_;             // of each thread
  std::string chosen_;
};

}  // namespace

Support simd_coded_support(const WeightFormat& f) {
  if (f.is_plain()) return Support::no("needs a weight format with scales");
  return has_simd() ? Support::yes() : Support::no("needs SSE4.2 or NEON");
}

std::unique_ptr<SimdCodedProduct> SimdCodedProduct::make(const Weight& w, DType x, DType y, std::int64_t rows,
                                                         std::int64_t groups) {
  return std::make_unique<Product>(w, x, y, rows, groups);
}

}  // namespace layercost
#endif

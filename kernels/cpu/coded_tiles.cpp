// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/coded_tiles.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "kernels/contract/dispatch.h"
#include "kernels/core/error.h"
#include "kernels/core/team.h"
#include "kernels/cpu/amx.h"
#include "kernels/cpu/bf16_tiles.h"

namespace layercost {
namespace {

constexpr std::int64_t kColumns = CodedTiles::kColumns;
constexpr std::int64_t kRowGroup = 128;  // of a scale per row, k between two scalings
constexpr std::int64_t kPieceK = 128;    // decoded at once for many rows

template <class T>
T load(const std::byte* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
void store(std::byte* p, T v) {
  std::memcpy(p, &v, sizeof v);
}

// Whether 16 bits hold each of the f32 scales: what checkpoints store.
template <class To, class From>
bool all_fit(const CodedWeight& w, To&& to, From&& from) {
  const std::int64_t bytes = w.format->scale_bytes, blocks = static_cast<std::int64_t>(w.scales.bytes()) / bytes;
  std::atomic<bool> fit = true;
  each_row(blocks, true, [&](std::int64_t i) {
    const float s = load<float>(w.scales.data() + i * bytes);
    if (from(to(s)) != s) fit.store(false, std::memory_order_relaxed);
  });
  return fit;
}

CodedTiles::Scales scales_of(const CodedWeight& w) {
  using Scales = CodedTiles::Scales;
  const WeightFormat& f = *w.format;
  if (f.block_columns == WeightFormat::kWholeRow) return Scales::row;
  if (f.block_rows % kColumns == 0) return Scales::block;
  if (f.block_columns != f.group_columns) return f.scale_bytes == 16 ? Scales::q4_k : Scales::q6_k;
  if (f.scale_bytes == 1) return f.has_factor ? Scales::e4m3 : Scales::e8m0;
  if (f.scale_bytes == 2) return Scales::f16;
  if (all_fit(w, to_f16, from_f16)) return Scales::f16;
  if (all_fit(w, to_bf16, [](bf16 v) { return to_f32(v); })) return Scales::bf16;
  return Scales::f32;
}

std::int64_t bytes_of(CodedTiles::Scales s) {
  using Scales = CodedTiles::Scales;
  switch (s) {
    case Scales::block:
    case Scales::row:
      return 0;
    case Scales::f16:
    case Scales::bf16:
      return 2 * kColumns;
    case Scales::f32:
      return 4 * kColumns;
    case Scales::e8m0:
    case Scales::e4m3:
      return kColumns;
    case Scales::q4_k:
      return (2 + 2 + 12) * kColumns;
    case Scales::q6_k:
      return (2 + 16) * kColumns;
  }
  throw std::logic_error("CodedTiles::Scales");
}

bool is_int8(const WeightFormat& f) { return f.code_bits == 8 && f.table[128] == -128; }

// Of the words of CodedTiles' units of 5 and 6 bits, those of one column.
void pack_five(const WeightFormat& f, const std::byte* row, std::int64_t first, std::byte* to) {
  std::array<std::uint32_t, 5> words{};
  for (unsigned i = 0; i < 32; ++i) {
    const unsigned code = f.code_of(row, first + i), t = i / 2, p = i % 2 * 16;
    if (t < 15) words[t / 3] |= code << (p + t % 3 * 5);
    else
      for (unsigned bit = 0; bit < 5; ++bit) words[bit] |= (code >> bit & 1u) << (p + 15);
  }
  for (std::size_t i = 0; i < words.size(); ++i) store(to + 64 * i, words[i]);
}
void pack_six(const WeightFormat& f, const std::byte* row, std::int64_t first, std::byte* to) {
  std::array<std::uint32_t, 3> words{};
  for (unsigned i = 0; i < 16; ++i) {
    const unsigned code = f.code_of(row, first + i), t = i / 2, p = i % 2 * 16;
    if (t < 6) {
      words[t / 2] |= code << (p + t % 2 * 6);
    } else {
      words[t == 6 ? 0 : 2] |= (code & 15u) << (p + 12);
      words[1] |= (code >> 4) << (p + (t == 6 ? 12 : 14));
    }
  }
  for (std::size_t i = 0; i < words.size(); ++i) store(to + 64 * i, words[i]);
}

}  // namespace

CodedTiles::CodedTiles(const CodedWeight& w)
    : format_(w.format),
      count_(w.matrices),
      n_(w.rows),
      k_(w.columns),
      group_k_(std::min(w.format->group_columns, kRowGroup)),
      chunk_groups_(
          w.format->block_columns == WeightFormat::kWholeRow ? 1 : w.format->block_columns / w.format->group_columns),
      chunks_((k_ + group_k_ * chunk_groups_ - 1) / (group_k_ * chunk_groups_)),
      scales_(scales_of(w)),
      has_zeros_(w.format->scale_bytes == 8),
      factors_(w.factors) {
  chunk_scale_bytes_ = (bytes_of(scales_) + (has_zeros_ ? kColumns / 2 : 0) + 63) / 64 * 64;
  tiles_ = Buffer(static_cast<std::size_t>(count_ * blocks() * block_bytes()), Pages::recycled);
  if (scales_ == Scales::row || scales_ == Scales::block)
    beside_ = Buffer(static_cast<std::size_t>(count_ * blocks() * (scales_ == Scales::row ? kColumns : chunks_)) * 4);
  if (is_int8(*format_)) {
    const auto* codes = w.codes.as<std::uint8_t>();
    has_minus_128_ = std::find(codes, codes + w.codes.bytes(), 0x80) != codes + w.codes.bytes();
  }
  each_row_and_column(count_, blocks(), true, [&](std::int64_t i, std::int64_t b) { pack_block(w, i, b); });
  tiles_.use_huge_pages();
}

std::shared_ptr<const CodedTiles> CodedTiles::of(const Weight& w) {
  return w.packed<CodedTiles>("coded tiles 64", [&] { return std::make_shared<const CodedTiles>(w.coded()); });
}

std::string CodedTiles::layout() const { return std::string(format_->name) + " in blocks of 64"; }

void CodedTiles::pack_block(const CodedWeight& w, std::int64_t matrix, std::int64_t b) {
  std::byte* block = tiles_.data() + (matrix * blocks() + b) * block_bytes();
  std::fill_n(block, block_bytes(), std::byte{});
  float* beside =
      beside_ ? beside_.as<float>() + (matrix * blocks() + b) * (scales_ == Scales::row ? kColumns : chunks_) : nullptr;
  const std::int64_t first = b * kColumns, columns = std::min(kColumns, n_ - first);
  const std::int64_t chunk_k = group_k_ * chunk_groups_;
  const int bits = format_->code_bits;
  const bool int8 = is_int8(*format_);
  bool nan = false;
  for (std::int64_t c = 0; c < columns; ++c) {
    const std::int64_t row = matrix * n_ + first + c;
    const std::byte *codes = w.codes_of(row), *scales = w.scales_of(row);
    for (std::int64_t chunk = 0; chunk < chunks_; ++chunk) {
      std::byte* to = block + chunk * (chunk_scale_bytes_ + chunk_groups_ * group_code_bytes());
      const std::byte* s = scales + chunk * format_->scale_bytes;
      switch (scales_) {
        case Scales::block:
          beside[chunk] = load<float>(s);
          break;
        case Scales::row:
          beside[c] = load<float>(scales);
          break;
        case Scales::f16:
          store(to + 2 * c, format_->scale_bytes == 2 ? load<std::uint16_t>(s) : to_f16(load<float>(s)));
          break;
        case Scales::bf16:
          store(to + 2 * c, to_bf16(load<float>(s)));
          break;
        case Scales::f32:
          store(to + 4 * c, load<float>(s));
          break;
        case Scales::e8m0:
        case Scales::e4m3:
          to[c] = *s;
          break;
        case Scales::q4_k:
          store(to + 2 * c, load<std::uint16_t>(s));
          store(to + 2 * (kColumns + c), load<std::uint16_t>(s + 2));
          for (std::int64_t j = 0; j < chunk_groups_; ++j) {
            // Exact integers: scales of 1 and minima of 1 in front of the six bits.
            std::array<std::byte, 16> ones{};
            store(ones.data(), to_f16(1)), store(ones.data() + 2, to_f16(1));
            std::copy_n(s + 4, 12, ones.data() + 4);
            const Affine six = format_->affine(ones.data(), j);
            const auto scale = static_cast<unsigned>(six.scale), minimum = static_cast<unsigned>(six.offset);
            std::byte* planes = to + 4 * kColumns;
            planes[j * kColumns + c] = static_cast<std::byte>(scale | (minimum & 3u) << 6);
            planes[(8 + j / 2) * kColumns + c] |= static_cast<std::byte>((minimum >> 2) << (j % 2 * 4));
          }
          break;
        case Scales::q6_k:
          store(to + 2 * c, load<std::uint16_t>(s));
          for (std::int64_t j = 0; j < chunk_groups_; ++j) to[(2 + j) * kColumns + c] = s[2 + j];
          break;
      }
      if (has_zeros_) {
        const float zero = load<float>(s + 4);
        if (zero != std::nearbyint(zero) || zero < -8 || zero > 7) throw BadCase("a zero point that is no code");
        to[bytes_of(scales_) + c % 32] |= static_cast<std::byte>(static_cast<int>(zero) + 8) << (c / 32 * 4);
      }
      to += chunk_scale_bytes_;
      const std::int64_t from = chunk * chunk_k, here = std::min(chunk_k, k_ - from), j = c / 16;
      std::byte* const column = to + j * 64 * (bits == 5 ? 5 : bits == 6 ? 3 : 1) + c % 16 * 4;
      if (bits == 5) {
        for (std::int64_t k = 0; k < here; k += 32) pack_five(*format_, codes, from + k, column + k * kColumns * 5 / 8);
      } else if (bits == 6) {
        for (std::int64_t k = 0; k < here; k += 16) pack_six(*format_, codes, from + k, column + k * kColumns * 6 / 8);
      } else if (bits == 4) {
        for (std::int64_t k = 0; k < here; k += 8) {  // whole: blocks of 4 bits are
          const auto eight = load<std::uint32_t>(codes + (from + k) / 2);
          std::uint32_t pairs = 0;
          for (int p = 0; p < 2; ++p) {
            std::uint32_t bytes = (eight >> (4 * p)) & 0x0f0f0f0fu;
            bytes = (bytes | bytes >> 4) & 0x00ff00ffu;
            pairs |= ((bytes | bytes >> 8) & 0xffffu) << (16 * p);
          }
          store(column + k / 8 * 256, pairs);
        }
      } else {
        for (std::int64_t k = 0; k < here; ++k) {
          auto code = static_cast<std::uint8_t>(codes[from + k]);
          nan |= !int8 && (code & 127) == 127;
          if (int8 && code > 128) code = static_cast<std::uint8_t>(128 + (256 - code));
          to[(k / 4 * 4 + j) * 64 + c % 16 / 4 * 16 + k % 4 / 2 * 8 + c % 4 * 2 + k % 2] = static_cast<std::byte>(code);
        }
      }
    }
  }
  if (nan) has_nan_ = true;
}

#if defined(__x86_64__)

#define LAYERCOST_CODED __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vbmi,f16c,fma")))
#define LAYERCOST_CODED_INLINE \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vbmi,f16c,fma"), always_inline))

namespace {

// Sums of up to 6 rows x 4 vectors of columns fill 24 of 32 registers.
constexpr int kMostRows = 6;
// From here on a group is decoded once for all rows, to where the first-level cache keeps it.
constexpr int kManyRows = 13;

// How many bytes ahead of need codes are asked for. With one row, and with 5 or 6 bits, an AMD processor's own
// prefetching does better where nothing beyond the next line is: both CPUs of an EPYC (Zen 4) at once read 13 GB/s each
// of q6_k with 2 KB and 23 with 64 bytes, of q4_k 14 and 19, of q8_0 19 and 27; two rows of q6_k 12 and 17, but of q4_k
// 19 and 14.
std::int64_t prefetch_distance(int bits, int rows) {
  return __builtin_cpu_is("amd") && (rows == 1 || bits == 5 || bits == 6) ? 64 : 2048;
}

// What codes stand for, as bf16.
struct Tables {
  alignas(64) std::array<std::uint16_t, 64> words;         // of up to 6 bits: the values over and over
  alignas(64) std::array<std::uint8_t, 128> upper, lower;  // bytes of the values without sign
  explicit Tables(const WeightFormat& f) {
    if (f.code_bits < 8) {
      for (std::size_t i = 0; i < 64; ++i) words[i] = to_bf16(f.table[i % (std::size_t{1} << f.code_bits)]).bits;
    } else {
      for (std::size_t i = 0; i < 128; ++i) {
        const std::uint16_t bits = to_bf16(f.table[i]).bits;
        upper[i] = static_cast<std::uint8_t>(bits >> 8), lower[i] = static_cast<std::uint8_t>(bits);
      }
    }
  }
};

LAYERCOST_CODED_INLINE inline __m512 f16_to_f32(const std::byte* p) {
  return _mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
LAYERCOST_CODED_INLINE inline __m512i bytes_to_i32(const std::byte* p) {
  return _mm512_maskz_cvtepu8_epi32(0xffff, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

struct Affines {
  alignas(64) float scale[kColumns];
  alignas(64) float minus[kColumns];  // times sum(x)
};
// Of a chunk, where groups share them: the scale of scales and of minima of q4_k and its like.
struct Shared {
  Affines of_groups;
};

// Four vectors of 16 columns from 64 bytes.
LAYERCOST_CODED_INLINE inline __m512 quarter_to_f32(__m512i bytes, int j) {
  const __m128i b = j == 0   ? _mm512_castsi512_si128(bytes)
                    : j == 1 ? _mm512_maskz_extracti32x4_epi32(0xf, bytes, 1)
                    : j == 2 ? _mm512_maskz_extracti32x4_epi32(0xf, bytes, 2)
                             : _mm512_maskz_extracti32x4_epi32(0xf, bytes, 3);
  return _mm512_maskz_cvtepi32_ps(0xffff, _mm512_maskz_cvtepu8_epi32(0xffff, b));
}

// The scales of group `group` of chunk `chunk`, which begins at `p`; groups in their order.
LAYERCOST_CODED_INLINE inline void read_scales(const CodedTiles& w, const std::byte* p, const float* beside,
                                               std::int64_t chunk, std::int64_t group, float factor, Shared& shared,
                                               Affines& out) {
  using Scales = CodedTiles::Scales;
  const auto set = [&](int j, __m512 v) LAYERCOST_CODED_INLINE { _mm512_store_ps(out.scale + 16 * j, v); };
  switch (w.scales()) {
    case Scales::block:
      for (int j = 0; j < 4; ++j) set(j, _mm512_set1_ps(beside[chunk]));
      break;
    case Scales::row:
      for (int j = 0; j < 4; ++j) set(j, _mm512_loadu_ps(beside + 16 * j));
      break;
    case Scales::f16:
      for (int j = 0; j < 4; ++j) set(j, f16_to_f32(p + 32 * j));
      break;
    case Scales::bf16:
      for (int j = 0; j < 4; ++j)
        set(j,
            _mm512_castsi512_ps(_mm512_maskz_slli_epi32(
                0xffff,
                _mm512_maskz_cvtepu16_epi32(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32 * j))),
                16)));
      break;
    case Scales::f32:
      for (int j = 0; j < 4; ++j) set(j, _mm512_loadu_ps(p + 64 * j));
      break;
    case Scales::e8m0:
      // 2^(code - 127) has the code as its exponent; 2^-127, below the normal ones, is code 0, and 255 is NaN.
      for (int j = 0; j < 4; ++j) {
        const __m512i code = bytes_to_i32(p + 16 * j);
        const __m512i bits =
            _mm512_mask_mov_epi32(_mm512_maskz_slli_epi32(0xffff, code, 23),
                                  _mm512_cmpeq_epi32_mask(code, _mm512_setzero_si512()), _mm512_set1_epi32(0x00400000));
        set(j, _mm512_castsi512_ps(_mm512_mask_mov_epi32(bits, _mm512_cmpeq_epi32_mask(code, _mm512_set1_epi32(255)),
                                                         _mm512_set1_epi32(0x7fc00000))));
      }
      break;
    case Scales::e4m3:
      // Sign, exponent and mantissa where f16 has them: 2^-8 of the value, subnormal ones too.
      for (int j = 0; j < 4; ++j) {
        const __m256i code =
            _mm256_maskz_cvtepu8_epi16(0xffff, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16 * j)));
        const __m256i magnitude = _mm256_slli_epi16(_mm256_and_si256(code, _mm256_set1_epi16(0x7f)), 7);
        const __m256i sign = _mm256_slli_epi16(_mm256_and_si256(code, _mm256_set1_epi16(0x80)), 8);
        set(j, _mm512_mul_ps(_mm512_maskz_cvtph_ps(0xffff, _mm256_or_si256(magnitude, sign)),
                             _mm512_set1_ps(256.0f * factor)));
      }
      break;
    case Scales::q4_k: {
      Affines& common = shared.of_groups;
      if (group == 0)
        for (int j = 0; j < 4; ++j) {
          _mm512_store_ps(common.scale + 16 * j, f16_to_f32(p + 32 * j));
          _mm512_store_ps(common.minus + 16 * j, f16_to_f32(p + 2 * kColumns + 32 * j));
        }
      const std::byte* planes = p + 4 * kColumns;
      const __m512i low = _mm512_load_si512(planes + group * kColumns);
      const __m512i high = _mm512_load_si512(planes + (8 + group / 2) * kColumns);
      const __m512i four = group % 2 == 0 ? _mm512_slli_epi16(high, 2) : _mm512_srli_epi16(high, 2);
      const __m512i scales = _mm512_and_si512(low, _mm512_set1_epi8(63));
      const __m512i minima = _mm512_or_si512(_mm512_and_si512(four, _mm512_set1_epi8(60)),
                                             _mm512_and_si512(_mm512_srli_epi16(low, 6), _mm512_set1_epi8(3)));
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        set(j, _mm512_mul_ps(_mm512_load_ps(common.scale + 16 * j), quarter_to_f32(scales, j)));
        _mm512_store_ps(out.minus + 16 * j,
                        _mm512_mul_ps(_mm512_load_ps(common.minus + 16 * j), quarter_to_f32(minima, j)));
      }
      break;
    }
    case Scales::q6_k:
      for (int j = 0; j < 4; ++j) {
        float* common = shared.of_groups.scale + 16 * j;
        if (group == 0) _mm512_store_ps(common, f16_to_f32(p + 32 * j));
        const __m128i bytes = _mm_load_si128(reinterpret_cast<const __m128i*>(p + (2 + group) * kColumns + 16 * j));
        set(j, _mm512_mul_ps(_mm512_load_ps(common),
                             _mm512_maskz_cvtepi32_ps(0xffff, _mm512_maskz_cvtepi8_epi32(0xffff, bytes))));
      }
      break;
  }
  if (w.has_zeros())
    for (int j = 0; j < 4; ++j) {
      const __m512i both = bytes_to_i32(p + bytes_of(w.scales()) + 16 * (j % 2));
      const __m512i code =
          j < 2 ? _mm512_and_si512(both, _mm512_set1_epi32(15)) : _mm512_maskz_srli_epi32(0xffff, both, 4);
      const __m512 zero = _mm512_maskz_cvtepi32_ps(0xffff, _mm512_sub_epi32(code, _mm512_set1_epi32(8)));
      _mm512_store_ps(out.minus + 16 * j, _mm512_mul_ps(_mm512_load_ps(out.scale + 16 * j), zero));
    }
}

// f(t, j, pairs of k of 16 columns) for the units of each 16 columns at `codes` that belong together: t < kPairs.
template <int kBits>
struct Decoder;

template <>
struct Decoder<4> {
  static constexpr int kPairs = 4, kParts = 1;
  __m512i table;
  std::int64_t ahead;
  LAYERCOST_CODED_INLINE explicit Decoder(const Tables& t, bool, std::int64_t bytes_ahead)
      : table(_mm512_load_si512(t.words.data())), ahead(bytes_ahead) {}
  template <class F>
  LAYERCOST_CODED_INLINE inline void units(const std::byte* codes, const F& f) const {
    __m512i v[4];
    for (int j = 0; j < 4; ++j) {
      v[j] = _mm512_load_si512(codes + 64 * j);
      _mm_prefetch(reinterpret_cast<const char*>(codes + 64 * j + ahead), _MM_HINT_T0);
    }
#pragma GCC unroll 4
    for (int t = 0; t < 4; ++t)
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        // An index is the low five bits, of which the table leaves the upper one out.
        f(t, j, reinterpret_cast<__m512bh>(_mm512_maskz_permutexvar_epi16(0xffffffff, v[j], table)));
        if (t < 3) v[j] = _mm512_srli_epi16(v[j], 4);
      }
  }
};

// Bits of a where `of_a` has them, else of b.
LAYERCOST_CODED_INLINE inline __m512i select_bits(int of_a, __m512i a, __m512i b) {
  return _mm512_ternarylogic_epi32(a, b, _mm512_set1_epi16(static_cast<short>(of_a)), 0xe4);  // c ? a : b
}

// f(0), ..., f(kCount - 1), written out one by one: GCC unrolls loops of this size only where their sums already lie in
// memory.
template <int kCount, class F>
LAYERCOST_CODED_INLINE inline void one_by_one(const F& f) {
  if constexpr (kCount > 0) {
    one_by_one<kCount - 1>(f);
    f(kCount - 1);
  }
}

template <>
struct Decoder<5> {
  static constexpr int kPairs = 16, kParts = 5;
  __m512i table;
  std::int64_t ahead;
  LAYERCOST_CODED_INLINE explicit Decoder(const Tables& t, bool, std::int64_t bytes_ahead)
      : table(_mm512_load_si512(t.words.data())), ahead(bytes_ahead) {}
  template <class F>
  LAYERCOST_CODED_INLINE inline void units(const std::byte* codes, const F& f) const {
    one_by_one<4>([&](int j) LAYERCOST_CODED_INLINE {
      // An index is the low five bits.
      const auto emit = [&](int t, __m512i v) LAYERCOST_CODED_INLINE {
        f(t, j, reinterpret_cast<__m512bh>(_mm512_maskz_permutexvar_epi16(0xffffffff, v, table)));
      };
      __m512i last = _mm512_setzero_si512();
      one_by_one<kParts>([&](int i) LAYERCOST_CODED_INLINE {
        const std::byte* at = codes + 64 * (kParts * j + i);
        _mm_prefetch(reinterpret_cast<const char*>(at + ahead), _MM_HINT_T0);
        const __m512i v = _mm512_load_si512(at);
        emit(3 * i, v);
        emit(3 * i + 1, _mm512_srli_epi16(v, 5));
        emit(3 * i + 2, _mm512_srli_epi16(v, 10));
        // Bit i; those below are other codes'.
        last = select_bits((1 << i) - 1, last, _mm512_srli_epi16(v, static_cast<unsigned>(15 - i)));
      });
      emit(15, last);
    });
  }
};

template <>
struct Decoder<6> {
  static constexpr int kPairs = 8, kParts = 3;
  __m512i table[2];
  std::int64_t ahead;
  LAYERCOST_CODED_INLINE explicit Decoder(const Tables& t, bool, std::int64_t bytes_ahead) : ahead(bytes_ahead) {
    for (int i = 0; i < 2; ++i) table[i] = _mm512_load_si512(t.words.data() + 32 * i);
  }
  template <class F>
  LAYERCOST_CODED_INLINE inline void units(const std::byte* codes, const F& f) const {
    one_by_one<4>([&](int j) LAYERCOST_CODED_INLINE {
      // An index is the low six bits.
      const auto emit = [&](int t, __m512i v) LAYERCOST_CODED_INLINE {
        f(t, j, reinterpret_cast<__m512bh>(_mm512_permutex2var_epi16(table[0], v, table[1])));
      };
      const auto unit = [&](int i) LAYERCOST_CODED_INLINE {
        const std::byte* at = codes + 64 * (kParts * j + i);
        _mm_prefetch(reinterpret_cast<const char*>(at + ahead), _MM_HINT_T0);
        const __m512i v = _mm512_load_si512(at);
        emit(2 * i, v);
        emit(2 * i + 1, _mm512_srli_epi16(v, 6));
        return v;
      };
      const __m512i first = unit(0), middle = unit(1);
      emit(6, select_bits(15, _mm512_srli_epi16(first, 12), _mm512_srli_epi16(middle, 8)));
      const __m512i last = unit(2);
      emit(7, select_bits(15, _mm512_srli_epi16(last, 12), _mm512_srli_epi16(middle, 10)));
    });
  }
};

template <>
struct Decoder<8> {
  static constexpr int kPairs = 2, kParts = 1;
  __m512i upper[2], lower[2];
  bool has_minus_128;
  std::int64_t ahead;
  LAYERCOST_CODED_INLINE explicit Decoder(const Tables& t, bool minus_128, std::int64_t bytes_ahead)
      : has_minus_128(minus_128), ahead(bytes_ahead) {
    for (int i = 0; i < 2; ++i) {
      upper[i] = _mm512_load_si512(t.upper.data() + 64 * i);
      lower[i] = _mm512_load_si512(t.lower.data() + 64 * i);
    }
  }
  template <class F>
  LAYERCOST_CODED_INLINE inline void units(const std::byte* codes, const F& f) const {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m512i v = _mm512_load_si512(codes + 64 * j);
      _mm_prefetch(reinterpret_cast<const char*>(codes + 64 * j + ahead), _MM_HINT_T0);
      // Seven bits choose; the eighth is the sign.
      __m512i high = _mm512_ternarylogic_epi32(_mm512_permutex2var_epi8(upper[0], v, upper[1]), v,
                                               _mm512_set1_epi8(static_cast<char>(0x80)), 0xf8);  // a | (b & c)
      const __m512i low = _mm512_permutex2var_epi8(lower[0], v, lower[1]);
      if (has_minus_128)  // bf16 0xc300
        high = _mm512_mask_mov_epi8(high, _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(static_cast<char>(0x80))),
                                    _mm512_set1_epi8(static_cast<char>(0xc3)));
      f(0, j, reinterpret_cast<__m512bh>(_mm512_unpacklo_epi8(low, high)));
      f(1, j, reinterpret_cast<__m512bh>(_mm512_unpackhi_epi8(low, high)));
    }
  }
};

LAYERCOST_CODED_INLINE inline __m512bh broadcast_pair(const bf16* x) {
  std::int32_t pair;
  std::memcpy(&pair, x, sizeof pair);
  return reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
}

// sums[r] += scale * sum - minus * sum(x)
template <int kRows, bool kMinus>
LAYERCOST_CODED_INLINE inline void scale_sums(const __m512 (&sum)[kRows][4], const Affines& a, const float* row_sums,
                                              std::int64_t stride, float* sums) {
  for (int j = 0; j < 4; ++j) {
    const __m512 scale = _mm512_load_ps(a.scale + 16 * j);
    for (int r = 0; r < kRows; ++r) {
      __m512 v = _mm512_fmadd_ps(scale, sum[r][j], _mm512_load_ps(sums + r * kColumns + 16 * j));
      if constexpr (kMinus)
        v = _mm512_fnmadd_ps(_mm512_load_ps(a.minus + 16 * j), _mm512_set1_ps(row_sums[r * stride]), v);
      _mm512_store_ps(sums + r * kColumns + 16 * j, v);
    }
  }
}

struct Pass {
  const CodedTiles* w;
  const std::byte* block;
  const float* beside;
  float factor;
  const bf16* x;          // of the first row
  const float* row_sums;  // likewise
  std::int64_t x_stride, rows;
  float* sums;  // [rows][64]
};

template <int kBits, int kRows, bool kMinus>
LAYERCOST_CODED void few_rows_pass(const Pass& p, const Tables& tables) {
  const CodedTiles& w = *p.w;
  const std::int64_t ahead = prefetch_distance(kBits, kRows);
  const Decoder<kBits> decoder(tables, w.has_minus_128(), ahead);
  const std::int64_t units = w.group_k() / (2 * Decoder<kBits>::kPairs), groups = w.groups();
  const std::byte* at = p.block;
  const bf16* x = p.x;
  Affines affines;
  Shared shared;
  for (std::int64_t chunk = 0, group = 0; chunk < w.chunks(); ++chunk) {
    const std::byte* scales = at;
    for (std::int64_t b = 0; b < w.chunk_scale_bytes(); b += 64)
      _mm_prefetch(reinterpret_cast<const char*>(at + b + ahead), _MM_HINT_T0);
    at += w.chunk_scale_bytes();
    for (std::int64_t g = 0; g < w.chunk_groups(); ++g, ++group) {
      // One row: two sums each, or the chain of additions holds up the reading.
      constexpr int kSets = kRows == 1 ? 2 : 1;
      __m512 sum[kSets][kRows][4];
      for (auto& set : sum)
        for (auto& row : set)
          for (__m512& v : row) v = _mm512_setzero_ps();
      for (std::int64_t u = 0; u < units; ++u, at += 256 * Decoder<kBits>::kParts, x += 2 * Decoder<kBits>::kPairs)
        decoder.units(at, [&](int t, int j, __m512bh weights) LAYERCOST_CODED_INLINE {
          for (int r = 0; r < kRows; ++r)
            sum[t % kSets][r][j] =
                _mm512_dpbf16_ps(sum[t % kSets][r][j], weights, broadcast_pair(x + r * p.x_stride + 2 * t));
        });
      if constexpr (kSets == 2)
        for (int j = 0; j < 4; ++j) sum[0][0][j] = _mm512_add_ps(sum[0][0][j], sum[1][0][j]);
      read_scales(w, scales, p.beside, chunk, g, p.factor, shared, affines);
      scale_sums<kRows, kMinus>(sum[0], affines, kMinus ? p.row_sums + group : nullptr, groups, p.sums);
    }
  }
}

// Rows of a piece of decoded weights [pairs of k][64 columns][2], `groups` groups of `group_pairs` pairs. Three rows:
// 12 sums of a group and 12 of all leave room for 4 weights, and no group of 32 k costs a turn through memory.
constexpr int kManyTile = 3;
template <int kRows, bool kMinus>
LAYERCOST_CODED void decoded_rows(const bf16* decoded, std::int64_t groups, std::int64_t group_pairs, const bf16* x,
                                  std::int64_t x_stride, const Affines* affines, const float* row_sums,
                                  std::int64_t row_sums_stride, float* sums) {
  __m512 all[kRows][4];
  for (int r = 0; r < kRows; ++r)
    for (int j = 0; j < 4; ++j) all[r][j] = _mm512_load_ps(sums + r * kColumns + 16 * j);
  for (std::int64_t g = 0; g < groups; ++g) {
    __m512 sum[kRows][4];
    for (auto& row : sum)
      for (__m512& v : row) v = _mm512_setzero_ps();
    for (std::int64_t p = 0; p < group_pairs; ++p, decoded += 2 * kColumns, x += 2) {
      __m512bh w[4];
      for (int j = 0; j < 4; ++j) w[j] = reinterpret_cast<__m512bh>(_mm512_load_si512(decoded + 32 * j));
      for (int r = 0; r < kRows; ++r) {
        const __m512bh v = broadcast_pair(x + r * x_stride);
        for (int j = 0; j < 4; ++j) sum[r][j] = _mm512_dpbf16_ps(sum[r][j], w[j], v);
      }
    }
    for (int j = 0; j < 4; ++j) {
      const __m512 scale = _mm512_load_ps(affines[g].scale + 16 * j);
      for (int r = 0; r < kRows; ++r) {
        all[r][j] = _mm512_fmadd_ps(scale, sum[r][j], all[r][j]);
        if constexpr (kMinus)
          all[r][j] = _mm512_fnmadd_ps(_mm512_load_ps(affines[g].minus + 16 * j),
                                       _mm512_set1_ps(row_sums[r * row_sums_stride + g]), all[r][j]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int j = 0; j < 4; ++j) _mm512_store_ps(sums + r * kColumns + 16 * j, all[r][j]);
}

// A piece is the groups of up to kPieceK k of a chunk, decoded to 16 KB.
template <int kBits, bool kMinus>
LAYERCOST_CODED void many_rows_pass(const Pass& p, const Tables& tables, bf16* decoded) {
  const CodedTiles& w = *p.w;
  const Decoder<kBits> decoder(tables, w.has_minus_128(), prefetch_distance(kBits, kManyRows));
  const std::int64_t units = w.group_k() / (2 * Decoder<kBits>::kPairs), all_groups = w.groups();
  const std::int64_t tiles = (p.rows + kManyTile - 1) / kManyTile, most_groups = kPieceK / w.group_k();
  const std::byte *at = p.block, *scales = at;
  Affines affines[kPieceK / 16];
  Shared shared;
  for (std::int64_t first = 0, chunk = -1, g = w.chunk_groups(); first < all_groups;) {
    const std::int64_t here = std::min(most_groups, all_groups - first);
    bf16* to = decoded;
    for (std::int64_t i = 0; i < here; ++i, ++g) {
      if (g == w.chunk_groups()) {
        g = 0, ++chunk;
        scales = at;
        at += w.chunk_scale_bytes();
      }
      for (std::int64_t u = 0; u < units;
           ++u, at += 256 * Decoder<kBits>::kParts, to += Decoder<kBits>::kPairs * 2 * kColumns)
        decoder.units(at, [&](int t, int j, __m512bh weights) LAYERCOST_CODED_INLINE {
          _mm512_store_si512(to + t * 2 * kColumns + 32 * j, reinterpret_cast<__m512i>(weights));
        });
      read_scales(w, scales, p.beside, chunk, g, p.factor, shared, affines[i]);
    }
    for (std::int64_t i = 0; i < tiles; ++i) {
      const std::int64_t row = p.rows * i / tiles, rows = p.rows * (i + 1) / tiles - row;
      const auto tile = rows == 3   ? decoded_rows<3, kMinus>
                        : rows == 2 ? decoded_rows<2, kMinus>
                                    : decoded_rows<1, kMinus>;
      tile(decoded, here, w.group_k() / 2, p.x + row * p.x_stride + first * w.group_k(), p.x_stride, affines,
           kMinus ? p.row_sums + row * all_groups + first : nullptr, all_groups, p.sums + row * kColumns);
    }
    first += here;
  }
}

template <int kBits, bool kMinus>
void pass_of(const Pass& whole, const Tables& tables, bf16* decoded) {
  if (whole.rows >= kManyRows) return many_rows_pass<kBits, kMinus>(whole, tables, decoded);
  const std::int64_t count = (whole.rows + kMostRows - 1) / kMostRows;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t row = whole.rows * i / count, rows = whole.rows * (i + 1) / count - row;
    Pass p = whole;
    p.x += row * p.x_stride, p.row_sums += kMinus ? row * p.w->groups() : 0, p.rows = rows, p.sums += row * kColumns;
    constexpr decltype(&few_rows_pass<kBits, 1, kMinus>) kPasses[] = {
        few_rows_pass<kBits, 1, kMinus>, few_rows_pass<kBits, 2, kMinus>, few_rows_pass<kBits, 3, kMinus>,
        few_rows_pass<kBits, 4, kMinus>, few_rows_pass<kBits, 5, kMinus>, few_rows_pass<kBits, 6, kMinus>};
    kPasses[rows - 1](p, tables);
  }
}

}  // namespace

namespace {
bool has_instructions(const DeviceInfo& d) { return d.cpu.avx512_bf16 && __builtin_cpu_supports("avx512vbmi"); }
}  // namespace

#else

namespace {
struct Tables {
  explicit Tables(const WeightFormat&) {}
};
struct Pass {
  const CodedTiles* w;
  const std::byte* block;
  const float* beside;
  float factor;
  const bf16* x;
  const float* row_sums;
  std::int64_t x_stride, rows;
  float* sums;
};
template <int kBits, bool kMinus>
void pass_of(const Pass&, const Tables&, bf16*) {
  throw std::logic_error("CodedProduct: built for another processor");
}
}  // namespace

namespace {
bool has_instructions(const DeviceInfo&) { return false; }
}  // namespace

#endif

Support CodedProduct::supports(const WeightFormat& f, const DeviceInfo& d) {
  if (f.is_plain()) return Support::no("needs a weight format with scales");
  return has_instructions(d) ? Support::yes() : Support::no("needs AVX-512-BF16 and AVX-512-VBMI");
}

CodedProduct::CodedProduct(const Weight& w, DType y, std::int64_t rows, std::int64_t groups)
    : tiles_(CodedTiles::of(w)), y_(y), threads_(team_threads()), most_rows_(std::min(rows, kSegmentRows)) {
  busy_.reserve(static_cast<std::size_t>(groups + rows / kSegmentRows + 1));
  const auto count = static_cast<std::size_t>(rows), threads = static_cast<std::size_t>(threads_);
  if (tiles_->padded_k() != tiles_->k())
    padded_ = Buffer(count * static_cast<std::size_t>(tiles_->padded_k()) * sizeof(bf16));
  if (tiles_->has_minus()) row_sums_ = Buffer(count * static_cast<std::size_t>(tiles_->groups()) * sizeof(float));
  sums_ = Buffer(threads * static_cast<std::size_t>(most_rows_ * kColumns) * sizeof(float));
  decoded_ = Buffer(threads * static_cast<std::size_t>(kPieceK * kColumns) * sizeof(bf16));
}

template <class Y>
void CodedProduct::run_block(const CodedGroup& g, std::int64_t b, float* sums, bf16* decoded,
                             const Arguments& a) const {
  const CodedTiles& w = *tiles_;
  const Tables tables(w.format());
  const std::int64_t stride = w.padded_k();
  std::fill_n(sums, g.rows * kColumns, 0.0f);
  const Pass pass{.w = &w,
                  .block = w.block(g.matrix, b),
                  .beside = w.beside(g.matrix, b),
                  .factor = w.factor(g.matrix),
                  .x = (padded_ ? padded_.as<bf16>() : a.x) + g.first * stride,
                  .row_sums = row_sums_ ? row_sums_.as<float>() + g.first * w.groups() : nullptr,
                  .x_stride = stride,
                  .rows = g.rows,
                  .sums = sums};
  const auto pass_of_bits = [&]<int kBits>() {
    w.has_minus() ? pass_of<kBits, true>(pass, tables, decoded) : pass_of<kBits, false>(pass, tables, decoded);
  };
  switch (w.format().code_bits) {
    case 4:
      pass_of_bits.template operator()<4>();
      break;
    case 5:
      pass_of<5, true>(pass, tables, decoded);
      break;
    case 6:
      pass_of<6, false>(pass, tables, decoded);
      break;
    default:
      pass_of_bits.template operator()<8>();
  }
  if (a.bias != nullptr) {
    const float* bias = a.bias + g.matrix * a.bias_stride + b * kColumns;
    const std::int64_t columns = std::min(kColumns, w.n() - b * kColumns);
    for (std::int64_t r = 0; r < g.rows; ++r)
      for (std::int64_t c = 0; c < columns; ++c) sums[r * kColumns + c] += bias[c];
  }
  const TileOutput<Y> out{static_cast<Y*>(a.y), nullptr, static_cast<const Y*>(a.residual), a.y_stride};
  for (std::int64_t r = 0; r < g.rows; ++r) store_products(sums + r * kColumns, b, g.first + r, w.n(), out);
}

void CodedProduct::run(std::span<const CodedGroup> groups, const Arguments& a) {
  const CodedTiles& w = *tiles_;
  busy_.clear();
  for (const CodedGroup& g : groups)
    for (std::int64_t i = 0, count = (g.rows + kSegmentRows - 1) / kSegmentRows; i < count; ++i)
      busy_.push_back({g.first + g.rows * i / count, g.rows * (i + 1) / count - g.rows * i / count, g.matrix});
  if (busy_.empty()) return;
  const std::int64_t first = busy_.front().first, end = busy_.back().first + busy_.back().rows;
  const std::int64_t blocks = w.blocks();
  if (padded_ || row_sums_)
    each_row(end - first, (end - first) * w.k() >= kParallelElements, [&](std::int64_t row) {
      const std::int64_t r = first + row;
      const bf16* x = a.x + r * w.k();
      if (padded_) {
        bf16* to = padded_.as<bf16>() + r * w.padded_k();
        std::copy_n(x, w.k(), to);
        std::fill_n(to + w.k(), w.padded_k() - w.k(), bf16{});
      }
      if (row_sums_)
        for (std::int64_t g = 0; g < w.groups(); ++g) {
          float sum = 0;
          for (std::int64_t i = g * w.group_k(); i < std::min(w.k(), (g + 1) * w.group_k()); ++i) sum += to_f32(x[i]);
          row_sums_.as<float>()[r * w.groups() + g] = sum;
        }
    });
  each_piece(static_cast<std::int64_t>(busy_.size()) * blocks, [&](int thread, std::int64_t i, std::int64_t) {
    float* sums = sums_.as<float>() + thread * most_rows_ * kColumns;
    bf16* decoded = decoded_.as<bf16>() + thread * kPieceK * kColumns;
    const CodedGroup& g = busy_[static_cast<std::size_t>(i / blocks)];
    dispatch_float(y_, [&]<class Y>(Y*) { run_block<Y>(g, i % blocks, sums, decoded, a); });
  });
}

}  // namespace layercost

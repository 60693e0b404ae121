// Loops, from the outside: up to 256 rows; a block of 64 columns; a piece of 128 steps of weights (32 KB, 256 k of bf16
// or 128 of f32) with the x that belongs to it, widened to f32; groups of columns; tiles of rows. So a piece comes from
// memory once and from the first-level cache for every further tile.
//
// Fetching ahead is most of the speed and must be even, a few lines at every step: four steps' lines at once cost up to
// a third (4 rows, AVX-512). A single pass asks for the second-level cache 4 KB ahead and for the first 1 KB ahead:
// 33 GB/s at one row where either alone gives 30 to 31 and the read loop does 34; several passes share out the next
// piece, for the second level only (2 threads of a Xeon, 25600 x 5120, bf16).
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/simd_product.h"

#define LAYERCOST_SIMD_FILE "kernels/cpu/simd_product.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <fmt/format.h>
#include <hwy/cache_control.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/bf16_tiles.h"
#include "kernels/cpu/f32_tiles.h"
#include "kernels/cpu/simd-inl.h"

#ifndef LAYERCOST_SIMD_PRODUCT
#define LAYERCOST_SIMD_PRODUCT
namespace layercost {
namespace {

constexpr std::int64_t kColumns = 64;  // a step is one 32-bit word of each column
constexpr std::int64_t kPieceSteps = 128;
constexpr std::int64_t kNearBytes = 1024, kFarBytes = 4096;
constexpr std::int64_t kRowsAtOnce = 256;  // sums of 64 KB and x of up to 144 KB, within a second-level cache
// Floats between rows of widened x: room for a piece and 64 bytes more, so that rows do not meet in the same sets.
constexpr std::int64_t kXStride = 2 * kPieceSteps + 16;

// Widened weights of a group of columns: half a first-level cache, the other half is for the x of a tile.
constexpr std::int64_t kPanelFloats = 4096;

template <class W>
constexpr std::int64_t kPerStep = 4 / static_cast<std::int64_t>(sizeof(W));  // k

static_assert(kColumns == Bf16Tiles::kColumns && kColumns == F32Tiles::kColumns);

// Some rows times one piece of one block.
struct Piece {
  const void* x;  // the first row, at the piece's first k
  std::int64_t rows, x_stride;
  std::int64_t width;     // of the piece, k
  const float* w;         // bf16: two in a word
  bool first;             // sums start at zero
  float *sums, *widened;  // [rows][kColumns], [rows][kXStride]
  float* panel;           // kPanelFloats
};

// Sums [parts][rows][kColumns], `part_stride` floats apart, to y.
struct Finish {
  const float* sums;
  std::int64_t parts, part_stride, rows, columns, stride;
  const void *bias, *residual;  // at the first column; and at the first row
  void* y;
};

struct ProductFunctions {
  void (*multiply)(const Piece&);
  void (*finish)(const Finish&);
};

}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

constexpr int kBlockVectors = kColumns / kLanes;
// Sums that fit into the registers beside weights and x: 24 of 32 (AVX-512, NEON), 12 of 16 with multiply-add (AVX2),
// 8 where a multiply-add takes a register more.
constexpr int kSums = kLanes == 16 || HWY_ARCH_ARM_A64 ? 24 : kLanes == 8 ? 12 : 8;
// Rows per tile. More of them share what widening bf16 costs; without that, two passes over six rows each are better
// spread over memory than two halves of the columns (f32, 8 rows, AVX-512: 80 % of the read loop against 69).
template <class W>
constexpr int kMostRows = kSums == 24 && kPerStep<W> == 1 ? 6 : kSums / 2;

// Vectors of columns per tile.
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

// Weights of the even and the odd k of a step.
template <int kPart>
HWY_INLINE V load_part(const float* p, const float*) {
  return load(p);
}
template <int kPart>
HWY_INLINE V load_part(const float* p, const bf16*) {
  const auto words = hn::BitCast(U32(), load(p));
  return hn::BitCast(F32(), kPart == 0 ? hn::ShiftLeft<16>(words) : hn::And(words, hn::Set(U32(), 0xffff0000u)));
}

template <int kPart, int kRows, int kVectors, class W>
HWY_INLINE void multiply_part(const float* x, const float* w, V (&sum)[kRows][kVectors]) {
  V weights[kVectors];
  for (int v = 0; v < kVectors; ++v) weights[v] = load_part<kPart>(w + v * kLanes, static_cast<const W*>(nullptr));
  for (int r = 0; r < kRows; ++r) {
    const V factor = hn::Set(F32(), x[r * kXStride + kPart]);
    for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(factor, weights[v], sum[r][v]);
  }
}

HWY_INLINE void prefetch_second_level(const float* p) { __builtin_prefetch(p, 0, 2); }

// sums += x w for kRows rows and kVectors vectors of columns. kSingle: the only pass over a piece. Else it fetches
// `lines` (0 to 2) cache lines per step from `ahead` on.
template <int kRows, int kVectors, bool kSingle, class W>
void multiply_tile(const float* x, const float* w, std::int64_t steps, const float* ahead, std::int64_t lines,
                   float* sums) {
  constexpr std::int64_t kLine = 64 / sizeof(float);
  V sum[kRows][kVectors];
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; ++v) sum[r][v] = load(sums + r * kColumns + v * kLanes);
  for (std::int64_t s = 0; s < steps; ++s, x += kPerStep<W>, w += kColumns) {
    if constexpr (kSingle) {
      for (int l = 0; l < 4; ++l) prefetch_second_level(w + kFarBytes / sizeof(float) + l * kLine);
      for (int l = 0; l < 4; ++l) hwy::Prefetch(w + kNearBytes / sizeof(float) + l * kLine);
    } else {
      if (lines > 0) prefetch_second_level(ahead);
      if (lines > 1) prefetch_second_level(ahead + kLine);
      ahead += lines * kLine;
    }
    multiply_part<0, kRows, kVectors, W>(x, w, sum);
    if constexpr (kPerStep<W> == 2) multiply_part<1, kRows, kVectors, W>(x, w, sum);
  }
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; ++v) store(sum[r][v], sums + r * kColumns + v * kLanes);
}

template <class X>
HWY_INLINE void widen(const X* x, std::int64_t n, float* out) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(load(x + i), out + i);
  for (; i < n; ++i) out[i] = load_f32(x + i);
  out[n] = 0.0f;  // the second k of a last step; kXStride has room
}

// kRows: of the larger tiles; the others have one row less.
template <int kRows, class W>
void multiply_tiles(const Piece& p, std::int64_t tiles) {
  constexpr int kVectors = vectors_for(kRows), kGroups = kBlockVectors / kVectors;
  const std::int64_t steps = (p.width + kPerStep<W> - 1) / kPerStep<W>, passes = kGroups * tiles;
  if (kGroups == 1 && tiles == 1)
    return multiply_tile<kRows, kVectors, kGroups == 1, W>(p.widened, p.w, steps, nullptr, 0, p.sums);
  const float* ahead = p.w + kPieceSteps * kColumns;  // the next piece, four lines per step in all
  for (std::int64_t i = 0; i < passes; ++i) {
    const std::int64_t t = i % tiles, column = i / tiles * kVectors * kLanes;
    const std::int64_t row = p.rows * t / tiles, rows = p.rows * (t + 1) / tiles - row;
    const std::int64_t lines = 4 * (i + 1) / passes - 4 * i / passes;
    const float* x = p.widened + row * kXStride;
    float* sums = p.sums + row * kColumns + column;
    if (rows == kRows) multiply_tile<kRows, kVectors, false, W>(x, p.w + column, steps, ahead, lines, sums);
    else multiply_tile<std::max(1, kRows - 1), kVectors, false, W>(x, p.w + column, steps, ahead, lines, sums);
    ahead += lines * kColumns / 4 * steps;
  }
}

// Panels: from how many rows on, and how wide.
constexpr int kPanelRows = kMostRows<float>, kPanelVectors = vectors_for(kPanelRows);
constexpr std::int64_t kPanelColumns = kPanelVectors * kLanes, kPanelK = kPanelFloats / kPanelColumns;
// Squares of 4096 and 5120 on AVX2 (2 threads, no bf16 instructions): 1.3 to 1.5 times as fast from 96 rows on,
// no difference at 24 to 48.
constexpr std::int64_t kLeastPanelRows = 8 * kPanelRows;

// sums += x w for kRows rows; w [k][kPanelColumns].
template <int kRows>
void multiply_panel(const float* x, const float* w, std::int64_t k, float* sums) {
  V sum[kRows][kPanelVectors];
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kPanelVectors; ++v) sum[r][v] = load(sums + r * kColumns + v * kLanes);
  for (std::int64_t i = 0; i < k; ++i, w += kPanelColumns) {
    V weights[kPanelVectors];
    for (int v = 0; v < kPanelVectors; ++v) weights[v] = load(w + v * kLanes);
    for (int r = 0; r < kRows; ++r) {
      const V factor = hn::Set(F32(), x[r * kXStride + i]);
      for (int v = 0; v < kPanelVectors; ++v) sum[r][v] = hn::MulAdd(factor, weights[v], sum[r][v]);
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kPanelVectors; ++v) store(sum[r][v], sums + r * kColumns + v * kLanes);
}

void widen_panel(const float* w, std::int64_t steps, float* panel) {
  for (std::int64_t s = 0; s < steps; ++s, w += kColumns)
    for (int part = 0; part < 2; ++part)
      for (int v = 0; v < kPanelVectors; ++v, panel += kLanes) {
        const float* words = w + v * kLanes;
        const bf16* type = nullptr;
        store(part == 0 ? load_part<0>(words, type) : load_part<1>(words, type), panel);
      }
}

// As multiply_tiles does, with weights widened once for all rows.
void multiply_panels(const Piece& p) {
  constexpr std::int64_t kSteps = kPanelK / 2, kLine = 64 / sizeof(float);
  const std::int64_t steps = (p.width + 1) / 2, tiles = (p.rows + kPanelRows - 1) / kPanelRows,
                     panels = (steps + kSteps - 1) / kSteps * (kColumns / kPanelColumns);
  const float* ahead = p.w + kPieceSteps * kColumns;  // the next piece, shared out evenly over all tiles
  std::int64_t fetched = 0, done = 0;
  for (std::int64_t s = 0; s < steps; s += kSteps)
    for (std::int64_t column = 0; column < kColumns; column += kPanelColumns) {
      const std::int64_t count = std::min(kSteps, steps - s);
      widen_panel(p.w + s * kColumns + column, count, p.panel);
      for (std::int64_t t = 0; t < tiles; ++t) {
        for (const std::int64_t lines = 4 * steps * ++done / (panels * tiles); fetched < lines; ++fetched)
          prefetch_second_level(ahead + fetched * kLine);
        const std::int64_t row = p.rows * t / tiles, rows = p.rows * (t + 1) / tiles - row;
        const float* x = p.widened + row * kXStride + 2 * s;
        float* sums = p.sums + row * kColumns + column;
        if (rows == kPanelRows) multiply_panel<kPanelRows>(x, p.panel, 2 * count, sums);
        else multiply_panel<kPanelRows - 1>(x, p.panel, 2 * count, sums);
      }
    }
}

template <class X, class W>
void multiply(const Piece& p) {
  const std::int64_t tiles = (p.rows + kMostRows<W> - 1) / kMostRows<W>;
  if (p.first) std::fill_n(p.sums, p.rows * kColumns, 0.0f);
  for (std::int64_t r = 0; r < p.rows; ++r)
    widen(static_cast<const X*>(p.x) + r * p.x_stride, p.width, p.widened + r * kXStride);
  if (kPerStep<W> == 2 && p.rows >= kLeastPanelRows) return multiply_panels(p);
  with_size<kMostRows<W>>((p.rows + tiles - 1) / tiles, [&]<int kRows>() { multiply_tiles<kRows, W>(p, tiles); });
}

template <class W, class Y>
void finish(const Finish& f) {
  const auto* bias = static_cast<const W*>(f.bias);
  for (std::int64_t r = 0; r < f.rows; ++r) {
    const auto* residual = f.residual == nullptr ? nullptr : static_cast<const Y*>(f.residual) + r * f.stride;
    Y* y = static_cast<Y*>(f.y) + r * f.stride;
    for (std::int64_t c = 0; c < f.columns; c += kLanes) {
      const std::int64_t n = std::min<std::int64_t>(kLanes, f.columns - c);
      const float* sums = f.sums + r * kColumns + c;
      V v = load(sums);
      for (std::int64_t p = 1; p < f.parts; ++p) v = hn::Add(v, load(sums + p * f.part_stride));
      if (n == kLanes) {
        if (bias != nullptr) v = hn::Add(v, load(bias + c));
        if (residual != nullptr) v = hn::Add(v, load(residual + c));
        store(v, y + c);
      } else {
        if (bias != nullptr) v = hn::Add(v, load_n(bias + c, n));
        if (residual != nullptr) v = hn::Add(v, load_n(residual + c, n));
        store_n(v, y + c, n);
      }
    }
  }
}

ProductFunctions product_functions(DType x, DType w, DType y) {
  return dispatch_float(w, [&]<class W>(W*) {
    return ProductFunctions{dispatch_float(x, []<class X>(X*) { return multiply<X, W>; }),
                            dispatch_float(y, []<class Y>(Y*) { return finish<W, Y>; })};
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace layercost
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace layercost {
namespace {

HWY_EXPORT(product_functions);

// How the weights of each type lie.
std::shared_ptr<const F32Tiles> tiles_of(const float*, const Weight& w) { return F32Tiles::of(w); }
std::shared_ptr<const Bf16Tiles> tiles_of(const bf16*, const Weight& w) { return Bf16Tiles::of(w); }
const char* layout_of(const float*) { return "BA16a64b"; }
const char* layout_of(const bf16*) { return "BA16a64b2a"; }

class Product final : public SimdProduct {
 public:
  Product(const Weight& w, DType x, DType y, std::int64_t rows, std::int64_t groups)
      : functions_(HWY_DYNAMIC_DISPATCH(product_functions)(x, w.dtype(), y)),
        threads_(team_threads()),
        x_bytes_(bytes_of(x)),
        w_bytes_(bytes_of(w.dtype())),
        y_bytes_(bytes_of(y)),
        most_rows_(std::min(rows, kRowsAtOnce)),
        chosen_(fmt::format("{}, weights {}", simd_target(),
                            dispatch_float(w.dtype(), []<class W>(W* type) { return layout_of(type); }))) {
    const auto take = [&](const auto& tiles) {
      n_ = tiles->n(), k_ = tiles->k(), blocks_ = tiles->blocks();
      weights_ = reinterpret_cast<const float*>(tiles->matrix(0));
      block_floats_ = reinterpret_cast<const float*>(tiles->block(0, 1)) - weights_;
      held_ = tiles;
    };
    dispatch_float(w.dtype(), [&]<class W>(W* type) { take(tiles_of(type, w)); });
    piece_k_ = kPieceSteps * 4 / w_bytes_;
    pieces_ = (k_ + piece_k_ - 1) / piece_k_;
    segments_.reserve(static_cast<std::size_t>(groups + rows / kRowsAtOnce));
    widened_ = Buffer(static_cast<std::size_t>(threads_ * most_rows_ * kXStride) * sizeof(float));
    panels_ = Buffer(static_cast<std::size_t>(threads_ * kPanelFloats) * sizeof(float));
    sums_ = Buffer(static_cast<std::size_t>(2 * wanted_items() * most_rows_ * kColumns) * sizeof(float));
  }

  void run(std::span<const Group> groups, const Arguments& a) override {
    segments_.clear();
    for (const Group& g : groups)
      for (std::int64_t i = 0, count = (g.rows + kRowsAtOnce - 1) / kRowsAtOnce; i < count; ++i)
        segments_.push_back({g.first + g.rows * i / count, g.rows * (i + 1) / count - g.rows * i / count, g.matrix});
    const std::int64_t whole = static_cast<std::int64_t>(segments_.size()) * blocks_;
    if (whole == 0) return;
    // Where blocks are few, parts of k: at least four pieces each, at most twice the wanted items in all.
    const std::int64_t parts =
        std::clamp<std::int64_t>((wanted_items() + whole - 1) / whole, 1, std::max<std::int64_t>(1, pieces_ / 4));
    each_piece(whole * parts, [&](int thread, std::int64_t item, std::int64_t) {
      float* sums = sums_of(parts == 1 ? thread : item);
      multiply(item, parts, sums, thread, a);
      if (parts == 1) finish(item, 1, sums, a);
    });
    if (parts > 1)
      each_row(whole, whole * parts * most_rows_ * kColumns >= kParallelElements,
               [&](std::int64_t i) { finish(i, parts, sums_of(i * parts), a); });
  }

  std::string chosen() const override { return chosen_; }

 private:
  static std::int64_t bytes_of(DType t) { return static_cast<std::int64_t>(size_of(t)); }
  std::int64_t wanted_items() const { return 4 * threads_; }
  float* sums_of(std::int64_t i) const { return sums_.as<float>() + i * most_rows_ * kColumns; }

  // An item is a part of a block of a segment, the part counting fastest: items that follow each other lie so in
  // memory.
  void multiply(std::int64_t item, std::int64_t parts, float* sums, int thread, const Arguments& a) const {
    const std::int64_t whole = item / parts, part = item % parts;
    const Group& s = segments_[static_cast<std::size_t>(whole / blocks_)];
    const std::int64_t begin = pieces_ * part / parts, end = pieces_ * (part + 1) / parts;
    const auto* x = static_cast<const std::byte*>(a.x) + s.first * k_ * x_bytes_;
    const float* w = weights_ + (s.matrix * blocks_ + whole % blocks_) * block_floats_;
    for (std::int64_t i = begin; i < end; ++i)
      functions_.multiply({.x = x + i * piece_k_ * x_bytes_,
                           .rows = s.rows,
                           .x_stride = k_,
                           .width = std::min(piece_k_, k_ - i * piece_k_),
                           .w = w + i * kPieceSteps * kColumns,
                           .first = i == begin,
                           .sums = sums,
                           .widened = widened_.as<float>() + thread * most_rows_ * kXStride,
                           .panel = panels_.as<float>() + thread * kPanelFloats});
  }

  void finish(std::int64_t whole, std::int64_t parts, const float* sums, const Arguments& a) const {
    const Group& s = segments_[static_cast<std::size_t>(whole / blocks_)];
    const std::int64_t stride = a.y_stride > 0 ? a.y_stride : n_, column = whole % blocks_ * kColumns,
                       at = s.first * stride + column;
    const auto offset = [](const void* p, std::int64_t bytes) {
      return p == nullptr ? nullptr : static_cast<const std::byte*>(p) + bytes;
    };
    functions_.finish({.sums = sums,
                       .parts = parts,
                       .part_stride = most_rows_ * kColumns,
                       .rows = s.rows,
                       .columns = std::min(kColumns, n_ - column),
                       .stride = stride,
                       .bias = offset(a.bias, (s.matrix * a.bias_stride + column) * w_bytes_),
                       .residual = offset(a.residual, at * y_bytes_),
                       .y = static_cast<std::byte*>(a.y) + at * y_bytes_});
  }

  ProductFunctions functions_;
  std::int64_t threads_, x_bytes_, w_bytes_, y_bytes_, most_rows_;
  std::string chosen_;
  std::int64_t n_ = 0, k_ = 0, blocks_ = 0, block_floats_ = 0, piece_k_ = 0, pieces_ = 0;
  const float* weights_ = nullptr;
  std::shared_ptr<const void> held_;  // what weights_ points to
  std::vector<Group> segments_;       // groups cut into up to kRowsAtOnce rows
  Buffer widened_;                    // [threads][most_rows][kXStride]
  Buffer panels_;                     // [threads][kPanelFloats]
  Buffer sums_;                       // per thread or per item [most_rows][kColumns]
};

}  // namespace

Support simd_product_support() { return has_simd() ? Support::yes() : Support::no("needs SSE4.2 or NEON"); }

bool simd_product_prefers(DType x, DType w, const DeviceInfo& device) {
  return x != DType::bf16 || w != DType::bf16 || !device.cpu.avx512_bf16;
}

std::unique_ptr<SimdProduct> SimdProduct::make(const Weight& w, DType x, DType y, std::int64_t rows,
                                               std::int64_t groups) {
  return std::make_unique<Product>(w, x, y, rows, groups);
}

}  // namespace layercost
#endif

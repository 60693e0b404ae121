// What:    constant matrices in a format with scales (kernels/core/weight_format.h), packed once as codes in blocks of
//          64 columns, and their products. What is read at a product is the codes and scales, nothing wider.
// Formula: y[r, n] = sum_k x[r, k] * w[matrix, n, k]  (+ bias[n])  (+ residual[r, n]), rows by groups, each with its
//          matrix. Codes are multiplied as they are (every table value is exact in bf16) and summed in f32; a group's
//          sum is scaled once: scale * sum(x * table[code]) - (scale * zero + offset) * sum(x).
// Layout:  a block of 64 columns is a run of chunks of `chunk_k` k, each its scales and then its codes. Codes lie in
//          units of 64 bytes for 16 columns: of 4 bits, 8 k: in 16-bit word 2 c + p, nibble t is column c, k = 2 t + p;
//          of 8 bits, 4 k: byte 16 l + 8 s + i is column 4 l + i / 2, k = 2 s + i % 2, as sign and magnitude. Units of
//          the four 16 columns follow one another, then the next k. Of 5 and 6 bits a unit is five times 64 bytes
//          for 32 k, or three times for 16 k: of the t-th codes of a column's k = 2 t + p, word 2 c + p of part i holds
//          number 3 i, 3 i + 1, 3 i + 2 from its lowest bit on, and bit i of number 15 above; or 2 i, 2 i + 1, and
//          above, four bits each: the lower of number 6; its upper two below those of number 7; the lower of number 7.
//          Padding is code 0 with scale 0.
// Types:   x bf16, y (and residual) f32 or bf16, bias f32.
// Threads: the team's (kernels/core/team.h); one caller at a time. A piece is a block of a group's matrix.
// Limit:   n / 64 pieces of a matrix, so a small n does not fill many cores.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/contract/op.h"
#include "kernels/runtime/runtime.h"

namespace layercost {


class CodedTiles {
 public:
  static constexpr std::int64_t kColumns = 64;
  // How a chunk holds the scales of its columns. block: one f32 for all, row: an f32 per column for all k; both beside
  // the chunks. The others at the chunk's beginning, 64 of each: q4_k f16 scales, f16 minima, then 12 times 64 bytes,
  // of which byte j < 8 holds scale j and two bits of minimum j, byte 8 + j / 2 the other four of minima j and j + 1;
  // q6_k f16 scales, then 16 times 64 int8.
  enum class Scales : std::uint8_t { block, row, f16, bf16, f32, e8m0, e4m3, q4_k, q6_k };

  // Of a weight [n, k] or [count, n, k] in a format with scales: packed on all threads, shared through Weight::packed.
  static std::shared_ptr<const CodedTiles> of(const Weight&);
  explicit CodedTiles(const CodedWeight&);

  const WeightFormat& format() const { return *format_; }
  std::int64_t count() const { return count_; }
  std::int64_t n() const { return n_; }
  std::int64_t k() const { return k_; }
  std::int64_t blocks() const { return (n_ + kColumns - 1) / kColumns; }
  std::int64_t group_k() const { return group_k_; }
  std::int64_t chunk_groups() const { return chunk_groups_; }
  std::int64_t chunks() const { return chunks_; }
  std::int64_t groups() const { return chunks_ * chunk_groups_; }
  std::int64_t padded_k() const { return groups() * group_k_; }
  std::int64_t chunk_scale_bytes() const { return chunk_scale_bytes_; }
  std::int64_t group_code_bytes() const { return group_k_ * kColumns * format_->code_bits / 8; }
  std::int64_t block_bytes() const { return chunks_ * (chunk_scale_bytes_ + chunk_groups_ * group_code_bytes()); }
  Scales scales() const { return scales_; }
  bool has_zeros() const { return has_zeros_; }  // of 4 bits, behind the chunk's scales: columns c and 32 + c in a byte
  bool has_minus() const { return has_zeros_ || scales_ == Scales::q4_k; }  // what is taken off depends on sum(x)
  bool has_minus_128() const { return has_minus_128_; }                     // as code 0x80
  bool has_nan() const { return has_nan_; }                                 // among codes of e4m3
  const std::byte* block(std::int64_t matrix, std::int64_t b) const {
    return tiles_.data() + (matrix * blocks() + b) * block_bytes();
  }
  // Scales::block: of the block's chunks; Scales::row: of its columns.
  const float* beside(std::int64_t matrix, std::int64_t b) const {
    return beside_.as<float>() + (matrix * blocks() + b) * (scales_ == Scales::row ? kColumns : chunks_);
  }
  float factor(std::int64_t matrix) const {
    return factors_.empty() ? 1.0f : factors_[static_cast<std::size_t>(matrix)];
  }
  std::string layout() const;  // "q4_k in blocks of 64"

 private:
  void pack_block(const CodedWeight&, std::int64_t matrix, std::int64_t b);
  const WeightFormat* format_;
  std::int64_t count_, n_, k_, group_k_, chunk_groups_, chunks_, chunk_scale_bytes_ = 0;
  Scales scales_ = Scales::f32;
  bool has_zeros_, has_minus_128_ = false;
  std::atomic<bool> has_nan_ = false;  // blocks are packed on several threads
  Buffer tiles_, beside_;
  std::vector<float> factors_;
};

// Rows first .. first + rows - 1 with one matrix; rows may be 0.
struct CodedGroup {
  std::int64_t first, rows, matrix;
};

class CodedProduct {
 public:
  struct Arguments {
    const bf16* x;
    const float* bias;     // null: none
    const void* residual;  // null: none
    void* y;
    std::int64_t bias_stride = 0;  // from the bias of one matrix to the next one's
    std::int64_t y_stride = 0;     // elements from row to row of y and residual; 0: n
  };
  static Support supports(const WeightFormat&, const DeviceInfo&);
  // For up to `rows` rows in up to `groups` groups.
  CodedProduct(const Weight&, DType y, std::int64_t rows, std::int64_t groups);
  void run(std::span<const CodedGroup>, const Arguments&);
  std::string chosen() const { return "AVX-512-BF16, " + tiles_->layout(); }

 private:
  static constexpr std::int64_t kSegmentRows = 256;  // sums of 64 KB
  template <class Y>
  void run_block(const CodedGroup&, std::int64_t b, float* sums, bf16* decoded, const Arguments&) const;

  std::shared_ptr<const CodedTiles> tiles_;
  DType y_;
  int threads_;
  std::int64_t most_rows_;
  std::vector<CodedGroup> busy_;  // those with rows
  Buffer padded_;                 // x, where k does not end with a group
  Buffer row_sums_;               // sum(x) of each group of k: [rows][groups]
  Buffer sums_, decoded_;         // of each thread
};

}  // namespace layercost

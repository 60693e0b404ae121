// What:    oneDNN's matrix product with a constant matrix. onednn.cpp is the one file that includes oneDNN; it compiles
//          with 2.6 (Debian 12) and 3.x (Debian 13, Ubuntu 24.04). In a build without oneDNN everything here exists and
//          onednn_supports says no.
// Formula: y[m,n] = sum_k x[m,k] * w[n,k]  (+ bias[n])  (+ residual[m,n])
// Shapes:  x [m, k], bias [n], residual and y [m, n], all row-major; w as OnednnMatrices.
// Layout:  one for all m: asked for once with format_tag::any at 64 rows and then given to every plan. Where this ends
//          in one of the brgemm kernels (AVX-512-BF16, AMX), bf16 weights lie in BA16a64b2a, which is Bf16Tiles; others
//          oneDNN packs.
//          matmul and not inner_product: that chooses the same tiles and runs within a few percent (1 to 256 rows of
//          1536 x 2048 and 25600 x 5120, bf16, AMX).
// Threads: plans use all OpenMP threads; one caller at a time per plan. execute allocates nothing of ours (scratch
//          memory belongs to the plan; oneDNN 2.6 itself makes a small argument map per call).
// Types:   x and w alike, bf16 or f32; y f32 or bf16 (with x f32: f32); bias of w's type, residual of y's.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "kernels/contract/op.h"

namespace layercost {

// Of the library at run time, "2.6.3"; "" in a build without oneDNN.
std::string onednn_version();

Support onednn_supports(DType x, DType w, DType y, const DeviceInfo&);

// The matrices of a weight [n, k] or [count, n, k], packed once and shared through Weight::packed.
class OnednnMatrices {
 public:
  static std::shared_ptr<const OnednnMatrices> of(const Weight&);
  virtual ~OnednnMatrices() = default;
  virtual std::string layout() const = 0;
};

class OnednnMatmul {
 public:
  struct Options {
    bool bias = false, residual = false;
  };
  static std::unique_ptr<OnednnMatmul> make(std::int64_t m, DType y, std::shared_ptr<const OnednnMatrices>, Options);
  virtual ~OnednnMatmul() = default;
  // With matrix `index`. bias and residual: null unless asked for in Options.
  virtual void execute(const void* x, std::int64_t index, const void* bias, const void* residual, void* y) = 0;
  virtual std::string chosen() const = 0;  // "oneDNN 2.6.3 brg:avx512_core_amx_bf16, weights BA16a64b2a"
};

}  // namespace layercost

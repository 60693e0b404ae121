// What:    dense products by cuBLASLt. The library (half a gigabyte) is opened at run time, where the toolkit or the
//          PyPI package nvidia-cublas put it: a build that travels does not hold it. Its algorithms are timed once when
//          a product is made, and the choice is part of the record.
// Formula: y[m,n] = x[m,k] w[n,k]^T (+ bias[n]) (+ residual[m,n]), bf16 or f32 in and out, sums in f32.
// Choice:  the heuristic's first 16 algorithms, each timed five times with cold caches, once per case and process;
//          among those within 2 % of the fastest the one with the smallest (tile, stages, split) identifiers is taken,
//          so that noise does not change the choice from run to run (TRUST T11). $LAYERCOST_CUBLASLT_PIN names a file
//          of lines "<case>\t<text of chosen()>": a case listed there gets that algorithm or an error.
// Where:   open_library.h; $LAYERCOST_CUBLASLT names a file.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "kernels/core/tensor.h"
#include "kernels/runtime/runtime.h"

namespace layercost {

class CublasLtProduct {
 public:
  virtual ~CublasLtProduct() = default;
  virtual void run() = 0;  // enqueues
  virtual std::string chosen() const = 0;
};

struct CublasLtCase {
  std::string text;  // of the op case, for the pins
  std::int64_t m, n, k;
  Tensor x, w, y;         // on the device
  Tensor bias, residual;  // data null without
};

// "" if cuBLASLt can be used, else why not.
LAYERCOST_DEVICE_CODE std::string cublaslt_why_not();
LAYERCOST_DEVICE_CODE std::string cublaslt_version();  // "" where it cannot be used
LAYERCOST_DEVICE_CODE std::unique_ptr<CublasLtProduct> make_cublaslt_product(const CublasLtCase&, Runtime&);

}  // namespace layercost

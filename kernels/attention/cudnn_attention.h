// What:    causal attention by cuDNN, through its C++ front end (github.com/NVIDIA/cudnn-frontend, headers only,
//          written for 1.32). Only builds whose CMake was told LAYERCOST_CUDNN_FRONTEND hold it. The library is opened
//          at run time: 9.10.2 or newer.
// Where:   open_library.h; $LAYERCOST_CUDNN names a file.
// Formula: that of kernels/attention/attention.h with qk_dim = v_dim, everything in bf16, sums in f32.
// Choice:  the first of the heuristic's plans that can be built; nothing is timed.
// Rules:   run() enqueues a plan that was built before, in a workspace that was allocated before.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "kernels/core/tensor.h"
#include "kernels/runtime/runtime.h"

namespace layercost {

class CudnnAttention {
 public:
  virtual ~CudnnAttention() = default;
  virtual void run() = 0;  // enqueues
  virtual std::string chosen() const = 0;
};

struct CudnnAttentionShape {
  std::int64_t batch, q_len, kv_len, capacity, heads, kv_heads, dim;
  std::int64_t window;  // 0: none
  double scale;
};

struct CudnnAttentionTensors {
  Tensor q, k_cache, v_cache, y;  // on the device
};

// "" if the library is there and the front end takes this shape on such a device (90 for compute capability 9.0), else
// why not. Needs no device; whether there is a plan for it shows when it is made.
LAYERCOST_DEVICE_CODE std::string cudnn_attention_why_not(const CudnnAttentionShape&, int capability);
LAYERCOST_DEVICE_CODE std::unique_ptr<CudnnAttention> make_cudnn_attention(const CudnnAttentionShape&,
                                                                           const CudnnAttentionTensors&, Runtime&);

}  // namespace layercost

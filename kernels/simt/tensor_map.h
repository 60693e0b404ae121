// What:    how a matrix of bf16 lies in memory, for tiles that the copy engine of compute capability 9.0 brings.
// Shapes:  [slices, rows, columns], columns innermost; a box is [1, box_rows, box_columns]. box_columns * 2 = 128
//          bytes: the boxes are stored with the 128-byte swizzle. What a box covers outside of the matrix is read as
//          zeros.
// Units:   strides in bytes, multiples of 16; the base is 16-byte aligned (on the executor as well).
// Errors:  make_tensor_map: 0, or an error code of the device's runtime.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/launch.h"

namespace layercost {

struct alignas(64) TensorMap {
  unsigned char bytes[128];
};

struct MatrixShape {
  const void* base;
  std::int64_t columns, rows, slices;
  std::int64_t row_stride_bytes, slice_stride_bytes;
  int box_columns, box_rows;
};
LAYERCOST_DEVICE_CODE int make_tensor_map(TensorMap*, const MatrixShape&);

}  // namespace layercost

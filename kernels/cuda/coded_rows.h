// What:    constant matrices in formats with scales (kernels/core/weight_format.h), as products on a GPU's tensor cores
//          read them: codes in the order of the fragments of m16n8k16, scales of 16 rows together. Made on the host
//          once for a device.
// Layout:  a tile is 16 rows; a chunk 128 columns of a tile. Lane 4 g + q of a warp holds rows g and 8 + g and of every
//          16 columns those from 4 q on, four of them. Codes: [matrix][tile][chunk][part][row g or 8 + g][lane] 16
//          bytes; of 4 bits one part, in whose word w lie columns 32 w + 16 m + 4 q + {0 1 2 3} at the nibbles 2 m + {0
//          4 1 5}; of 8 bits two, of 64 columns each, in whose word w lie columns 16 w + 4 q + {0 1 2 3} at the bytes
//          {0 2 1 3}. Scales: [matrix][tile][chunk][16 rows][groups of a chunk]; zeros the same, a byte each, the
//          code that stands for zero. Rows beyond the last are code 0 with scale 0.
// Limits:  columns a multiple of 16, groups of 16, 32 or 128 columns or whole rows, no scales of scales (q4_k).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/simt/launch.h"

namespace layercost {

enum class DeviceCodes : int { int4, e2m1, e4m3, int8 };
enum class DeviceScales : int { f32, f16, bf16, e8m0, e4m3 };

constexpr int kCodedRows = 16, kCodedChunk = 128;  // of a tile, columns of a chunk

// What a kernel gets.
struct CodedRowsView {
  const void *codes, *scales, *zeros;  // zeros: null without
  const float* factors;                // of the matrices; null: 1
  DeviceCodes kind;
  DeviceScales scale_kind;
  int rows, columns, tiles, chunks;
  int group;  // columns with one scale: 16, 32 or 128
};

}  // namespace layercost

// What:    what every CUDA variant does the same way: say whether it was built and whether the device can run it, and
//          hold a weight row-major in device memory.
// Rules:   supports() must work without the device: it looks at DeviceInfo only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "kernels/contract/op.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/tensor_map.h"

namespace layercost {

// `built`: the launcher's address is not null. `capability`: 80 for compute capability 8.0, the least needed.
Support cuda_support(const DeviceInfo&, bool built, int capability = 80);

// For kernels of TMA and wgmma, which no other architecture has, also no newer one.
Support hopper_support(const DeviceInfo&, bool built);
// bf16 [slices, rows of slice_rows, columns], row-major, for boxes of box_rows rows and 64 columns. slice_rows 0: as
// `rows`.
TensorMap rows_map(const void* base, std::int64_t rows, std::int64_t columns, Runtime&, int box_rows,
                   std::int64_t slices = 1, std::int64_t slice_rows = 0);

// Device copy of the whole weight, made once and shared by all who ask on this device.
std::shared_ptr<const OwnedTensor> on_device(const Weight&, Runtime&);

simt::Type simt_type(DType);  // BadCase unless f32 or bf16
simt::CacheType simt_cache_type(DType);

}  // namespace layercost

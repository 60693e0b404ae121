// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/cuda_variant.h"

#include <fmt/format.h>

#include "kernels/core/error.h"
#include "kernels/core/team.h"

namespace layercost {

Support cuda_support(const DeviceInfo& device, bool built, int capability) {
  if (!built) return Support::no("built without CUDA");
  if (device.target != Target::cuda) return Support::no("runs on an NVIDIA GPU");
  if (device.cuda.capability() < capability)
    return Support::no(fmt::format("needs compute capability {}.{}, this device has {}.{}", capability / 10,
                                   capability % 10, device.cuda.major, device.cuda.minor));
  return Support::yes();
}

Support hopper_support(const DeviceInfo& device, bool built) {
  if (const Support s = cuda_support(device, built, 90); !s) return s;
  if (device.cuda.capability() != 90)
    return Support::no(fmt::format("needs compute capability 9.0 (TMA and wgmma), this device has {}.{}",
                                   device.cuda.major, device.cuda.minor));
  return Support::yes();
}

TensorMap rows_map(const void* base, std::int64_t rows, std::int64_t columns, Runtime& runtime, int box_rows,
                   std::int64_t slices, std::int64_t slice_rows) {
  TensorMap map;
  const std::int64_t row_bytes = 2 * columns, slice_bytes = row_bytes * (slice_rows == 0 ? rows : slice_rows);
  runtime.check(make_tensor_map(&map, {base, columns, rows, slices, row_bytes, slice_bytes, 64, box_rows}),
                "a tensor map");
  return map;
}

std::shared_ptr<const OwnedTensor> on_device(const Weight& w, Runtime& runtime) {
  return w.packed<OwnedTensor>("row_major " + runtime.device().id, [&] {
    auto out = std::make_shared<OwnedTensor>(runtime.tensor(w.dtype(), w.shape()));
    // In pieces: the host need not hold a layer of experts as a whole.
    constexpr std::int64_t kPiece = std::int64_t{64} << 20;
    const std::int64_t n = elements_of(w.shape());
    const std::size_t size = size_of(w.dtype());
    OwnedTensor piece(w.dtype(), {std::min(n, kPiece)});
    for (std::int64_t at = 0; at < n; at += kPiece) {
      const std::int64_t count = std::min(kPiece, n - at);
      constexpr std::int64_t kChunk = std::int64_t{1} << 18;
      each_piece((count + kChunk - 1) / kChunk, [&](int, std::int64_t i, std::int64_t) {
        const std::int64_t c = i * kChunk;
        w.read(at + c, std::min(kChunk, count - c), piece.view().as<std::byte>() + static_cast<std::size_t>(c) * size);
      });
      runtime.upload(Tensor{out->view().as<std::byte>() + static_cast<std::size_t>(at) * size, w.dtype(), {count}},
                     Tensor{piece.view().data, w.dtype(), {count}});
    }
    runtime.constant(out->view());
    return std::shared_ptr<const OwnedTensor>(out);
  });
}

simt::Type simt_type(DType t) {
  switch (t) {
    case DType::f32:
      return simt::Type::f32;
    case DType::bf16:
      return simt::Type::bf16;
    case DType::f64:
    case DType::i32:
    case DType::fp8_e4m3:
      break;
  }
  throw BadCase("expected f32 or bf16, got " + std::string(to_string(t)));
}

simt::CacheType simt_cache_type(DType t) {
  if (t == DType::fp8_e4m3) return simt::CacheType::fp8_e4m3;
  return simt_type(t) == simt::Type::f32 ? simt::CacheType::f32 : simt::CacheType::bf16;
}

}  // namespace layercost

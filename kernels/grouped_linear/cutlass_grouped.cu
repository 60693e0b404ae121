// One instantiation: tiles of 128 x 128 x 64, two consumer warp groups that take turns (ping-pong: one's epilogue runs
// under the other's products), clusters of two tiles that lie below each other, so that TMA brings a tile of weights to
// both at once. Not in the default build: it takes a minute to compile and a Hopper GPU to be proven.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/grouped_linear/cutlass_grouped_launch.h"

#include <cutlass/cutlass.h>
#include <cutlass/gemm/device/gemm_universal_adapter.h>
#include <cute/tensor.hpp>
#include <cutlass/epilogue/collective/collective_builder.hpp>
#include <cutlass/epilogue/fusion/operations.hpp>
#include <cutlass/gemm/collective/collective_builder.hpp>
#include <cutlass/gemm/group_array_problem_shape.hpp>
#include <cutlass/gemm/kernel/gemm_universal.hpp>

namespace layercost {
namespace {

using Element = cutlass::bfloat16_t;
using Row = cutlass::layout::RowMajor;
using Column = cutlass::layout::ColumnMajor;
using Tile = cute::Shape<cute::_128, cute::_128, cute::_64>;
using Cluster = cute::Shape<cute::_2, cute::_1, cute::_1>;
constexpr int kVector = 8;  // elements of 16 bytes

using Problems = cutlass::gemm::GroupProblemShape<cute::Shape<int, int, int>>;
using Epilogue = typename cutlass::epilogue::collective::CollectiveBuilder<
    cutlass::arch::Sm90, cutlass::arch::OpClassTensorOp, Tile, Cluster, cutlass::epilogue::collective::EpilogueTileAuto,
    float, float, Element, Row*, kVector, Element, Row*, kVector, cutlass::epilogue::PtrArrayTmaWarpSpecializedPingpong,
    cutlass::epilogue::fusion::LinearCombination<Element, float>>::CollectiveOp;
using Mainloop = typename cutlass::gemm::collective::CollectiveBuilder<
    cutlass::arch::Sm90, cutlass::arch::OpClassTensorOp, Element, Row*, kVector, Element, Column*, kVector, float, Tile,
    Cluster,
    cutlass::gemm::collective::StageCountAutoCarveout<static_cast<int>(sizeof(typename Epilogue::SharedStorage))>,
    cutlass::gemm::KernelPtrArrayTmaWarpSpecializedPingpong>::CollectiveOp;
using Kernel = cutlass::gemm::kernel::GemmUniversal<Problems, Mainloop, Epilogue>;
using Gemm = cutlass::gemm::device::GemmUniversalAdapter<Kernel>;
using StrideA = typename Kernel::InternalStrideA;
using StrideB = typename Kernel::InternalStrideB;
using StrideD = typename Kernel::InternalStrideD;

// What the kernel reads of each group, in the caller's memory; CUTLASS's own workspace lies behind it.
struct Lists {
  typename Problems::UnderlyingProblemShape* shape;
  const Element** x;
  const Element** w;
  Element** y;
  StrideA* stride_x;
  StrideB* stride_w;
  StrideD* stride_y;
  void* workspace;

  static std::size_t aligned(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

  Lists(void* memory, int experts) {
    auto* at = static_cast<char*>(memory);
    const auto take = [&](auto*& list) {
      list = reinterpret_cast<std::decay_t<decltype(list)>>(at);
      at += aligned(static_cast<std::size_t>(experts) * sizeof(*list));
    };
    take(shape), take(x), take(w), take(y), take(stride_x), take(stride_w), take(stride_y);
    workspace = at;
  }
};

__global__ void fill(Lists out, const int* offsets, const Element* x, const Element* w, Element* y, int experts, int n,
                     int k) {
  const int e = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (e >= experts) return;
  const std::int64_t first = offsets[e];
  out.shape[e] = cute::make_shape(static_cast<int>(offsets[e + 1] - first), n, k);
  out.x[e] = x + first * k;
  out.w[e] = w + static_cast<std::int64_t>(e) * n * k;
  out.y[e] = y + first * n;
  cute::get<0>(out.stride_x[e]) = k;
  cute::get<0>(out.stride_w[e]) = k;
  cute::get<0>(out.stride_y[e]) = n;
}

typename Gemm::Arguments arguments(const CutlassGrouped& p, const Lists& lists) {
  cutlass::KernelHardwareInfo hardware;
  cudaGetDevice(&hardware.device_id);
  hardware.sm_count = p.multiprocessors;
  typename Gemm::Arguments a{cutlass::gemm::GemmUniversalMode::kGrouped,
                             {p.experts, lists.shape, nullptr},
                             {lists.x, lists.stride_x, lists.w, lists.stride_w},
                             {{}, const_cast<const Element**>(lists.y), lists.stride_y, lists.y, lists.stride_y},
                             hardware};
  a.epilogue.thread.alpha = 1;
  a.epilogue.thread.beta = 0;
  return a;
}

}  // namespace

std::size_t cutlass_grouped_bytes(const CutlassGrouped& p) {
  const Lists lists(nullptr, p.experts);
  return reinterpret_cast<std::size_t>(lists.workspace) + Gemm::get_workspace_size(arguments(p, lists));
}

int launch_cutlass_grouped(const CutlassGrouped& p, Stream s) {
  const auto stream = reinterpret_cast<cudaStream_t>(s);
  const Lists lists(p.memory, p.experts);
  constexpr int kThreads = 128;
  fill<<<(p.experts + kThreads - 1) / kThreads, kThreads, 0, stream>>>(
      lists, static_cast<const int*>(p.offsets), static_cast<const Element*>(p.x), static_cast<const Element*>(p.w),
      static_cast<Element*>(p.y), p.experts, p.n, p.k);
  Gemm gemm;
  if (gemm.initialize(arguments(p, lists), lists.workspace, stream) != cutlass::Status::kSuccess ||
      gemm.run(stream) != cutlass::Status::kSuccess) {
    const cudaError_t e = cudaGetLastError();
    return static_cast<int>(e != cudaSuccess ? e : cudaErrorInvalidValue);
  }
  return static_cast<int>(cudaGetLastError());
}

}  // namespace layercost

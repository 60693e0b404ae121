// What:    what kernels for compute capability 9.0 take beyond simt.h: barriers in shared memory with phases
//          (mbarrier), tiles that the copy engine brings (TMA), and products of a warp group (wgmma). Only code
//          compiled for sm_90a has them: elsewhere a call traps, and the variant's `supports` refuses first.
//            Mbarrier                                    8 bytes of shared memory, 8-byte aligned
//            mbarrier_init(b, arrivals)                  by one thread; then mbarrier_init_fence() by it, and a barrier
//            mbarrier_arrive(b)                          one arrival (release)
//            mbarrier_arrive_expect(b, bytes)            one arrival, and that many bytes more to come in this phase
//            mbarrier_wait(b, parity)                    until the phase of this parity is over (acquire): the first
//                                                        phase has parity 0; waiting for parity 1 on a fresh barrier
//                                                        returns at once
//            cp_async_arrive(b)                          one arrival, when this thread's cp_async16 so far have arrived
//            TensorMap                                   how a matrix lies in memory: made on the host by
//                                                        make_tensor_map, a `const __grid_constant__` parameter
//            tma_load(to, map, b, x, y [, z])            by one thread: the box at element x, row y [, slice z] into
//                                                        shared memory, 1024-byte aligned; what lies outside of the
//                                                        matrix is zeros; its bytes count for b
//            fence_async_shared()                        this thread's ordinary writes to shared memory before, wgmma
//                                                        and TMA reads after (with a barrier between the threads)
//            wgmma_fence(), wgmma_commit(), wgmma_wait<N>()   by all 128 threads of a warp group: before the first
//                                                        product and whenever registers of one were written; closes a
//                                                        group of products; until at most N groups are on their way
//            wgmma_arrived(d)                            behind the wait for the products into d, before d is read: the
//                                                        compiler may not read it earlier. Costs nothing.
//            wgmma_bf16<N[, true]>(d, a, b, add)          d[64 x N] = (add ? d : 0) + a b^T for 16 columns of a and b.
//                                                        a: 64 rows, b: N rows, as matrix descriptors
//            wgmma_bf16<N[, true]>(d, a_registers, b, add)  a: the warp's 16 rows as an mma m16n8k16 fragment
//            swizzled_128(p, stride_bytes, columns_stride_bytes)   the descriptor of a tile with rows of 128 bytes, as
//                                                        a TMA box with the 128-byte swizzle leaves it, from p on
//            registers_fewer<N>(), registers_more<N>()    setmaxnreg: by all warps of a warp group
// Layouts: d: float[N / 2] of a thread: with w = warp of the group, g = lane / 4, c = lane % 4, element 4 i + j is row
//          16 w + g + 8 (j / 2), column 8 i + 2 c + j % 2.
//          A row-wise tile (K-major): rows of 64 bf16 = 128 bytes, groups of 8 rows (1024 bytes) one after the other:
//          stride_bytes = 1024; 16 columns further: + 32 bytes.
//          By columns (the template argument true; MN-major): the tile holds b^T: row k of 64 of b's rows is 128 bytes,
//          groups of 8 such rows stride_bytes = 1024 apart, the next 64 of b's rows columns_stride_bytes further; 16
//          columns further: + 2048 bytes.
//          Swizzle: the 16-byte piece i of the 128-byte row r lies at i ^ (r % 8); r counts from a 1024-byte boundary.
// Source:  NVIDIA, "Parallel Thread Execution ISA" 9.0: mbarrier, cp.async.bulk.tensor, wgmma, setmaxnreg.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/simt.h"
#include "kernels/simt/tensor_map.h"

#if defined(__CUDACC__)
#include "kernels/simt/sm90_device.h"
#else
#include "kernels/simt/sm90_executor.h"
#endif

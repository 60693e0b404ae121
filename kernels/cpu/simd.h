// What:    what a Highway file includes first, before hwy/foreach_target.h. The same file is compiled once per
//          instruction set (x86: SSE4.2, AVX2, AVX-512; AArch64: NEON), and run time picks.
// Rules:   code of one instruction set lives in layercost::HWY_NAMESPACE and includes kernels/cpu/simd-inl.h. It
//          holds no OpenMP and is reached through one function per file that returns function pointers; threads, types
//          and tensors are sorted out once, under HWY_ONCE, in plain code.
// Limits:  vectors whose length is unknown at compile time (SVE, RISC-V V) are left out: accumulators are arrays of
//          vectors, which those cannot be. AArch64 runs NEON. SSSE3 alone is of processors from before 2010:
//          compile time for none that anybody measures.
//          CMake's LAYERCOST_FEW_SIMD_TARGETS, as in preset cpu-asan, leaves of x86 the best vectors of the machine
//          that builds, and what needs none.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#ifndef LAYERCOST_LEFT_OUT_TARGETS
#define LAYERCOST_LEFT_OUT_TARGETS 0
#endif
#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | LAYERCOST_LEFT_OUT_TARGETS)
#include <hwy/targets.h>

#include <cstdint>
#include <string>

namespace layercost {

// The instruction sets of this build that the processor has. Asked once: in a virtual machine every CPUID instruction
// leaves it, an answer of Highway's takes 40 us, and `run` wants thousands. Not const for tests of each set alone.
inline std::int64_t& simd_targets() {
  static std::int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
  return targets;
}

// The instruction set that run time picks, e.g. "AVX3" (Highway's name of AVX-512); for Invocation::chosen.
inline std::string simd_target() {
  return hwy::TargetName(simd_targets() & -simd_targets());  // the lowest bit is the best
}

// False where the processor has no vectors that Highway knows (x86 before SSE4.2). Files that rearrange the lanes of a
// vector leave HWY_SCALAR, whose vectors have one lane, without code.
inline bool has_simd() { return (simd_targets() & ~HWY_SCALAR) != 0; }

// Floats of a row of n that is whole vectors of every instruction set.
inline std::int64_t padded_to_vectors(std::int64_t n) { return (n + 15) / 16 * 16; }

}  // namespace layercost

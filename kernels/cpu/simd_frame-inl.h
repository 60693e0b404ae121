// What:    the beginning of a file that is compiled once per instruction set, and the same for all of them:
//            #define LAYERCOST_SIMD_FILE "kernels/glu/glu_highway_rows.cpp"
//            #include "kernels/cpu/simd_frame-inl.h"
//          Included before anything else. It says what Highway leaves out (simd.h), which has to come first, and has
//          Highway include LAYERCOST_SIMD_FILE again for each instruction set. No guard: each of these passes comes
//          here.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE LAYERCOST_SIMD_FILE
#include <hwy/foreach_target.h>

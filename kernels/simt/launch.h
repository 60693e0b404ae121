// What:    what host code (C++20) and device code (C++17 .cu files) share: the stream, element types as a number, and
//          the attribute of functions that only some builds hold.
// Rules:   a launcher is declared in <op>_<variant>_launch.h, takes one struct of plain values and the stream, and
//          returns 0 or an error code of the device's runtime. It only enqueues.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

// A build without CUDA does not hold the function: its address is then null, and whoever lists it says "built without
// CUDA" instead of calling it.
#define LAYERCOST_DEVICE_CODE __attribute__((weak))

namespace layercost {

// A CUDA stream, without the CUDA headers.
using Stream = struct StreamOfTheDevice*;

namespace simt {
constexpr bool kOverlap = true;  // Launch::overlap_previous
enum class Type : int { f32, bf16 };
enum class CacheType : int { f32, bf16, fp8_e4m3 };
}  // namespace simt
}  // namespace layercost

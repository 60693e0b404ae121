// What:    reads memory and does nothing else: the fixed probe behind the bandwidth roof.
// Units:   bytes.
// Rules:   all OpenMP threads, each over its own contiguous share; vector loads of the widest kind the CPU has.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace layercost {

// Reads `bytes` (a multiple of 4096) once; returns a checksum so that nothing can be left out.
std::uint64_t read_once(const std::byte* data, std::size_t bytes);

}  // namespace layercost

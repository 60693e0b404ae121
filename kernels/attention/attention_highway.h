// What:    the sizes that highway_decode and highway_blocks share.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace layercost {

inline constexpr std::int64_t kKeysPerBlock = 64;  // one step of the running softmax: 16 KB of bf16 keys at qk_dim 128

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace layercost

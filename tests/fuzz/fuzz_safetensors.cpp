// What:    feeds any bytes to the reader of safetensors headers. The first byte is how many bytes follow the header, so
//          that a mutation can reach the rules about offsets; the rest is the header.
// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "harness/spec/safetensors.h"
#include "kernels/core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::uint64_t data_bytes = data[0];
  try {
    const layercost::SafetensorsHeader header =
        layercost::parse_safetensors_header("fuzz", {reinterpret_cast<const char*>(data + 1), size - 1}, data_bytes);
    // What was accepted covers every byte exactly once.
    std::uint64_t covered = 0;
    for (const auto& [name, tensor] : header.tensors) {
      if (tensor.begin > tensor.end || tensor.end > data_bytes || tensor.elements < 0) std::abort();
      covered += tensor.end - tensor.begin;
    }
    if (covered != data_bytes) std::abort();
  } catch (const layercost::BadInput& error) {
    if (std::string_view(error.what()).find_first_of("\n\r\x1b") != std::string_view::npos) std::abort();
  }
  return 0;
}

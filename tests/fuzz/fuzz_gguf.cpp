// What:    feeds any bytes to the reader of GGUF headers.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "harness/spec/gguf.h"
#include "kernels/core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const layercost::GgufHeader header =
        layercost::parse_gguf_header("fuzz", size, [&](std::uint64_t offset, std::span<std::byte> out) {
          if (offset > size || out.size() > size - offset) std::abort();
          std::memcpy(out.data(), data + offset, out.size());
        });
    // What was accepted lies within the file, apart from one another.
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
    for (const auto& [name, tensor] : header.tensors) {
      const std::uint64_t begin = header.data_start + tensor.offset;
      if (begin > size || tensor.bytes > size - begin || tensor.elements < 0) std::abort();
      ranges.emplace_back(begin, begin + tensor.bytes);
    }
    std::sort(ranges.begin(), ranges.end());
    for (std::size_t i = 1; i < ranges.size(); ++i)
      if (ranges[i].first < ranges[i - 1].second) std::abort();
  } catch (const layercost::BadInput& error) {
    if (std::string_view(error.what()).find_first_of("\n\r\x1b") != std::string_view::npos) std::abort();
  }
  return 0;
}

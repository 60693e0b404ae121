// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>

#include <limits>

#include "kernels/core/error.h"

namespace layercost {

std::string_view to_string(DType t) {
  switch (t) {
    case DType::f32: return "f32";
    case DType::bf16: return "bf16";
    case DType::f64: return "f64";
    case DType::i32: return "i32";
  }
  return "?";
}

DType dtype_from(std::string_view word) {
  for (DType t : {DType::f32, DType::bf16, DType::f64, DType::i32})
    if (to_string(t) == word) return t;
  throw BadCase(fmt::format("unknown type '{}': expected f32, bf16, f64 or i32", printable(word)));
}

std::int64_t elements_of(const Shape& shape) {
  std::int64_t n = 1;
  for (std::int64_t d : shape)
    if (d < 0 || __builtin_mul_overflow(n, d, &n)) throw BadCase("impossible shape " + to_string(shape));
  return n;
}

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

namespace {
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kPage = 4096;
constexpr std::size_t round_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }
}  // namespace

Buffer::Buffer(std::size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  const bool huge = bytes >= kHugePage;
  if (bytes > std::numeric_limits<std::size_t>::max() / 2) throw OutOfMemory("one buffer", bytes, 0);
  const std::size_t want = round_up(bytes, kPage) + (huge ? kHugePage : 0);
  void* p = mmap(nullptr, want, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) throw OutOfMemory("one buffer", bytes, 0);
  auto* base = static_cast<std::byte*>(p);
  mapped_bytes_ = round_up(bytes, kPage);
  data_ = base;
  if (huge) {  // trim to a 2 MiB boundary
    const auto addr = reinterpret_cast<std::uintptr_t>(base);
    const std::size_t skip = round_up(addr, kHugePage) - addr;
    data_ = base + skip;
    if (skip > 0) munmap(base, skip);
    if (kHugePage > skip) munmap(data_ + mapped_bytes_, kHugePage - skip);
    madvise(data_, mapped_bytes_, MADV_HUGEPAGE);
  }
}

Buffer::~Buffer() {
  if (data_ != nullptr) munmap(data_, mapped_bytes_);
}

}  // namespace layercost

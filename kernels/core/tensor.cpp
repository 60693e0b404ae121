// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>

#include <deque>
#include <limits>
#include <mutex>
#include <stdexcept>

#include "kernels/core/error.h"

namespace layercost {

std::string_view to_string(DType t) {
  switch (t) {
    case DType::f32:
      return "f32";
    case DType::bf16:
      return "bf16";
    case DType::f64:
      return "f64";
    case DType::i32:
      return "i32";
    case DType::fp8_e4m3:
      return "fp8_e4m3";
  }
  no_such_type(t);
}

void no_such_type(DType t) { throw std::logic_error(fmt::format("type number {}", static_cast<int>(t))); }

DType dtype_from(std::string_view word) {
  for (DType t : {DType::f32, DType::bf16, DType::f64, DType::i32, DType::fp8_e4m3})
    if (to_string(t) == word) return t;
  throw BadCase(fmt::format("unknown type '{}': expected f32, bf16, f64, i32 or fp8_e4m3", printable(word)));
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

namespace {

// Blocks that were freed, oldest first, and how much all buffers take.
class Recycler {
 public:
  void set_limit(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    limit_ = bytes == 0 ? 0 : used_bytes_ + bytes;
    trim(0);
  }
  // A kept block of at least `bytes` and at most a third more, or null.
  std::byte* take(std::size_t bytes, std::size_t& mapped) {
    const std::lock_guard lock(mutex_);
    for (auto it = kept_.begin(); it != kept_.end(); ++it)
      if (it->second >= bytes && it->second <= bytes + bytes / 3) {
        std::byte* data = it->first;
        mapped = it->second;
        kept_bytes_ -= mapped;
        used_bytes_ += mapped;
        kept_.erase(it);
        return data;
      }
    trim(bytes);
    used_bytes_ += bytes;
    return nullptr;
  }
  // Fresh pages count, too: kept blocks beside them once took what the machine did not have.
  void use(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    trim(bytes);
    used_bytes_ += bytes;
  }
  void forget(std::size_t bytes) {  // given back to the system, or never got
    const std::lock_guard lock(mutex_);
    used_bytes_ -= bytes;
  }
  void give(std::byte* data, std::size_t mapped) {
    const std::lock_guard lock(mutex_);
    used_bytes_ -= mapped;
    kept_bytes_ += mapped;
    kept_.emplace_back(data, mapped);
    trim(0);
  }

 private:
  void trim(std::size_t coming) {
    while (!kept_.empty() && used_bytes_ + kept_bytes_ + coming > limit_) {
      munmap(kept_.front().first, kept_.front().second);
      kept_bytes_ -= kept_.front().second;
      kept_.pop_front();
    }
  }
  std::mutex mutex_;
  std::deque<std::pair<std::byte*, std::size_t>> kept_;
  std::size_t limit_ = 0, used_bytes_ = 0, kept_bytes_ = 0;
};

Recycler& recycler() {
  static auto* r = new Recycler;  // never destroyed: buffers of static life may be freed after it
  return *r;
}

constexpr std::size_t kRecycledMin = std::size_t{8} << 20;

}  // namespace

void set_recycling_limit(std::size_t bytes) { recycler().set_limit(bytes); }

Buffer::Buffer(std::size_t bytes, Pages pages) : bytes_(bytes), pages_(bytes >= kRecycledMin ? pages : Pages::fresh) {
  if (bytes == 0) return;
  if (bytes > std::numeric_limits<std::size_t>::max() / 2) throw OutOfMemory("one buffer", bytes, 0);
  const bool huge = bytes >= kHugePage;
  mapped_bytes_ = round_up(bytes, kPage);
  if (pages_ == Pages::fresh) recycler().use(mapped_bytes_);
  else if ((data_ = recycler().take(mapped_bytes_, mapped_bytes_)) != nullptr) return;
  const std::size_t want = mapped_bytes_ + (huge ? kHugePage : 0);
  void* p = mmap(nullptr, want, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) {
    recycler().forget(mapped_bytes_);
    throw OutOfMemory("one buffer", bytes, 0);
  }
  data_ = static_cast<std::byte*>(p);
  if (huge) {  // trim to a 2 MiB boundary
    const auto address = reinterpret_cast<std::uintptr_t>(p);
    const std::size_t skip = round_up(address, kHugePage) - address;
    if (skip > 0) munmap(data_, skip);
    data_ += skip;
    if (kHugePage > skip) munmap(data_ + mapped_bytes_, kHugePage - skip);
    madvise(data_, mapped_bytes_, MADV_HUGEPAGE);
  }
}

void Buffer::use_huge_pages() {
#ifndef MADV_COLLAPSE
  constexpr int MADV_COLLAPSE = 25;
#endif
  // One by one: a call for all of it ends at the first that fails. What is huge already costs a microsecond.
  for (std::size_t at = 0; at + kHugePage <= mapped_bytes_; at += kHugePage)
    madvise(data_ + at, kHugePage, MADV_COLLAPSE);
}

Buffer::~Buffer() {
  if (mapped_bytes_ == 0) return;  // empty, or somebody else's
  if (pages_ == Pages::recycled) {
    recycler().give(data_, mapped_bytes_);
  } else {
    munmap(data_, mapped_bytes_);
    recycler().forget(mapped_bytes_);
  }
}

}  // namespace layercost

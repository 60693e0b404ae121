// What:    Tensor, a view of dense row-major memory; Buffer, memory that is owned.
// Shapes:  the last axis is contiguous; no strides. A Buffer is 64-byte aligned; from 2 MiB up it is aligned to 2 MiB
//          and the system is asked for huge pages (advice, not a promise: what it gave is read back by the environment
//          record).
// Units:   bytes, elements.
// Errors:  Buffer throws OutOfMemory when the system refuses.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/core/dtype.h"

namespace layercost {

using Shape = std::vector<std::int64_t>;

std::int64_t elements_of(const Shape&);  // BadCase on a negative axis or an overflow
std::string to_string(const Shape&);     // "[8, 2048]"

struct Tensor {
  void* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;

  std::int64_t elements() const { return elements_of(shape); }
  std::size_t bytes() const { return static_cast<std::size_t>(elements()) * size_of(dtype); }
  std::int64_t dim(std::size_t axis) const { return shape[axis]; }

  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
  // Any float type as double; slow, for references and checks.
  double load(std::int64_t i) const {
    switch (dtype) {
      case DType::f32:
        return as<float>()[i];
      case DType::bf16:
        return to_f32(as<bf16>()[i]);
      case DType::f64:
        return as<double>()[i];
      case DType::i32:
        return as<std::int32_t>()[i];
      case DType::fp8_e4m3:
        return from_e4m3(as<std::uint8_t>()[i]);
    }
    no_such_type(dtype);
  }
  void store(std::int64_t i, double v) const {
    switch (dtype) {
      case DType::f32:
        as<float>()[i] = static_cast<float>(v);
        return;
      case DType::bf16:
        as<bf16>()[i] = to_bf16(static_cast<float>(v));
        return;
      case DType::f64:
        as<double>()[i] = v;
        return;
      case DType::i32:
        as<std::int32_t>()[i] = static_cast<std::int32_t>(v);
        return;
      case DType::fp8_e4m3:
        as<std::uint8_t>()[i] = to_e4m3(static_cast<float>(v));
        return;
    }
    no_such_type(dtype);
  }
};

// Fresh pages are zero. Recycled ones hold anything: blocks of 8 MiB and more may come from a buffer freed earlier,
// because on a virtual machine the host may take seconds per 10 GB to hand out pages (0.7 GB/s was seen).
enum class Pages { fresh, recycled };

class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t bytes, Pages pages = Pages::fresh);
  // Once filled: has the system move what came in small pages into huge ones (Linux 6.1 and newer; elsewhere nothing
  // happens). With 7 % of the weights in small pages, products read them 8 % slower here.
  void use_huge_pages();
  // Memory that somebody else gives back when `owner` goes (a device's, say).
  Buffer(std::byte* data, std::size_t bytes, std::shared_ptr<void> owner)
      : data_(data), bytes_(bytes), owner_(std::move(owner)) {}
  ~Buffer();
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  explicit operator bool() const { return data_ != nullptr; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  void swap(Buffer& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(bytes_, o.bytes_);
    std::swap(mapped_bytes_, o.mapped_bytes_);
    std::swap(pages_, o.pages_);
    std::swap(owner_, o.owner_);
  }
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  std::size_t mapped_bytes_ = 0;
  Pages pages_ = Pages::fresh;
  std::shared_ptr<void> owner_;
};

// Blocks are kept for reuse as long as they and all buffers made from now on, fresh or recycled, stay below this
// together; 0 (the start) keeps none and lets go of all that are kept.
void set_recycling_limit(std::size_t bytes);

// A Tensor with memory of its own.
class OwnedTensor {
 public:
  OwnedTensor() = default;
  OwnedTensor(DType dtype, Shape shape)
      : buffer_(static_cast<std::size_t>(elements_of(shape)) * size_of(dtype)),
        tensor_{buffer_.data(), dtype, std::move(shape)} {}
  OwnedTensor(Buffer buffer, DType dtype, Shape shape)
      : buffer_(std::move(buffer)), tensor_{buffer_.data(), dtype, std::move(shape)} {}
  const Tensor& view() const { return tensor_; }
  operator const Tensor&() const { return tensor_; }

 private:
  Buffer buffer_;
  Tensor tensor_;
};

}  // namespace layercost

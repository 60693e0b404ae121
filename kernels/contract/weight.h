// What:    Weight, a constant matrix that is made on demand, part by part, and kept only in the packed forms that
//          variants ask for. A layer of Qwen3-32B holds 1 GB of weights and a stack several layers: the row-major
//          original and a packed copy of everything would not fit beside each other, and several cases (batch 1, batch
//          8, prefill) share the packed form.
// Shapes:  any; element order is row-major. Slices are ranges of flat elements.
// Units:   bytes.
// Rules:   thread-safe for packed(); fill may be called from several threads at once.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <any>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "kernels/core/tensor.h"

namespace layercost {

class Weight {
 public:
  // Writes elements first .. first + count - 1 in this weight's dtype to out.
  using Fill = std::function<void(std::int64_t first, std::int64_t count, void* out)>;

  Weight(DType dtype, Shape shape, Fill fill) : dtype_(dtype), shape_(std::move(shape)), fill_(std::move(fill)) {}

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::int64_t dim(std::size_t axis) const { return shape_[axis]; }
  std::size_t bytes() const { return static_cast<std::size_t>(elements_of(shape_)) * size_of(dtype_); }

  void read(std::int64_t first, std::int64_t count, void* out) const { fill_(first, count, out); }
  OwnedTensor whole() const;                              // all of it, filled on all threads

  // The packed form named `key`, made once by `make` and shared from then on. The key names layout and parameters that
  // change the bytes, e.g. "onednn bf16 n=5120 k=2560 BA16a64b2a".
  template <class P, class Make>
  std::shared_ptr<const P> packed(const std::string& key, Make&& make) const {
    const std::lock_guard lock(mutex_);
    std::any& slot = packed_[key];
    if (!slot.has_value()) slot = std::shared_ptr<const P>(make());
    return std::any_cast<std::shared_ptr<const P>>(slot);
  }

 private:
  DType dtype_;
  Shape shape_;
  Fill fill_;
  mutable std::recursive_mutex mutex_;  // one packed form may be made from another
  mutable std::map<std::string, std::any> packed_;
};

}  // namespace layercost

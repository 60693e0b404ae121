// What:    Weight, a constant matrix that is made on demand, part by part, and kept only in the packed forms that
//          variants ask for. A layer of Qwen3-32B holds 1 GB of weights and a stack several layers: the row-major
//          original and a packed copy of everything would not fit beside each other, and several cases (batch 1, batch
//          8, prefill) share the packed form. Of a format with scales (kernels/core/weight_format.h) the codes are the
//          packed form from which everything else is made.
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
#include <vector>

#include "kernels/core/weight_format.h"

namespace layercost {

// A weight in a format with scales: [matrices][rows][row_bytes] codes, [matrices][block rows][block columns] scales,
// one factor per matrix where the format has them (kernels/core/weight_format.h).
struct CodedWeight {
  // Memory for a weight of this shape. BadCase for a format without scales, and where blocks have to be whole and are
  // not.
  CodedWeight(const WeightFormat&, const Shape&);
  const WeightFormat* format;
  std::int64_t matrices, rows, columns;  // rows and columns of one matrix
  Buffer codes, scales;
  std::vector<float> factors;
  // Of row `row`, counted over all matrices.
  const std::byte* codes_of(std::int64_t row) const { return codes.data() + row * format->row_bytes(columns); }
  const std::byte* scales_of(std::int64_t row) const;
  Affine affine(std::int64_t row, std::int64_t column) const;  // of one element, the factor included
  // Elements first .. first + count - 1 of the row, as values.
  void decode(std::int64_t row, std::int64_t first, std::int64_t count, float* values) const;
};

class Weight {
 public:
  // Writes elements first .. first + count - 1 to out in the format's `values` type; of a format with scales, what is
  // written is encoded first, and what is read is what the codes stand for.
  using Fill = std::function<void(std::int64_t first, std::int64_t count, void* out)>;

  Weight(const WeightFormat& format, Shape shape, Fill fill)
      : format_(&format), shape_(std::move(shape)), fill_(std::move(fill)) {}
  Weight(DType dtype, Shape shape, Fill fill) : Weight(weight_format(dtype), std::move(shape), std::move(fill)) {}
  // Of codes that exist, a checkpoint's.
  Weight(Shape shape, std::unique_ptr<const CodedWeight> coded)
      : format_(coded->format), shape_(std::move(shape)), coded_(std::move(coded)) {}

  const WeightFormat& format() const { return *format_; }
  DType dtype() const { return format_->values; }  // of what read() and whole() give
  const Shape& shape() const { return shape_; }
  std::int64_t dim(std::size_t axis) const { return shape_[axis]; }

  void read(std::int64_t first, std::int64_t count, void* out) const;
  OwnedTensor whole() const;         // all of it, filled on all threads
  const CodedWeight& coded() const;  // of a format with scales, made at the first call; BadCase for another format

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
  const WeightFormat* format_;
  Shape shape_;
  Fill fill_;
  mutable std::once_flag coded_once_;  // not the mutex: threads read while one of them holds it
  mutable std::unique_ptr<const CodedWeight> coded_;
  mutable std::recursive_mutex mutex_;  // one packed form may be made from another
  mutable std::map<std::string, std::any> packed_;
};

}  // namespace layercost

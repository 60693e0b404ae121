// SPDX-License-Identifier: Apache-2.0
#include "kernels/contract/weight.h"

#include <algorithm>
#include <vector>

#include "kernels/core/error.h"

namespace layercost {

void CodedWeight::decode(std::int64_t row, std::int64_t first, std::int64_t count, float* values) const {
  const std::int64_t per_row = (columns + format->block_columns - 1) / format->block_columns,
                     per_matrix = (rows + format->block_rows - 1) / format->block_rows;
  const std::int64_t scale_row = row / rows * per_matrix + row % rows / format->block_rows;
  format->decode(codes.data() + row * columns * format->code_bytes, scales.as<float>() + scale_row * per_row, first,
                 count, values);
}

const CodedWeight& Weight::coded() const {
  if (format_->is_plain()) throw BadCase("a weight in " + std::string(format_->name) + " has no codes");
  std::call_once(coded_once_, [&] {
    auto w = std::make_unique<CodedWeight>();
    w->format = format_;
    w->columns = shape_.back();
    w->rows = shape_.size() < 2 ? 1 : shape_[shape_.size() - 2];
    const std::int64_t elements = elements_of(shape_), matrices = elements / (w->rows * w->columns);
    const std::int64_t block_rows = (w->rows + format_->block_rows - 1) / format_->block_rows,
                       scales = format_->scales_of(w->rows, w->columns);
    w->codes = Buffer(static_cast<std::size_t>(elements * format_->code_bytes));
    w->scales = Buffer(static_cast<std::size_t>(matrices * scales) * sizeof(float));
#pragma omp parallel for schedule(dynamic)
    for (std::int64_t b = 0; b < matrices * block_rows; ++b) {
      const std::int64_t matrix = b / block_rows, first = b % block_rows * format_->block_rows;
      const std::int64_t rows = std::min(format_->block_rows, w->rows - first), row = matrix * w->rows + first;
      std::vector<float> values(static_cast<std::size_t>(rows * w->columns));
      fill_(row * w->columns, rows * w->columns, values.data());
      format_->encode(values.data(), rows, w->columns, w->codes.data() + row * w->columns * format_->code_bytes,
                      w->scales.as<float>() + b * (scales / block_rows));
    }
    coded_ = std::move(w);
  });
  return *coded_;
}

void Weight::read(std::int64_t first, std::int64_t count, void* out) const {
  if (format_->is_plain()) return fill_(first, count, out);
  const CodedWeight& w = coded();
  for (auto* values = static_cast<float*>(out); count > 0;) {
    const std::int64_t column = first % w.columns, n = std::min(count, w.columns - column);
    w.decode(first / w.columns, column, n, values);
    first += n, count -= n, values += n;
  }
}

OwnedTensor Weight::whole() const {
  OwnedTensor t(dtype(), shape_);
  const std::int64_t n = elements_of(shape_), block = 1 << 18;
  auto* out = static_cast<std::byte*>(t.view().data);
#pragma omp parallel for schedule(static)
  for (std::int64_t b = 0; b < (n + block - 1) / block; ++b)
    read(b * block, std::min(block, n - b * block), out + static_cast<std::size_t>(b * block) * size_of(dtype()));
  return t;
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "kernels/contract/weight.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/core/error.h"
#include "kernels/core/team.h"

namespace layercost {

CodedWeight::CodedWeight(const WeightFormat& f, const Shape& shape) : format(&f) {
  if (f.is_plain()) throw BadCase("a weight in " + std::string(f.name) + " has no codes");
  columns = shape.back();
  rows = shape.size() < 2 ? 1 : shape[shape.size() - 2];
  matrices = elements_of(shape) / (rows * columns);
  f.expect_columns(columns);
  codes = Buffer(static_cast<std::size_t>(matrices * rows * f.row_bytes(columns)));
  scales = Buffer(static_cast<std::size_t>(matrices * f.blocks_of(rows, columns) * f.scale_bytes));
  if (f.has_factor) factors.assign(static_cast<std::size_t>(matrices), 1.0f);
}

const std::byte* CodedWeight::scales_of(std::int64_t row) const {
  const std::int64_t per_matrix = (rows + format->block_rows - 1) / format->block_rows;
  return scales.data() + (row / rows * per_matrix + row % rows / format->block_rows) * format->blocks_of_row(columns) *
                             format->scale_bytes;
}

Affine CodedWeight::affine(std::int64_t row, std::int64_t column) const {
  const std::int64_t block = column / format->block_columns;
  Affine a = format->affine(scales_of(row) + block * format->scale_bytes,
                            column % format->block_columns / format->group_columns);
  if (format->has_factor) a.scale *= factors[static_cast<std::size_t>(row / rows)];
  return a;
}

void CodedWeight::decode(std::int64_t row, std::int64_t first, std::int64_t count, float* values) const {
  const std::byte* c = codes_of(row);
  for (const std::int64_t end = first + count; first < end;) {
    const Affine a = affine(row, first);
    const std::int64_t stop = std::min(end, (first / format->group_columns + 1) * format->group_columns);
    for (; first < stop; ++first) *values++ = a.scale * (format->table[format->code_of(c, first)] - a.zero) - a.offset;
  }
}

const CodedWeight& Weight::coded() const {
  if (fill_ == nullptr) return *coded_;
  std::call_once(coded_once_, [&] {
    auto w = std::make_unique<CodedWeight>(*format_, shape_);
    const std::int64_t matrix_elements = w->rows * w->columns;
    if (format_->has_factor) {
      constexpr std::int64_t kPart = 1 << 14;
      each_piece(w->matrices, [&](int, std::int64_t m, std::int64_t) {
        std::vector<float> values(kPart);
        float most = 0;
        for (std::int64_t i = 0; i < matrix_elements; i += kPart) {
          const std::int64_t n = std::min(kPart, matrix_elements - i);
          fill_(m * matrix_elements + i, n, values.data());
          for (std::int64_t j = 0; j < n; ++j) most = std::max(most, std::abs(values[static_cast<std::size_t>(j)]));
        }
        w->factors[static_cast<std::size_t>(m)] = format_->factor_for(most);
      });
    }
    const std::int64_t block_rows = (w->rows + format_->block_rows - 1) / format_->block_rows;
    each_piece(w->matrices * block_rows, [&](int, std::int64_t b, std::int64_t) {
      const std::int64_t matrix = b / block_rows, first = b % block_rows * format_->block_rows;
      const std::int64_t rows = std::min(format_->block_rows, w->rows - first), row = matrix * w->rows + first;
      std::vector<float> values(static_cast<std::size_t>(rows * w->columns));
      fill_(row * w->columns, rows * w->columns, values.data());
      format_->encode(values.data(), rows, w->columns,
                      format_->has_factor ? w->factors[static_cast<std::size_t>(matrix)] : 1.0f,
                      const_cast<std::byte*>(w->codes_of(row)), const_cast<std::byte*>(w->scales_of(row)));
    });
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
  each_piece((n + block - 1) / block, [&](int, std::int64_t b, std::int64_t) {
    read(b * block, std::min(block, n - b * block), out + static_cast<std::size_t>(b * block) * size_of(dtype()));
  });
  return t;
}

}  // namespace layercost

// What:    a weight in a format with scales, on a GPU (coded_rows.h).
// Errors:  coded_rows_why_not: "" if the format and columns are what the products take, else why not.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "kernels/contract/op.h"
#include "kernels/cuda/coded_rows.h"

namespace layercost {

std::string coded_rows_why_not(const WeightFormat&, std::int64_t rows, std::int64_t columns);

class CodedRows {
 public:
  // Shared through Weight::packed.
  static std::shared_ptr<const CodedRows> of(const Weight&, Runtime&);
  CodedRows(const CodedWeight&, Runtime&);
  const CodedRowsView& view() const { return view_; }

 private:
  OwnedTensor codes_, scales_, zeros_, factors_;
  CodedRowsView view_;
};

}  // namespace layercost

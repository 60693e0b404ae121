// What:    small helpers for variants: from a run-time type to a template argument, and the row-major form of a weight.
// Errors:  dispatch_float throws BadCase for a type that is neither f32 nor bf16.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/weight.h"
#include "kernels/core/error.h"

namespace layercost {

// Calls f with a null pointer of the type: dispatch_float(t, [&]<class T>(T*) { ... }).
template <class F>
auto dispatch_float(DType t, F&& f) {
  switch (t) {
    case DType::f32:
      return f(static_cast<float*>(nullptr));
    case DType::bf16:
      return f(static_cast<bf16*>(nullptr));
    case DType::f64:
    case DType::i32:
      break;
  }
  throw BadCase("expected f32 or bf16, got " + std::string(to_string(t)));
}

// The weight as it is, kept beside other packed forms for as long as somebody holds it.
inline std::shared_ptr<const OwnedTensor> row_major(const Weight& w) {
  return w.packed<OwnedTensor>("row_major", [&] { return std::make_shared<const OwnedTensor>(w.whole()); });
}

}  // namespace layercost

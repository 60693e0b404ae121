// What:    small helpers for variants: from a run-time type to a template argument; a weight in row-major form, or its
//          f32 values.
// Errors:  dispatch_float (dispatch_cache) throws BadCase for a type that is neither f32 nor bf16 (nor fp8_e4m3).
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
    case DType::fp8_e4m3:
      break;
  }
  throw BadCase("expected f32 or bf16, got " + std::string(to_string(t)));
}

// The same for the types of a cache.
template <class F>
auto dispatch_cache(DType t, F&& f) {
  if (t == DType::fp8_e4m3) return f(static_cast<fp8_e4m3*>(nullptr));
  return dispatch_float(t, std::forward<F>(f));
}

// The weight as it is, kept beside other packed forms for as long as somebody holds it.
inline std::shared_ptr<const OwnedTensor> row_major(const Weight& w) {
  return w.packed<OwnedTensor>("row_major", [&] { return std::make_shared<const OwnedTensor>(w.whole()); });
}

// The values of a small weight (a norm, a bias) as f32, shaped like it and kept like the row-major form: without one
// instance of the code for each type it can be stored in.
inline std::shared_ptr<const OwnedTensor> f32_values(const Weight& w) {
  return w.packed<OwnedTensor>("f32_values", [&] {
    const OwnedTensor stored = w.whole();
    auto values = std::make_shared<OwnedTensor>(DType::f32, stored.view().shape);
    for (std::int64_t i = 0; i < stored.view().elements(); ++i) values->view().store(i, stored.view().load(i));
    return values;
  });
}

}  // namespace layercost

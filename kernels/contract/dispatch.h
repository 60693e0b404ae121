// What:    small helpers for variants: from a run-time type to a template argument, and the row-major form of a weight.
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

}  // namespace layercost

// What:    how GoogleTest prints our types, so that a parameterised test is named by its case. Without these it prints
//          the bytes of an object, pointers among them, which change from build to build (lint.test_names).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ostream>

#include "kernels/core/dtype.h"
#include "kernels/runtime/runtime.h"

namespace layercost {

inline void PrintTo(DType t, std::ostream* to) { *to << to_string(t); }
inline void PrintTo(Target t, std::ostream* to) { *to << to_string(t); }

}  // namespace layercost

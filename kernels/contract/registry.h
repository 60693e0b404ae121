// What:    the list of all ops, in the order of kernels/CMakeLists.txt, which is the one place where an op is added.
// Errors:  find_op throws BadInput with the nearest spelling for an unknown name.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

#include "kernels/contract/op.h"

namespace layercost {

std::span<const OpDef* const> all_ops();
const OpDef& find_op(std::string_view name);
const Variant& find_variant(const OpDef&, std::string_view name);

}  // namespace layercost

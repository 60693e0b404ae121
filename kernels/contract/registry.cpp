// SPDX-License-Identifier: Apache-2.0
#include "kernels/contract/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "kernels/core/error.h"

namespace layercost {

#define LAYERCOST_OP(name) extern const OpDef name##_op;
#include "ops.inc"  // made by CMake from the op list
#undef LAYERCOST_OP

std::span<const OpDef* const> all_ops() {
#define LAYERCOST_OP(name) &name##_op,
  static constexpr std::array ops = {
#include "ops.inc"
  };
#undef LAYERCOST_OP
  return ops;
}

const OpDef& find_op(std::string_view name) {
  std::vector<std::string> names;
  for (const OpDef* op : all_ops()) {
    if (op->name == name) return *op;
    names.emplace_back(op->name);
  }
  throw BadInput(fmt::format("unknown op '{}'{}; known: {}", printable(name), did_you_mean(name, names),
                             fmt::join(names, ", ")));
}

const Variant& find_variant(const OpDef& op, std::string_view name) {
  std::vector<std::string> names;
  for (const Variant* v : op.variants()) {
    if (v->name == name) return *v;
    names.emplace_back(v->name);
  }
  throw BadInput(fmt::format("op {} has no variant '{}'{}; it has: {}", op.name, printable(name),
                             did_you_mean(name, names), fmt::join(names, ", ")));
}

}  // namespace layercost

// What:    the compulsory work that an op's case implies, so that a result file that says otherwise is refused: FLOPs
//          and bytes are what every share of *possible* is worked out from.
// Absent:  of an op that this program does not have nothing is said.
// Units:   flops counts a multiply-add as 2; bytes.
// Errors:  BadCase where keys, sizes or types are missing or none.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "kernels/contract/op.h"
#include "kernels/core/op_case.h"

namespace layercost {

struct CaseWork {
  double flops = 0;
  std::map<std::string, double> product_flops = {};  // among them, by Arithmetic::name()
  double bytes = 0;                                  // weights and cache
  double bytes_per_distinct_expert = 0;
  double input_bytes = 0, output_bytes = 0;  // which a layer's first and last op carry, too
  double activation_bytes = 0;               // all inputs and outputs, which may stay in a cache
};
std::optional<CaseWork> work_of(const OpCase&);

std::map<std::string, double> product_flops(const Work&);
// Of a point whose activations have this type: without what it computes in that type.
std::map<std::string, double> other_products(std::map<std::string, double> product_flops,
                                             std::string_view activation_type);

// What an op's part of a layer needs in memory for the next step: of attention all slots of its cache, or those of its
// window; of latent attention and its indexer what they append to; of linear attention its states. Nothing of others.
std::optional<double> cache_bytes(const OpCase&);

}  // namespace layercost

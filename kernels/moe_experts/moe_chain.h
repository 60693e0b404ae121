// What:    the experts of a layer as a chain of ops: moe_permute, grouped_linear, glu, grouped_linear, moe_combine,
//          each by its default variant on the device. In between, activations are stored in x_type, as frameworks do.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/contract/op.h"

namespace layercost {

// `supports` and `prepare` of a variant of moe_experts.
Support moe_chain_supports(const OpCase&, const DeviceInfo&);
std::unique_ptr<Invocation> moe_chain_prepare(const OpCase&, const OpTensors&, Runtime&);

}  // namespace layercost

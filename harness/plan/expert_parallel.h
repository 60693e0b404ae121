// What:    a model as one of several devices runs it that share its experts (expert parallelism): attention, router,
//          shared experts and head on its own sequences, and of every mixture one experts-th of the experts, for the
//          tokens of all.
// Formula: N devices of equal load with T tokens each send T top_k rows and receive as many on average, for experts / N
//          experts. So a layer with experts becomes two parts, each as often as the layer was there:
//            its own kind      as before, but what the experts return comes from outside and is only summed up
//            "received KIND"   the device's experts on T top_k rows with one expert each
// Left out: the exchange itself (exchange_bytes says what it moves), copies of popular experts, and waiting for a
//          device with more to do.
// Errors:  BadInput where the devices do not divide the experts, or nothing has any.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "harness/plan/model.h"

namespace layercost {

ModelSpec share_experts(const ModelSpec&, std::int64_t devices);

// What one device sends in a step, and receives: top_k rows for each token and layer to the experts, and as many back,
// in the activations' type. Of rows whose expert is its own (one in `devices`) nothing is sent. Where ranks share the
// layers, too, a device's N-th of the rows comes back to all N ranks. 0 for a model with all its experts.
double exchange_bytes(const ModelSpec&, const StepShape&);

}  // namespace layercost

// What:    the work of a planned layer as a result file keeps it, before anything has run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "harness/plan/model.h"
#include "harness/result/record.h"
#include "harness/result/step_work.h"

namespace layercost {

// FLOPs and compulsory bytes of each op; what depends on the distinct experts is split off. The first and the last op
// carry the layer's own input and output, which must cross memory; everything between may stay in cache.
std::vector<OpRecord> op_records(const LayerPlan&);

// Of all layers and the head; what stands beside the model (mtp) is in no step.
StepWork step_work(const ModelSpec&, const Scenario&);

}  // namespace layercost

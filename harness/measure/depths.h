// What:    --depth: growing stacks of one kind of layer, to see how far the time per layer is from constant (TRUST
//          C10).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "harness/measure/cell.h"

namespace layercost {

// Of the point's first kind of layer, at every depth of the plan; what could not be measured is a warning.
DepthRecord measure_depths(RunContext&, const RunPoint&, const ScenarioRecord&);

}  // namespace layercost

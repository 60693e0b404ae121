// What:    promised, possible and paid of each pair over one member of the scenario, for the figures of batch and
//          context: one panel for each pair, phase and choice of the other members.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "harness/report/figures/figure.h"

namespace layercost {

// `over`: Member::batch or Member::context. A group with a single value has no panel.
Figure savings_figure(const FigureSource& source, Member over);

}  // namespace layercost

// What the mixture of experts saves, over batch, with the band in which it stops being cheaper.
// SPDX-License-Identifier: Apache-2.0
#include "harness/report/figures/savings.h"

namespace layercost {

Figure over_batch_figure(const FigureSource& source) { return savings_figure(source, Member::batch); }

}  // namespace layercost

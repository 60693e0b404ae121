// What the mixture of experts saves, over context: one panel for each batch.
// SPDX-License-Identifier: Apache-2.0
#include "harness/report/figures/savings.h"

namespace layercost {

Figure over_context_figure(const FigureSource& source) { return savings_figure(source, Member::context); }

}  // namespace layercost

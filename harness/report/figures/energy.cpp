// Energy: what can be said of it, which is not much yet.
// SPDX-License-Identifier: Apache-2.0
#include "harness/report/figures/figure.h"

namespace layercost {

Figure energy_figure(const FigureSource& source) {
  for (const PointRecord& point : source.file.points)
    for (const PartRecord& part : point.parts)
      for (const Round& round : part.rounds)
        if (round.conditions && round.conditions->energy_j)
          return {.caption = {},
                  .absent =
                      "the board's counter was read over windows that hold the pauses between samples, which is no "
                      "energy of a token"};
  return {.caption = {},
          .absent = source.file.environment.gpu ? "no reading of the board's energy counter is in this file"
                                                : "no energy counter of this machine was read"};
}

}  // namespace layercost

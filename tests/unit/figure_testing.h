// One figure of a result, by its name.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "harness/report/figures/figure.h"

namespace layercost {

inline Figure figure_named(std::string_view name, const ResultFile& file) {
  const Summary summary = summarise(file);
  for (const FigureKind& kind : figure_kinds())
    if (kind.name == name) return kind.build({file, summary});
  throw std::runtime_error("no figure " + std::string(name));
}

}  // namespace layercost

// What:    when two records are of the same thing, and to which point another program's record belongs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "harness/result/record.h"

namespace layercost {

// Equal for points of the same model, phase, batch, context, tokens, types, device and routing; a file holds each once.
std::string point_key(const PointRecord& point);
// Equal for peers of the same implementation, version, model, phase, batch, context, weight type and kind; likewise.
std::string peer_key(const PeerRecord& peer);

// Same model, phase, batch, context and weight type. A file in which that is true of several points (two routings) is
// refused: nothing says which one the peer was measured beside.
bool belongs_to(const PeerRecord& peer, const PointRecord& point);

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/result/keys.h"

#include <fmt/format.h>

#include <initializer_list>

namespace layercost {
namespace {

std::string joined(std::string key, std::initializer_list<const std::string*> texts) {
  for (const std::string* text : texts) key += "\n" + *text;  // no text holds a line break
  return key;
}

}  // namespace

std::string point_key(const PointRecord& p) {
  return joined(fmt::format("{} {} {} {}", p.phase, p.batch, p.context, p.tokens),
                {&p.model, &p.weight_type, &p.activation_type, &p.kv_type, &p.device, &p.routing});
}

std::string peer_key(const PeerRecord& p) {
  return joined(fmt::format("{} {} {}", p.phase, p.batch, p.context),
                {&p.implementation, &p.version, &p.model, &p.weight_type, &p.kind});
}

bool belongs_to(const PeerRecord& peer, const PointRecord& point) {
  return peer.model == point.model && peer.phase == point.phase && peer.batch == point.batch &&
         peer.context == point.context && peer.weight_type == point.weight_type;
}

}  // namespace layercost

// What:    the names of parts of a model that are no layers of it: what a plan says, results keep and rules count by.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace layercost {

// Final norm and LM head.
inline constexpr std::string_view kHeadPart = "head";
// "received KIND": the experts of a device that shares them with others, beside the layers of that kind
// (harness/plan/expert_parallel.h).
inline constexpr std::string_view kReceivedPart = "received ";
// "mtp KIND": a layer for multi-token prediction with the blocks of that kind. No step of the model has it.
inline constexpr std::string_view kMtpPart = "mtp ";

inline bool is_received_part(std::string_view kind) { return kind.starts_with(kReceivedPart); }
// Of a received part the kind that it belongs to, else the kind itself.
inline std::string_view kind_of_part(std::string_view kind) {
  return is_received_part(kind) ? kind.substr(kReceivedPart.size()) : kind;
}

}  // namespace layercost

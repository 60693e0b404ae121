// What:    the names of parts of a model that are no layers of it: what a plan says, results keep and rules count by.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace layercost {

// Final norm and LM head.
inline constexpr std::string_view kHeadPart = "head";
// "received KIND": the experts of a device that shares them with others, beside the layers of that kind
// (harness/plan/expert_parallel.h).
inline constexpr std::string_view kReceivedPart = "received ";
// "mtp KIND": a layer for multi-token prediction with the blocks of that kind. No step of the model has it.
inline constexpr std::string_view kMtpPart = "mtp ";

// "deepseek-v3@ep32" with `mark` "@ep": what stands before the last mark, and the number behind it, of two or more.
// Empty where nothing of the kind stands there.
std::optional<std::pair<std::string, std::int64_t>> split_part_name(const std::string& name, std::string_view mark);
// Ranks that share every layer, by a model's name ("deepseek-v3@tp8@ep32"); 1 where it says nothing of them.
std::int64_t ranks_of_name(const std::string& model);
// Changes of a model that nobody trained (harness/plan/what_if.h), as they stand behind a '@'.
inline constexpr std::string_view kTwin = "twin";  // and a number
inline constexpr std::string_view kDense = "dense", kUnshared = "unshared", kMha = "mha";
bool is_change(std::string_view word);
// "m@twin1.5@tp8" as "m@tp8" and {"twin1.5"}; of a model as it is published no changes.
struct ChangedName {
  std::string published;
  std::vector<std::string> changes;
};
ChangedName split_changes(const std::string& model);
// The q of "twinQ"; empty of another change.
std::optional<double> twin_size(std::string_view change);
// Rows that reach a device of several that share the experts, where `ranks` of them have the same tokens: at least one.
std::int64_t received_rows(std::int64_t tokens, std::int64_t top_k, std::int64_t ranks);

inline bool is_received_part(std::string_view kind) { return kind.starts_with(kReceivedPart); }
// A part that no step of the model has.
inline bool is_beside_model(std::string_view kind) {
  return kind.starts_with(kMtpPart) ||
         (is_received_part(kind) && kind.substr(kReceivedPart.size()).starts_with(kMtpPart));
}
// Of a received part the kind that it belongs to, else the kind itself.
inline std::string_view kind_of_part(std::string_view kind) {
  return is_received_part(kind) ? kind.substr(kReceivedPart.size()) : kind;
}

}  // namespace layercost

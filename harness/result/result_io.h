// What:    ResultFile to JSON text and back. Everything in record.h is written, every sample, in full precision (a
//          double is written with the digits that give the same double back). Text only.
// Form:    keys are the names of the struct members; enumerations are the words of labels.h; an optional member that is
//          empty has no key, all others always have theirs. Two kinds of number are written as text: usd_per_h, a
//          decimal that must not pass through a reader's binary fractions, and the routing seed, which has more bits
//          than the 2^53 that every JSON reader keeps. The figures of a verdict that are NaN or infinite (the output
//          was) are left out; everywhere else such a number is refused. Strings: control characters become '?' on the
//          way out. "summary" may hold derived numbers (cost/summary.h). It is not read back: readers compute it again.
// Version: schema_version is semver. Major: a meaning changed, files are not exchangeable. Minor: fields were added.
//          This program reads files of its major version with its minor version or an older one; a newer one is refused
//          by name, because its unknown fields would be. A meaning never changes under a name.
// Units:   in the names; SI.
// Errors:  BadInput for reading: over 64 MiB, not JSON, unknown or missing or repeated keys, wrong types, numbers out
//          of range, control characters, texts over 4096 characters, and what rules.h rules out. The same rules hold
//          when writing, where a breach is a std::logic_error that names the place: nothing is written that cannot be
//          read.
// Trust:   what follows from the rest is not believed: labels are worked out from the samples again (sample_labels.h),
//          and a file that says its policy is complete only if it is (complete.h).
// Source:  results/schema/layercost-result-1.schema.json says the same in JSON Schema (draft 2020-12).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "harness/result/record.h"

namespace layercost {

inline constexpr std::uint64_t kResultMaxBytes = std::uint64_t{64} << 20;

std::string result_to_text(const ResultFile& file, const nlohmann::json& summary);
ResultFile result_from_text(std::string file_name, std::string_view text);

// Atomic and durable (atomic_file.h). summary null: none.
void write_result(const std::filesystem::path& path, const ResultFile& file, const nlohmann::json& summary);
ResultFile read_result(const std::filesystem::path& path);

// What of these rules the file breaks, for files that were put together from others; "" if nothing.
std::string broken_rule(const ResultFile& file);

}  // namespace layercost

// What:    what a result file must not say: where things lie on the machine, and numbers that name one piece of
// hardware. Rules:   of a path the last part stays, wherever it stands in a word of the command line: alone, after
// "--option=",
//          after "-o" or "-o=". "1.25/h" is a price and stays.
//          An identifier becomes "sha256:" and 16 hexadecimal digits, which tell two boards apart and neither by name.
//          A PCI address has few values, so it is hashed together with the board's own number.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "harness/result/record.h"

namespace layercost {

std::string without_folders(std::string_view path);  // "/srv/x/a.json" -> "a.json"
std::string word_without_folders(std::string_view word);

// What is hashed already stays.
void hash_identifiers(GpuRecord&);

}  // namespace layercost

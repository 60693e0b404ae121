// What:    the SHA-256 digest of a text, to tell whether two things are the same without storing either.
// Source:  FIPS 180-4, section 6.2.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace layercost {

std::string sha256_hex(std::string_view text);  // 64 digits, lower case

// The first 64 bits of it: 16 digits. Of a million different texts two are alike with a chance of 3e-8.
inline std::string short_digest(std::string_view text) { return sha256_hex(text).substr(0, 16); }

}  // namespace layercost

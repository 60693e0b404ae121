// What:    the canonical text of a JSON document and its digest: what a report names as the file that it was made
//          from. Files that say the same have the same digest, however their keys stand and their lines break.
// Formula: content_hash = SHA-256 of the canonical text. Canonical: no blanks; keys in the order of their UTF-16 code
//          units; numbers as ECMAScript writes a double (the fewest digits that give it back; 21 places before an
//          exponent; -0 is 0), integers too; in strings \b \t \n \f \r \" \\, other control characters as \u00xx, and
//          all else as it is.
// Source:  RFC 8785; ECMA-262, Number::toString.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace layercost {

std::string canonical_text(const nlohmann::json& document);
std::string canonical_number(double value);  // std::invalid_argument for NaN and infinities

std::string content_hash(const nlohmann::json& document);  // 64 digits

}  // namespace layercost

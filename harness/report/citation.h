// What:    a number of a result file with all that it holds under, to be quoted: a sentence for each point, BibTeX, and
//          the hash of the file's content (result/canonical.h).
// Refused: (BadInput) a claim that no point or more than one has the words of; a point without a time, one that a label
//          makes unusable (cost/compare.h), one that is PRELIMINARY unless allowed, an incomplete run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "harness/result/record.h"

namespace layercost {

// `claim`: words of the point's text (to_text), in their order; "": all points that may be quoted, at least one.
std::string citation(const ResultFile& file, const std::string& claim, bool preliminary_allowed);

// Text as BibTeX prints it.
std::string bibtex_text(std::string_view text);

}  // namespace layercost

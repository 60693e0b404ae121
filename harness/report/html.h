// What:    one page that needs nothing else: headline, trade-off, figures (figures/figure.h), every section, machine
//          and price, for a screen of any width, light or dark, and for paper. Works without scripts and without a
//          network.
// Figures: Vega-Lite specifications and their rows, drawn by the viewer that ReportOptions::viewer holds (Vega,
//          Vega-Lite and Vega-Embed in one script). Without it, or where drawing fails, the table of the same numbers
//          stands open in the figure's place: the page is complete with and without.
// Rules:   text of a file is text: escaped in elements and attributes, escaped JSON in a script that is data, put into
//          figures as data. The page's policy (Content-Security-Policy) lets no request out and runs the scripts that
//          were put in here and no other, by their hashes.
// Errors:  BadInput for a viewer that would end its script element.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "harness/report/report.h"
#include "harness/result/record.h"

namespace layercost {

std::string render_html(std::span<const ResultFile> files, const ReportOptions& options);

// Foreign text for an element or a quoted attribute.
std::string html_text(std::string_view text);

}  // namespace layercost

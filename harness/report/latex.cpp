// SPDX-License-Identifier: Apache-2.0
#include "harness/report/latex.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "harness/report/document.h"
#include "harness/report/section.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

struct Written {
  std::string_view text, as;
};
// ASCII that is markup, then the characters that reports use.
constexpr std::array kWritten = {
    Written{"\\", "\\textbackslash{}"},
    Written{"{", "\\{"},
    Written{"}", "\\}"},
    Written{"$", "\\$"},
    Written{"&", "\\&"},
    Written{"#", "\\#"},
    Written{"_", "\\_"},
    Written{"%", "\\%"},
    Written{"~", "\\textasciitilde{}"},
    Written{"^", "\\textasciicircum{}"},
    Written{"<", "\\textless{}"},
    Written{">", "\\textgreater{}"},
    Written{"|", "\\textbar{}"},
    Written{"\"", "\\textquotedbl{}"},
    Written{"`", "\\textasciigrave{}"},
    Written{"'", "\\textquotesingle{}"},
    Written{"[", "{[}"},
    Written{"]", "{]}"},
    Written{"-", "{-}"},  // two of them would be a dash
    Written{"×", "$\\times$"},
    Written{"±", "$\\pm$"},
    Written{"µ", "\\textmu{}"},
    Written{"→", "$\\rightarrow$"},
    Written{"·", "\\textperiodcentered{}"},
    Written{"…", "\\ldots{}"},
    Written{"≥", "$\\geq$"},
    Written{"≤", "$\\leq$"},
    Written{"–", "--"},
    Written{"—", "---"},
};

std::size_t length_of(char lead) {
  const auto c = static_cast<unsigned char>(lead);
  return c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
}

void print_cells(std::string& out, const std::vector<std::string>& cells) {
  for (std::size_t i = 0; i < cells.size(); ++i) out += (i == 0 ? "    " : " & ") + latex_text(cells[i]);
  out += " \\\\\n";
}

void print_table(std::string& out, const Table& table) {
  if (!table.shown || table.groups.empty()) return;
  std::vector<std::string> heads;
  std::string form;
  for (const Column* column : document_columns(table)) {
    heads.push_back(column->title);
    form += is_text(*column) ? 'l' : 'r';
  }
  if (table.notes_column) {
    heads.emplace_back("notes");
    form += 'l';
  }
  out += fmt::format("\\begin{{table}}[htbp]\n  \\centering\n  \\caption{{{}: {}.}}\n", latex_text(table.title),
                     latex_text(table.about));
  out += "  \\sbox0{\\begin{tabular}{" + form + "}\n    \\toprule\n";
  print_cells(out, heads);
  std::string below;
  for (const Group& group : table.groups) {
    out += "    \\midrule\n";
    for (const Entry& entry : group.entries)
      for (const std::vector<std::string>& row : document_cells(table, entry)) print_cells(out, row);
    for (const std::string& text : document_sentences(table, group))
      below += fmt::format("  \\par\\footnotesize {}: {}\n", latex_text(group.title), latex_text(text));
  }
  out +=
      "    \\bottomrule\n  \\end{tabular}}%\n"
      "  \\ifdim\\wd0>\\linewidth\\resizebox{\\linewidth}{!}{\\usebox0}\\else\\usebox0\\fi\n" +
      below + "\\end{table}\n\n";
}

void print_list(std::string& out, const Section& section) {
  std::string lines;
  for (const NamedText& line : section.items)
    if (!line.terminal_only)
      lines += fmt::format("  \\item[{{{}}}] {}\n", latex_text(line.name), latex_text(line.text));
  if (lines.empty()) return;
  if (!section.title.empty()) out += fmt::format("\\paragraph{{{}}}\n", latex_text(section.title));
  out += "\\begin{description}\n" + lines + "\\end{description}\n\n";
}

}  // namespace

std::string latex_text(std::string_view text) {
  std::string out;
  const std::string foreign = plain(text, 5000);
  for (std::size_t i = 0; i < foreign.size();) {
    const std::string_view one = std::string_view(foreign).substr(i, length_of(foreign[i]));
    i += one.size();
    const auto written =
        std::find_if(kWritten.begin(), kWritten.end(), [&](const Written& w) { return w.text == one; });
    const auto lead = static_cast<unsigned char>(one[0]);
    if (written != kWritten.end()) out += written->as;
    else if (lead < 0x80 || (one.size() == 2 && (lead == 0xC3 || lead == 0xC4 || lead == 0xC5))) out += one;
    else out += '?';
  }
  return out;
}

std::string render_latex(std::span<const ResultFile> files, const ReportOptions&) {
  std::string out = "% Made by layercost. Needs \\usepackage{booktabs,graphicx,textcomp}.\n";
  for (const ResultFile& file : files) {
    out += fmt::format("\n\\section*{{What a token costs on {}}}\n\n", latex_text(file.environment.device_name));
    for (const Section& section : sections_of(file)) {
      print_list(out, section);
      for (const Table& table : section.tables) print_table(out, table);
    }
  }
  return out;
}

}  // namespace layercost

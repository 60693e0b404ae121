// SPDX-License-Identifier: Apache-2.0
#include "harness/report/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "harness/report/document.h"
#include "harness/report/figures/figure.h"
#include "harness/report/figures/tones.h"
#include "harness/report/headline.h"
#include "harness/report/section.h"
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "harness/result/identity.h"
#include "kernels/core/error.h"
#include "kernels/core/sha256.h"
#include "layercost_page.h"

namespace layercost {
namespace {

using nlohmann::json;

// ---- text ----

// JSON inside <script>: nothing in it may end the element or open a comment, and all else is ASCII.
std::string script_json(const json& value) {
  std::string out;
  for (const char c : value.dump(-1, ' ', true, json::error_handler_t::replace)) {
    if (c == '<' || c == '>' || c == '&') out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else out += c;
  }
  return out;
}

std::string base64_of_hex(std::string_view hex) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const auto value = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
  std::string out;
  unsigned bits = 0, count = 0;
  for (const char c : hex) {
    bits = bits << 4 | value(c);
    count += 4;
    if (count >= 6) {
      count -= 6;
      out += kDigits[bits >> count & 63];
    }
  }
  if (count > 0) out += kDigits[bits << (6 - count) & 63];
  while (out.size() % 4 != 0) out += '=';
  return out;
}

std::string script_hash(std::string_view script) {
  return fmt::format("'sha256-{}'", base64_of_hex(sha256_hex(script)));
}

// ---- tables ----

constexpr std::size_t kUnbrokenColumns = 24;  // a name or a word of this length is kept on one line

std::string element(const char* name, std::string_view text, std::string_view attributes = "") {
  return fmt::format("<{}{}>{}</{}>", name, attributes, html_text(text), name);
}

// Without its end, which HTML does not ask for, and of a number without a class: a tenth of a page of many results.
// Nothing stands behind it, or an empty cell would not be one (:empty).
std::string table_cell(std::string_view text, std::string_view attributes) {
  return fmt::format("<td{}>{}", attributes, html_text(text));
}

std::string text_of(const TableCell& cell, Form form) { return document_text(cell, form) + cell.mark; }

std::string cell_html(const TableCell& cell, const Column& column) {
  const Absent* a = absent(cell);
  const std::string text = text_of(cell, column.form);
  const char* attributes = a != nullptr && a->alarming               ? " class=\"alarm\""
                           : !is_text(column)                        ? ""
                           : display_width(text) <= kUnbrokenColumns ? " class=\"s\""
                                                                     : " class=\"w\"";
  return table_cell(text, attributes);
}

void print_entry(std::string& out, const Table& table, const Entry& entry) {
  const std::vector<const Column*> columns = document_columns(table);
  const std::vector<DocumentRow> rows = document_rows(table, entry);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    out += r == 0 ? "<tr class=\"first\">" : "<tr>";
    for (std::size_t c = 0; c < columns.size(); ++c)
      out += rows[r][c] == nullptr ? "<td>" : cell_html(*rows[r][c], *columns[c]);
    if (table.notes_column && r == 0) {
      out += fmt::format("<td class=\"w\" rowspan=\"{}\">", rows.size());
      for (const Note& note : entry.notes)
        out += element("span", note.text, note.alarming ? " class=\"note alarm\"" : " class=\"note\"");
    }
  }
}

// A table scrolls in its own box, which the keyboard reaches.
std::string open_box(std::string_view label) {
  return fmt::format("<div class=\"box\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table>\n", html_text(label));
}

void print_table(std::string& out, const Table& table) {
  if (!table.shown || table.groups.empty()) return;
  out += fmt::format("<section>\n{}<p class=\"about\">{}</p>\n", element("h3", table.title), html_text(table.about));
  out += open_box(table.title + ", " + table.about) + "<thead><tr>";
  for (const Column* column : document_columns(table))
    out += element("th", column->title, is_text(*column) ? " scope=\"col\"" : " scope=\"col\" class=\"n\"");
  if (table.notes_column) out += "<th scope=\"col\">notes</th>";
  out += "</tr></thead>\n";
  std::string below;
  for (const Group& group : table.groups) {
    out += "<tbody>\n";
    for (const Entry& entry : group.entries) print_entry(out, table, entry);
    out += "</tbody>\n";
    for (const std::string& text : document_sentences(table, group))
      below += fmt::format("<li>{}: {}</li>\n", element("b", group.title), html_text(text));
  }
  out += "</table></div>\n";
  if (!below.empty()) out += "<ul class=\"below\">\n" + below + "</ul>\n";
  out += "</section>\n";
}

void print_list(std::string& out, const Section& section) {
  if (section.leads > 0 && section.items.size() == 1) {
    out += element("p", section.items.front().text, " class=\"lead\"");
    return;
  }
  std::string lines;
  for (const NamedText& line : section.items)
    if (!line.terminal_only)
      lines += fmt::format("<div>{}{}</div>\n", element("dt", line.name), element("dd", line.text));
  if (lines.empty()) return;
  out += "<section>\n" + element("h3", section.title.empty() ? "Machine, price and limits" : section.title) + "<dl>\n" +
         lines + "</dl>\n</section>\n";
}

// ---- figures ----

constexpr std::string_view kSigns =
    "Measured points are filled; hollow ones are PRELIMINARY or of a model that does not fit, and no "
    "line "
    "joins them. Modelled numbers are dashed, published ones dotted; a bar through a point is its 95 % interval.";

void print_numbers(std::string& out, const Figure& figure, std::string_view title, bool several) {
  out += "<details open><summary>Show the numbers</summary>\n" + open_box(fmt::format("{}: the numbers", title)) +
         "<thead><tr>";
  const auto is_word = [](const FigureColumn& column) { return column.form == Form::text; };
  for (const FigureColumn& column : figure.columns)
    if (!column.title.empty())
      out += element("th", column.title, is_word(column) ? " scope=\"col\"" : " scope=\"col\" class=\"n\"");
  out += "</tr></thead>\n";
  const auto columns = std::count_if(figure.columns.begin(), figure.columns.end(),
                                     [](const FigureColumn& column) { return !column.title.empty(); });
  for (const FigurePanel& panel : figure.panels) {
    out += "<tbody>\n";
    if (several)
      out += fmt::format("<tr><th colspan=\"{}\" scope=\"rowgroup\">{}</th></tr>\n", columns, html_text(panel.title));
    // What rows one below the other say in their first column, and within that in other columns of words, stands once.
    std::vector<std::vector<std::string>> says;
    for (const auto& row : panel.rows) {
      std::vector<std::string>& texts = says.emplace_back();
      for (std::size_t c = 0; c < row.size(); ++c) texts.push_back(text_of(row[c], figure.columns[c].form));
    }
    const auto joins = [&](std::size_t r, std::size_t c) {
      return r > 0 && is_word(figure.columns[c]) && says[r][0] == says[r - 1][0] && says[r][c] == says[r - 1][c];
    };
    for (std::size_t r = 0; r < panel.rows.size(); ++r) {
      out += "<tr>";
      for (std::size_t c = 0; c < panel.rows[r].size(); ++c) {
        if (figure.columns[c].title.empty() || joins(r, c)) continue;
        std::size_t end = r + 1;
        while (end < panel.rows.size() && joins(end, c)) ++end;
        const std::string span = end - r > 1 ? fmt::format(" rowspan=\"{}\"", end - r) : "";
        out += table_cell(says[r][c], span + (is_word(figure.columns[c]) ? " class=\"w\"" : ""));
      }
    }
    out += "</tbody>\n";
  }
  out += "</table></div></details>\n";
}

struct Drawing {
  bool on = false;             // whether there is a viewer
  json specs = json::array();  // each once: panels often differ in their rows alone
  json plots = json::array();  // in the order of the page: the specification's place, name and rows
  json texts = json::array();  // of all rows, each once: a row has the place, as [place]
  std::map<std::string, std::size_t> places = {}, text_places = {};

  void add(const json& spec, std::string name, json data) {
    const auto [place, is_new] = places.try_emplace(spec.dump(), specs.size());
    if (is_new) specs.push_back(spec);
    for (json& row : data["rows"])
      for (json& cell : row) {
        if (!cell.is_string()) continue;
        const auto [text, is_new_text] = text_places.try_emplace(cell.get<std::string>(), texts.size());
        if (is_new_text) texts.push_back(cell);
        cell = json::array({text->second});
      }
    plots.push_back({{"spec", place->second}, {"name", std::move(name)}, {"data", std::move(data)}});
  }
};

void print_figure(std::string& out, const FigureKind& kind, const Figure& figure, const std::string& prefix,
                  Drawing& drawing) {
  out += fmt::format("<figure id=\"{}{}\">\n{}\n", prefix, kind.name, element("h3", kind.title));
  if (drawing.on) {
    out += figure.panels.size() > 1 ? "<div class=\"panels\">\n" : "<div>\n";
    for (const FigurePanel& panel : figure.panels) {
      const std::string name = joined({std::string(kind.title), panel.title}, ": ");
      out +=
          fmt::format("<div class=\"panel\">{}<div class=\"plot\" data-plot=\"{}\" data-name=\"{}{}\"></div></div>\n",
                      panel.title.empty() ? "" : element("h4", panel.title), drawing.plots.size(), prefix, kind.name);
      drawing.add(panel.spec, name, figure_rows(figure, panel));
    }
    out += "</div>\n";
  }
  out += element("figcaption", figure.caption);
  print_numbers(out, figure, kind.title, figure.panels.size() > 1 || !figure.panels.front().title.empty());
  out += "</figure>\n";
}

void print_figures(std::string& out, const FigureSource& source, const std::string& prefix, Drawing& drawing) {
  std::string left_out;
  out += element("p", kSigns, " class=\"about signs\"");
  for (const FigureKind& kind : figure_kinds()) {
    const Figure figure = kind.build(source);
    if (figure.panels.empty())
      left_out += fmt::format("<li>{}: {}</li>\n", element("b", kind.title), html_text(figure.absent));
    else print_figure(out, kind, figure, prefix, drawing);
  }
  if (!left_out.empty())
    out +=
        "<section><h3>Figures that are not here, and why</h3>\n<ul class=\"below\">\n" + left_out + "</ul></section>\n";
}

// ---- the page ----

std::string tones() {
  const auto all = [](std::string_view Tone::*shade) {
    std::string out;
    for (const Tone& one : kTones) out += fmt::format("--{}:{};", one.name, one.*shade);
    return out;
  };
  return fmt::format(":root{{{}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}\n", all(&Tone::light),
                     all(&Tone::dark));
}

// What identifies the result that was read.
std::string provenance(const ResultFile& file) {
  return fmt::format(
      "<section class=\"made-from\"><h3>Made from</h3>\n<dl>\n<div><dt>run</dt><dd>{}</dd></div>\n"
      "<div><dt>schema</dt><dd>{}</dd></div>\n</dl></section>\n",
      html_text(run_id(file)), html_text(file.schema_version));
}

// What the results show together.
void print_across(std::string& out, std::span<const ResultFile> files, std::span<const Summary> summaries,
                  Drawing& drawing) {
  std::vector<FigureSource> sources;
  for (std::size_t i = 0; i < files.size(); ++i) sources.push_back({files[i], summaries[i]});
  for (const FigureKind& kind : figure_kinds()) {
    if (kind.across == nullptr) continue;
    const Figure figure = kind.across(sources);
    if (!figure.panels.empty()) print_figure(out, kind, figure, "all-", drawing);
  }
}

void print_result(std::string& out, const FigureSource& source, std::size_t index, bool several, Drawing& drawing) {
  const auto& [file, summary] = source;
  const std::string prefix = fmt::format("r{}-", index + 1);
  out += fmt::format("<article id=\"r{}\">\n", index + 1);
  if (several)
    out += element("h2",
                   joined({plain(file.environment.device_name, 120), plain(file.started_at.substr(0, 10), 10)}, ", "));
  if (const std::string headline = headline_of(file, summary); !headline.empty())
    out += element("p", headline, " class=\"headline\"");
  std::vector<Section> sections = sections_of(file);
  std::stable_sort(sections.begin(), sections.end(),
                   [](const Section& a, const Section& b) { return a.leads > b.leads; });
  bool figures_shown = false;
  for (const Section& section : sections) {
    if (section.leads == 0 && !std::exchange(figures_shown, true)) print_figures(out, source, prefix, drawing);
    print_list(out, section);
    for (const Table& table : section.tables) print_table(out, table);
  }
  out += provenance(file) + "</article>\n";
}

std::string contents(std::span<const ResultFile> files) {
  std::string out = "<nav aria-label=\"results\"><ol>\n";
  for (std::size_t i = 0; i < files.size(); ++i)
    out += fmt::format("<li><a href=\"#r{}\">{}</a></li>\n", i + 1,
                       html_text(joined({plain(files[i].environment.device_name, 120),
                                         plain(files[i].started_at.substr(0, 10), 10), plain(files[i].suite, 40)},
                                        ", ")));
  return out + "</ol></nav>\n";
}

void check_viewer(const std::string& viewer) {
  const std::string lower = ascii_lower(viewer);
  for (const char* end : {"</script", "<!--"})
    if (lower.find(end) != std::string::npos)
      throw BadInput(fmt::format("the viewer holds '{}', which cannot stand inside a page", end));
}

}  // namespace

std::string html_text(std::string_view text) {
  std::string out;
  for (const char c : plain(text, 5000)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string render_html(std::span<const ResultFile> files, const ReportOptions& options) {
  check_viewer(options.viewer);
  Drawing drawing{.on = !options.viewer.empty()};
  const bool several = files.size() > 1;
  const std::string title = files.size() == 1 ? "What a token costs on " + plain(files[0].environment.device_name, 120)
                                              : fmt::format("What a token costs: {} results", files.size());
  std::vector<Summary> summaries;
  for (const ResultFile& file : files) summaries.push_back(summarise(file));
  std::string body;
  if (several) print_across(body, files, summaries, drawing);
  for (std::size_t i = 0; i < files.size(); ++i) print_result(body, {files[i], summaries[i]}, i, several, drawing);
  const std::string scripts =
      drawing.on ? script_hash(options.viewer) + " " + script_hash(kPageScript) : std::string("'none'");
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src {}; style-src "
      "'unsafe-inline'; img-src blob: data:; base-uri 'none'; form-action 'none'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n"
      "<meta name=\"generator\" content=\"layercost\">\n{}\n<style>\n{}{}</style>\n</head>\n<body>\n<header>\n{}\n",
      scripts, element("title", title), tones(), kPageStyle, element("h1", title));
  if (several) out += contents(files);
  out += "</header>\n<main>\n" + body + "</main>\n";
  if (drawing.on) {
    const json data = {{"config", figure_config()},
                       {"specs", std::move(drawing.specs)},
                       {"texts", std::move(drawing.texts)},
                       {"plots", std::move(drawing.plots)}};
    out += "<script type=\"application/json\" id=\"plots\">" + script_json(data) + "</script>\n";
    out += "<script>" + options.viewer + "</script>\n<script>" + std::string(kPageScript) + "</script>\n";
  }
  return out + "</body>\n</html>\n";
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/report/claims.h"

#include <fmt/format.h>

#include "harness/report/report.h"
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

struct Subject {
  const Claim& claim;
  const ClaimQuantity& quantity;
  const Evidence& evidence;
  bool first;  // of its quantity
};

Column data_only(const char* key, const char* meaning) {
  Column column;
  column.key = key;
  column.meaning = meaning;
  return column;
}

const std::vector<ColumnOf<Subject>>& columns() {
  static const std::vector<ColumnOf<Subject>> all = {
      {data_only("claim", "id of the claim"), [](const Subject& s) { return text_cell(s.claim.id); }},
      {data_only("statement", "as it is made"), [](const Subject& s) { return text_cell(s.claim.statement); }},
      {data_only("claim_source", "who says it"), [](const Subject& s) { return text_cell(s.claim.source); }},
      {data_only("claim_date", "when"), [](const Subject& s) { return text_cell(s.claim.date); }},
      {{.key = "finding",
        .meaning = "what arithmetic or the results say of it",
        .title = "finding",
        .head = "finding",
        .width = 14,
        .most = 16,
        .gap = 3,
        .align = Align::left,
        .strong = true},
       [](const Subject& s) { return text_cell(std::string(to_string(s.evidence.finding))); }},
      {{.key = "claimed",
        .meaning = "what is asserted",
        .title = "claimed",
        .head = "claimed",
        .width = 10,
        .most = 16,
        .gap = 2},
       [](const Subject& s) { return text_cell(s.first ? claimed_text(s.quantity) : ""); }},
      {{.key = "value",
        .low_key = "value_low",
        .high_key = "value_high",
        .meaning = "as recomputed, or as measured",
        .title = "found",
        .head = "found",
        .width = 8,
        .gap = 2,
        .form = Form::number},
       [](const Subject& s) { return number_cell(s.evidence.value, s.evidence.interval); }},
      {{.title = "95 % interval", .head = "95 % interval", .width = 14, .gap = 2, .form = Form::range, .leaves = 1},
       [](const Subject& s) { return number_cell(s.evidence.value, s.evidence.interval); }},
      {{.key = "unit",
        .meaning = "of claimed and value",
        .title = "unit",
        .head = "unit",
        .width = 4,
        .most = 10,
        .gap = 2,
        .align = Align::left},
       [](const Subject& s) { return text_cell(plain(s.quantity.unit, 32)); }},
      {{.key = "quantity", .meaning = "what is asserted, in words", .title = "of", .align = Align::left},
       [](const Subject& s) { return text_cell(s.quantity.what); }},
      {{.key = "seen_on", .meaning = "device and step that were measured", .title = "seen on", .align = Align::left},
       [](const Subject& s) { return text_cell(s.evidence.seen_on); }},
      {{.key = "why",
        .meaning = "where it cannot be told or tested, or only points",
        .title = "why",
        .align = Align::left},
       [](const Subject& s) { return text_cell(s.evidence.why); }},
      {{.key = "note", .meaning = "what a reader must know beside it", .title = "note", .align = Align::left},
       [](const Subject& s) { return text_cell(s.quantity.note); }},
      {{.key = "command", .meaning = "that shows it", .title = "command", .align = Align::left},
       [](const Subject& s) { return text_cell(s.quantity.command); }},
  };
  return all;
}

// What a terminal shows below the numbers of a quantity.
std::vector<std::string> words_of(const Subject& s) {
  std::vector<std::string> words;
  if (s.first) words.push_back(plain(s.quantity.what, 300));
  std::vector<std::string> seen{plain(s.evidence.seen_on, 200), plain(s.evidence.why, 200)};
  words.push_back(joined(seen, ": "));
  if (s.first) words.push_back(plain(s.quantity.note, 400));
  if (s.first && s.evidence.finding == Finding::cannot_test && !s.quantity.command.empty())
    words.push_back("would show it: " + plain(s.quantity.command, 300));
  std::erase(words, "");
  return words;
}

Section claims_section(const std::vector<ClaimFinding>& findings, bool document) {
  Section section;
  for (std::size_t c = 0; c < findings.size(); ++c) {
    const Claim& claim = findings[c].claim;
    Table table;
    table.title = plain(claim.id, 60);
    table.about =
        fmt::format("\"{}\" · {}, {}", plain(claim.statement, 400), plain(claim.source, 400), plain(claim.date, 10));
    table.frame = Frame::none;
    table.panels.push_back({.columns = columns_of(columns()), .tail = 0});
    Group group;
    for (std::size_t q = 0; q < claim.quantities.size(); ++q) {
      const std::vector<Evidence>& all = findings[c].quantities[q];
      for (std::size_t e = 0; e < all.size(); ++e) {
        const Subject subject{claim, claim.quantities[q], all[e], e == 0};
        Entry entry{{{{cells_of(columns(), subject), Place{c, q, e}}}}};
        if (!document)
          for (std::string& word : words_of(subject)) entry.notes.push_back({std::move(word)});
        group.entries.push_back(std::move(entry));
      }
    }
    table.groups.push_back(std::move(group));
    section.tables.push_back(std::move(table));
  }
  return section;
}

}  // namespace

std::string render_claims(const std::vector<ClaimFinding>& findings, std::string_view format,
                          const ReportOptions& options) {
  return render_sections({claims_section(findings, format != "table")}, format, options);
}

}  // namespace layercost

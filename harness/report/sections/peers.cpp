// The same layers in other programs, held against ours.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

// Of our panel, peer is null.
struct Subject {
  const LayersRow& row;
  const PeerTime* peer;
  const std::string &title, &facts;  // of the group
};

std::vector<ColumnOf<Subject>> our_columns() {
  return {
      {{.title = "model", .align = Align::left}, [](const Subject& s) { return text_cell(s.title); }},
      {{.title = "layers", .align = Align::left}, [](const Subject& s) { return text_cell(s.facts); }},
      {{.title = "phase", .head = "phase", .width = 7, .gap = 3, .align = Align::left},
       [](const Subject& s) { return text_cell(plain(s.row.phase, 20)); }},
      {{.title = "batch", .head = "batch", .width = 6}, [](const Subject& s) { return TableCell{s.row.batch}; }},
      {{.title = "context", .head = "context", .width = 7, .leaves = 1},
       [](const Subject& s) { return TableCell{s.row.context}; }},
      {{.title = kOurName, .over = kOurName, .head = "time", .width = 9, .form = Form::time},
       [](const Subject& s) {
         return s.row.time_s ? number_cell(s.row.time_s, s.row.time_interval)
                             : TableCell{Absent{std::string(text_of(s.row.outcome).shown), ""}};
       }},
      {{.title = "% of possible", .over = "% of", .head = "possible", .width = 8, .form = Form::percent},
       [](const Subject& s) { return number_cell(s.row.possible_fraction); }},
  };
}

std::vector<ColumnOf<Subject>> peer_columns(const std::string& name) {
  return {
      {{.key = "time_s",
        .low_key = "time_low_s",
        .high_key = "time_high_s",
        .title = name,
        .head = "time",
        .width = 9,
        .gap = 0,
        .form = Form::time},
       [](const Subject& s) {
         const std::string mark = s.peer->remark.empty() ? "" : "*";
         if (!s.peer->time_s) return TableCell{Absent{"not measured", ""}, mark};
         return number_cell(s.peer->time_s, s.peer->time_interval);
       }},
      {{.key = "peer_ratio",
        .low_key = "peer_ratio_low",
        .high_key = "peer_ratio_high",
        .title = "× ours",
        .head = "× ours",
        .width = 8,
        .gap = 0,
        .form = Form::ratio,
        .strong = true},
       [](const Subject& s) {
         TableCell cell = ratio_cell(s.peer->ratio);
         if (s.peer->time_s && !s.peer->remark.empty()) cell.mark = "*";
         return cell;
       }},
      {{.head = "±", .width = 6, .form = Form::spread, .leaves = 2},
       [](const Subject& s) { return ratio_cell(s.peer->ratio); }},
      {{.title = "95 % interval", .form = Form::range}, [](const Subject& s) { return ratio_cell(s.peer->ratio); }},
      {{.key = "state"},
       [](const Subject& s) {
         return text_cell(std::string(to_string(s.peer->time_s ? Outcome::measured : Outcome::skipped)));
       }},
      {{.key = "note"}, [](const Subject& s) { return text_cell(s.peer->remark); }},
      {{.key = "why"}, [](const Subject& s) { return text_cell(s.peer->time_s ? "" : s.peer->remark); }},
      {{.key = "layer_count"}, [](const Subject& s) { return TableCell{s.row.count}; }},
      {{.key = "implementation",
        .meaning = "layercost, or the other program that the row's time or ratio is of",
        .otherwise = kOurName},
       [](const Subject& s) { return text_cell(s.peer->implementation); }},
      {{.key = "paired_rounds", .meaning = "rounds that both sides of the row's ratio have"},
       [](const Subject& s) { return s.peer->ratio ? TableCell{s.peer->ratio->rounds} : TableCell{}; }},
  };
}

const PeerTime* find_peer(const LayersRow& row, const std::string& implementation) {
  const auto found = std::find_if(row.peers.begin(), row.peers.end(),
                                  [&](const PeerTime& peer) { return peer.implementation == implementation; });
  return found == row.peers.end() ? nullptr : &*found;
}

std::string point_text(const LayersRow& row) {
  return fmt::format("{} {} batch {} context {}", plain(row.model, 80), plain(row.phase, 20), row.batch, row.context);
}

// Why numbers with a mark must not stand alone: "pytorch, qwen3-4b decode batch 1 context 1024: ...", each once.
std::vector<std::string> remarks(const Summary& summary, const Implementation& implementation) {
  std::vector<std::string> texts, result;
  std::size_t rows = 0;
  for (const LayersRow& row : summary.layers) {
    const PeerTime* peer = find_peer(row, implementation.name);
    rows += peer != nullptr;
    if (peer && !peer->remark.empty() && std::find(texts.begin(), texts.end(), peer->remark) == texts.end())
      texts.push_back(peer->remark);
  }
  for (const std::string& text : texts) {
    std::vector<std::string> where;
    for (const LayersRow& row : summary.layers) {
      if (const PeerTime* peer = find_peer(row, implementation.name); peer && peer->remark == text)
        where.push_back(point_text(row));
    }
    constexpr std::size_t kNamed = 3;
    const std::size_t more = where.size() > kNamed ? where.size() - kNamed : 0;
    where.resize(where.size() - more);
    const std::string points = joined(where, ", ") + (more > 0 ? fmt::format(" and {} more", more) : "");
    result.push_back(fmt::format("{}{}: {}", plain(implementation.name, 40),
                                 where.size() + more == rows ? "" : ", " + points, plain(text)));
  }
  return result;
}

// The point's row of which the layers are, and where in it.
std::pair<const ModelRow*, Place> find_place(const LayersRow& row, const Summary& summary) {
  for (std::size_t point = 0; point < summary.models.size(); ++point) {
    const ModelRow& m = summary.models[point];
    if (!same_scenario(m, row)) continue;
    for (std::size_t part = 0; part < m.parts.size(); ++part)
      if (m.parts[part].kind == row.kind) return {&m, {point, part, 1}};
  }
  return {nullptr, {}};
}

Entry entry_of(const LayersRow& row, const Group& group, const ResultFile& file, const Summary& summary) {
  Entry entry;
  entry.panels = {{{cells_of(our_columns(), {row, nullptr, group.title, group.facts})}}};
  const auto [point, place] = find_place(row, summary);
  for (const Implementation& implementation : summary.peers) {
    std::vector<Row>& rows = entry.panels.emplace_back();
    const PeerTime* peer = find_peer(row, implementation.name);
    if (peer == nullptr) continue;
    Row& of_peer = rows.emplace_back();
    of_peer.place = place;
    of_peer.cells = identity_cells(file, *point, row.kind, "layer");
    for (TableCell& cell : cells_of(peer_columns(""), {row, peer, group.title, group.facts}))
      of_peer.cells.push_back(std::move(cell));
    if (!peer->remark.empty()) entry.notes.push_back({plain(implementation.name, 40) + ": " + plain(peer->remark)});
  }
  return entry;
}

}  // namespace

Section peers_section(const ResultFile& file, const Summary& summary, const View&) {
  Section section;
  if (summary.peers.empty()) return section;
  Table table;
  table.title = "The same layers in other programs";
  table.about = "one layer, in turns with ours";
  table.reading = "1.30× ours takes 30 % longer";
  table.frame = Frame::panels;
  table.notes = Notes::marked;
  table.notes_column = true;
  table.panels.push_back({.columns = columns_of(our_columns())});
  for (const Implementation& peer : summary.peers) {
    Panel panel{.title = versioned(peer), .columns = behind_identity(columns_of(peer_columns(versioned(peer))))};
    table.panels.push_back(std::move(panel));
    for (std::string& remark : remarks(summary, peer)) table.footnotes.push_back(std::move(remark));
  }
  for (const LayersRow& row : summary.layers) {
    const std::string title = plain(row.model, 80),
                      facts = joined({fmt::format("{}× {}", row.count, plain(row.kind, 60)), types_text(row),
                                      routing_text(row.routing)},
                                     " · ");
    auto group = std::find_if(table.groups.begin(), table.groups.end(),
                              [&](const Group& g) { return g.title == title && g.facts == facts; });
    if (group == table.groups.end()) group = table.groups.insert(table.groups.end(), {title, facts});
    group->entries.push_back(entry_of(row, *group, file, summary));
  }
  section.tables.push_back(std::move(table));
  return section;
}

}  // namespace layercost

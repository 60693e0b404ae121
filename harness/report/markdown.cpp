// SPDX-License-Identifier: Apache-2.0
#include "harness/report/markdown.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "harness/cost/summary.h"
#include "harness/report/text.h"
#include "harness/report/words.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

// Cells are escaped here, so that no caller can forget.
void print_cells(std::string& out, const std::vector<std::string>& cells) {
  out += "|";
  for (const std::string& cell : cells) out += " " + markdown_text(cell) + (cell.empty() ? "|" : " |");
  out += "\n";
}

void print_head(std::string& out, const std::vector<std::string>& names, std::size_t texts) {
  print_cells(out, names);
  out += "|";
  for (std::size_t i = 0; i < names.size(); ++i) out += i < texts || i + 1 == names.size() ? " --- |" : " ---: |";
  out += "\n";
}

void print_named(std::string& out, const std::vector<NamedText>& lines) {
  for (const NamedText& line : lines)
    out += fmt::format("- **{}**: {}\n", markdown_text(line.name), markdown_text(line.text));
}

std::string joined_notes(const ModelRow& row, const Summary& summary) {
  std::string text;
  for (const std::string& note : notes(row, summary)) text += (text.empty() ? "" : "; ") + note;
  return text;
}

void print_block(std::string& out, const Block& block, const Summary& summary, bool money) {
  const bool decode = block.phase == "decode";
  out += fmt::format("\n### {}: {}\n\n", decode ? "Decode" : "Prefill", markdown_text(block.about));
  std::vector<std::string> names = {"model",
                                    "layers",
                                    "batch",
                                    "one layer",
                                    "±",
                                    "% of possible",
                                    decode ? "whole model, per token" : "whole model, first token",
                                    "±",
                                    "% of possible",
                                    "tokens/s"};
  const bool nominal = std::any_of(summary.models.begin(), summary.models.end(),
                                   [](const ModelRow& row) { return row.nominal_fraction.has_value(); });
  if (nominal) names.emplace_back("% of nominal");
  if (money) names.emplace_back(decode ? "$ per Mtok out" : "$ per Mtok in");
  names.emplace_back("notes");
  print_head(out, names, 2);
  for (const ModelGroup& group : block.models) {
    for (const ModelRow* row : group.rows) {
      const auto half = relative_half_width(row->time_s, row->time_interval);
      for (std::size_t p = 0; p < row->parts.size(); ++p) {
        const PartRow& part = row->parts[p];
        const bool first = p == 0;
        std::vector<std::string> cells = {
            first ? group.model : "",
            (part.count == 1 ? "" : fmt::format("{}× ", part.count)) + plain(part.kind, 60),
            first ? fmt::format("{}", row->batch) : "",
            part.time_s ? time_text(part.time_s, part.time_interval) : std::string(text_of(part.outcome).shown),
            spread_text(part.time_s, part.time_interval),
            percent_text(part.possible_fraction),
            first ? time_text(row->time_s, row->time_interval) : "",
            first ? spread_text(row->time_s, row->time_interval) : "",
            first ? percent_text(row->possible_fraction) : "",
            first ? number_text(row->tokens_per_s, half) : ""};
        if (nominal) cells.push_back(first ? percent_text(row->nominal_fraction) : "");
        if (money) cells.push_back(first ? number_text(row->usd_per_mtok, half) : "");
        cells.push_back(first ? joined_notes(*row, summary) : "");
        print_cells(out, cells);
      }
    }
  }
  out += "\n";
  for (const ModelGroup& group : block.models) {
    if (!group.facts.empty()) out += fmt::format("- {}: {}\n", markdown_text(group.model), markdown_text(group.facts));
  }
}

std::string interval_text(const std::optional<Interval>& interval) {
  return interval ? fmt::format("{} to {}", digits(interval->low), digits(interval->high)) : "";
}

void print_layers(std::string& out, const Summary& summary) {
  if (summary.layers.empty()) return;
  out += "\n### The same layers in other programs: one layer, in turns with ours\n\n";
  std::vector<std::string> names = {"model", "layers", "phase", "batch", "context", kOurName, "% of possible"};
  for (const Implementation& peer : summary.peers) {
    names.push_back(versioned(peer));
    names.emplace_back("× ours");
    names.emplace_back("95 % interval");
  }
  names.emplace_back("notes");
  print_head(out, names, 3);
  for (const LayersGroup& group : layers_groups(summary)) {
    for (const LayersRow* row : group.rows) {
      std::vector<std::string> cells = {
          group.model,
          group.about,
          plain(row->phase, 20),
          fmt::format("{}", row->batch),
          fmt::format("{}", row->context),
          row->time_s ? time_text(row->time_s, row->time_interval) : std::string(text_of(row->outcome).shown),
          percent_text(row->possible_fraction)};
      std::string remarks;
      for (const Implementation& implementation : summary.peers) {
        const PeerTime* peer = find_peer(*row, implementation.name);
        cells.push_back(!peer ? "" : peer->time_s ? time_text(peer->time_s, peer->time_interval) : "not measured");
        cells.push_back(peer && peer->ratio ? ratio_text(peer->ratio->ratio) : "");
        cells.push_back(peer && peer->ratio ? interval_text(peer->ratio->interval) : "");
        if (peer && !peer->remark.empty())
          remarks += (remarks.empty() ? "" : "; ") + plain(implementation.name, 40) + ": " + plain(peer->remark);
      }
      cells.push_back(remarks);
      print_cells(out, cells);
    }
  }
}

void print_paid_layers(std::string& out, const Summary& summary) {
  const std::vector<std::string> implementations = paid_implementations(summary);
  if (implementations.empty()) return;
  out +=
      "\n### What sparsity saves in each program: the layers alone, without the head, because peers measure layers\n\n";
  std::vector<std::string> names = {"dense → MoE", "phase", "batch", "context", "promised", "possible"};
  for (const std::string& name : implementations) {
    names.push_back("paid, " + plain(name, 40));
    names.emplace_back("95 % interval");
  }
  names.emplace_back("notes");
  print_head(out, names, 2);
  for (const PairGroup& group : pair_groups(summary)) {
    for (const TradeoffRow* row : group.rows) {
      std::vector<std::string> cells = {
          group.dense + " → " + group.moe + (group.about.empty() ? "" : ", " + group.about),
          plain(row->phase, 20),
          fmt::format("{}", row->batch),
          fmt::format("{}", row->context),
          times_text(row->promised),
          times_text(row->possible_layers)};
      std::string remarked;
      for (const std::string& name : implementations) {
        const PaidBy* by = find_paid(*row, name);
        cells.push_back(by ? times_text(by->paid->ratio) : "");
        cells.push_back(by ? interval_text(by->paid->interval) : "");
        if (by && by->remarked) remarked += (remarked.empty() ? "" : "; ") + plain(name, 40) + ": see its notes above";
      }
      cells.push_back(remarked);
      print_cells(out, cells);
    }
  }
}

void print_tradeoffs(std::string& out, const Summary& summary) {
  if (summary.tradeoffs.empty()) return;
  out += shows_layers_alone(summary)
             ? "\n### What sparsity saves: time of the dense model's layers / of the MoE's, without the head\n\n"
             : "\n### What sparsity saves: cost of the dense model / cost of the MoE\n\n";
  print_head(
      out, {"dense → MoE", "phase", "batch", "context", "promised", "possible", "paid", "95 % interval", "verdict"}, 2);
  std::string sentences;
  for (const PairGroup& group : pair_groups(summary)) {
    const std::string pair = group.dense + " → " + group.moe;
    for (const TradeoffRow* row : group.rows) {
      const Shown ours = shown(*row, summary);
      print_cells(out, {pair + (group.about.empty() ? "" : ", " + group.about), plain(row->phase, 20),
                        fmt::format("{}", row->batch), fmt::format("{}", row->context), times_text(row->promised),
                        times_text(ours.possible), ours.paid ? times_text(ours.paid->ratio) : "",
                        ours.paid ? interval_text(ours.paid->interval) : "",
                        ours.verdict ? std::string(to_string(*ours.verdict)) : "not measured: " + plain(ours.why)});
    }
    for (const std::string& crossover : group.crossovers) {
      sentences += fmt::format("- {}: {}\n", markdown_text(pair), markdown_text(crossover));
    }
  }
  if (!sentences.empty()) out += "\n" + sentences;
}

void print_depths(std::string& out, const Summary& summary) {
  if (summary.depths.empty()) return;
  out += "\n### Do layers add up? Time of a stack = overhead + depth × one layer\n\n";
  print_head(out, {"model", "layers", "phase", "batch", "overhead", "one layer", "residual", "adds up"}, 3);
  for (const DepthRow& row : summary.depths) {
    print_cells(out, {plain(row.model, 80), plain(row.kind, 60), plain(row.phase, 20), fmt::format("{}", row.batch),
                      row.fit ? time_text(row.fit->overhead_s) : "", row.fit ? time_text(row.fit->layer_s) : "",
                      row.fit ? percent_text(row.fit->residual) : "",
                      !row.fit || !row.fit->residual ? "too few depths"
                      : row.fit->additive()          ? "yes"
                                                     : "no, the sum is withheld"});
  }
}

}  // namespace

std::string markdown_text(std::string_view text) {
  constexpr std::string_view kMarkup = "\\`*_{}[]#!|~$";
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
      case '@':
        out += "&#64;";
        break;  // or GitHub notifies whoever has that name
      default:
        if (kMarkup.find(c) != std::string_view::npos) out += '\\';
        out += c;
    }
  }
  return out;
}

std::string render_markdown(std::span<const ResultFile> files, const ReportOptions&) {
  std::string out;
  for (const ResultFile& file : files) {
    if (!out.empty()) out += "\n---\n\n";
    const Summary summary = summarise(file);
    out += fmt::format("## What a token costs on {}\n\n", markdown_text(file.environment.device_name));
    print_named(out, head_lines(file, summary));
    for (const Block& block : blocks(file, summary)) print_block(out, block, summary, file.price.has_value());
    print_layers(out, summary);
    print_tradeoffs(out, summary);
    print_paid_layers(out, summary);
    print_depths(out, summary);
    if (const auto words = legend(file, summary); !words.empty()) {
      out += "\n### What the words mean\n\n";
      print_named(out, words);
    }
  }
  return out;
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/report/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/cost/summary.h"
#include "harness/report/text.h"
#include "harness/report/words.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

class Paint {
 public:
  explicit Paint(bool on) : on_(on) {}
  std::string strong(const std::string& text) const { return with("1", text); }
  std::string faint(const std::string& text) const { return with("2", text); }
  std::string alarm(const std::string& text) const { return with("31", text); }
  std::string caution(const std::string& text) const { return with("33", text); }

 private:
  std::string with(const char* code, const std::string& text) const {
    return on_ && text.find_first_not_of(' ') != std::string::npos ? fmt::format("\x1b[{}m{}\x1b[0m", code, text)
                                                                   : text;
  }
  bool on_;
};

constexpr std::size_t kTime = 7, kSpread = 6, kPossible = 8, kModelTime = 9, kRate = 8, kMoney = 8;
constexpr std::size_t kLayersMin = 12, kLayersMax = 24;

struct Columns {
  std::size_t batch = 5, layers = kLayersMin;
  bool money = false;
  std::size_t left() const { return 1 + batch + 2 + layers + 2 + kTime + 1 + kSpread + 1 + kPossible; }
  std::size_t right() const { return kModelTime + 1 + kSpread + 1 + kPossible + 1 + kRate + (money ? 1 + kMoney : 0); }
  std::size_t all() const { return left() + 3 + right(); }
};

std::string repeated(std::string_view piece, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += piece;
  return text;
}

std::string layers_text(const PartRow& part) {
  const std::string kind = plain(part.kind, 60);
  return part.count == 1 ? kind : fmt::format("{}× {}", part.count, kind);
}

Columns columns_for(const std::vector<Block>& all, bool money) {
  Columns columns;
  columns.money = money;
  for (const Block& block : all) {
    for (const ModelGroup& group : block.models) {
      for (const ModelRow* row : group.rows) {
        columns.batch = std::max(columns.batch, std::to_string(row->batch).size());
        for (const PartRow& part : row->parts)
          columns.layers = std::max(columns.layers, display_width(layers_text(part)));
      }
    }
  }
  columns.layers = std::min(columns.layers, kLayersMax);
  columns.layers -= columns.all() > kTableWidth ? std::min(columns.layers, columns.all() - kTableWidth) : 0;
  return columns;
}

std::string left_cells(const std::string& batch, const std::string& layers, const std::string& time,
                       const std::string& spread, const std::string& possible, const Columns& c) {
  return fmt::format(" {}  {}  {} {} {}", pad_left(batch, c.batch), pad_right(shorten(layers, c.layers), c.layers),
                     pad_left(time, kTime), pad_left(spread, kSpread), pad_left(possible, kPossible));
}

std::string right_cells(const std::string& time, const std::string& spread, const std::string& possible,
                        const std::string& rate, const std::string& money, const Columns& c) {
  std::string text = fmt::format("{} {} {} {}", pad_left(time, kModelTime), pad_left(spread, kSpread),
                                 pad_left(possible, kPossible), pad_left(rate, kRate));
  if (c.money) text += " " + pad_left(money, kMoney);
  return text;
}

void print_line(std::string& out, std::string line) {
  while (!line.empty() && line.back() == ' ') line.pop_back();
  out += line + "\n";
}

void print_named(std::string& out, const NamedText& line, std::size_t name_width, const Paint& paint) {
  const std::vector<std::string> texts = wrap(line.text, kTableWidth - name_width - 3);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    print_line(out, " " + paint.faint(pad_right(i == 0 ? line.name : "", name_width)) + "  " + texts[i]);
  }
}

void print_all_named(std::string& out, const std::vector<NamedText>& lines, const Paint& paint) {
  std::size_t width = 0;
  for (const NamedText& line : lines) width = std::max(width, display_width(line.name));
  for (const NamedText& line : lines) print_named(out, line, width, paint);
}

void print_row(std::string& out, const ModelRow& row, const Summary& summary, const Columns& c, const Paint& paint) {
  struct Note {
    std::string text;
    bool alarming = false;
  };
  std::vector<Note> right;
  const auto half = relative_half_width(row.time_s, row.time_interval);
  const bool has_numbers = row.time_s.has_value();
  for (const std::string& note : notes(row, summary)) {
    const bool alarming = row.outcome == Outcome::wrong || row.outcome == Outcome::failed || note == kDoesNotFit ||
                          note.find(text_of(Label::impossible).shown) != std::string::npos;
    for (std::string& line : wrap(note, c.right() - 2)) right.push_back({std::move(line), alarming});
  }
  const std::size_t first_note = has_numbers ? 1 : 0;
  const std::size_t lines = std::max({row.parts.size(), right.size() + first_note, std::size_t{1}});
  for (std::size_t i = 0; i < lines; ++i) {
    std::string left;
    const std::string batch = i == 0 ? fmt::format("{}", row.batch) : "";
    if (i >= row.parts.size()) {
      left = left_cells(batch, "", "", "", "", c);
    } else if (const PartRow& part = row.parts[i]; part.time_s) {
      left = left_cells(batch, layers_text(part), time_text(part.time_s, part.time_interval),
                        spread_text(part.time_s, part.time_interval), percent_text(part.possible_fraction), c);
    } else {
      const std::string state(text_of(part.outcome).shown);
      const std::size_t cells = kTime + 1 + kSpread + 1 + kPossible;
      const bool alarming = part.outcome == Outcome::wrong || part.outcome == Outcome::failed;
      left = fmt::format(" {}  {}  {}", pad_left(batch, c.batch),
                         pad_right(shorten(layers_text(part), c.layers), c.layers),
                         alarming ? paint.alarm(pad_left(state, cells)) : paint.caution(pad_left(state, cells)));
    }
    std::string beside;
    if (i == 0 && has_numbers) {
      beside = paint.strong(right_cells(time_text(row.time_s, row.time_interval),
                                        spread_text(row.time_s, row.time_interval), percent_text(row.possible_fraction),
                                        number_text(row.tokens_per_s, half), number_text(row.usd_per_mtok, half), c));
    } else if (const std::size_t n = i - first_note; i >= first_note && n < right.size()) {
      beside = "  " + (right[n].alarming ? paint.alarm(right[n].text) : paint.faint(right[n].text));
    }
    print_line(out, left + paint.faint(" │ ") + beside);
  }
}

void print_block(std::string& out, const Block& block, const Summary& summary, const Columns& c, const Paint& paint) {
  const bool decode = block.phase == "decode";
  print_line(out, "\n " + paint.strong(block.title) + "  " + block.about);
  const std::string ruler = repeated("─", c.left() + 1);
  print_line(out, paint.faint(ruler + "┬" + repeated("─", c.right() + 1)));
  const auto head = [&](const std::string& left, const std::string& right) {
    print_line(out, paint.faint(left) + paint.faint(" │ ") + paint.faint(right));
  };
  head(pad_left("one layer", 1 + c.batch + 2 + c.layers + 2 + kTime) + pad_left("% of", 1 + kSpread + 1 + kPossible),
       pad_right("whole model", kModelTime + 1 + kSpread + 1) + pad_left("% of", kPossible) + pad_left("", 1 + kRate) +
           (c.money ? pad_left("$ per", 1 + kMoney) : ""));
  head(
      left_cells("batch", "layers", "time", "±", "possible", c),
      right_cells(decode ? "per token" : "1st token", "±", "possible", "tokens/s", decode ? "Mtok out" : "Mtok in", c));
  print_line(out, paint.faint(ruler + "┼" + repeated("─", c.right() + 1)));
  for (const ModelGroup& group : block.models) {
    print_line(out, " " + paint.strong(shorten(group.model, 44)) + "  " +
                        paint.faint(shorten(group.facts,
                                            kTableWidth - 3 - std::min<std::size_t>(44, display_width(group.model)))));
    for (const ModelRow* row : group.rows) print_row(out, *row, summary, c, paint);
  }
}

// Promised is the whole bar: what is paid, what the software loses (up to possible), what the hardware loses.
std::string bar(std::optional<double> promised, const Shown& row, const Paint& paint) {
  constexpr std::size_t kBar = 14;
  if (!promised || !row.possible || !row.paid) return "";
  const auto cells = [&](double ratio) {
    return static_cast<std::size_t>(std::lround(std::clamp(ratio / *promised, 0.0, 1.0) * static_cast<double>(kBar)));
  };
  const std::size_t paid = cells(row.paid->ratio), possible = std::max(paid, cells(*row.possible));
  return paint.strong(repeated("█", paid)) + repeated("▒", possible - paid) +
         paint.faint(repeated("░", kBar - possible));
}

void print_tradeoffs(std::string& out, const Summary& summary, const Paint& paint) {
  if (summary.tradeoffs.empty()) return;
  print_line(out, "\n " + paint.strong("WHAT SPARSITY SAVES") +
                      (shows_layers_alone(summary)
                           ? "  time of the dense layers / of the MoE's, without the head: 2.0× means half"
                           : "  cost of the dense model / cost of the MoE: 2.0× means half the cost"));
  print_line(out, paint.faint(repeated("─", kTableWidth)));
  const auto cells = [&](const std::string& phase, const std::string& batch, const std::string& context,
                         const std::string& promised, const std::string& possible, const std::string& paid,
                         const std::string& interval, const std::string& verdict) {
    return fmt::format("   {} {} {} {} {} {}  {} {}  ", pad_right(shorten(phase, 8), 8), pad_left(shorten(batch, 6), 6),
                       pad_left(shorten(context, 8), 8), pad_left(promised, 9), pad_left(possible, 9),
                       pad_left(paid, 7), pad_right(shorten(interval, 14), 14), pad_right(verdict, 12));
  };
  print_line(out, paint.faint(cells("phase", "batch", "context", "promised", "possible", "paid", "95 % interval", "")));
  for (const PairGroup& group : pair_groups(summary)) {
    print_line(out, " " + paint.strong(shorten(group.dense + " → " + group.moe, 68)) + "  " +
                        paint.faint(shorten(group.about, 29)));
    for (const TradeoffRow* row : group.rows) {
      const Shown ours = shown(*row, summary);
      std::string interval;
      if (ours.paid && ours.paid->interval) {
        interval = fmt::format("{} to {}", digits(ours.paid->interval->low), digits(ours.paid->interval->high));
      }
      print_line(out, cells(plain(row->phase, 20), fmt::format("{}", row->batch), fmt::format("{}", row->context),
                            times_text(row->promised), times_text(ours.possible),
                            ours.paid ? times_text(ours.paid->ratio) : "", interval,
                            ours.verdict ? std::string(to_string(*ours.verdict)) : "not measured") +
                          bar(row->promised, ours, paint));
      if (!ours.paid && !ours.why.empty()) {
        for (const std::string& line : wrap(plain(ours.why), kTableWidth - 6))
          print_line(out, "      " + paint.faint(line));
      }
    }
    for (const std::string& crossover : group.crossovers) {
      for (const std::string& line : wrap(crossover, kTableWidth - 3)) print_line(out, "   " + line);
    }
  }
}

constexpr std::size_t kPhase = 7, kBatch = 6, kContext = 7;

std::string scenario_cells(const std::string& phase, const std::string& batch, const std::string& context) {
  return fmt::format("   {} {} {}", pad_right(shorten(phase, kPhase), kPhase), pad_left(shorten(batch, kBatch), kBatch),
                     pad_left(shorten(context, kContext), kContext));
}
template <typename Row>
std::string scenario_cells(const Row& row) {
  return scenario_cells(plain(row.phase, 20), fmt::format("{}", row.batch), fmt::format("{}", row.context));
}
constexpr std::size_t kScenario = 3 + kPhase + 1 + kBatch + 1 + kContext;

// As many programs side by side as the width allows, then the rest below in a table of the same form.
template <typename Item, typename Print>
void print_in_pieces(const std::vector<Item>& all, std::size_t together, const Print& print) {
  for (std::size_t at = 0; at < all.size(); at += together)
    print(std::span(all).subspan(at, std::min(together, all.size() - at)), at > 0);
}

void print_peer_rows(std::string& out, const Summary& summary, std::span<const Implementation> peers,
                     const Paint& paint) {
  constexpr std::size_t kOurTime = 9, kRatio = 8, kPeer = kOurTime + kRatio + 1 + kSpread;
  std::string names = pad_left("", kScenario) + pad_left(kOurName, 1 + kOurTime) + pad_left("% of", 1 + kPossible);
  std::string heads = scenario_cells("phase", "batch", "context") + pad_left("time", 1 + kOurTime) +
                      pad_left("possible", 1 + kPossible);
  std::string ruler = repeated("─", display_width(names) + 1);
  for (const Implementation& peer : peers) {
    names += " │" + pad_left(shorten(versioned(peer), kPeer), kPeer);
    heads += " │" + pad_left("time", kOurTime) + pad_left("× ours", kRatio) + pad_left("±", 1 + kSpread);
    ruler += "┬" + repeated("─", kPeer + 1);
  }
  print_line(out, paint.faint(ruler));
  print_line(out, paint.faint(names));
  print_line(out, paint.faint(heads));
  for (const LayersGroup& group : layers_groups(summary)) {
    const auto has_one = [&](const LayersRow* row) {
      return std::any_of(peers.begin(), peers.end(),
                         [&](const Implementation& peer) { return find_peer(*row, peer.name) != nullptr; });
    };
    if (std::none_of(group.rows.begin(), group.rows.end(), has_one)) continue;
    print_line(out, " " + paint.strong(shorten(group.model, 44)) + "  " + paint.faint(shorten(group.about, 52)));
    for (const LayersRow* row : group.rows) {
      std::string line = scenario_cells(*row);
      if (row->time_s) {
        line += pad_left(time_text(row->time_s, row->time_interval), 1 + kOurTime) +
                pad_left(percent_text(row->possible_fraction), 1 + kPossible);
      } else {
        line += paint.caution(pad_left(std::string(text_of(row->outcome).shown), 1 + kOurTime + 1 + kPossible));
      }
      for (const Implementation& implementation : peers) {
        line += paint.faint(" │");
        const PeerTime* peer = find_peer(*row, implementation.name);
        const std::string mark = peer && !peer->remark.empty() ? "*" : "";
        if (!peer) {
          line += pad_left("", kPeer);
        } else if (!peer->time_s) {
          line += paint.caution(pad_left("not measured" + mark, kPeer));
        } else {
          const auto ratio = peer->ratio ? std::optional(peer->ratio->ratio) : std::nullopt;
          line += pad_left(time_text(peer->time_s, peer->time_interval), kOurTime) +
                  paint.strong(pad_left((ratio ? ratio_text(*ratio) : "") + mark, kRatio)) +
                  pad_left(ratio ? spread_text(ratio, peer->ratio->interval) : "", 1 + kSpread);
        }
      }
      print_line(out, line);
    }
  }
}

void print_layers(std::string& out, const Summary& summary, const Paint& paint) {
  if (summary.layers.empty()) return;
  print_line(out, "\n " + paint.strong("THE SAME LAYERS IN OTHER PROGRAMS") +
                      "  one layer, in turns with ours: 1.30× ours takes 30 % longer");
  print_in_pieces(summary.peers, 2,
                  [&](std::span<const Implementation> peers, bool) { print_peer_rows(out, summary, peers, paint); });
  for (const std::string& remark : remarks(summary)) {
    const std::vector<std::string> lines = wrap(remark, kTableWidth - 5);
    for (std::size_t i = 0; i < lines.size(); ++i) print_line(out, (i == 0 ? "   * " : "     ") + lines[i]);
  }
}

void print_paid_rows(std::string& out, const Summary& summary, std::span<const std::string> names, const Paint& paint) {
  constexpr std::size_t kRatio = 9, kPaid = 8;
  std::string programs = pad_left("", kScenario + 2 * (1 + kRatio));
  std::string heads =
      scenario_cells("phase", "batch", "context") + pad_left("promised", 1 + kRatio) + pad_left("possible", 1 + kRatio);
  for (const std::string& name : names) {
    programs += "  " + pad_left(shorten(plain(name, 40), kPaid + 1 + kSpread), kPaid + 1 + kSpread);
    heads += "  " + pad_left("paid", kPaid - 1) + " " + pad_left("±", 1 + kSpread);
  }
  print_line(out, paint.faint(programs));
  print_line(out, paint.faint(heads));
  for (const PairGroup& group : pair_groups(summary)) {
    const auto has_one = [&](const TradeoffRow* row) {
      return std::any_of(names.begin(), names.end(),
                         [&](const std::string& name) { return find_paid(*row, name) != nullptr; });
    };
    if (std::none_of(group.rows.begin(), group.rows.end(), has_one)) continue;
    print_line(out, " " + paint.strong(shorten(group.dense + " → " + group.moe, 68)) + "  " +
                        paint.faint(shorten(group.about, 29)));
    for (const TradeoffRow* row : group.rows) {
      std::string line = scenario_cells(*row) + pad_left(times_text(row->promised), 1 + kRatio) +
                         pad_left(times_text(row->possible_layers), 1 + kRatio);
      for (const std::string& name : names) {
        const PaidBy* by = find_paid(*row, name);
        const auto ratio = by ? std::optional(by->paid->ratio) : std::nullopt;
        line += "  " + paint.strong(pad_left(times_text(ratio), kPaid - 1) + (by && by->remarked ? "*" : " ")) +
                pad_left(by ? spread_text(ratio, by->paid->interval) : "", 1 + kSpread);
      }
      print_line(out, line);
    }
  }
}

void print_paid_layers(std::string& out, const Summary& summary, const Paint& paint) {
  const std::vector<std::string> names = paid_implementations(summary);
  if (names.empty()) return;
  print_line(out, "\n " + paint.strong("WHAT SPARSITY SAVES IN EACH PROGRAM") +
                      "  the layers alone, without the head: peers measure layers");
  print_line(out, paint.faint(repeated("─", kTableWidth)));
  print_in_pieces(names, 3, [&](std::span<const std::string> piece, bool further) {
    if (further) print_line(out, "");
    print_paid_rows(out, summary, piece, paint);
  });
}

void print_depths(std::string& out, const Summary& summary, const Paint& paint) {
  if (summary.depths.empty()) return;
  print_line(out, "\n " + paint.strong("DO LAYERS ADD UP?") + "  time of a stack = overhead + depth × one layer");
  print_line(out, paint.faint(repeated("─", kTableWidth)));
  for (const DepthRow& row : summary.depths) {
    std::string text = "too few depths";
    if (row.fit) {
      text = fmt::format("{} + depth × {} · {}", time_text(row.fit->overhead_s), time_text(row.fit->layer_s),
                         row.fit->residual ? fmt::format("residual {}: {}", percent_text(row.fit->residual),
                                                         row.fit->additive() ? "yes" : "NO, sum withheld")
                                           : "two depths fit any line");
    }
    print_line(out, "   " +
                        pad_right(shorten(fmt::format("{}, {}, {}, batch {}", plain(row.model, 60), plain(row.kind, 40),
                                                      plain(row.phase, 20), row.batch),
                                          46),
                                  46) +
                        "  " + shorten(text, kTableWidth - 51));
  }
}

}  // namespace

std::string render_table(std::span<const ResultFile> files, const ReportOptions& options) {
  const Paint paint(options.colour);
  std::string out;
  for (const ResultFile& file : files) {
    if (!out.empty()) out += "\n\n";
    const Summary summary = summarise(file);
    const std::vector<Block> all = blocks(file, summary);
    const Columns columns = columns_for(all, file.price.has_value());
    print_all_named(out, head_lines(file, summary), paint);
    for (const Block& block : all) print_block(out, block, summary, columns, paint);
    print_layers(out, summary, paint);
    print_tradeoffs(out, summary, paint);
    print_paid_layers(out, summary, paint);
    print_depths(out, summary, paint);
    std::vector<NamedText> words = legend(file, summary);
    if (!summary.tradeoffs.empty())
      words.push_back({"█ ▒ ░", "of the promise: paid, lost to the software, lost to the hardware."});
    if (!words.empty()) {
      out += "\n";
      print_all_named(out, words, paint);
    }
  }
  return out;
}

}  // namespace layercost

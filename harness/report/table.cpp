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
std::string bar(const TradeoffRow& row, const Paint& paint) {
  constexpr std::size_t kBar = 14;
  if (!row.promised || !row.possible || !row.paid) return "";
  const auto cells = [&](double ratio) {
    return static_cast<std::size_t>(
        std::lround(std::clamp(ratio / *row.promised, 0.0, 1.0) * static_cast<double>(kBar)));
  };
  const std::size_t paid = cells(row.paid->ratio), possible = std::max(paid, cells(*row.possible));
  return paint.strong(repeated("█", paid)) + repeated("▒", possible - paid) +
         paint.faint(repeated("░", kBar - possible));
}

void print_tradeoffs(std::string& out, const Summary& summary, const Paint& paint) {
  if (summary.tradeoffs.empty()) return;
  print_line(out, "\n " + paint.strong("WHAT SPARSITY SAVES") +
                      "  cost of the dense model / cost of the MoE: 2.0× means half the cost");
  print_line(out, paint.faint(repeated("─", kTableWidth)));
  const auto cells = [&](const std::string& phase, const std::string& batch, const std::string& context,
                         const std::string& promised, const std::string& possible, const std::string& paid,
                         const std::string& interval, const std::string& verdict) {
    return fmt::format("   {} {} {} {} {} {}  {} {}  ", pad_right(shorten(phase, 8), 8), pad_left(shorten(batch, 6), 6),
                       pad_left(shorten(context, 8), 8), pad_left(promised, 9), pad_left(possible, 9),
                       pad_left(paid, 7), pad_right(shorten(interval, 14), 14), pad_right(verdict, 12));
  };
  print_line(out, paint.faint(cells("phase", "batch", "context", "promised", "possible", "paid", "95 % interval", "")));
  const auto times = [](std::optional<double> ratio) { return ratio ? digits(*ratio, *ratio < 10 ? 2 : 3) + "×" : ""; };
  for (const PairGroup& group : pair_groups(summary)) {
    print_line(out, " " + paint.strong(shorten(group.dense + " → " + group.moe, 68)) + "  " +
                        paint.faint(shorten(group.about, 29)));
    for (const TradeoffRow* row : group.rows) {
      std::string interval;
      if (row->paid && row->paid->interval) {
        interval = fmt::format("{} to {}", digits(row->paid->interval->low), digits(row->paid->interval->high));
      }
      print_line(out, cells(plain(row->phase, 20), fmt::format("{}", row->batch), fmt::format("{}", row->context),
                            times(row->promised), times(row->possible), row->paid ? times(row->paid->ratio) : "",
                            interval, row->verdict ? std::string(to_string(*row->verdict)) : "not measured") +
                          bar(*row, paint));
      if (!row->paid && !row->why.empty()) {
        for (const std::string& line : wrap(plain(row->why), kTableWidth - 6))
          print_line(out, "      " + paint.faint(line));
      }
    }
    for (const std::string& crossover : group.crossovers) {
      for (const std::string& line : wrap(crossover, kTableWidth - 3)) print_line(out, "   " + line);
    }
  }
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
    print_tradeoffs(out, summary, paint);
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

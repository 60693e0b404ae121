// What a run says in one sentence: which model, how much cheaper, up to which batch, at what price, how sure.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"
#include "harness/spec/part_name.h"

namespace layercost {
namespace {

// "9.4 times less", of a ratio dense / MoE; with as many digits as its interval deserves.
std::string times_less(const Ratio& paid) {
  const bool less = paid.ratio >= 1;
  return fmt::format("{} times {}",
                     number_text(less ? paid.ratio : 1 / paid.ratio, relative_half_width(paid.ratio, paid.interval)),
                     less ? "less" : "more");
}

// " (8.28 to 10.7)", turned as times_less() turns the ratio.
std::string sure_text(const Ratio& paid) {
  if (!paid.interval) return "";
  const bool less = paid.ratio >= 1;
  return fmt::format(" ({} to {})", digits(less ? paid.interval->low : 1 / paid.interval->high),
                     digits(less ? paid.interval->high : 1 / paid.interval->low));
}

// "1.2 times less than of qwen3-4b at batch 1 (1.1 to 1.3)"; `dense`: "" once it is said.
std::string clause(const TradeoffRow& row, const std::string& dense) {
  const bool as_much = row.verdict == Payoff::same || row.verdict == Payoff::cannot_tell;
  std::string what = !as_much ? times_less(*row.paid) : row.verdict == Payoff::same ? "as much" : "about as much";
  if (!dense.empty()) what += fmt::format(" {} of {}", as_much ? "as" : "than", dense);
  const bool unsure = row.verdict == Payoff::cannot_tell && row.paid->interval;
  return fmt::format("{} at batch {}{}{}", what, row.batch, sure_text(*row.paid), unsure ? ", too close to call" : "");
}

// Of one pair in one phase, by batch; those without a ratio last.
using PairRows = std::vector<const TradeoffRow*>;

std::string pair_text(const PairRows& rows, const std::vector<Crossover>& crossovers) {
  const TradeoffRow& first = *rows.front();
  std::string text = clause(first, plain(first.dense, 80));
  const auto last = std::find_if(rows.rbegin(), rows.rend(), [](const TradeoffRow* r) { return r->paid.has_value(); });
  if (*last == &first) return text;
  text += ", " + clause(**last, "");
  for (const Crossover& c : crossovers) {
    if (c.dense != first.dense || c.moe != first.moe || !same_except(c.of, first, {Member::batch})) continue;
    if (c.kind == CrossoverKind::between) text += fmt::format(": cheaper up to batch {}", digits(*c.batch, 2));
    if (c.kind == CrossoverKind::not_reached) text += ", the largest measured";
    if (c.kind == CrossoverKind::from_smallest) text += ": cheaper at none";
  }
  return text;
}

const ModelRow* point_of(const ScenarioRecord& scenario, const Summary& summary) {
  const auto found = std::find_if(summary.models.begin(), summary.models.end(),
                                  [&](const ModelRow& row) { return same_scenario(row, scenario); });
  return found == summary.models.end() ? nullptr : &*found;
}

// "21.0 to 11.4 USD a million, at 0.389 USD per hour": at the smallest batch and at the largest.
std::string money_text(const std::vector<const ModelRow*>& points, const ResultFile& file) {
  std::vector<std::string> costs;
  for (const ModelRow* point : points)
    if (point != nullptr && point->usd_per_mtok) costs.push_back(digits(*point->usd_per_mtok));
  if (costs.empty()) return "";
  const std::vector<PriceLabel>& labels = file.price->labels;
  if (std::find(labels.begin(), labels.end(), PriceLabel::promotional) != labels.end())
    return "no money here: a promotional price is no headline";  // C12
  std::string doubts;
  for (const PriceLabel label : file.price->labels)
    doubts += (doubts.empty() ? " (" : ", ") + std::string(text_of(label).shown);
  // Every hour used is the floor (C5): what less use makes of it belongs beside it.
  const double use = file.price->utilisation.value_or(1);
  return fmt::format("{}{} USD a million, at {} USD per hour{}, {} of it used; twice that at half the use",
                     costs.front(), costs.size() > 1 ? " to " + costs.back() : "", digits(file.price->usd_per_hour),
                     doubts.empty() ? "" : doubts + ")", use == 1 ? "all" : percent_text(use));
}

std::string unfit_text(const std::vector<const ModelRow*>& points) {
  const bool none =
      std::any_of(points.begin(), points.end(), [](const ModelRow* p) { return p != nullptr && p->fits && !*p->fits; });
  return none ? " (hypothetical: it does not fit here)" : "";
}

std::string token_of(const std::string& phase) { return phase == "decode" ? "a new token of " : "a prompt token of "; }

// One sentence for each mixture of experts: decode where it was measured, at the first context and types.
std::vector<std::string> pair_sentences(const ResultFile& file, const Summary& summary) {
  const bool layers_alone = shows_layers_alone(summary);
  std::vector<TradeoffRow> all = layers_alone ? of_layers_alone(summary.tradeoffs) : summary.tradeoffs;
  std::erase_if(all, [](const TradeoffRow& row) { return !split_changes(row.dense).changes.empty(); });
  std::vector<std::string> sentences, moes;
  for (const TradeoffRow& row : all)
    if (std::find(moes.begin(), moes.end(), row.moe) == moes.end()) moes.push_back(row.moe);
  for (const std::string& moe : moes) {
    const auto of_moe = [&](const TradeoffRow& row) { return row.moe == moe; };
    const auto decode = std::find_if(all.begin(), all.end(),
                                     [&](const TradeoffRow& row) { return of_moe(row) && row.phase == "decode"; });
    const TradeoffRow& lead = decode != all.end() ? *decode : *std::find_if(all.begin(), all.end(), of_moe);
    std::vector<PairRows> pairs;
    for (const TradeoffRow& row : all) {
      if (!of_moe(row) || !same_except(row, lead, {Member::batch})) continue;
      const auto pair =
          std::find_if(pairs.begin(), pairs.end(), [&](const PairRows& p) { return p.front()->dense == row.dense; });
      if (pair == pairs.end()) pairs.push_back({&row});
      else pair->push_back(&row);
    }
    std::vector<std::string> parts, unsaid;
    for (PairRows& rows : pairs) {
      std::stable_sort(rows.begin(), rows.end(), [](const TradeoffRow* a, const TradeoffRow* b) {
        return std::pair(!a->paid, a->batch) < std::pair(!b->paid, b->batch);
      });
      const TradeoffRow& first = *rows.front();
      if (first.paid) parts.push_back(pair_text(rows, layers_alone ? summary.layers_crossovers : summary.crossovers));
      else
        unsaid.push_back(fmt::format("nothing can be said of {} against {}: {}", plain(moe, 80), plain(first.dense, 80),
                                     plain(first.why, 200)));
    }
    if (parts.empty()) {
      sentences.push_back(joined(unsaid, "; "));
      continue;
    }
    std::vector<const ModelRow*> points;
    for (const TradeoffRow* row : pairs.front()) points.push_back(point_of(*row, summary));
    parts.front() = fmt::format("{}{}{} costs{} {}", token_of(lead.phase), plain(moe, 80), unfit_text(points),
                                layers_alone ? ", in its layers alone," : "", parts.front());
    parts.push_back(money_text(points, file));
    parts.insert(parts.end(), unsaid.begin(), unsaid.end());
    sentences.push_back(joined(parts, "; "));
  }
  return sentences;
}

double level_of(const Isoline& line) { return line.kind == CrossoverKind::not_reached ? INFINITY : line.q.value_or(0); }

// "one of more than 2.1 times as many (1.5 to 3.3) at batch 8"; "perhaps" where that is not sure.
std::string isoline_clause(const TwinRow& row) {
  const Isoline& line = *row.isoline;
  if (line.kind == CrossoverKind::not_reached)
    return fmt::format("not even one of {} times as many at batch {}", digits(line.above), row.batch);
  if (line.q)
    return fmt::format(
        "{}one of more than {} times as many{} at batch {}", line.interval ? "" : "perhaps ", digits(*line.q, 2),
        line.interval ? fmt::format(" ({} to {})", digits(line.interval->low), digits(line.interval->high)) : "",
        row.batch);
  const auto smallest = std::find_if(row.sizes.begin(), row.sizes.end(), [](const TwinSize& s) { return s.paid; });
  const bool sure = smallest != row.sizes.end() && smallest->verdict == Payoff::cheaper;
  return fmt::format("{}one of {} times as many already at batch {}", sure ? "" : "perhaps ", digits(line.below, 2),
                     row.batch);
}

// Of each mixture against its twins, where decode was measured first: at the smallest and the largest batch, and where
// the isoline is highest.
std::vector<std::string> twin_sentences(const Summary& summary) {
  std::vector<std::string> sentences, moes;
  for (const TwinRow& row : summary.twins)
    if (std::find(moes.begin(), moes.end(), row.model) == moes.end()) moes.push_back(row.model);
  for (const std::string& moe : moes) {
    std::vector<const TwinRow*> rows;
    for (const TwinRow& row : summary.twins)
      if (row.model == moe && row.isoline && (rows.empty() || same_except(row, *rows.front(), {Member::batch})))
        rows.push_back(&row);
      else if (row.model == moe && row.isoline && row.phase == "decode" && rows.front()->phase != "decode")
        rows = {&row};
    if (rows.empty()) continue;
    std::stable_sort(rows.begin(), rows.end(), [](const TwinRow* a, const TwinRow* b) { return a->batch < b->batch; });
    std::vector<const TwinRow*> told = {rows.front()};
    const auto highest = std::max_element(rows.begin(), rows.end(), [](const TwinRow* a, const TwinRow* b) {
      return level_of(*a->isoline) < level_of(*b->isoline);
    });
    if (*highest != rows.front() && *highest != rows.back()) told.push_back(*highest);
    if (rows.size() > 1) told.push_back(rows.back());
    std::vector<std::string> parts;
    for (const TwinRow* row : told) parts.push_back(isoline_clause(*row));
    sentences.push_back(
        fmt::format("{} against dense models alike, by their active parameters ({}, context {}): it "
                    "costs less than {}",
                    plain(moe, 80), plain(rows.front()->phase, 20), rows.front()->context, joined(parts, ", ")));
  }
  return sentences;
}

std::string steps_unfit_text(const std::vector<const ModelRow*>& points) {
  return unfit_text(points).empty() ? "" : " (hypothetical: not every step fits here)";
}

// Of each model's first ladder: "a new token of m costs 9.4 times less than of a dense model as large with keys for
// every head: attention 1.3, experts 8.1".
std::vector<std::string> lever_sentences(const Summary& summary) {
  std::vector<std::string> sentences, models;
  for (const LadderRow& row : summary.ladders) {
    if (std::find(models.begin(), models.end(), row.model) != models.end()) continue;
    const LeverStep& last = row.steps.back();
    if (!last.in_all || !last.in_all->paid) continue;
    models.push_back(row.model);
    std::vector<std::string> factors;
    for (const LeverStep& step : row.steps)
      if (step.factor)
        factors.push_back(step.lever + " " +
                          (step.factor->paid ? times_text(step.factor->paid->ratio) : "not measured"));
    std::vector<const ModelRow*> points;
    for (const LeverStep& step : row.steps) points.push_back(&summary.models.at(step.point));
    sentences.push_back(fmt::format("{}{}{}, {}, costs {}{} than where its levers start: {}", token_of(row.phase),
                                    plain(row.model, 80), steps_unfit_text(points), step_text(row),
                                    times_less(*last.in_all->paid), sure_text(*last.in_all->paid),
                                    plain(joined(factors, ", "), 200)));
  }
  return sentences;
}

// Without a pair: what a token of each model takes and costs, at its smallest and largest batch.
std::vector<std::string> model_sentences(const ResultFile& file, const Summary& summary) {
  constexpr std::size_t kMostModels = 4;
  std::vector<std::string> sentences;
  std::vector<std::pair<std::string, std::vector<const ModelRow*>>> models;
  for (const ModelRow& row : summary.models) {
    if (!row.time_s) continue;
    auto model = std::find_if(models.begin(), models.end(), [&](const auto& m) { return m.first == row.model; });
    if (model == models.end()) model = models.insert(models.end(), {row.model, {}});
    const ScenarioRecord& lead = model->second.empty() ? row : *model->second.front();
    if (same_except(row, lead, {Member::batch})) model->second.push_back(&row);
    else if (row.phase == "decode" && lead.phase != "decode") model->second = {&row};
  }
  if (models.size() > kMostModels) models.resize(kMostModels);
  for (const auto& [name, points] : models) {
    const ModelRow& first = *points.front();
    std::string text =
        fmt::format("{}{}{} takes {}{} at batch {}", first.phase == "decode" ? "a new token of " : "the prompt of ",
                    plain(name, 80), unfit_text(points), time_text(first.time_s, first.time_interval),
                    first.time_interval ? " " + spread_text(first.time_s, first.time_interval) : "", first.batch);
    if (first.possible_fraction)
      text += fmt::format(", {} of what this machine can do", percent_text(first.possible_fraction));
    sentences.push_back(joined({text, money_text(points, file)}, "; "));
  }
  return sentences;
}

// "pytorch takes 1.2 to 2.4 times as long as layercost".
std::string peers_sentence(const Summary& summary) {
  std::vector<std::string> parts;
  for (const Implementation& peer : summary.peers) {
    std::vector<double> ratios;
    for (const LayersRow& row : summary.layers)
      for (const PeerTime& time : row.peers)
        if (time.implementation == peer.name && time.ratio) ratios.push_back(time.ratio->ratio);
    if (ratios.empty()) continue;
    const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
    parts.push_back(fmt::format("{} takes {}{} times as long as layercost for a layer", plain(peer.name, 40),
                                digits(*least, 2), *least == *most ? "" : " to " + digits(*most, 2)));
  }
  return joined(parts, "; ");
}

// Of the whole model, else of our layers.
const Ratio* paid_of(const FormatRow& row) {
  if (row.paid) return &*row.paid;
  return !row.layers.empty() && row.layers.front().paid ? &*row.layers.front().paid : nullptr;
}

// The format that saves most at the smallest batch of each model: "q4_k costs 2.6 times less than bf16 (2.5 to 2.7)",
// and those that may save as much.
std::vector<std::string> format_sentences(const Summary& summary) {
  std::vector<std::string> sentences, models;
  for (const FormatRow& row : summary.formats)
    if (std::find(models.begin(), models.end(), row.model) == models.end()) models.push_back(row.model);
  for (const std::string& model : models) {
    const FormatRow* lead = nullptr;
    for (const FormatRow& row : summary.formats) {
      const Ratio* paid = paid_of(row);
      if (row.model != model || paid == nullptr) continue;
      if (lead == nullptr || (same_except(row, *lead, {Member::weight_type}) && paid->ratio > paid_of(*lead)->ratio))
        lead = &row;
    }
    if (lead == nullptr) continue;
    const Ratio& paid = *paid_of(*lead);
    std::vector<std::string> level;  // their intervals meet the first one's
    for (const FormatRow& row : summary.formats) {
      const Ratio* other = paid_of(row);
      if (&row != lead && other != nullptr && same_except(row, *lead, {Member::weight_type}) && other->interval &&
          paid.interval && other->interval->high >= paid.interval->low)
        level.push_back(plain(row.weight_type, 20));
    }
    const bool sure = paid.interval && paid.interval->low > 1 && level.empty();
    sentences.push_back(fmt::format("of the formats {} {} the cheapest for {}{}{} ({}): {}{} than {}{}",
                                    plain(lead->weight_type, 20), sure ? "is" : "may be", plain(model, 80),
                                    unfit_text(both_points(*lead, summary)), lead->paid ? "" : " in its layers alone",
                                    step_text(*lead), times_less(paid), sure_text(paid), plain(lead->base, 20),
                                    level.empty() ? "" : "; not told apart from " + joined(level, ", ")));
  }
  return sentences;
}

// "PRELIMINARY: 3 rounds, 10 make it worth quoting".
std::string sure_sentence(const ResultFile& file, const Summary& summary) {
  std::int64_t fewest = INT64_MAX;
  for (const ModelRow& row : summary.models)
    for (const PartRow& part : row.parts)
      if (part.time_s) fewest = std::min(fewest, part.rounds);
  if (fewest == INT64_MAX) return "";
  std::string text = fmt::format("{} round{}", fewest, fewest == 1 ? "" : "s");
  if (fewest == 1) text = "PRELIMINARY: 1 round, which says nothing of how sure that is";
  else if (fewest < kRoundsForHeadline)
    text = fmt::format("PRELIMINARY: {}, {} make it worth quoting", text, kRoundsForHeadline);
  else if (use_of(Label::preliminary, summary).rows > 0) text = "PRELIMINARY: " + text + " of few samples";
  return text + (file.complete ? "" : "; INCOMPLETE");
}

}  // namespace

Section verdict_section(const ResultFile& file, const Summary& summary, const View&) {
  std::vector<std::string> sentences;
  if (!summary.tradeoffs.empty()) sentences = pair_sentences(file, summary);
  for (std::string& sentence : twin_sentences(summary)) sentences.push_back(std::move(sentence));
  for (std::string& sentence : lever_sentences(summary)) sentences.push_back(std::move(sentence));
  if (summary.tradeoffs.empty() && summary.formats.empty() && summary.ladders.empty())
    sentences = model_sentences(file, summary);
  for (std::string& sentence : format_sentences(summary)) sentences.push_back(std::move(sentence));
  sentences.push_back(peers_sentence(summary));
  std::erase(sentences, "");
  Section section;
  if (sentences.empty()) return section;
  if (const std::string sure = sure_sentence(file, summary); !sure.empty()) sentences.push_back(sure);
  sentences.front()[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(sentences.front()[0])));
  section.title = "Verdict";
  section.leads = 2;
  section.items.push_back({"verdict", joined(sentences, "; ") + "."});
  return section;
}

}  // namespace layercost

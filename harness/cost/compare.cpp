// SPDX-License-Identifier: Apache-2.0
#include "harness/cost/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <stdexcept>
#include <utility>

#include "harness/result/identity.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

// A point of a file, and what is asked of it again and again.
struct Found {
  std::size_t file = 0, point = 0;
  const ResultFile* from = nullptr;
  const PointRecord* record = nullptr;
  const ModelRow* row = nullptr;
};

const ModelRecord* model_of(const Found& f) {
  for (const ModelRecord& m : f.from->models)
    if (m.name == f.record->model) return &m;
  return nullptr;
}

std::map<std::string, double> flops_by_kind(const PointRecord& point) {
  std::map<std::string, double> flops;
  for (const PartRecord& part : point.parts)
    for (const OpRecord& op : part.ops) flops[part.kind] += op.flops;
  return flops;
}

std::optional<Difference> flops_difference(const Found& a, const Found& b) {
  const auto first = flops_by_kind(*a.record), second = flops_by_kind(*b.record);
  for (const auto& [kind, flops] : first) {
    const auto other = second.find(kind);
    if (other != second.end() && std::abs(flops - other->second) > 1e-9 * std::max(flops, other->second))
      return Difference{fmt::format("FLOPs of a layer of '{}'", kind), fmt::format("{}", flops),
                        fmt::format("{}", other->second)};
  }
  return std::nullopt;
}

// Layers are told apart by kind: a kind that only one of them has is other work.
std::optional<Difference> kinds_difference(const Found& a, const Found& b) {
  const auto text = [](const PointRecord& p) {
    std::vector<std::string> kinds;
    for (const PartRecord& part : p.parts)
      if (part.kind != "head") kinds.push_back(fmt::format("{} x {}", part.count, part.kind));
    std::sort(kinds.begin(), kinds.end());
    std::string all;
    for (const std::string& kind : kinds) all += (all.empty() ? "" : ", ") + kind;
    return all;
  };
  const std::string first = text(*a.record), second = text(*b.record);
  return first == second ? std::nullopt : std::optional(Difference{"layers", first, second});
}

bool digests_differ(const ModelRecord& a, const ModelRecord& b) {
  return !a.digest.empty() && !b.digest.empty() && a.digest != b.digest;
}

// Why two points of one scenario are not the same work.
std::optional<Difference> work_difference(const Found& a, const Found& b) {
  const ModelRecord* first = model_of(a);
  const ModelRecord* second = model_of(b);
  if (first == nullptr || second == nullptr) return Difference{"model", "described", "not described in its file"};
  ModelRecord other = *second;
  if (build_difference(*a.from, *b.from)) other.digest.clear();  // of two builds
  if (const auto difference = model_difference(*first, other)) return difference;
  if (const auto difference = kinds_difference(a, b)) return difference;
  return flops_difference(a, b);
}

std::vector<double> times_of(const Found& f, const std::string& kind) {
  std::vector<RoundMedian> rounds;
  if (kind.empty()) {
    rounds = composed_rounds(*f.record);
  } else {
    for (const PartRecord& part : f.record->parts)
      if (part.kind == kind && is_timed(part)) rounds = round_medians(part.rounds);
  }
  std::vector<double> times;
  for (const RoundMedian& round : rounds) times.push_back(round.time_s);
  return times;
}

// What has to be the same about prices for their costs to be held against each other; "" if it is.
std::string price_trouble(const ResultFile& a, const ResultFile& b) {
  if (!a.price || !b.price)
    return fmt::format("no price in {}", !a.price && !b.price ? "either file" : !b.price ? "this file" : "the base");
  for (const PriceRecord* price : {&*a.price, &*b.price})
    if (price->retrieved_at.empty() && price->model != "command line")
      return fmt::format("price.retrieved_at: the price '{}' is undated", price->id);
  if (a.price->model != b.price->model)
    return fmt::format("price.model: {} here, {} in the base", b.price->model, a.price->model);
  return "";
}

double hourly(const PriceRecord& price) { return price.usd_per_hour / price.utilisation.value_or(1); }

std::string unusable_because(const CostRow& row) {
  if (!row.time_s) return row.why.empty() ? std::string(text_of(row.outcome).shown) : row.why;
  for (const Label label : row.labels)
    if (is_unusable(label)) return std::string(text_of(label).shown) + ": " + std::string(text_of(label).meaning);
  return "";
}

struct Measured {
  std::string trouble;  // why it has no verdict
  Moments logs;
};

void judge(ComparedSide& side, const Measured& mine, const ComparedSide& base, const Measured& of_base, double band,
           std::span<const ResultFile> files) {
  if (side.time_s && base.time_s) side.time_ratio = unpaired_ratio(mine.logs, of_base.logs);
  side.why_no_cost = price_trouble(files[base.file], files[side.file]);
  if (side.time_ratio && side.why_no_cost.empty()) {
    const double factor = hourly(*files[side.file].price) / hourly(*files[base.file].price);
    side.cost_ratio = Ratio{side.time_ratio->ratio * factor, std::nullopt, side.time_ratio->rounds};
    if (const auto& of_time = side.time_ratio->interval)
      side.cost_ratio->interval = Interval{of_time->low * factor, of_time->high * factor};
  }
  side.why_no_verdict = !mine.trouble.empty() ? mine.trouble
                        : !of_base.trouble.empty()
                            ? fmt::format("{}, the base, has {}", file_letter(base.file), of_base.trouble)
                            : "";
  if (!side.why_no_verdict.empty() || !side.time_ratio) return;
  const auto verdict = [&](const Ratio& ratio) {
    return ratio.interval ? compare_times(*ratio.interval, band) : Comparison::inconclusive;
  };
  side.verdict = verdict(*side.time_ratio);
  if (side.cost_ratio) side.cost_verdict = verdict(*side.cost_ratio);
}

void rank(ComparedWork& work, const std::vector<Measured>& measured, double band) {
  std::map<std::int64_t, std::int64_t> holders;
  for (std::size_t i = 0; i < work.sides.size(); ++i) {
    if (!measured[i].trouble.empty() || measured[i].logs.count == 0) continue;
    std::int64_t faster = 0;
    for (std::size_t j = 0; j < work.sides.size(); ++j) {
      if (i == j || !measured[j].trouble.empty() || measured[j].logs.count == 0) continue;
      const auto ratio = unpaired_ratio(measured[j].logs, measured[i].logs);
      faster += ratio->interval && compare_times(*ratio->interval, band) == Comparison::faster;
    }
    work.sides[i].rank = faster + 1;
    ++holders[faster + 1];
  }
  for (ComparedSide& side : work.sides) side.tied = side.rank && holders[*side.rank] > 1;
}

std::string note_of(const Found& base, const Found& side) {
  std::string note = side.row->note;
  if (digests_differ(*model_of(base), *model_of(side)))
    note += std::string(note.empty() ? "" : "; ") + "digests differ, as those of two builds may; FLOPs are the same";
  return note;
}

// `alike`: the base first.
ComparedWork compare_work(const std::vector<Found>& alike, const std::string& kind, double band,
                          std::span<const ResultFile> files) {
  ComparedWork work{without(*alike.front().record, {Member::device}), kind, 0, {}};
  std::vector<Measured> measured;
  for (const Found& f : alike) {
    ComparedSide side;
    if (kind.empty()) {
      static_cast<CostRow&>(side) = *f.row;
    } else {
      for (const PartRow& part : f.row->parts)
        if (part.kind == kind) {
          static_cast<CostRow&>(side) = part;
          work.count = part.count;
        }
    }
    side.file = f.file;
    side.point = f.point;
    side.note = note_of(alike.front(), f);
    measured.push_back({unusable_because(side), side.time_s ? log_moments(times_of(f, kind)) : Moments{}});
    work.sides.push_back(std::move(side));
  }
  for (std::size_t i = 1; i < work.sides.size(); ++i)
    judge(work.sides[i], measured[i], work.sides[0], measured[0], band, files);
  rank(work, measured, band);
  return work;
}

void add_works(CompareReport& report, const std::vector<Found>& alike, std::span<const ResultFile> files) {
  report.works.push_back(compare_work(alike, "", report.band, files));
  for (const PartRow& part : alike.front().row->parts)
    report.works.push_back(compare_work(alike, part.kind, report.band, files));
}

struct Lone {
  ScenarioRecord of;
  std::vector<Found> found;
  std::optional<Difference> difference;  // from the first of `beside`; none: no other file has the scenario
  const Found* beside = nullptr;
};

std::string named(const ScenarioRecord& scenario) { return to_text(without(scenario, {Member::device})); }

// The scenario of another file that differs in the fewest members, the model weighing most.
std::string nearest_to(const Lone& lone, const std::map<ScenarioRecord, std::vector<Found>>& all, std::string& why) {
  std::size_t least = SIZE_MAX;
  std::string nearest;
  std::vector<Difference> differences;
  for (const auto& [of, found] : all) {
    const auto elsewhere = std::find_if(found.begin(), found.end(), [&](const Found& f) {
      return std::none_of(lone.found.begin(), lone.found.end(), [&](const Found& mine) { return mine.file == f.file; });
    });
    if (of == lone.of || elsewhere == found.end()) continue;
    std::vector<Difference> now = scenario_differences(lone.of, of);
    const std::size_t distance = now.size() + (of.model == lone.of.model ? 0 : 100);
    if (distance >= least) continue;
    least = distance;
    differences = std::move(now);
    nearest = fmt::format("{} of {}", named(of), file_letter(elsewhere->file));
  }
  if (least == SIZE_MAX) {
    why = "no other file has a point";
  } else if (least >= 100) {
    why = fmt::format("no other file has the model '{}'", lone.of.model);
    nearest.clear();
  } else {
    why = "";
    for (const Difference& d : differences)
      why += fmt::format("{}{}: {} here, {} there", why.empty() ? "" : "; ", d.member, d.first, d.second);
  }
  return nearest;
}

NotCompared refuse(const Lone& lone, const std::map<ScenarioRecord, std::vector<Found>>& all) {
  NotCompared refused{lone.of, {}, "", ""};
  for (const Found& f : lone.found) refused.where.emplace_back(f.file, f.point);
  if (lone.difference) {
    refused.why = fmt::format("{}: {} here, {} in {}", lone.difference->member, lone.difference->second,
                              lone.difference->first, file_letter(lone.beside->file));
    refused.nearest = fmt::format("{} of {}", named(lone.of), file_letter(lone.beside->file));
  } else {
    refused.nearest = nearest_to(lone, all, refused.why);
  }
  return refused;
}

// Points of one scenario in classes that are the same work, in the order in which they came.
std::vector<std::vector<Found>> classes_of(const std::vector<Found>& found) {
  std::vector<std::vector<Found>> classes;
  for (const Found& f : found) {
    const auto same = std::find_if(classes.begin(), classes.end(), [&](const std::vector<Found>& c) {
      return c.front().file != f.file && !work_difference(c.front(), f);
    });
    if (same != classes.end()) same->push_back(f);
    else classes.push_back({f});
  }
  return classes;
}

}  // namespace

bool is_unusable(Label label) {
  constexpr std::array kUnusable = {Label::impossible, Label::thermal, Label::overhead_bound, Label::cache_partial};
  return std::find(kUnusable.begin(), kUnusable.end(), label) != kUnusable.end();
}

std::string file_letter(std::size_t file) {
  std::string letters(1, static_cast<char>('A' + file % 26));
  for (std::size_t rest = file / 26; rest > 0; rest = (rest - 1) / 26)
    letters.insert(letters.begin(), static_cast<char>('A' + (rest - 1) % 26));
  return letters;
}

CompareReport compare(std::span<const ResultFile> files, std::size_t base, double band) {
  if (files.size() < 2 || base >= files.size()) throw std::invalid_argument("two files are compared, one is the base");
  if (!(band >= 0 && band < 1)) throw std::invalid_argument("a band lies between 0 and 1");
  CompareReport report{base, band, {}, {}, 0};
  std::vector<Summary> summaries;
  for (const ResultFile& file : files) summaries.push_back(summarise(file));
  std::map<ScenarioRecord, std::vector<Found>> all;
  std::vector<ScenarioRecord> order;
  const auto take = [&](std::size_t f) {
    for (std::size_t p = 0; p < files[f].points.size(); ++p) {
      const PointRecord& point = files[f].points[p];
      const auto [place, fresh] = all.try_emplace(without(point, {Member::device}));
      if (fresh) order.push_back(place->first);
      place->second.push_back({f, p, &files[f], &point, &summaries[f].models[p]});
    }
  };
  take(base);
  for (std::size_t f = 0; f < files.size(); ++f)
    if (f != base) take(f);
  for (const ScenarioRecord& of : order) {
    const auto classes = classes_of(all.at(of));
    for (const std::vector<Found>& alike : classes) {
      if (alike.size() > 1) {
        add_works(report, alike, files);
        continue;
      }
      Lone lone{of, alike, std::nullopt, nullptr};
      const auto& other = &alike == &classes.front() ? classes.back() : classes.front();
      if (&other != &alike) {
        lone.beside = &other.front();
        lone.difference = work_difference(other.front(), alike.front());
        if (!lone.difference) lone.difference = Difference{"file", "once", "twice in one file"};
      }
      report.refused.push_back(refuse(lone, all));
    }
  }
  for (const ComparedWork& work : report.works)
    for (const ComparedSide& side : work.sides) report.verdicts += work.kind.empty() && side.verdict.has_value();
  return report;
}

}  // namespace layercost

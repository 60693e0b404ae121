// SPDX-License-Identifier: Apache-2.0
#include "harness/report/citation.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "harness/cost/compare.h"
#include "harness/cost/summary.h"
#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

bool has_words(const std::string& text, const std::string& claim) {
  std::istringstream all(text), asked(claim);
  std::vector<std::string> words;
  for (std::string word; all >> word;) words.push_back(ascii_lower(word));
  // In their order, so that "batch 8" is not the 8 of another member.
  auto at = words.begin();
  for (std::string word; asked >> word;) {
    at = std::find(at, words.end(), ascii_lower(word));
    if (at == words.end()) return false;
    ++at;
  }
  return true;
}

// Why the point must not be quoted; "" if it may.
std::string trouble_of(const ModelRow& row, bool preliminary_allowed) {
  if (!row.time_s) return row.why.empty() ? std::string(text_of(row.outcome).shown) : row.why;
  for (const Label label : row.labels) {
    const bool allowed = label == Label::preliminary ? preliminary_allowed : !is_unusable(label);
    if (!allowed)
      return fmt::format("{}: {}{}", text_of(label).shown, text_of(label).meaning,
                         label == Label::preliminary ? " --preliminary quotes it all the same" : "");
  }
  return "";
}

std::string range(double value, const std::optional<Interval>& interval, double scale) {
  if (!interval) return digits(value * scale) + " (one round, no interval)";
  return fmt::format("{} (95 % interval {} to {})", number_text(value * scale, relative_half_width(value, interval)),
                     digits(interval->low * scale, 4), digits(interval->high * scale, 4));
}

std::string machine_of(const EnvironmentRecord& m) {
  return joined({plain(m.device_name, 80), m.gpu ? "" : fmt::format("{} threads", m.threads),
                 m.gpu && !m.gpu->driver.empty() ? "driver " + plain(m.gpu->driver, 40) : ""},
                ", ");
}

std::string price_of(const ResultFile& file, const ModelRow& row) {
  if (!row.usd_per_mtok || !file.price) return "";
  const PriceRecord& p = *file.price;
  std::vector<std::string> doubts;
  for (const PriceLabel label : p.labels)
    doubts.push_back(std::string(text_of(label).shown) + ", " + std::string(text_of(label).meaning));
  return fmt::format(", or {} USD per million tokens at {} USD per hour ({}), utilisation {:.4g}",
                     range(*row.usd_per_mtok, row.usd_per_mtok_interval, 1), digits(p.usd_per_hour, 4),
                     joined({plain(p.id, 60), p.retrieved_at.empty() ? "undated" : plain(p.retrieved_at, 10),
                             plain(p.source, 200), joined(doubts, "; ")},
                            ", "),
                     p.utilisation.value_or(1));
}

std::string version_of(const ResultFile& file) {
  return "layercost " + plain(file.program_version, 20) +
         (file.commit.empty() ? "" : " (commit " + plain(file.commit, 40) + (file.commit_dirty ? ", changed)" : ")"));
}

std::string sentence_of(const ResultFile& file, const ModelRow& row) {
  std::int64_t rounds = INT64_MAX;
  for (const PartRow& part : row.parts)
    if (part.time_s) rounds = std::min(rounds, part.rounds);
  const bool seconds = *row.time_s >= 1;
  const ModelRecord* model = nullptr;
  for (const ModelRecord& m : file.models)
    if (m.name == row.model) model = &m;
  std::string text = fmt::format(
      "On {}, a step of {} ({}; {}) takes {} {}{}: {} round{} of one session on {}, {}. ", machine_of(file.environment),
      plain(row.model, 80) + (model == nullptr              ? ""
                              : model->weights_from.empty() ? " with synthetic weights"
                                                            : " with the weights " + plain(model->weights_from, 80)),
      step_text(row), joined({types_text(row), routing_text(row.routing)}, ", "),
      range(*row.time_s, row.time_interval, seconds ? 1 : 1e3), seconds ? "s" : "ms", price_of(file, row), rounds,
      rounds == 1 ? "" : "s", plain(file.started_at.substr(0, 10), 10), version_of(file));
  text += "This is a layer-derived floor: no scheduler, sampling, network or idle time is in it.";
  std::vector<std::string> labels;
  for (const Label label : row.labels) labels.emplace_back(text_of(label).shown);
  if (!row.note.empty()) labels.push_back(row.note);
  if (!labels.empty()) text += " Labels: " + joined(labels, ", ") + ".";
  return text;
}

std::string bibtex_of(const ResultFile& file) {
  const std::string date = plain(file.started_at.substr(0, 10), 10);
  return fmt::format(
      "@misc{{layercost-{},\n  title        = {{What a token costs on {}}},\n  year         = {{{}}},\n"
      "  howpublished = {{{}, measured {}}},\n  note         = {{SHA-256 of the result (RFC 8785): {}}}\n}}\n",
      file.content_hash.substr(0, 12), bibtex_text(machine_of(file.environment)), bibtex_text(date.substr(0, 4)),
      bibtex_text(version_of(file)), bibtex_text(date), file.content_hash);
}

}  // namespace

std::string bibtex_text(std::string_view text) {
  constexpr std::string_view kEscaped = "&%$#_{}";
  std::string out;
  for (const char c : plain(text)) {
    if (c == '\\') out += "\\textbackslash{}";
    else if (c == '~') out += "\\textasciitilde{}";
    else if (c == '^') out += "\\textasciicircum{}";
    else out += (kEscaped.find(c) == std::string_view::npos ? "" : "\\") + std::string(1, c);
  }
  return out;
}

std::string citation(const ResultFile& file, const std::string& claim, bool preliminary_allowed) {
  if (!file.complete) throw BadInput("cite: the run is incomplete; layercost run --resume completes it");
  const Summary summary = summarise(file);
  std::vector<const ModelRow*> chosen;
  std::vector<std::string> known;
  std::string trouble;
  for (const ModelRow& row : summary.models) {
    known.push_back(plain(to_text(row), 200));
    if (!has_words(to_text(row), claim)) continue;
    const std::string why = trouble_of(row, preliminary_allowed);
    if (why.empty()) chosen.push_back(&row);
    if (!why.empty() && trouble.empty()) trouble = known.back() + ": " + plain(why, 300);
  }
  if (chosen.empty() && !trouble.empty()) throw BadInput("cite: " + trouble);
  if (chosen.empty())
    throw BadInput(fmt::format("--claim: no point has the words '{}'{}", printable(claim), did_you_mean(claim, known)));
  if (!claim.empty() && chosen.size() > 1)
    throw BadInput(fmt::format("--claim: '{}' fits {} points, '{}' and '{}' among them; give more words",
                               printable(claim), chosen.size(), plain(to_text(*chosen[0]), 200),
                               plain(to_text(*chosen[1]), 200)));
  std::string out;
  for (const ModelRow* row : chosen) out += sentence_of(file, *row) + "\n\n";
  return out + bibtex_of(file) + "\nsha256 " + file.content_hash + "\n";
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "harness/report/sections/sections.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

// The parts between semicolons of all texts, each once, as far as four lines of a legend have room.
std::string parts_once(const std::vector<std::string>& texts) {
  constexpr std::size_t kRoom = 320;
  std::vector<std::string> shown, left_out;
  std::size_t used = 0;
  for (const std::string& text : texts)
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find(';', begin), text.size());
      std::string part = plain(std::string_view(text).substr(begin, end - begin), 120);
      begin = end + 1;
      part.erase(0, part.find_first_not_of(' '));
      const auto known = [&](const auto& list) { return std::find(list.begin(), list.end(), part) != list.end(); };
      if (part.empty() || known(shown) || known(left_out)) continue;
      const bool fits = used + part.size() <= kRoom;
      (fits ? shown : left_out).push_back(part);
      if (fits) used += part.size();
    }
  if (!left_out.empty()) shown.push_back(fmt::format("and {} more, named in the file", left_out.size()));
  return joined(shown, "; ");
}

}  // namespace

Section words_section(const ResultFile& file, const Summary& summary, const View& view) {
  Section section;
  if (!view.explain) {
    for (const Warning& warning : file.warnings) section.items.push_back({"warning", plain(warning.text)});
    return section;
  }
  section.title = "What the words mean";
  std::vector<NamedText>& lines = section.items;
  const bool timed = std::any_of(summary.models.begin(), summary.models.end(), [](const ModelRow& row) {
    return row.time_s ||
           std::any_of(row.parts.begin(), row.parts.end(), [](const PartRow& part) { return part.time_s.has_value(); });
  });
  if (timed) {
    lines.push_back({"possible",
                     "share of what this machine can do: the bytes that must be read and the arithmetic that must be "
                     "done, at the limits probed beside each sample, one operation after the other."});
    lines.push_back(
        {"per step", "layers times their count, plus the head. A floor: no scheduler, sampling, network or waiting."});
    lines.push_back({"±", "95 % interval from the rounds, each with new stacks and weights. Money has the same."});
  }
  if (timed && file.price) {
    lines.push_back(
        {"$ per Mtok",
         fmt::format("US dollars for a million tokens, if {} paid for is spent on this. In: prompt tokens "
                     "(prefill). Out: new tokens (decode).",
                     file.price->utilisation ? fmt::format("{:.4g} % of the time", 100 * *file.price->utilisation)
                                             : "every hour")});
  }
  if (!summary.blends.empty())
    lines.push_back({"blended",
                     "a million tokens of the mix, cached input counted with them; on output: the same money "
                     "on the new tokens alone. Cached input takes no time of its own here; what prompt "
                     "tokens pay to attend to it was not measured."});
  if (std::any_of(summary.models.begin(), summary.models.end(),
                  [](const ModelRow& row) { return !row.note.empty(); })) {
    lines.push_back(
        {"hypothetical", "the layers were measured, but the whole model needs more memory than this device has."});
  }
  if (!summary.tradeoffs.empty()) {
    lines.push_back({"promised", "active parameters of the dense model / of the MoE."});
    lines.push_back({"possible ×", "the same ratio for the time that the machine's limits allow."});
    lines.push_back({"paid", "measured time of the dense model / of the MoE, with its 95 % interval."});
  }
  if (!summary.twins.empty())
    lines.push_back(
        {"q",
         "active parameters of a dense model / of the MoE. @twinQ: the MoE's own layers with an MLP of that "
         "size for the experts; nobody trained it, and what it would answer is not measured."});
  if (!summary.ladders.empty())
    lines.push_back(
        {"levers",
         "what one design decision saves: the time of the step before / of this one. @dense: an MLP for the "
         "experts, with as many parameters in all; @mha: keys and values for every head; @unshared: "
         "without shared experts. Nobody trained those."});
  if (!summary.formats.empty()) {
    lines.push_back({"of formats",
                     "promised: bytes of a matrix in the plain format / in the smaller one, scales included. "
                     "possible: the same ratio for the time that the machine's limits allow; cache, router "
                     "and head keep their bytes, arithmetic its amount. paid: measured time."});
  }
  if (!summary.peers.empty()) {
    lines.push_back({"× ours",
                     "another program's time for one layer / ours, paired by round, with its 95 % interval. Above 1 it "
                     "takes longer than layercost."});
  }
  for (const Implementation& peer : summary.peers) {
    if (!peer.details.empty()) lines.push_back({plain(peer.name, 40), parts_once(peer.details)});
  }
  for (const LabelText& row : label_texts()) {
    const LabelUse use = use_of(row.label, summary);
    if (use.rows == 0) continue;
    const std::string where = use.everywhere || use.on_rows ? "" : fmt::format("{} of {} rows. ", use.rows, use.of);
    lines.push_back({std::string(row.shown), fmt::format("{}{} {}", where, row.meaning, row.advice)});
  }
  for (const OutcomeText& row : outcome_texts()) {
    if (row.outcome != Outcome::measured && summary.outcomes.contains(row.outcome)) {
      lines.push_back({std::string(row.shown), std::string(row.meaning) + " " + std::string(row.advice)});
    }
  }
  for (const Warning& warning : file.warnings) lines.push_back({"warning", plain(warning.text)});
  if ((view.detail && !summary.tradeoffs.empty()) || !summary.formats.empty())
    lines.push_back({"█ ▒ ░", "of the promise: paid, lost to the software, lost to the hardware.", true});
  return section;
}

}  // namespace layercost

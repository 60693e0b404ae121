// What:    the sentences that table and Markdown share: what was measured on what, how rows are grouped, what the words
//          mean. No format's escapes; text from the file went through plain().
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "harness/cost/summary.h"
#include "harness/result/record.h"

namespace layercost {

struct NamedText {
  std::string name, text;
};

// Machine, price, limits, state; in this order, those that there is something to say about.
std::vector<NamedText> head_lines(const ResultFile& file, const Summary& summary);
// One entry per word that this file's tables use; plus the file's warnings.
std::vector<NamedText> legend(const ResultFile& file, const Summary& summary);

// Rows of one model and routing, by batch as in the file.
struct ModelGroup {
  std::string model, facts;                // facts: size, experts, routing
  std::vector<const ModelRow*> rows;
};
// Rows of one phase, context and choice of types.
struct Block {
  std::string phase, title, about;         // "DECODE", "one new token for each sequence · ..."
  std::vector<ModelGroup> models;
};
std::vector<Block> blocks(const ResultFile& file, const Summary& summary);

// What stands beside a row's numbers: does not fit, labels that not every row has, reasons.
std::vector<std::string> notes(const ModelRow& row, const Summary& summary);

// Rows of one pair, weight type and routing.
struct PairGroup {
  std::string dense, moe, about;           // about: "bf16 · uniform routing"
  std::vector<const TradeoffRow*> rows;
  std::vector<std::string> crossovers;     // sentences
};
std::vector<PairGroup> pair_groups(const Summary& summary);

// Where peers were measured and no whole model was (--no-head), the trade-offs are shown for the layers alone.
bool shows_layers_alone(const Summary& summary);
struct Shown {
  std::optional<double> possible;
  std::optional<Ratio> paid;
  std::optional<Payoff> verdict;
  std::string why;
};
Shown shown(const TradeoffRow& row, const Summary& summary);

// Rows of one model, kind of layer, weight type and routing, beside other programs.
struct LayersGroup {
  std::string model, about;                // about: "36× dense · bf16"
  std::vector<const LayersRow*> rows;
};
std::vector<LayersGroup> layers_groups(const Summary& summary);
// "pytorch 2.15.0".
std::string versioned(const Implementation& implementation);
const PeerTime* find_peer(const LayersRow& row, const std::string& implementation);

// Implementations with something to show in the trade-offs of the layers, ours first; none if it would be ours alone.
std::vector<std::string> paid_implementations(const Summary& summary);
const PaidBy* find_paid(const TradeoffRow& row, const std::string& implementation);  // only what was paid

// Why numbers with a mark must not stand alone: "pytorch, qwen3-4b decode batch 1 context 1024: ...", each once.
std::vector<std::string> remarks(const Summary& summary);

}  // namespace layercost

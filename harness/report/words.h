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

}  // namespace layercost

// What:    result files of one machine and program made into one, as if a single run had seen all their rounds: runs in
//          turns with another program, runs of one model each, a run that is added to.
// Same:    what must agree: machine, build and models as identity.h says; the price where there is one; the memory of a
//          point, the work of an op and the routing of a part that are in several.
// Rounds:  a file's rounds keep their order and follow those of the files before it that hold the same point: new index
//          = rounds of those files + place of the old index among all indices of this file. So rounds that had the same
//          index in one file have the same one afterwards, be they of another part, another point or another program,
//          even where one of them is missing; and the k-th file of a dense model meets the k-th file of the MoE.
// Parts:   outcome     wrong, else failed, if it is so in any file; else measured if any, with a warning where another
//                      file could not; else the graver of out_of_memory, unsupported, skipped. What is wrong keeps no
//                      time.
//          verdict     ok if all are; the largest errors, the gain nearest to its limit, the fewest rows, the sum
//                      of the checks
//          routing     histogram and draws added up, means weighted by the draws; hash: the sum of the hashes modulo
//                      2^64, so that merging in steps gives the same
//          ops         time_s the smallest, as over the rounds of a run. A choice (variant, what it chose) that is not
//                      the same everywhere is a warning that names each with its files
//          labels      united; those of sample_labels.h anew from all rounds
//          stack       the one with the shortest reuse distance; rounds of another one say their layers
// Peers:   rounds as above. Details and notes that differ stand side by side; cold if all are; the fewest layers.
// Rest:    started_at the earliest, finished_at the latest, complete if all are; warnings and pairs once each; depths
//          all; suite if it is the same; no policy. command is left empty for the caller. Everything else
//          (environment, memory of a point) as in the first file that has it.
// Errors:  BadInput names file, field and both values. A round that is in two files bit for bit would count twice: it
//          is refused.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "harness/result/record.h"

namespace layercost {

struct NamedResult {
  std::string name;  // for messages
  ResultFile file;
};

ResultFile merge_results(const std::vector<NamedResult>& files);  // at least one

// "DENSE:MOE", two models of the file. A pair that is there stays once.
void add_pair(ResultFile& file, const std::string& pair);

}  // namespace layercost

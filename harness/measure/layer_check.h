// What:    is the output of a layer right? Two questions: against the double references (while measuring: the layer's
//          own input, sampled rows, the tested expert ids), and against a file made elsewhere (`layercost check`).
// Formula: errors are relative to what the layer adds: ||y - y*|| / ||y* - x||, because the residual stream would hide
//          them. Gain: <y - y*, y* - x> / <y* - x, y* - x>.
// Rows:    sampled so that every touched expert is covered, and the last token of a prefill always. Keys and values are
//          recomputed for all rows of the sampled sequences; cached context is read from the cache.
// Experts: the tested ids are used for the outputs (a near tie may go either way) and judged separately: no refused
//          expert may have a reference logit (or biased score, where that decides) above a chosen one by more than the
//          margin, in the groups that may be chosen from; nor may those be others than the best by more than the
//          margin. Forced ids are not judged.
// Keys:    where a layer selects keys, the same: the tested selection is used, and no key that was left out may have a
//          reference score above a selected one by more than the margin, in units of the scores' spread.
// Tolerance: f32 1e-5, worst row 5e-5; bf16 2e-2, worst row 5e-2 (transformers itself in bf16 against f32: 0.75e-2 to
//          1.3e-2, worst token 3.2e-2); caches in fp8_e4m3 6e-2, worst row 0.15 (where keys and values in bf16 differ
//          from the references', some round to the other side, an eighth of the value). Gain: 1e-5, 2e-3; with experts
//          half of the limit of L2 / sqrt(routing weights in the sampled rows), if that is more, up to 4e-3. On top of
//          each, in squares, what storing the stream between layers costs: its rounding, computed from the values
//          themselves, relative to what the layer adds. Near zero where the two are of one size; sqrt(height) times
//          more in a tall stack.
// Does not prove: rows that were not sampled; the ops' conformance tests cover sizes, these cover the wiring.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/measure/layer.h"
#include "harness/result/record.h"

namespace layercost {

struct LayerTolerance {
  double rel_l2 = 0, worst_row = 0, gain = 0, logit_margin = 0;
};
LayerTolerance layer_tolerance(const StepShape&);

// Rows to check: at most `wanted` plus what covering the experts takes. ids may be null.
std::vector<std::int64_t> sample_rows(const StepShape&, const std::int32_t* ids, std::int64_t top_k,
                                      std::int64_t experts, std::int64_t wanted, std::uint64_t seed);

// Before layer.run(): where its input is larger than 2 (root mean square), divides it by a power of two. That is exact,
// and drops out in the layer's first norm: what the layer adds stays, and the rounding of the stream no longer hides
// it.
void shrink_input(const Layer& layer, Runtime&);

// Right after layer.run(): its buffers still hold input, output, ids and caches. `input` and `output` are the buffer
// names bound in this layer. Merges into `verdict`: the largest errors, ok = false with a reason at the first miss.
void check_layer(const Layer& layer, const std::vector<std::int64_t>& rows, Verdict& verdict);

// ---- layercost check ----

struct LayerIo {
  std::int64_t batch = 0, seq = 0, hidden = 0;
  std::vector<float> input, output;
  // Of a layer that sees what the indexer of one before it chose, [batch, seq, selected]: positions, then -1.
  std::vector<float> selection = {};
  std::int64_t selected = 0;
};
LayerIo read_layer_io(const std::filesystem::path& file, std::int64_t hidden);

struct LayerCheckRow {
  std::string mode;  // "prefill", "decode", "prefill 7 + decode 6"
  Verdict verdict;
};
// `prefix`: as of find_prefix; nothing: find it. Prefill in one call; decode token by token from an empty cache;
// prefill of the first half followed by decode.
std::vector<LayerCheckRow> check_against_io(const ModelSpec&, std::int64_t layer, Checkpoint&, const LayerIo&, DType,
                                            Runtime&, const std::optional<std::string>& prefix = {});

// Without a file: a prefill and a decode step on values of our own, against the double references on what the
// checkpoint's codes stand for.
std::vector<LayerCheckRow> check_against_references(const ModelSpec&, std::int64_t layer, Checkpoint&, DType, Runtime&,
                                                    const std::optional<std::string>& prefix = {});

}  // namespace layercost

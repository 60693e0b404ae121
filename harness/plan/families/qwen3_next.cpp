// qwen3_next: three layers of the gated delta rule, whose rows come in turns, then one of gated attention that turns a
// quarter of each head; experts and a gated shared one in every decoder_sparse_step-th layer that mlp_only_layers does
// not name, dense elsewhere; weights are renormalised unless norm_topk_prob is false.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "harness/plan/blocks/hybrid_attention.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

void read(const JsonNode& config, ModelSpec& m) {
  const std::vector<Attention> attention = read_hybrid_attention(config, {.rows_in_turns = true}, m);
  Mixture e = read_gated_mixture(config);
  e.renormalise = config.find_bool("norm_topk_prob").value_or(true);
  const std::vector<bool> sparse = read_stepped_layers(config, m);
  DenseMlp mlp;
  if (std::find(sparse.begin(), sparse.end(), false) != sparse.end())
    mlp.ffn_hidden = config.get_int("intermediate_size", 1, kMaxFfn);
  if (std::find(sparse.begin(), sparse.end(), true) == sparse.end())
    m.notes.push_back("decoder_sparse_step and mlp_only_layers leave no layer with experts");
  for (std::size_t i = 0; i < attention.size(); ++i)
    add_decoder_layer(m, attention[i], sparse[i] ? FeedForward(e) : FeedForward(mlp));
  read_mtp_layers(config, attention, sparse.back() ? FeedForward(e) : FeedForward(mlp), m);
}

}  // namespace

extern const Family qwen3_next_family;
const Family qwen3_next_family{"qwen3_next", "Qwen3Next", 1e-6, read};

}  // namespace layercost

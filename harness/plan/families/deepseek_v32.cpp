// deepseek_v32: as deepseek_v3, and in every layer a lightning indexer, whose rotation turns halves where that of
// attention turns neighbours. Norms of latents and of the index key have eps 1e-6 whatever rms_norm_eps says.
// transformers leaves out, as we do, what DeepSeek's own code does to score in fp8: a Hadamard transform of index
// queries and keys, which changes no product, and the rounding behind it.
// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

void read(const JsonNode& config, ModelSpec& m) {
  LatentAttention a = read_latent_attention(config, m);
  a.indexer = read_lightning_indexer(config, a.rope_dim);
  const Mixture e = read_biased_mixture(config, {.groups = {8, 4}, .scaling = 2.5});
  add_dense_then_experts(config, 3, a, false, e, m);
}

}  // namespace

extern const Family deepseek_v32_family;
const Family deepseek_v32_family{"deepseek_v32", "DeepseekV32", 1e-6, read};

}  // namespace layercost

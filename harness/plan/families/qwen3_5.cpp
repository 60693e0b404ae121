// qwen3_5: three layers of the gated delta rule, then one of gated attention that turns a quarter of each head; a dense
// MLP in every layer. Published as a model of text and pictures.
// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/hybrid_attention.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

void read(const JsonNode& config, ModelSpec& m) {
  const std::vector<Attention> attention = read_hybrid_attention(config, {.kv_heads = 4}, m);
  const DenseMlp mlp{.ffn_hidden = config.get_int("intermediate_size", 1, kMaxFfn)};
  for (const Attention& a : attention) add_decoder_layer(m, a, mlp);
  read_mtp_layers(config, attention, mlp, m);
}

}  // namespace

extern const Family qwen3_5_family;
constexpr std::string_view kSame[] = {"qwen3_5_text"};
const Family qwen3_5_family{
    .model_type = "qwen3_5", .class_prefix = "Qwen3_5", .default_rms_norm_eps = 1e-6, .read = read, .aliases = kSame};

}  // namespace layercost

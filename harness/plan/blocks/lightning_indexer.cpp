// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/lightning_indexer.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/plan/family.h"

namespace layercost {

std::string lightning_indexer(LayerBuilder& b, const LightningIndexer& i, const IndexerInputs& in) {
  const StepShape& s = b.shape();
  const std::int64_t t = s.tokens(), h = b.model().hidden, width = i.heads * i.head_dim;
  const std::int64_t top_k = std::min(i.top_k, s.kv_len);
  if (i.shared)
    return s.kv_len > i.top_k ? b.buffer("selection", BufferRole::given_selection, DType::i32, {t, top_k}) : "";
  const std::string of = "self_attn.indexer.";
  const std::string q = b.activation("index_q", width), k = b.activation("index_k", i.head_dim);
  b.linear("index q", in.q_latent,
           b.matrix("index_q_w", {width, in.q_rank}, {{of + "wq_b.weight", {width, in.q_rank}}}), q, width, in.q_rank);
  b.linear("index k", in.x, b.matrix("index_k_w", {i.head_dim, h}, {{of + "wk.weight", {i.head_dim, h}}}), k,
           i.head_dim, h);
  // They choose, as a router's logits do, and stay f32 as those do.
  const std::string weights = b.buffer("index_weights", BufferRole::activation, DType::f32, {t, i.heads});
  b.linear("index weights", in.x,
           b.matrix("index_weights_w", {i.heads, h}, {{of + "weights_proj.weight", {i.heads, h}}}, s.weights.router),
           weights, i.heads, h, {.y_type = DType::f32});

  const std::string rotated =
      b.buffer("index_q_rotated", BufferRole::activation, s.activation_type, {t, i.heads, i.head_dim});
  const std::string cache = b.buffer("index_cache", BufferRole::cache, s.kv_type, {s.batch, 1, s.capacity, i.head_dim});
  OpCase rope("index_rope");
  rope.set("batch", s.batch).set("q_len", s.q_len).set("kv_len", s.kv_len).set("capacity", s.capacity);
  rope.set("heads", i.heads).set("head_dim", i.head_dim).set("rope_dim", in.rope_dim).set("eps", i.norm_eps);
  if (i.interleaved) rope.set("interleaved", 1);
  b.types(rope);
  rope.set("kv_type", s.kv_type);
  const std::string norm = b.norm_weight("index_k_norm", i.head_dim, of + "k_norm.weight");
  b.op("index rope", std::move(rope),
       {{"q", q},
        {"k", k},
        {"norm", norm},
        {"norm_bias", b.bias("index_k_norm_bias", {{of + "k_norm.bias", {i.head_dim}}})},
        {"cos", in.cos},
        {"sin", in.sin},
        {"rotated", rotated},
        {"index_cache", cache}});

  const std::string selection = b.buffer("selection", BufferRole::selection, DType::i32, {t, top_k});
  OpCase select("dsa_index");
  select.set("batch", s.batch).set("q_len", s.q_len).set("kv_len", s.kv_len).set("capacity", s.capacity);
  select.set("heads", i.heads).set("head_dim", i.head_dim).set("top_k", top_k);
  select.set("x_type", s.activation_type).set("kv_type", s.kv_type);
  b.op("select", std::move(select),
       {{"q", rotated}, {"weights", weights}, {"index_cache", cache}, {"selection", selection}});
  return selection;
}

LightningIndexer read_lightning_indexer(const JsonNode& config, std::int64_t rope_dim) {
  LightningIndexer i;
  i.top_k = config.get_int("index_topk", 1, kMaxPositions);
  i.heads = config.get_int("index_n_heads", 1, kMaxHeads);
  i.head_dim = config.get_int("index_head_dim", 1, kMaxHeadDim);
  if (i.head_dim < rope_dim)
    config.fail(
        "index_head_dim",
        fmt::format("expected at least qk_rope_head_dim ({}), which the indexer turns, got {}", rope_dim, i.head_dim));
  if (!config.find_int("q_lora_rank", 1, kMaxHidden))
    config.fail("q_lora_rank", "the indexer makes its queries of the queries' latent; expected its width, got null");
  return i;
}

}  // namespace layercost

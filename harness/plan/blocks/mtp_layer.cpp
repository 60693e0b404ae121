// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/mtp_layer.h"

#include <fmt/format.h>

#include "harness/spec/part_name.h"

namespace layercost {

void mtp_layer(LayerBuilder& b, const Attention& attention, const FeedForward& feed_forward, const MtpNames& names) {
  const std::int64_t h = b.model().hidden;
  const std::string hidden = b.activation("input", h, BufferRole::input);
  const std::string embedding = b.activation("embedding", h, BufferRole::from_outside);
  const auto normed = [&](const std::string& what, const std::string& x, const std::string& tensor) {
    const std::string y = b.activation("normed " + what, h);
    b.rms_norm(what + " norm", x, b.norm_weight(what + "_norm", h, tensor + ".weight"), y, h);
    return y;
  };
  const std::string e = normed("embedding", embedding, names.embedding_norm);
  const std::string n = normed("hidden", hidden, names.hidden_norm);
  const std::string first = b.activation("projected embedding", h), both = b.activation("projected pair", h);
  const auto half = [&](const char* name, std::int64_t column) {
    WeightSpec::Source s{std::string(names.projection) + ".weight", {h, 2 * h}};
    s.first_column = column, s.columns = h;
    return b.matrix(name, {h, h}, {std::move(s)});
  };
  b.linear("projection of the embedding", e, half("projection_e_w", 0), first, h, h);
  b.linear("projection of the state", n, half("projection_h_w", h), both, h, h, {.residual = first});
  const std::string last = b.activation("layer output", h);
  decoder_layer_between(b, attention, feed_forward, both, last);
  b.rms_norm("last norm", last, b.norm_weight("last_norm", h, std::string(names.last_norm) + ".weight"),
             b.activation("output", h, BufferRole::output), h);
  b.plan().adds_to_input = false;
}

void add_mtp_layers(ModelSpec& m, std::string_view key, std::int64_t layers, const Attention& attention,
                    const FeedForward& feed_forward, const MtpNames& names) {
  if (layers == 0) return;
  m.mtp_layers = layers;
  m.mtp = {std::string(kMtpPart) + kind_name(attention, feed_forward),
           [=](LayerBuilder& b) { mtp_layer(b, attention, feed_forward, names); }};
  m.notes.push_back(
      fmt::format("{}: {} layer{} for multi-token prediction left out; --mtp measures one beside the model", key,
                  layers, layers == 1 ? "" : "s"));
}

}  // namespace layercost

// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/routing_feed.h"

namespace layercost {

RoutingFeed::RoutingFeed(const RoutingSpec& spec, std::uint64_t seed, Stack& stack, Runtime& runtime,
                         std::uint64_t& draws)
    : spec_(spec),
      seed_(seed),
      stack_(stack),
      runtime_(runtime),
      draws_(draws),
      choice_(stack.plan().experts().value()),
      tokens_(stack.plan().shape.tokens()),
      tally_(choice_.experts, choice_.top_k) {
  if (stack.forced()) generator_.emplace(spec, seed, choice_.experts, choice_.top_k);
}

void RoutingFeed::draw(std::size_t passes) {
  if (!forced()) return;
  const std::size_t layers = passes * stack_.size();
  const auto count = static_cast<std::size_t>(tokens_ * choice_.top_k);
  ids_.resize(layers * count);
  distinct_ = 0;
  for (std::size_t i = 0; i < layers; ++i) {
    generator_->draw(draws_++, tokens_, ids_.data() + i * count);
    distinct_ += static_cast<double>(tally_.add(ids_.data() + i * count, tokens_));
  }
  distinct_ /= static_cast<double>(layers);
  const Tensor host{ids_.data(), DType::i32, {static_cast<std::int64_t>(ids_.size())}};
  if (drawn_.view().bytes() != host.bytes()) drawn_ = runtime_.tensor(DType::i32, host.shape);
  runtime_.upload(drawn_, host);
  stack_.set_ids(drawn_, 0);
}

void RoutingFeed::count(Layer& layer) {
  if (!forced()) tally_.add(layer.read(BufferRole::expert_ids).view().as<std::int32_t>(), tokens_);
}

RoutingRecord RoutingFeed::record(const std::optional<RoutingRecord>& earlier) const {
  RoutingRecord r = earlier.value_or(RoutingRecord{});
  const auto old_draws = static_cast<double>(r.draws), new_draws = static_cast<double>(tally_.draws());
  r.name = spec_.name();
  r.seed = seed_;
  r.experts = choice_.experts;
  r.top_k = choice_.top_k;
  r.distinct_experts = (r.distinct_experts * old_draws + tally_.mean_distinct() * new_draws) / (old_draws + new_draws);
  r.imbalance = (r.imbalance * old_draws + tally_.mean_imbalance() * new_draws) / (old_draws + new_draws);
  r.draws += tally_.draws();
  r.histogram.resize(tally_.histogram().size());
  for (std::size_t e = 0; e < r.histogram.size(); ++e) r.histogram[e] += tally_.histogram()[e];
  r.hash = tally_.hash();
  return r;
}

}  // namespace layercost

// What:    the one table of metric names. A derived number that leaves the program (summary of a result file, CSV
//          column) has a row here, with its unit and its meaning; reports take their legends from it. A new metric is a
//          new row.
// Naming:  the unit ends the name, SI without prefixes: _s, _bytes, _per_s, _usd, _usd_per_mtok; _fraction is a plain
//          number. A meaning never changes under its name: a new meaning gets a new name.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string_view>

namespace layercost {

struct Metric {
  std::string_view name;
  std::string_view unit;     // "" for plain numbers
  std::string_view meaning;  // one sentence for a reader who has not seen the project
};

inline constexpr std::array kMetrics = {
    Metric{"time_s", "s", "Measured time of one layer, or of one whole step of the model (all layers and the head)."},
    Metric{"time_low_s", "s", "Lower end of the 95 % interval of time_s, from the rounds."},
    Metric{"time_high_s", "s", "Upper end of the 95 % interval of time_s, from the rounds."},
    Metric{"tokens_per_s", "1/s", "Tokens per second: decode counts new tokens, prefill counts prompt tokens."},
    Metric{"tokens_per_s_user", "1/s", "New tokens per second that each sequence of a decode batch gets."},
    Metric{"tokens_per_s_user_low", "1/s", "Lower end of the interval of tokens_per_s_user."},
    Metric{"tokens_per_s_user_high", "1/s", "Upper end of the interval of tokens_per_s_user."},
    Metric{"tokens_per_usd", "1/USD", "Tokens for a dollar, if every hour paid for does this work."},
    Metric{"possible_s", "s", "Shortest time for one op after the other, at the limits measured beside each sample."},
    Metric{"possible_fraction", "", "possible_s / time_s: 1 means that the machine's measured limit is reached."},
    Metric{"nominal_fraction", "", "The same share at the figures that the vendor publishes for this device."},
    Metric{"hard_bound_fraction", "", "Time that nothing can beat / time_s: above 1.02 the measurement is impossible."},
    Metric{"usd_per_mtok", "USD", "Money for a million tokens if every hour paid for does this work: a floor."},
    Metric{"usd_per_mtok_low", "USD", "Lower end of the interval of usd_per_mtok: that of the time, times the price."},
    Metric{"usd_per_mtok_high", "USD", "Upper end of the interval of usd_per_mtok: that of the time, times the price."},
    Metric{"input_usd_per_mtok", "USD", "usd_per_mtok of the prompt's tokens, in a blend."},
    Metric{"output_usd_per_mtok", "USD", "usd_per_mtok of new tokens, in a blend."},
    Metric{"blended_usd_per_mtok", "USD", "Money for a million tokens of a mix, cached input counted with them."},
    Metric{"on_output_usd_per_mtok", "USD", "The same money, all of it on the mix's output tokens."},
    Metric{"usd_per_mtok_at_full_use", "USD", "usd_per_mtok if all of the paid hours do this work: the floor."},
    Metric{"usd_per_mtok_at_half_use", "USD", "usd_per_mtok if half of the paid hours do this work."},
    Metric{"usd_per_mtok_at_quarter_use", "USD", "usd_per_mtok if a quarter of the paid hours do this work."},
    Metric{"usd_per_mtok_at_tenth_use", "USD", "usd_per_mtok if a tenth of the paid hours do this work."},
    Metric{"usd_per_mtok_at_half_price", "USD", "usd_per_mtok if an hour costs half as much."},
    Metric{"usd_per_mtok_at_twice_price", "USD", "usd_per_mtok if an hour costs twice as much."},
    Metric{"break_even_tokens_per_day", "", "Tokens a day from which the first way to pay is cheaper than the second."},
    Metric{"break_even_tokens_per_day_low", "", "Lower end of that: at one end of the time's interval."},
    Metric{"break_even_tokens_per_day_high", "", "Upper end of that: at the other end of the time's interval."},
    Metric{"capacity_tokens_per_day", "", "Tokens that the machine makes in a day, at its utilisation."},
    Metric{"list_price_usd_per_mtok", "USD", "What an API asks for a million tokens of the mix: a price, not a cost."},
    Metric{"memory_required_bytes", "bytes", "Weights, KV cache and activations of the whole model at this point."},
    Metric{"device_bytes", "bytes", "Memory that the device offers."},
    Metric{"distinct_experts", "", "Different experts that one layer touches in one step, on average."},
    Metric{"promised_ratio", "", "Active parameters, dense / MoE; of formats: bytes of a matrix, plain / this one."},
    Metric{"total_ratio", "", "Parameters of the dense model / of the MoE, all that are held."},
    Metric{"flops_ratio", "", "FLOPs of a step of the dense model / of the MoE."},
    Metric{"bytes_ratio", "", "Compulsory bytes of a step of the dense model / of the MoE."},
    Metric{"possible_ratio", "", "Bound here, dense / MoE or plain / this format: what physics leaves of it."},
    Metric{"paid_ratio", "", "Time, dense / MoE or plain / this format: what arrives on the bill."},
    Metric{"paid_ratio_low", "", "Lower end of the 95 % interval of paid_ratio, from paired rounds."},
    Metric{"paid_ratio_high", "", "Upper end of the 95 % interval of paid_ratio, from paired rounds."},
    Metric{"layers_possible_ratio", "", "possible_ratio of the layers alone, without the head, as peers measure them."},
    Metric{"layers_paid_ratio", "", "Time of the layers, dense / MoE or plain / this format, in one program."},
    Metric{"layers_paid_ratio_low", "", "Lower end of the 95 % interval of layers_paid_ratio, from paired rounds."},
    Metric{"layers_paid_ratio_high", "", "Upper end of the 95 % interval of layers_paid_ratio, from paired rounds."},
    Metric{"peer_ratio", "", "Another program's time for a layer / ours, paired by round: above 1 ours is faster."},
    Metric{"peer_ratio_low", "", "Lower end of the 95 % interval of peer_ratio."},
    Metric{"peer_ratio_high", "", "Upper end of the 95 % interval of peer_ratio."},
    Metric{"crossover_batch", "", "First batch at which the MoE is no longer cheaper, between measured batches."},
    Metric{"isoline_q", "", "Active parameters / the MoE's at which a dense model alike costs as much as the MoE."},
    Metric{"isoline_q_low", "", "Lower end of that: where the upper end of paid_ratio's interval is 1."},
    Metric{"isoline_q_high", "", "Upper end of that: where the lower end of paid_ratio's interval is 1."},
    Metric{"lever_factor", "", "Time of the step before on a ladder of levers / of this one: above 1 the lever saves."},
    Metric{"lever_factor_low", "", "Lower end of the 95 % interval of lever_factor, from paired rounds."},
    Metric{"lever_factor_high", "", "Upper end of the 95 % interval of lever_factor, from paired rounds."},
    Metric{"lever_in_all", "", "Time of the ladder's start / of this step: the product of the factors up to it."},
    Metric{"lever_in_all_low", "", "Lower end of the 95 % interval of lever_in_all, from paired rounds."},
    Metric{"lever_in_all_high", "", "Upper end of the 95 % interval of lever_in_all, from paired rounds."},
    Metric{"read_bytes_per_s", "bytes/s", "Median over samples of the read bandwidth that the probes measured."},
    Metric{"read_low_bytes_per_s", "bytes/s", "A tenth of the samples saw less than this."},
    Metric{"read_high_bytes_per_s", "bytes/s", "A tenth of the samples saw more than this."},
    Metric{"flops_per_s", "1/s", "Median over samples of the matrix-product rate that the probes measured."},
    Metric{"overhead_s", "s", "Time of a stack that does not grow with its depth."},
    Metric{"layer_s", "s", "Time that one more layer adds to a stack."},
    Metric{"depth_residual_fraction", "", "Largest distance of a stack's time from the straight line over depth."},
    Metric{"depth_off_layer_fraction", "", "How far the line is off, at the model's depth, from the layer's own time."},
    Metric{"depth_spread_fraction", "", "Largest / smallest time per layer over depths, minus 1."},
};

constexpr const Metric* find_metric(std::string_view name) {
  for (const Metric& metric : kMetrics) {
    if (metric.name == name) return &metric;
  }
  return nullptr;
}

}  // namespace layercost

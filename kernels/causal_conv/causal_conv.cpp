// SPDX-License-Identifier: Apache-2.0
#include "kernels/causal_conv/causal_conv.h"

#include <cmath>

#include "causal_conv_variants.h"
#include "kernels/core/error.h"
#include "kernels/core/team.h"

namespace layercost {

CausalConvAxes causal_conv_axes(const OpCase& c) {
  const CausalConvAxes a{.batch = c.axis("batch"),
                         .q_len = c.axis("q_len"),
                         .channels = c.axis("channels"),
                         .kernel = c.axis("kernel"),
                         .x_width = c.integer("x_width", c.axis("channels")),
                         .continued = c.flag("continued")};
  if (a.x_width < a.channels) throw BadCase("'" + c.text() + "': expected an x_width of at least channels");
  return a;
}

namespace {

constexpr KnownKey keys[] = {
    axis_key("batch"),
    axis_key("q_len"),
    axis_key("channels"),
    integer_key("kernel", 2, 64),
    integer_key("x_width", 1).optional(),  // channels
    flag_key("continued"),
    type_key("x_type", kFloatTypes),
    type_key("w_type", kFloatTypes),
    type_key("y_type", kFloatTypes),
};

std::vector<TensorSpec> tensors(const OpCase& c) {
  const CausalConvAxes a = causal_conv_axes(c);
  const DType x = c.type("x_type");
  const Shape state = {a.batch, a.kernel - 1, a.channels};
  std::vector<TensorSpec> out = {
      {"x", Role::input, x, {a.tokens(), a.x_width}},
      {"w", Role::weight, c.type("w_type"), {a.channels, a.kernel}},
      {"y", Role::output, c.type("y_type"), {a.tokens(), a.channels}},
      {"next_state", Role::output, x, state},
  };
  if (a.continued) out.push_back({"state", Role::input, x, state});
  return out;
}

Work work(const OpCase& c, const WorkFacts&) {
  const CausalConvAxes a = causal_conv_axes(c);
  const auto bytes = [&](const char* type) { return static_cast<double>(size_of(c.type(type))); };
  const double n = static_cast<double>(a.tokens()) * static_cast<double>(a.channels);
  const double state = static_cast<double>(a.batch * (a.kernel - 1)) * static_cast<double>(a.channels);
  Work w;
  w.flops = n * static_cast<double>(2 * a.kernel + 4);
  w.weight_bytes = static_cast<double>(a.channels * a.kernel) * bytes("w_type");
  w.kv_read_bytes = a.continued ? state * bytes("x_type") : 0;
  w.kv_write_bytes = state * bytes("x_type");
  w.activation_bytes = n * (bytes("x_type") + bytes("y_type"));
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string& output) {
  return usual_tolerance(c.type(output == "y" ? "y_type" : "x_type"), c.axis("kernel"));
}

void reference(const OpCase& c, const OpTensors& t) {
  const CausalConvAxes a = causal_conv_axes(c);
  const Tensor &x = t.tensor("x"), &y = t.tensor("y"), &next = t.tensor("next_state");
  const OwnedTensor w = t.weight("w")->whole();
  const std::int64_t before = a.kernel - 1;
  each_row_and_column(a.batch, a.channels, true, [&](std::int64_t b, std::int64_t ch) {
    const auto u = [&](std::int64_t token) -> double {
      if (token >= 0) return x.load((b * a.q_len + token) * a.x_width + ch);
      return a.continued ? t.tensor("state").load((b * before + token + before) * a.channels + ch) : 0.0;
    };
    for (std::int64_t token = 0; token < a.q_len; ++token) {
      double sum = 0;
      for (std::int64_t j = 0; j < a.kernel; ++j) sum += w.view().load(ch * a.kernel + j) * u(token - before + j);
      y.store((b * a.q_len + token) * a.channels + ch, sum / (1 + std::exp(-sum)));
    }
    for (std::int64_t i = 0; i < before; ++i) next.store((b * before + i) * a.channels + ch, u(a.q_len - before + i));
  });
}

// A row reads those before it.
std::int64_t first_shared_column(const OpCase&, const std::string&) { return 0; }

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  for (const char* text : {
           "causal_conv batch=1 q_len=1 channels=1 kernel=2 x_type=f32 w_type=f32 y_type=f32",
           "causal_conv batch=2 q_len=5 channels=37 kernel=4 x_type=f32 w_type=f32 y_type=f32",
           "causal_conv batch=3 q_len=1 channels=90 kernel=4 x_width=131 continued=1 x_type=f32 w_type=f32 y_type=f32",
           "causal_conv batch=2 q_len=1 channels=1024 kernel=4 x_width=1536 continued=1 x_type=bf16 w_type=bf16 "
           "y_type=bf16",
           "causal_conv batch=1 q_len=67 channels=256 kernel=4 x_width=384 x_type=bf16 w_type=bf16 y_type=bf16",
           // Fewer tokens than the state has rows: some of them stay.
           "causal_conv batch=2 q_len=2 channels=136 kernel=4 continued=1 x_type=bf16 w_type=bf16 y_type=bf16",
           "causal_conv batch=1 q_len=2 channels=40 kernel=4 x_type=bf16 w_type=bf16 y_type=f32",
           "causal_conv batch=2 q_len=9 channels=65 kernel=3 x_width=70 continued=1 x_type=bf16 w_type=f32 y_type=f32",
           "causal_conv batch=1 q_len=11 channels=24 kernel=7 continued=1 x_type=f32 w_type=bf16 y_type=bf16",
           "causal_conv batch=1 q_len=130 channels=600 kernel=4 continued=1 x_type=f32 w_type=f32 y_type=f32",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef causal_conv_op{"causal_conv",
                           "causal convolution of each channel, then silu; keeps the last inputs",
                           keys,
                           tensors,
                           work,
                           tolerance,
                           reference,
                           test_cases,
                           causal_conv_variants,
                           first_shared_column};

}  // namespace layercost

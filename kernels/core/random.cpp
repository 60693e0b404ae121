// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/random.h"

#include <algorithm>

#include "kernels/core/error.h"
#include "kernels/core/team.h"

namespace layercost {
namespace {

// Upper half of the symmetric table described in the header; written out because a computed one would depend on the
// machine's mathematical library.
constexpr float kQuantiles[128] = {
    0.00490810577f, 0.0147247879f, 0.0245428821f, 0.0343633309f, 0.0441870783f, 0.0540150706f, 0.0638482568f,
    0.0736875897f,  0.0835340259f, 0.0933885271f, 0.10325206f,   0.113125599f,  0.123010123f,  0.13290662f,
    0.142816086f,   0.152739526f,  0.162677954f,  0.172632396f,  0.182603888f,  0.192593478f,  0.202602229f,
    0.212631214f,   0.222681525f,  0.232754266f,  0.24285056f,   0.252971545f,  0.26311838f,   0.273292242f,
    0.283494328f,   0.293725858f,  0.303988076f,  0.314282246f,  0.324609662f,  0.334971642f,  0.345369533f,
    0.35580471f,    0.366278582f,  0.376792588f,  0.387348203f,  0.397946936f,  0.408590337f,  0.419279993f,
    0.430017534f,   0.440804634f,  0.451643014f,  0.462534442f,  0.473480739f,  0.48448378f,   0.495545494f,
    0.506667872f,   0.517852968f,  0.529102901f,  0.540419862f,  0.551806113f,  0.563263996f,  0.574795932f,
    0.586404433f,   0.598092098f,  0.609861626f,  0.621715818f,  0.633657582f,  0.645689941f,  0.657816041f,
    0.670039156f,   0.682362699f,  0.694790227f,  0.707325453f,  0.719972253f,  0.732734683f,  0.745616982f,
    0.758623593f,   0.77175917f,   0.785028598f,  0.798437006f,  0.811989787f,  0.825692616f,  0.839551471f,
    0.853572657f,   0.86776283f,   0.882129028f,  0.896678699f,  0.911419735f,  0.926360511f,  0.941509926f,
    0.95687745f,    0.972473174f,  0.988307868f,  1.00439305f,   1.02074104f,   1.03736507f,   1.05427935f,
    1.0714992f,     1.08904112f,   1.10692298f,   1.12516413f,   1.1437856f,    1.16281029f,   1.18226322f,
    1.20217179f,    1.22256608f,   1.24347928f,   1.26494808f,   1.28701319f,   1.30972002f,   1.33311939f,
    1.35726846f,    1.38223184f,   1.40808298f,   1.43490586f,   1.46279718f,   1.49186908f,   1.52225264f,
    1.55410253f,    1.58760311f,   1.62297663f,   1.66049459f,   1.70049369f,   1.74339893f,   1.78975789f,
    1.84029387f,    1.89599147f,   1.95824229f,   2.02911021f,   2.11185852f,   2.2121315f,    2.3411133f,
    2.52684899f,    2.89290111f,
};

template <class T>
void fill(std::uint64_t seed, std::int64_t first, std::int64_t count, const T* table, T* out) {
  std::int64_t i = 0;
  while (i < count) {
    const std::uint64_t at = static_cast<std::uint64_t>(first + i);
    std::uint64_t h = hash64(seed, at / 8) >> (8 * (at % 8));
    const std::int64_t n = std::min<std::int64_t>(static_cast<std::int64_t>(8 - at % 8), count - i);
    if (n == 8) {
      for (int j = 0; j < 8; ++j) out[i + j] = table[(h >> (8 * j)) & 255];
    } else {
      for (std::int64_t j = 0; j < n; ++j) out[i + j] = table[(h >> (8 * j)) & 255];
    }
    i += n;
  }
}

}  // namespace

std::uint64_t seed_for(std::uint64_t seed, std::string_view name, std::uint64_t index) {
  std::uint64_t h = hash64(seed, index);
  for (char c : name) h = hash64(h, static_cast<unsigned char>(c));
  return h;
}

void fill_normal(std::uint64_t seed, std::int64_t first, std::int64_t count, float mean, float sigma, DType dtype,
                 void* out) {
  float table[256];
  for (int i = 0; i < 128; ++i) {
    // volatile: the product is rounded before the sum on every machine, never fused.
    volatile float scaled = kQuantiles[i] * sigma;
    table[128 + i] = mean + scaled;
    table[127 - i] = mean - scaled;
  }
  switch (dtype) {
    case DType::f32:
      return fill(seed, first, count, table, static_cast<float*>(out));
    case DType::bf16: {
      bf16 rounded[256];
      std::transform(table, table + 256, rounded, to_bf16);
      return fill(seed, first, count, rounded, static_cast<bf16*>(out));
    }
    case DType::fp8_e4m3: {
      fp8_e4m3 rounded[256];
      std::transform(table, table + 256, rounded, [](float v) { return fp8_e4m3{to_e4m3(v)}; });
      return fill(seed, first, count, rounded, static_cast<fp8_e4m3*>(out));
    }
    case DType::f64:
    case DType::i32:
      break;
  }
  throw BadCase("normal values are made in f32, bf16 and fp8_e4m3, not in " + std::string(to_string(dtype)));
}

void fill_normal(const Tensor& t, std::uint64_t seed, float mean, float sigma) {
  const std::int64_t n = t.elements(), block = 1 << 16;
  each_piece((n + block - 1) / block, [&](int, std::int64_t b, std::int64_t) {
    fill_normal(seed, b * block, std::min(block, n - b * block), mean, sigma, t.dtype,
                static_cast<std::byte*>(t.data) + static_cast<std::size_t>(b * block) * size_of(t.dtype));
  });
}

}  // namespace layercost

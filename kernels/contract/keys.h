// What:    what an op says of the keys of its cases. A case holds every key that the op demands, and no other: a key
//          that nobody reads would stand in names and result files and say what is not so. check_keys is the one place
//          that refuses; OpDef::tensors, OpDef::work, support and Variant::prepare all go through it.
// Form:    a list of KnownKey in the op's file, made by the functions below:
//            constexpr KnownKey keys[] = {axis_key("m"), type_key("w_type", kFloatTypes), flag_key("bias")};
// Errors:  BadCase names the case, the op, the key, its value, what was expected and the nearest spelling.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "kernels/core/weight_format.h"

namespace layercost {

struct OpDef;
struct Variant;
class OpCase;

struct KnownKey {
  enum class Kind {
    integer,  // least .. most
    flag,     // 0 or 1
    real,     // least .. most, finite
    word,     // one of `words`
    type,     // one of `types`
    format,   // any weight format (kernels/core/weight_format.h)
  };
  std::string_view name;
  Kind kind = Kind::integer;
  double least = 0, most = 0;
  std::span<const std::string_view> words = {};
  std::span<const DType> types = {};
  bool required = true;
  std::string_view otherwise = {};  // what an absent key means, where it is not required
  // A key that says something only beside another one: demanded where that one is set, refused where it is not.
  std::string_view beside = {};

  constexpr KnownKey or_else(std::string_view value) const {
    KnownKey k = *this;
    k.required = false;
    k.otherwise = value;
    return k;
  }
  // May be left out; what it means then the op says.
  constexpr KnownKey optional() const { return or_else(""); }
  constexpr KnownKey only_beside(std::string_view other) const {
    KnownKey k = *this;
    k.required = false;
    k.beside = other;
    return k;
  }
};

inline constexpr DType kFloatTypes[] = {DType::f32, DType::bf16};
inline constexpr DType kCacheTypes[] = {DType::f32, DType::bf16, DType::fp8_e4m3};

// The largest integer that a double holds exactly, far beyond any size.
inline constexpr double kMostInteger = 9007199254740992.0;

constexpr KnownKey axis_key(std::string_view name) {
  return {.name = name, .kind = KnownKey::Kind::integer, .least = 1, .most = kMostInteger};
}
constexpr KnownKey integer_key(std::string_view name, double least, double most = kMostInteger) {
  return {.name = name, .kind = KnownKey::Kind::integer, .least = least, .most = most};
}
constexpr KnownKey real_key(std::string_view name, double least = std::numeric_limits<double>::lowest(),
                            double most = std::numeric_limits<double>::max()) {
  return {.name = name, .kind = KnownKey::Kind::real, .least = least, .most = most};
}
constexpr KnownKey required_flag_key(std::string_view name) { return {.name = name, .kind = KnownKey::Kind::flag}; }
constexpr KnownKey flag_key(std::string_view name) { return required_flag_key(name).or_else("0"); }
constexpr KnownKey word_key(std::string_view name, std::span<const std::string_view> words) {
  return {.name = name, .kind = KnownKey::Kind::word, .words = words};
}
constexpr KnownKey type_key(std::string_view name, std::span<const DType> types) {
  return {.name = name, .kind = KnownKey::Kind::type, .types = types};
}

// BadCase unless the case is one of this op and its keys and values are what the op says.
void check_keys(const OpDef&, const OpCase&);

// The type of a matrix: any weight format.
constexpr KnownKey format_key(std::string_view name) { return {.name = name, .kind = KnownKey::Kind::format}; }

// "" if Variant::knows does, else why it does not do the (right) case.
std::string what_is_unknown(const OpDef&, const Variant&, const OpCase&);

// "" if Variant::knows names only keys and values that the op has, and every type key; else what is wrong with it.
std::string what_is_wrong_with_knows(const OpDef&, const Variant&);

}  // namespace layercost
